"""ci/props: the property suites with a seed, or with fresh ones for some time."""

import argparse
import fcntl
import fnmatch
import os
import re
import secrets
import shlex

from engine.catalogue import Trouble
from progress import Countdown

from . import plan as planning
from .quick import PRESET, TAIL, Parser
from .work import NinjaFile, Work, job_of

SUITES = re.compile(r"props\.")
WITH_SEED = "rapidcheck.h"


def parse(argv, description):
    parser = Parser(
        prog="ci/props",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="print the suites and stop")
    parser.add_argument("--only", metavar="NAME", action="append", default=[])
    parser.add_argument("--seed", type=int, metavar="N")
    parser.add_argument("--seconds", type=int, metavar="S")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    arguments = parser.parse_args(argv)
    for name in ("seed", "seconds", "jobs"):
        value = getattr(arguments, name)
        if value is not None and value < (0 if name == "seed" else 1):
            parser.error(f"--{name} must be at least {0 if name == 'seed' else 1}")
    return arguments


class Suites:
    """The property suites of a build folder, and which of them take a seed."""

    def __init__(self, root, build):
        self.root, self.build = root, build
        self.tests = {
            name: test
            for name, test in planning.registered(build).items()
            if SUITES.match(name) and "props" in test.labels
        }
        ninja, includes = NinjaFile(build, root), planning.Includes(root)
        self.seeded = {
            name for name, test in self.tests.items() if has_seed(root, includes, ninja, test)
        }

    def chosen(self, patterns):
        found = []
        for pattern in patterns or ["*"]:
            its = [
                name
                for name in sorted(self.tests)
                if fnmatch.fnmatchcase(name, pattern)
                or fnmatch.fnmatchcase(name.removeprefix("props."), pattern)
            ]
            if not its:
                raise Trouble(f"there is no suite {pattern}; --list shows all")
            found += [name for name in its if name not in found]
        return found

    def targets(self, names):
        found = {
            word[len(str(self.build)) + 1 :]
            for name in names
            for word in self.tests[name].words
            if word.startswith(f"{self.build}/")
        }
        return sorted(found)


def has_seed(root, includes, ninja, test):
    paths = includes.closure(ninja.sources_of(test))
    return any(f"<{WITH_SEED}>" in (root / path).read_text(errors="replace") for path in paths)


class Props:
    def __init__(self, root, jobs):
        self.root, self.build = root, root / "build" / PRESET
        self.work = Work(root, self.build, jobs)
        self.failed, self.passed, self.cut = [], 0, 0

    def job(self, test, seed, is_seeded):
        name, variables = test["name"], {}
        if is_seeded and seed is not None:
            name, variables = f"{name} with seed {seed}", {"RC_PARAMS": f"seed={seed}"}
        job = job_of(test, self.build, (), variables, 600, name)
        job.key = f"all cases of {test['name']}"
        job.stem = test["name"].replace(".", "_")
        return job

    def note(self, job, status, output):
        if status == 0:
            self.passed += 1
            return
        how = "does not end" if status is None else f"failed with status {status}"
        self.work.say(f"{job.name} {how}")
        print("\n".join(line[:200] for line in output.splitlines()[-TAIL:]), flush=True)
        self.failed.append((job.name, job.again()))

    def once(self, jobs):
        self.work.expect([job.key for job in jobs])
        for job, status, output, cores in self.work.run_all(jobs):
            self.work.say(f"{job.name}: {'passed' if status == 0 else 'failed'}, {cores:.0f} s")
            self.note(job, status, output)

    def search(self, tests, suites, names, seconds, seed):
        """Rounds over all suites until the time is over; one without a seed runs once. The seeds
        count up from `seed`, or are fresh."""
        clock = self.work.progress = Countdown(seconds, self.work.say)
        number = 0
        while clock.left() and not self.failed:
            its = [name for name in names if number == 0 or name in suites.seeded]
            if not its:
                break
            jobs = []
            for name in its:
                its_seed = secrets.randbelow(1 << 32) if seed is None else seed + number
                jobs.append(self.job(tests[name], its_seed, name in suites.seeded))
            number += 1
            for job, status, output, _ in self.work.run_all(jobs, clock.left()):
                if status is None and not clock.left() and not job.written():
                    self.cut += 1
                    continue
                verdict = "passed" if status == 0 else "failed"
                self.work.say(f"{clock.shown().strip()}: {job.name}: {verdict}")
                self.note(job, status, output)

    def run(self, arguments):
        if self.work.is_cold():
            self.work.say("first run in this tree: everything is built, which takes minutes")
        self.work.configure(PRESET)
        suites = Suites(self.root, self.build)
        names = suites.chosen(arguments.only)
        if arguments.list:
            for name in names:
                print(f"{name}{' (takes a seed)' if name in suites.seeded else ''}")
            return 0
        targets = suites.targets(names)
        if not self.work.make(targets):
            print(f"again: {shlex.join(['ninja', '-C', str(self.build), *targets])}")
            print("ci/props: red: the build failed")
            return 1
        tests = self.work.tests()
        # What an earlier run failed on is not to be taken for what this one fails on.
        for path in self.build.rglob("*.failed"):
            path.unlink()
        if arguments.seconds:
            self.search(tests, suites, names, arguments.seconds, arguments.seed)
        else:
            its = [self.job(tests[name], arguments.seed, name in suites.seeded) for name in names]
            self.once(sorted(its, key=lambda job: -self.work.durations.get(job.key, 0)))
        self.work.remember()
        for name, line in self.failed:
            print(f"failed: {name}\nagain: {line}")
        verdict = "red" if self.failed else "green"
        cut = f", {self.cut} had not ended when the time was over" if self.cut else ""
        print(f"ci/props: {verdict}: {self.passed} passed, {len(self.failed)} failed{cut}")
        return 1 if self.failed else 0


def main(root, argv, description):
    arguments = parse(argv, description)
    build = root / "build" / PRESET
    build.mkdir(parents=True, exist_ok=True)
    with open(build / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble("another ci/quick or ci/props runs in this tree") from None
        return Props(root, arguments.jobs).run(arguments)
