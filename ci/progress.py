"""How far a command is and how long it will go on, from the durations of earlier runs.

ci/durations.toml holds seconds by part, as --record wrote them on two processors. A part without
an entry is expected to take what its caller says. What this run has taken so far, against what was
expected for as much, scales the rest.
"""

import re
import time
import tomllib
from pathlib import Path

import children

TABLE = Path(__file__).resolve().parent / "durations.toml"
NINJA = re.compile(r"\[(\d+)/(\d+)\] ")
CTEST = re.compile(r"\s*(\d+)/(\d+) Test\s+#\d+: ")
HEAD = """# Seconds that each part of a command takes on two processors, for the time left that it
# says. Written by ci/test --record and ci/gate --record.
"""
PRIOR = 10  # seconds' worth of trust in the table, before a run has shown how fast it is


def recorded(table=TABLE):
    try:
        return tomllib.loads(table.read_text())
    except FileNotFoundError:
        return {}


def print_line(text):
    print(text, flush=True)


def expected(command, parts, table=TABLE):
    """parts: {name: seconds where none are recorded}; {name: seconds that it will take}."""
    known = recorded(table).get(command, {})
    return {name: known.get(name, seconds) for name, seconds in parts.items()}


class Progress:
    """The parts of a command: what each is expected to take, and which are done. A part that runs
    alone begins and ends; of those that run beside others, `jobs` at a time, each only ends."""

    EVERY = 5  # seconds between two lines that tell() says

    def __init__(self, parts=(), jobs=1, say=print_line):
        """parts: {name: seconds}, in their order."""
        self.expected, self.jobs, self.say = dict(parts), jobs, say
        self.start = self.told = time.monotonic()
        self.done, self.taken = set(), {}
        self.name, self.since, self.share = None, 0.0, 0.0

    def expect(self, parts):
        """More parts."""
        self.expected.update(parts)
        self.done -= set(parts)

    def begin(self, name):
        self.end()
        self.name, self.since, self.share = name, time.monotonic(), 0.0

    def end(self):
        if self.name:
            self.taken[self.name] = time.monotonic() - self.since
            self.finish(self.name)
            self.name = None

    def finish(self, name):
        if name in self.expected:
            self.done.add(name)

    def skip(self, name):
        """A part that will not run."""
        self.expected[name] = 0.0
        self.finish(name)

    def see(self, line):
        """A line of ninja or ctest says how much of the part is done."""
        if match := NINJA.match(line) or CTEST.match(line):
            self.share = int(match[1]) / max(1, int(match[2]))

    def estimate(self):
        """(percent, seconds left)."""
        now = time.monotonic()
        taken = now - self.start
        met = sum(self.expected[name] for name in self.done)
        if self.name:
            current = self.expected[self.name]
            # Without a count, time alone tells; and it never says that all is done.
            met += current * (self.share or min(0.95, (now - self.since) / max(current, 0.001)))
        ahead = max(0.0, sum(self.expected.values()) - met)
        speed = (taken + PRIOR) / (met / self.jobs + PRIOR)
        left = ahead / self.jobs * speed
        return round(100 * taken / (taken + left)) if taken + left else 100, left

    def shown(self):
        percent, left = self.estimate()
        return f"{min(percent, 99):2d} %, {span(left)} left"

    def tell(self, what):
        """Says how far it is, but not again within some seconds."""
        now = time.monotonic()
        if now - self.told >= self.EVERY:
            self.told = now
            self.say(f"{self.shown().strip()}: {what}")


class Countdown(Progress):
    """Of a search, which ends when its time is over."""

    def __init__(self, seconds, say=print_line):
        super().__init__(say=say)
        self.seconds = seconds

    def left(self):
        return max(0.0, self.start + self.seconds - time.monotonic())

    def estimate(self):
        left = self.left()
        return round(100 - 100 * left / self.seconds), left


def span(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def record(command, taken, table=TABLE):
    """Puts measured seconds into the table; parts that did not run keep theirs."""
    tables = recorded(table)
    tables[command] = tables.get(command, {}) | {k: max(1, round(v)) for k, v in taken.items()}
    lines = [HEAD]
    for name in sorted(tables):
        lines.append(f'\n["{name}"]\n')
        lines += [f'"{part}" = {seconds}\n' for part, seconds in sorted(tables[name].items())]
    table.write_text("".join(lines))


class Meter:
    """For commands that say little: what they run is shown by a line every few seconds."""

    def __init__(self, command, parts):
        name = command.rpartition("/")[2]
        self.progress = Progress(
            expected(command, parts), say=lambda text: print_line(f"{name}: {text}")
        )

    def run(self, part, arguments, **options):
        """(exit status, the lines of the output) of what belongs to a part."""
        if self.progress.name != part:
            self.progress.begin(part)
        lines = []

        def line(text):
            lines.append(text)
            self.progress.see(text)
            self.progress.tell(part)

        def wait():
            self.progress.tell(part)

        return children.stream(arguments, line, on_wait=wait, **options), lines


class Count:
    """For commands whose parts are alike: so many of so many."""

    def __init__(self, total):
        self.total, self.done, self.begin = total, 0, time.monotonic()

    def one(self):
        self.done += 1
        left = (time.monotonic() - self.begin) / self.done * (self.total - self.done)
        return f"{100 * self.done // self.total} %, {span(left)} left"
