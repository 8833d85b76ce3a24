"""ci/quick: builds and runs what changed since it was green."""

import argparse
import fcntl
import json
import os
import resource
import sys
import time
from pathlib import Path

from engine.catalogue import Trouble
from suites import read_suites

from . import plan as planning
from . import tree
from .work import Job, NinjaFile, Work, job_of

PRESET = "quick"
TIDY = "tidy"
TIDIES = ("ci/tidy*", ".clang-format", "pyproject.toml", ".flake8")  # what says how files stand
TAIL = 40  # lines of a failed test's output that are shown


class Record:
    """For each test the state of the tree in which it was green."""

    def __init__(self, path):
        self.path = path
        table = json.loads(path.read_text()) if path.exists() else {"states": {}, "green": {}}
        self.states, self.green = table["states"], table["green"]

    def since(self, name, now):
        """What changed since a test was green; None if it never was."""
        state = self.states.get(self.green.get(name))
        return None if state is None else tree.changes(state, now)

    def note(self, names, now):
        key = tree.digest(json.dumps(now, sort_keys=True).encode())
        self.states[key] = now
        self.green.update({name: key for name in names})
        used = set(self.green.values())
        self.states = {key: state for key, state in self.states.items() if key in used}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"states": self.states, "green": self.green}))


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(3, f"{self.prog}: {message}\n")


def parse(root, argv, description):
    parser = Parser(
        prog="ci/quick",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="say what would run, and stop")
    what.add_argument("--all", action="store_true", help="run all of its tests")
    what.add_argument("--kills", action="store_true", help="measure the share of mutants killed")
    what.add_argument("--measure", action="store_true", help="measure the time for each file")
    parser.add_argument(
        "--changed",
        metavar="FILE",
        action="append",
        default=[],
        help="as if this file alone had changed; of --measure: this file alone; may be repeated",
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error("--jobs must be at least 1")
    arguments.changed = [relative(root, name, parser) for name in arguments.changed]
    return arguments


def relative(root, name, parser):
    for path in (Path(name).absolute(), root / name):
        if path.is_file() and path.resolve().is_relative_to(root):
            return path.resolve().relative_to(root).as_posix()
    parser.error(f"--changed: there is no {name} in {root}")


def every_function(path, state):
    """A file's changes if all of it had changed."""
    its = state[path]
    return {(path, name) for name in its} if isinstance(its, dict) else {(path, tree.REST)}


def since_of(record, table, now, changed, is_all):
    """{name: what changed since it was green}; "" is all of them together."""
    names = [*table.tests, *table.scripts, ""]
    if is_all:
        return {name: None for name in names}
    if changed:
        its = set().union(*(every_function(path, now) for path in changed))
        return {name: its for name in names}
    return {name: record.since(name, now) for name in names}


def needs_build(plan):
    return bool(plan.tests or plan.others)


def targets_of(plan, table, planner, build):
    found = {target for name in plan.tests for target in table.tests[name].targets}
    for name in plan.others:
        for word in planner.tests[name].words:
            if word.startswith(f"{build}/"):
                found.add(word[len(str(build)) + 1 :])
        if any("LD_PRELOAD" in word for word in planner.tests[name].words):
            found.add("hakmem")
    return sorted(found)


def left_out(root, planner, names):
    """What is not run though the change can break it, and what runs it."""
    suites = [its for its in read_suites(root / "ci" / "suites.toml") if not its.gate]
    counts, commands = {}, set()
    for name in names:
        for suite in suites:
            if set(suite.labels) & set(planner.tests[name].labels):
                commands.add(suite.name)
                label = planner.tests[name].labels[0]
                counts[label] = counts.get(label, 0) + 1
                break
    if not counts:
        return ""
    only = " ".join(f"--only {name}" for name in sorted(commands))
    what = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
    return f"left out: {sum(counts.values())} tests ({what}): {root}/ci/test {only}"


def core_seconds():
    its = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in its)


class Quick:
    def __init__(self, root, jobs):
        self.root, self.build = root, root / "build" / PRESET
        self.work = Work(root, self.build, jobs)
        self.table = planning.load(root)
        self.record = Record(self.build / "green.json")
        self.reach = planning.reach_map(root)
        self.failed = []  # (name, a line that runs it again)
        self.cores = core_seconds()

    def planner(self, now):
        ninja = NinjaFile(self.build, self.root)
        return planning.Planner(
            self.root,
            self.table,
            self.reach,
            planning.registered(self.build),
            ninja.sources_of,
            now,
        )

    def run(self, changed=(), is_all=False, only_plan=False):
        """Exit status."""
        say = self.work.say
        now = tree.snapshot(self.root)
        since = since_of(self.record, self.table, now, changed, is_all)
        whole = since[""]
        if whole is not None and not any(since.values()):
            return self.end(now, [], f"nothing changed since {self.name_of_green()}")
        is_cold = self.work.is_cold()
        if is_cold and not only_plan:
            say("first run in this tree: everything is built, which takes up to 10 minutes")
        paths = sorted({path for path, _ in whole or ()})
        if whole is None:
            say("no run was green in this tree yet: every test runs that was not green on its own")
        else:
            say(f"changed: {', '.join(paths[:6])}{', ...' if len(paths) > 6 else ''}")
        if all(planning.matches(path, planning.PAGES) for path in paths) and paths:
            plan = planning.Plan()
            planner = None
        else:
            self.work.configure(PRESET)
            planner = self.planner(now)
            plan = planner.plan(since)
            if old := planner.old():
                say(
                    f"ci/mutants/reach is older than the tree: nothing is known of {len(old)} tests"
                )
        if only_plan:
            return self.show(plan, planner)
        self.work.expect([*plan.tests, *plan.others, *plan.scripts])
        begin = time.monotonic()
        self.check_tree(None if whole is None else paths)
        green = [TIDY] if not self.failed else []
        if needs_build(plan):
            targets = targets_of(plan, self.table, planner, self.build)
            if not self.work.make(targets):
                line = f"ninja -C {self.build} {' '.join(targets)}"
                return self.end(now, green, "", [("the build", line)], plan, planner)
            self.work.say(f"built in {time.monotonic() - begin:.0f} s")
        green += self.run_tests(plan)
        unbroken = [
            name
            for name in [*self.table.tests, *self.table.scripts]
            if name not in plan.tests and name not in plan.scripts and since[name] is not None
        ]
        if not self.failed:
            unbroken = [*self.table.tests, *self.table.scripts, ""]
        return self.end(now, [*green, *unbroken], "", [], plan, planner, changed)

    def name_of_green(self):
        return f"the last green run ({self.record.path})"

    def check_tree(self, paths):
        """`paths`: what changed, or None."""
        lines, command = [], [str(self.root / "ci" / "tidy")]
        # What did not change stands as its formatter wrote it.
        if paths is not None and not any(planning.matches(path, TIDIES) for path in paths):
            command += ["--changed", *paths]
        if self.work.run(command, lines.append) != 0:
            print("\n".join(lines[-TAIL:]), flush=True)
            self.failed.append((TIDY, f"{self.root}/ci/tidy"))

    def jobs(self, plan):
        tests = self.work.tests() if needs_build(plan) else {}
        missing = [name for name in self.needed(plan) if name not in tests]
        if missing:
            raise Trouble(f"ctest has no {', '.join(missing)} in {self.build}")
        jobs = []
        for name in plan.tests:
            row = self.table.tests[name]
            jobs.append(job_of(tests[row.test], self.build, row.arguments, name=name))
        jobs += [job_of(tests[name], self.build) for name in plan.others]
        for name in plan.scripts:
            first, *rest = self.table.scripts[name].command
            command = [sys.executable, "-B", self.root / first, *rest]
            jobs.append(Job(name, command, self.root))
        return sorted(jobs, key=lambda job: -self.work.durations.get(job.name, 0))

    def needed(self, plan):
        return [*(self.table.tests[name].test for name in plan.tests), *plan.others]

    def run_tests(self, plan):
        """Names of those that pass."""
        green, jobs = [], self.jobs(plan)
        # What an earlier run failed on is not to be taken for what this one fails on.
        for path in self.build.rglob("*.failed"):
            path.unlink()
        for job, status, output, _ in self.work.run_all(jobs):
            if status == 0:
                green.append(job.name)
                continue
            how = f"failed with status {status}" if status is not None else "does not end"
            log = self.build / "logs" / f"{job.name}.log"
            log.parent.mkdir(exist_ok=True)
            log.write_text(output)
            self.work.say(f"{job.name} {how}; all of its output: {log}")
            print("\n".join(line[:200] for line in output.splitlines()[-TAIL:]), flush=True)
            self.failed.append((job.name, job.again()))
        return green

    def show(self, plan, planner):
        for name in [*plan.tests, *plan.others, *plan.scripts]:
            print(name)
        print(left_out(self.root, planner, plan.left) if planner else "nothing is built")
        return 0

    def end(self, now, green, text, failed=(), plan=None, planner=None, changed=()):
        self.failed += failed
        # What was not really changed says nothing of the tree.
        if green and not changed:
            self.record.note(green, now)
        self.work.remember() if self.build.exists() else None
        if planner:
            left = left_out(self.root, planner, plan.left)
            if left:
                print(left)
        seconds = time.monotonic() - self.work.begin
        cores = core_seconds() - self.cores
        time_taken = f"{seconds:.0f} s, {cores:.0f} core-seconds"
        ran = len([*plan.tests, *plan.others, *plan.scripts]) if plan else 0
        for name, line in self.failed:
            print(f"failed: {name}; again: {line}")
        if self.failed:
            print(f"ci/quick: red: {len(self.failed)} failed, {time_taken}")
            return 1
        print(f"ci/quick: green: {text or f'tidy and {ran} tests'}, {time_taken}")
        return 0


def main(root, argv, description):
    arguments = parse(root, argv, description)
    build = root / "build" / PRESET
    build.mkdir(parents=True, exist_ok=True)
    # The mutants have a tree of their own.
    with open(build / ("kills.lock" if arguments.kills else "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble("another ci/quick or ci/props runs in this tree") from None
        if arguments.kills:
            from . import kills

            return kills.main(root, arguments.jobs)
        if arguments.measure:
            from . import measure

            return measure.main(root, arguments.jobs, lock, arguments.changed)
        quick = Quick(root, arguments.jobs)
        return quick.run(arguments.changed, arguments.all, arguments.plan)
