"""Runs the suites of ci/suites.toml: configure, build, ctest, each within its budget. Called by
ci/test."""

import argparse
import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True

import children  # noqa: E402
import report  # noqa: E402
from children import finish  # noqa: E402
from progress import Progress, expected, record  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1200  # seconds for all suites together, on a machine that is as fast as this:
PROBE = ["g++", "-std=c++20", "-O2", "-c", "-o", os.devnull, "ci/speed_probe.cpp"]
PROBE_SECONDS = 0.8  # what it takes for that, with one on each of 2 processors
# And a budget is never longer than so many times what the table says: ci/test in any case ends
# within 50 minutes.
STRETCH_MAX = 2.5
HEARTBEAT = 20  # seconds of silence after which the runner says what is running
FREE_BYTES = 2 << 30  # what the build trees of all presets need, with room for the tests' own files

UNWRITABLE = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOENT, errno.ENOTDIR)

TEST_LINE = re.compile(r"\s*\d+/\d+ Test\s+#\d+: (\S+) \.*\s*(.*?)\s+([\d.]+) sec")
START_LINE = re.compile(r"\s*Start\s+\d+: (\S+)")
NINJA_LINE = re.compile(r"\[\d+/\d+\] ")


class Trouble(Exception):
    """Something that makes a run impossible; its text is all that is printed."""


@dataclass
class Suite:
    name: str
    budget: int
    preset: str = ""
    targets: list = field(default_factory=list)
    labels: list = field(default_factory=list)
    command: list = field(default_factory=list)
    compiles: bool = False  # the command
    gate: bool = False  # ci/gate runs it

    def parts(self):
        """{name: seconds expected} of what is measured of it."""
        if self.command:
            return {self.name: self.budget}
        return {f"{self.name}: build": self.budget / 2, f"{self.name}: tests": self.budget / 2}


@dataclass
class Failure:
    name: str  # of the test, or of what else failed
    text: str
    again: str = ""  # a line for a shell, from any folder
    is_overrun: bool = False  # a budget that was spent


@dataclass
class Outcome:
    suite: Suite
    seconds: float = 0.0
    passed: int = 0
    failures: list = field(default_factory=list)
    tests: list = field(default_factory=list)  # (seconds, name)


class Console:
    """Lines on stdout, each with the time since the start of the run and the suite that it belongs
    to."""

    def __init__(self):
        self.begin = time.monotonic()
        self.last = self.begin
        self.progress = None

    def say(self, suite, text):
        self.last = time.monotonic()
        seconds = int(self.last - self.begin)
        far = f"{self.progress.shown()}, " if self.progress else ""
        print(f"[{seconds // 60:2d}:{seconds % 60:02d} {far}{suite}] {text}", flush=True)


def read_suites(path):
    try:
        with open(path, "rb") as file:
            suites = [Suite(**row) for row in tomllib.load(file)["suite"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Trouble(f"{path}: {error}") from None
    total = sum(suite.budget for suite in suites if not suite.gate)
    if total > LIMIT:
        raise Trouble(f"{path}: the budgets add up to {total} s, more than {LIMIT} s")
    return suites


def write_list(lines):
    """For --list: who reads it may stop early, as head does, and the disk may be full."""
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except OSError as error:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # or Python complains of what is left once more
        if not isinstance(error, BrokenPipeError):
            raise OSError(error.errno, error.strerror, "standard output") from None


class Runner:
    def __init__(self, jobs, logs):
        self.jobs = jobs
        self.logs = logs
        self.console = Console()
        self.measured = {}
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("LD_PRELOAD", "MAKEFLAGS") and not name.startswith("HAKMEM_")
        }
        self.environment["LC_ALL"] = "C"

    def run(self, suite, command, log, deadline, on_line, running=lambda: ""):
        """Runs one command, gives each line of its output to the log and to on_line. Returns the
        exit status, None on overrun."""
        log.write("$ " + " ".join(command) + "\n")

        def line(text):
            log.write(text + "\n")
            on_line(text)

        def wait():
            if time.monotonic() - self.console.last > HEARTBEAT:
                self.console.say(suite.name, f"... {running() or command[0]}")

        try:
            return children.stream(command, line, deadline, wait, cwd=ROOT, env=self.environment)
        except FileNotFoundError:
            raise Trouble(
                f"{command[0]} is not installed; ci/bootstrap installs what is needed"
            ) from None
        finally:
            log.flush()

    def slowness(self, name):
        """By how much the machine is slower just now than that of the budgets, at least 1. What is
        slow because the machine is does not fail: a budget shall find suites that grew."""
        begin = time.monotonic()
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        with ThreadPoolExecutor(self.jobs) as pool:
            compilers = [
                pool.submit(children.run, PROBE, cwd=ROOT, env=self.environment, **quiet)
                for _ in range(self.jobs)
            ]
            finish(compilers)
        if any(compiler.result().returncode for compiler in compilers):
            raise Trouble(f"`{' '.join(PROBE)}` failed")
        slower = min((time.monotonic() - begin) / PROBE_SECONDS, STRETCH_MAX)
        if slower <= 1:
            return 1.0
        self.console.say(
            name, f"the machine is slower than that of the budgets: {slower:.2f} times the time"
        )
        return slower

    def build(self, suite, outcome, log, deadline):
        self.console.say(suite.name, f"building build/{suite.preset}")
        printed = time.monotonic()

        def show(text):
            nonlocal printed
            self.see(text)
            if NINJA_LINE.match(text):
                if time.monotonic() - printed < 5:
                    return
                printed = time.monotonic()
            elif (
                not text.strip()
                or text.startswith("--")
                or text.startswith("Preset CMake variables")
                or re.match(r"  [A-Z_]+=", text)
            ):
                return
            self.console.say(suite.name, text)

        jobs = ["-j", str(self.jobs)]
        steps = [
            ["cmake", "--preset", suite.preset],
            ["cmake", "--build", "--preset", suite.preset, *jobs, "--target", *suite.targets],
        ]
        for command in steps:
            status = self.run(suite, command, log, deadline, show)
            if status != 0:
                said = shlex.join(command)
                again = f"cd {shlex.quote(str(ROOT))} && {said}"
                what = f"`{said}` failed with status {status}"
                if status is None:
                    what = f"the budget of {suite.budget} s was spent"
                outcome.failures.append(Failure("build", f"build: {what}", again, status is None))
                return False
        return True

    def tests(self, suite, outcome, log, deadline):
        running = {}
        failed_before = len(outcome.failures)
        folder = str(ROOT / "build" / suite.preset)

        def show(text):
            self.see(text)
            start = START_LINE.fullmatch(text)
            if start:
                running[start[1]] = time.monotonic()
                return
            match = TEST_LINE.match(text)
            if match:
                name, verdict, seconds = (
                    match[1],
                    match[2].replace("***", " ").strip(" :"),
                    float(match[3]),
                )
                running.pop(name, None)
                outcome.tests.append((seconds, f"{suite.name} {name}"))
                if verdict == "Passed":
                    outcome.passed += 1
                else:
                    pattern = shlex.quote(f"^{re.escape(name)}$")
                    again = (
                        f"ctest --test-dir {shlex.quote(folder)} --output-on-failure -R {pattern}"
                    )
                    text = f"{name}: {verdict} after {seconds:.1f} s"
                    outcome.failures.append(Failure(name, text, again))
                self.console.say(suite.name, f"{verdict:8s} {seconds:7.2f} s  {name}")
            elif outcome.failures[failed_before:] and text.strip():
                self.console.say(suite.name, f"  {text}")

        def names():
            return "running " + ", ".join(
                f"{name} ({time.monotonic() - since:.0f} s)" for name, since in running.items()
            )

        # The preset says what is shown, and that no test is an error.
        command = ["ctest", "--preset", suite.preset, "-L", f"^({'|'.join(suite.labels)})$"]
        command += ["-j", str(self.jobs)]
        command += ["--output-junit", str(self.logs / f"{suite.name}.xml")]
        status = self.run(suite, command, log, deadline, show, names)
        if status is None:
            text = f"the budget of {suite.budget} s was spent; {names()}"
            outcome.failures.append(Failure("budget", text, is_overrun=True))
        elif status != 0 and len(outcome.failures) == failed_before:
            said = shlex.join(command)
            again = f"cd {shlex.quote(str(ROOT))} && {said}"
            outcome.failures.append(
                Failure("ctest", f"`{said}` failed with status {status}", again)
            )
        return status == 0

    def see(self, line):
        if self.console.progress:
            self.console.progress.see(line)

    def part(self, name, function, *arguments):
        """One part, which the progress knows by its name; what did not succeed is not recorded."""
        progress = self.console.progress
        if progress:
            progress.begin(name)
        done = function(*arguments)
        if progress:
            progress.end()
            if done:
                self.measured[name] = progress.taken[name]
        return done

    def only_command(self, suite, outcome, log, deadline):
        def show(text):
            self.console.say(suite.name, text)

        status = self.run(suite, suite.command, log, deadline, show)
        if status == 0:
            outcome.passed += 1
            return True
        what = "spent its budget" if status is None else f"failed with status {status}"
        said = shlex.join(suite.command)
        again = f"cd {shlex.quote(str(ROOT))} && {said}"
        failure = Failure(suite.name, f"`{said}` {what}", again, status is None)
        outcome.failures.append(failure)
        return False

    def suite(self, suite):
        if suite.preset or suite.compiles:
            suite.budget = round(suite.budget * self.slowness(suite.name))
        outcome = Outcome(suite)
        (self.logs / f"{suite.name}.xml").unlink(missing_ok=True)  # of an earlier run
        begin = time.monotonic()
        deadline = begin + suite.budget
        with open(self.logs / f"{suite.name}.log", "w", encoding="utf-8") as log:
            these = (suite, outcome, log, deadline)
            names = list(suite.parts())
            if suite.command:
                self.part(names[0], self.only_command, *these)
            elif self.part(names[0], self.build, *these):
                self.part(names[1], self.tests, *these)
            elif self.console.progress:
                self.console.progress.skip(names[1])
        outcome.seconds = time.monotonic() - begin
        verdict = "failed" if outcome.failures else "passed"
        self.console.say(
            suite.name,
            (
                f"{verdict}: {outcome.seconds:.0f} s of {suite.budget} s, log in "
                f"{self.logs}/{suite.name}.log"
            ),
        )
        return outcome


def check_machine(suites, logs):
    needed = {"cmake", "ctest", "ninja"} if any(suite.preset for suite in suites) else set()
    for suite in suites:
        if suite.preset or suite.compiles:
            needed |= {"gcc", "g++"}
        if suite.preset not in ("", "release"):
            needed |= {"clang-19", "clang++-19"}
    missing = sorted(name for name in needed if not shutil.which(name))
    if missing:
        raise Trouble(f"not installed: {', '.join(missing)}; ci/bootstrap installs what is needed")
    free = shutil.disk_usage(logs).free
    if free < FREE_BYTES:
        raise Trouble(
            f"only {free >> 20} MiB are free in {logs}, {FREE_BYTES >> 20} MiB are needed"
        )


def write_result(path, outcomes):
    """For ci/gate and the workflow, which must tell a failed test from a budget that was spent."""
    suites = {
        outcome.suite.name: {
            "seconds": round(outcome.seconds, 1),
            "budget": outcome.suite.budget,
            "passed": outcome.passed,
            "failures": [failure.text for failure in outcome.failures],
            "overruns": sum(failure.is_overrun for failure in outcome.failures),
        }
        for outcome in outcomes
    }
    path.write_text(json.dumps(suites, indent=1) + "\n")


def summary(outcomes):
    tests = sorted((test for outcome in outcomes for test in outcome.tests), reverse=True)
    if tests:
        print("\nslowest tests:")
        for seconds, name in tests[:10]:
            print(f"  {seconds:8.2f} s  {name}")
    print("\nsuites:")
    for outcome in outcomes:
        print(
            f"  {outcome.suite.name:14s} {outcome.passed:4d} passed {len(outcome.failures):3d} "
            "failed "
            f"{outcome.seconds:6.0f} s of {outcome.suite.budget} s"
        )
    failures = [
        (outcome.suite.name, failure) for outcome in outcomes for failure in outcome.failures
    ]
    if failures:
        print("\nfailed:")
        for suite, failure in failures:
            print(f"  {suite}: {failure.text}")
            if failure.again:
                print(f"    again: {failure.again}")
    last = f"{sum(outcome.passed for outcome in outcomes)} passed, {len(failures)} failed"
    rows = [
        (o.suite.name, o.passed, len(o.failures), f"{o.seconds:.0f}", o.suite.budget)
        for o in outcomes
    ]
    columns = ("suite", "passed", "failed", "seconds", "budget")
    texts = [f"{suite}: {failure.text}" for suite, failure in failures]
    report.summarise(report.markdown("ci/test", columns, rows, texts, last))
    print(f"\n{last}")
    return 1 if failures else 0


def shard(suites, text):
    """The K-th of N parts of about the same length; what shares a build stays together."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise Trouble(f"--shard {text}: not K/N with 1 <= K <= N")
    groups = {}
    for suite in suites:
        groups.setdefault(suite.preset or suite.name, []).append(suite)
    parts = [[] for _ in range(int(match[2]))]
    for group in sorted(groups.values(), key=lambda g: -sum(suite.budget for suite in g)):
        min(parts, key=lambda part: sum(suite.budget for suite in part)).extend(group)
    return [suite for suite in suites if suite in parts[int(match[1]) - 1]]


def main():
    parser = argparse.ArgumentParser(
        prog="ci/test", description="Builds and tests everything; the table is ci/suites.toml."
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="SUITE",
        default=[],
        help="run this suite alone; may be repeated",
    )
    parser.add_argument("--rest", action="store_true", help="run what ci/test leaves to ci/gate")
    parser.add_argument("--shard", metavar="K/N", help="run the K-th of N parts")
    parser.add_argument(
        "--record", action="store_true", help="put what each part took into ci/durations.toml"
    )
    parser.add_argument("--list", action="store_true", help="print the suites and stop")
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="compilers and tests at a time (default: one per processor)",
    )
    parser.add_argument(
        "--no-bootstrap", action="store_true", help="do not look for missing Debian packages first"
    )
    parser.add_argument(
        "--table", type=Path, default=ROOT / "ci" / "suites.toml", help="another table of suites"
    )
    parser.add_argument(
        "--logs", type=Path, default=ROOT / "build" / "ci", help="another folder for the logs"
    )
    arguments = parser.parse_args()
    arguments.logs = arguments.logs.absolute()
    if arguments.jobs < 1:
        parser.error("--jobs must be at least 1")

    suites = read_suites(arguments.table)
    if arguments.list:
        whats = (
            (
                f"{suite.preset}: {', '.join(suite.labels)}"
                if suite.preset
                else " ".join(suite.command)
            )
            for suite in suites
        )
        write_list(
            f"{suite.name:14s} {suite.budget:4d} s  {what}{', of ci/gate' if suite.gate else ''}"
            for suite, what in zip(suites, whats)
        )
        return 0
    names = [suite.name for suite in suites]
    for name in arguments.only:
        if name not in names:
            raise Trouble(f"unknown suite {name}; there are: {', '.join(names)}")
    if arguments.only:
        suites = [suite for suite in suites if suite.name in arguments.only]
    else:
        suites = [suite for suite in suites if suite.gate == arguments.rest]
    if arguments.shard:
        suites = shard(suites, arguments.shard)

    arguments.logs.mkdir(parents=True, exist_ok=True)
    check_machine(suites, arguments.logs)
    lock = open(arguments.logs / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Trouble("another ci/test is running in this tree") from None

    runner = Runner(arguments.jobs, arguments.logs)
    parts = {name: seconds for suite in suites for name, seconds in suite.parts().items()}
    runner.console.progress = Progress(expected("ci/test", parts))
    outcomes = [runner.suite(suite) for suite in suites]
    write_result(arguments.logs / "result.json", outcomes)
    (arguments.logs / "junit.xml").write_text(report.junit(outcomes, arguments.logs))
    if arguments.record:
        record("ci/test", runner.measured)
    return summary(outcomes)


if __name__ == "__main__":
    try:
        sys.exit(children.command(main))
    except Trouble as trouble:
        print(f"ci/test: {trouble}", file=sys.stderr)
        sys.exit(2)
    except children.Interrupted as interrupted:
        print(f"\nci/test: {interrupted}; everything it started was ended", file=sys.stderr)
        sys.exit(128 + interrupted.number)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(f"ci/test: {error.filename or ROOT / 'build'}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
