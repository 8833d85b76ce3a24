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


class Progress:
    def __init__(self, command, parts, table=TABLE):
        """parts: {name: seconds expected where none are recorded}, in their order."""
        known = recorded(table).get(command, {})
        self.command = command
        self.expected = {name: known.get(name, seconds) for name, seconds in parts.items()}
        self.taken = {}
        self.name, self.since, self.share = None, 0.0, 0.0

    def begin(self, name):
        self.end()
        self.name, self.since, self.share = name, time.monotonic(), 0.0

    def end(self):
        if self.name:
            self.taken[self.name] = time.monotonic() - self.since
            self.name = None

    def skip(self, name):
        """A part that will not run."""
        self.taken[name] = self.expected[name] = 0.0

    def see(self, line):
        """A line of ninja or ctest says how much of the part is done."""
        if match := NINJA.match(line) or CTEST.match(line):
            self.share = int(match[1]) / max(1, int(match[2]))

    def estimate(self):
        """(percent, seconds left)."""
        now = time.monotonic()
        taken = sum(self.taken.values())
        met = sum(self.expected[name] for name in self.taken)
        ahead = sum(s for name, s in self.expected.items() if name not in self.taken)
        if self.name:
            current = self.expected[self.name]
            # Without a count, time alone tells; and it never says that all is done.
            passed = now - self.since
            share = self.share or min(0.95, passed / max(current, 0.001))
            taken, met, ahead = taken + passed, met + share * current, ahead - share * current
        speed = (taken + PRIOR) / (met + PRIOR)
        left = ahead * speed
        return round(100 * taken / (taken + left)) if taken + left else 100, left

    def shown(self):
        percent, left = self.estimate()
        return f"{min(percent, 99):2d} %, {span(left)} left"


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

    PAUSE = 5

    def __init__(self, command, parts, say=lambda text: print(text, flush=True)):
        self.progress, self.say = Progress(command, parts), say
        self.command, self.said = command, time.monotonic()

    def run(self, part, arguments, **options):
        """(exit status, the lines of the output) of what belongs to a part."""
        if self.progress.name != part:
            self.progress.begin(part)
        lines = []

        def tell():
            if time.monotonic() - self.said >= self.PAUSE:
                self.said = time.monotonic()
                self.say(f"{self.command.rpartition('/')[2]}: {self.progress.shown()}: {part}")

        def line(text):
            lines.append(text)
            self.progress.see(text)
            tell()

        return children.stream(arguments, line, on_wait=tell, **options), lines


class Count:
    """For commands whose parts are alike: so many of so many."""

    def __init__(self, total):
        self.total, self.done, self.begin = total, 0, time.monotonic()

    def one(self):
        self.done += 1
        left = (time.monotonic() - self.begin) / self.done * (self.total - self.done)
        return f"{100 * self.done // self.total} %, {span(left)} left"
