"""The steps of ci/gate: each runs commands within its budget and says why it is red."""

import json
import os
import re
import secrets
import shlex
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import base as base_of, traces
from .stepping import ROOT

sys.path.insert(0, str(ROOT / "ci"))
import children  # noqa: E402
from progress import NINJA, Progress, expected  # noqa: E402
from suites import Runner  # noqa: E402

FOLDER = ROOT / "build" / "gate"
COMPILERS = ("release", "release-clang")
SANITIZERS = ("asan", "tsan")
STRESS_SECONDS = 20
FUZZ_SECONDS = 45
ENGINE_SECONDS = 2
WALL_ROUNDS = 20
EXPLORER_PROGRAMS = 10_000
EXPLORER_EXECUTIONS = 100_000


class Overrun(Exception):
    """The step's budget is spent."""


@dataclass
class Outcome:
    name: str
    budget: int
    hard: bool
    seconds: float = 0.0
    reasons: list = field(default_factory=list)
    doubts: list = field(default_factory=list)  # why nothing is concluded
    notes: list = field(default_factory=list)
    summary: str = ""
    skipped: bool = False
    earlier: object = None  # the outcome of the first run, where there were two

    @property
    def verdict(self):
        if self.reasons:
            return "red"
        if self.doubts:
            return "undecided"
        return "skipped" if self.skipped else "green"


class Step:
    """One step while it runs: its deadline, its log, and the commands it starts."""

    def __init__(self, gate, name, budget, hard):
        self.gate, self.name, self.budget = gate, name, budget
        self.outcome = Outcome(name, budget, hard)
        self.begin = time.monotonic()
        self.deadline = min(self.begin + budget, gate.deadline)
        self.undecided = {}  # what the first run left open, if this is the second

    def say(self, text):
        self.gate.runner.console.say(self.name, text)

    def red(self, reason):
        self.outcome.reasons.append(reason)
        self.say(f"RED {reason}")

    def doubt(self, reason):
        self.outcome.doubts.append(reason)
        self.say(f"UNDECIDED {reason}")

    def command(self, command, on_line=None, show=True, budget=None):
        """Exit status of a command, with every line shown and given to on_line."""

        def line(text):
            if show and text.strip():
                self.say(text)
            if on_line:
                on_line(text)

        deadline = min(self.deadline, time.monotonic() + budget) if budget else self.deadline
        status = self.gate.runner.run(
            self, [str(word) for word in command], self.log, deadline, line
        )
        if status is None and time.monotonic() >= self.deadline:
            raise Overrun
        return status

    def build(self, preset, targets, source=ROOT, options=()):
        """True if the targets of a preset were built from a source folder."""
        # The presets of another folder are found only by a cmake that runs in it.
        inside = [] if source == ROOT else ["env", "-C", source]
        configure = ["cmake", "--preset", preset, *options]
        compile = [
            "cmake",
            "--build",
            f"build/{preset}",
            "-j",
            self.gate.runner.jobs,
            "--target",
            *targets,
        ]
        for command in (configure, compile):
            lines = []

            def line(text):
                lines.append(text)
                # Of many lines of the compiler, one every few seconds.
                if NINJA.match(text) and time.monotonic() - self.gate.runner.console.last > 5:
                    self.say(text)

            if self.command([*inside, *command], line, show=False) != 0:
                for text in lines[-15:]:
                    self.say(text)
                return False
        return True

    def judged(self, command, marks, about="", on_line=None):
        """Runs a measuring command; the lines that begin with a mark are the reasons to be red,
        said to be about something."""
        reasons, last = [], [""]

        def collect(text):
            last[0] = text or last[0]
            if on_line:
                on_line(text)
            for mark in marks:
                if text.startswith(mark):
                    reasons.append(about + text.removeprefix(mark).strip())

        status = self.command(command, collect, show=False)
        for reason in reasons:
            self.red(reason)
        if status == 0 and reasons or status != 0 and not reasons:
            self.red(f"`{' '.join(map(str, command))}` ended with status {status}: {last[0]}")
        return status


def library(preset, side="head"):
    """Where the build step keeps a copy of a library, so that a build that runs beside the gate
    changes nothing it measures."""
    return FOLDER / "libraries" / side / preset / "libhakmem.so"


def keep(built, preset, side):
    kept = library(preset, side)
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Replaced by renaming: a process that runs with the old file keeps it.
    shutil.copyfile(built.resolve(), kept.with_suffix(".new"))
    kept.with_suffix(".new").rename(kept)


def step_build(gate, step):
    """Head's libraries, workloads and fuzz harnesses; base's libraries."""
    for preset in COMPILERS:
        step.say(f"building head, {preset}")
        targets = ["hakmem"] + (
            ["bench_workloads"] if preset == "release" and "wall" in gate.chosen else []
        )
        if not step.build(preset, targets):
            step.red(f"the head does not build with {preset}")
            continue
        keep(ROOT / "build" / preset / "libhakmem.so", preset, "head")
    if gate.base:
        tree = base_of.extract(gate.base.commit, FOLDER / "base")
        for preset in COMPILERS:
            step.say(f"building base, {preset}")
            if not step.build(
                preset, ["hakmem"], tree, ["-DHAKMEM_TESTS=OFF", "-DHAKMEM_BENCH=OFF"]
            ):
                step.doubt(
                    f"the base does not build with {preset}; choose another commit with --base"
                )
                continue
            keep(tree / "build" / preset / "libhakmem.so", preset, "base")
            # The control of the wall clock: the base once more, under another name.
            keep(tree / "build" / preset / "libhakmem.so", preset, "twin")
    gate.built = not step.outcome.reasons and not step.outcome.doubts


def step_tests(gate, step):
    """ci/test of the head."""
    run_suites(step, ["ci/test"])


def step_rest(gate, step):
    """The suites of ci/suites.toml that ci/test leaves to the gate."""
    run_suites(step, ["ci/test", "--no-bootstrap", "--rest"])


def run_suites(step, command):
    result = ROOT / "build" / "ci" / "result.json"
    result.unlink(missing_ok=True)
    status = step.command(command)
    if status == 0:
        return
    try:
        suites = json.loads(result.read_text()).items()
    except (OSError, ValueError):
        return step.red(f"ci/test ended with status {status}")
    for name, suite in suites:
        only_slow = len(suite["failures"]) == suite["overruns"]
        for failure in suite["failures"]:
            (step.doubt if only_slow else step.red)(f"{name}: {failure}")


def stress_programs(step, preset):
    """(name, command, environment) of the stress tests whose first parameter is the number of
    seconds to run."""
    tree = ROOT / "build" / preset
    show = ["ctest", "--test-dir", tree, "-L", "^stress$", "--show-only=json-v1"]
    listed = children.captured(show, check=True).stdout
    chosen = {}
    for test in json.loads(listed)["tests"]:
        command = test.get("command", [])
        if (
            not command
            or not os.access(command[0], os.X_OK)
            or not Path(command[0]).is_relative_to(tree)
        ):
            continue
        usage = children.captured([command[0], "usage"], 60, errors="replace")
        if usage.returncode != 2 or not re.search(
            r"^usage: \S+ \[seconds=", usage.stderr, re.MULTILINE
        ):
            continue
        environment = next(
            (p["value"] for p in test.get("properties", []) if p["name"] == "ENVIRONMENT"), []
        )
        chosen[test["name"]] = (
            [command[0], str(STRESS_SECONDS), *command[2:]],
            [pair for pair in environment if "=" in pair],
        )
    return chosen


def step_stress(gate, step):
    """Every stress program for longer, under each sanitizer."""
    ran = 0
    for preset in SANITIZERS:
        step.say(f"building {preset}")
        if not step.build(preset, ["stress/all"]):
            step.red(f"{preset} does not build")
            continue
        programs = stress_programs(step, preset)
        if not programs:
            step.red(f"{preset}: no stress program takes a number of seconds: nothing was stressed")
        for name, (command, environment) in programs.items():
            step.say(f"{preset} {name}: {STRESS_SECONDS} s")
            began = time.monotonic()
            status = step.command(
                ["env", *environment, *command], show=False, budget=STRESS_SECONDS * 4
            )
            ran += 1
            if status != 0:
                how = "did not end" if status is None else f"ended with status {status}"
                took = time.monotonic() - began
                again = shlex.join(["env", *environment, *command])
                step.red(f"{preset} {name} {how} after {took:.0f} s; again: {again}")
    step.outcome.summary = f"{ran} runs of {STRESS_SECONDS} s"


def step_fuzz(gate, step):
    """Each libFuzzer target for 45 s, two at a time; what it finds stays in build/gate/fuzz."""
    found = FOLDER / "fuzz"
    shutil.rmtree(found, ignore_errors=True)
    step.say("building fuzz")
    last = [""]

    def line(text):
        last[0] = text or last[0]
        if "; again: " in text:
            step.red(text.removeprefix("campaign: "))

    status = step.command(
        [
            "ci/campaign",
            "--each",
            FUZZ_SECONDS,
            "--jobs",
            max(2, gate.runner.jobs),
            "--folder",
            found,
            "--regressions",
            found / "regressions",
        ],
        line,
    )
    if status != 0 and not step.outcome.reasons:
        step.red(f"ci/campaign ended with status {status}: {last[0]}")
    step.outcome.summary = last[0].removeprefix("campaign: ")


def step_coverage(gate, step):
    """Lines and branches of the allocator that the property suites and the fuzz corpora run: 95 and
    90 %, the rest named in ci/coverage.missed."""
    totals = []

    def line(text):
        if "; the limit is" in text:
            totals.append(text.removeprefix("coverage: ").split(" ran;")[0].strip())

    step.judged(["ci/coverage", "--jobs", gate.runner.jobs], ("coverage: red:",), on_line=line)
    step.outcome.summary = ", ".join(totals)


def step_engines(gate, step):
    """Each fuzz target as OSS-Fuzz builds and runs it, for libFuzzer and AFL++."""
    last, tried = [""], []

    def line(text):
        last[0] = text or last[0]
        if text.startswith("engines: "):
            tried.append(text)

    if (
        step.command(
            ["ci/engines", "--seconds", ENGINE_SECONDS, "--jobs", gate.runner.jobs],
            line,
            show=False,
        )
        != 0
    ):
        step.red(last[0])
    step.outcome.summary = f"{len(tried)} targets"


def step_explorer(gate, step):
    """Fresh seeds: the explorer's reduced search against the naive one, and five threads in the
    allocator at random."""
    step.say("building the explorer's fuzzer and the protocols")
    if not step.build("dev", ["explorer_reduction_fuzz", "protocols"]):
        return step.red("the explorer does not build")
    seed = secrets.randbelow(10**9)
    folder = ROOT / "build/dev/props/explorer"
    for command in (
        [folder / "tests/explorer_reduction_fuzz", "--seed", seed, "--programs", EXPLORER_PROGRAMS],
        [
            folder / "protocols/protocols",
            "--scenario",
            "portfolio.",
            "--seed",
            seed,
            "--executions",
            EXPLORER_EXECUTIONS,
        ],
    ):
        last = [""]
        status = step.command(command, lambda text: last.__setitem__(0, text or last[0]))
        if status != 0:
            step.red(f"{last[0]}; again: {' '.join(map(str, command))}")
    step.outcome.summary = (
        f"{EXPLORER_PROGRAMS} programs and {EXPLORER_EXECUTIONS} executions of each portfolio "
        f"from seed {seed}"
    )


def step_mutants(gate, step):
    """Seeded defects in a copy of the tree, each of which its test must see."""
    reasons, last = [], [""]

    def line(text):
        last[0] = text or last[0]
        if text.startswith("mutants: red:"):
            reasons.append(text.removeprefix("mutants: red:").strip())
        elif text.startswith("["):
            step.say(text)

    status = step.command(["ci/mutants/run", "--jobs", gate.runner.jobs], line, show=False)
    for reason in reasons:
        step.red(reason)
    if status != 0 and not reasons:
        step.red(f"ci/mutants/run ended with status {status}: {last[0]}")
    step.outcome.summary = last[0]


def step_fast_path(gate, step):
    """The golden table of hit paths, for both compilers."""
    libraries = [word for preset in COMPILERS for word in ("--lib", f"{preset}={library(preset)}")]
    step.judged(
        ["ci/fast_path", "--check", *libraries],
        ("fast_path: increase:", "fast_path: missing:", "fast_path: rule broken:"),
    )
    if (
        gate.base
        and base_of.git("diff", "--quiet", gate.base.commit, "--", "ci/fast_path.golden") is None
    ):
        step.outcome.notes.append(
            f"ci/fast_path.golden differs from base's: git diff {gate.base.commit[:12]} -- "
            "ci/fast_path.golden"
        )


def step_traces(gate, step, program, kind, allowed=()):
    for preset in COMPILERS:
        figures = FOLDER / f"{kind}.{preset}.json"
        compared = ["--base", library(preset, "base"), *allowed] if gate.base else []
        step.judged(
            [
                program,
                "--lib",
                library(preset),
                *compared,
                "--json",
                figures,
                "--folder",
                FOLDER / "tools",
            ],
            ("traces: red:", "syscalls: red:"),
            f"{preset} ",
        )
        if figures.exists():
            gate.record.setdefault(kind, {})[preset] = json.loads(figures.read_text())
        step.say(f"{preset}: {len(gate.record.get(kind, {}).get(preset, {}))} traces measured")
    if not gate.base:
        step.doubt(NO_BASE)
    step.outcome.summary = "compared with base" if gate.base else "recorded"


def step_callgrind(gate, step):
    """Instructions of the fixed traces: at most +0.5 % each."""
    step_traces(gate, step, "ci/traces/run", "callgrind")


def step_syscalls(gate, step):
    """System calls of the fixed traces by kind: none more, but those that ci/syscalls.allowed names
    and base's does not."""
    allowed = {}
    if gate.base:
        at_base = base_of.git("show", f"{gate.base.commit}:ci/syscalls.allowed") or ""
        try:
            allowed = traces.allowed_system_calls(
                (ROOT / "ci/syscalls.allowed").read_text(), at_base
            )
        except (OSError, ValueError) as error:
            return step.red(str(error))
    step_traces(
        gate,
        step,
        "ci/syscalls",
        "syscalls",
        [f"--allow={kind}={number}" for kind, number in allowed.items()],
    )
    step.outcome.notes += [
        f"ci/syscalls.allowed: {number} more of {kind} in each trace"
        for kind, number in allowed.items()
    ]


def step_wall(gate, step):
    """Interleaved rounds of the workloads under base, a copy of base, and head."""
    if not gate.base:
        return step.doubt(NO_BASE)
    from . import wall

    figures = FOLDER / "wall.json"
    figures.unlink(missing_ok=True)
    libraries = [
        word
        for side in ("base", "twin", "head")
        for word in ("--lib", f"{side}={library('release', side)}")
    ]
    # Interrupted in time, bench/compare reports the complete rounds; too few of them conclude
    # nothing.
    command = [
        "timeout",
        "--preserve-status",
        "-s",
        "INT",
        step.budget - 60,
        "bench/compare",
        "--allocators",
        "base,twin,head",
        "--subject",
        "head",
        "--pairs",
        WALL_ROUNDS,
        *(["--workload", f"^({'|'.join(step.undecided)})$"] if step.undecided else []),
        "--json",
        figures,
        *libraries,
        "--programs",
        ROOT / "build/release/bench/bench_workloads",
    ]
    failures = []

    def line(text):
        if text.startswith("compare:"):
            step.say(text)
        elif text.startswith("bench/compare:"):
            failures.append(text)

    status = step.command(command, line, show=False)
    if status not in (0, 130) or not figures.exists():
        return step.red(
            "bench/compare ended with status "
            f"{status}{': ' if failures else ''}{'; '.join(failures)}"
        )
    lines, reasons, step.undecided = wall.report(figures)
    for line in lines:
        step.say(line)
    for reason in reasons:
        step.red(reason)
    for name, why in step.undecided.items():
        step.doubt(f"{name}: {why}")
    step.outcome.summary = (
        f"{len(lines) - 1} workloads{', interrupted to stay within the budget' if status else ''}"
    )


# name, seconds, whether its limit is hard (the others are red only on a significant and large
# change), function. The seconds add up to at most LIMIT; on a machine that is slower just then
# each step has more (Runner.slowness), as long as the gate's own SECONDS last.
STEPS = (
    ("build", 120, True, step_build),
    ("fast_path", 60, True, step_fast_path),
    ("callgrind", 60, True, step_callgrind),
    ("syscalls", 30, True, step_syscalls),
    ("tests", 1200, True, step_tests),
    ("rest", 780, True, step_rest),
    ("mutants", 240, True, step_mutants),
    ("explorer", 90, True, step_explorer),
    ("stress", 290, True, step_stress),
    ("fuzz", 345, True, step_fuzz),
    ("coverage", 190, True, step_coverage),
    ("engines", 190, True, step_engines),
    ("wall", 240, False, step_wall),
)
QUICK = ("build", "fast_path", "callgrind", "syscalls")
NO_BASE = "no base to compare with"
LIMIT = 3840  # what the budgets may add up to
COUNTED = ("fast_path", "callgrind", "syscalls", "wall")  # these need the build step's libraries
SECONDS, QUICK_SECONDS = 80 * 60, 10 * 60  # after which nothing more is run, on any machine


class Gate:
    def __init__(self, base, chosen, jobs, seconds=SECONDS):
        self.base, self.chosen = base, chosen
        self.runner = Runner(jobs, FOLDER)
        self.built = True
        self.record = {}
        self.outcomes = []
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.measured = {}
        parts = {name: budget for name, budget, *_ in STEPS if name in chosen}
        self.runner.console.progress = Progress(expected("ci/gate", parts))

    def run_once(self, name, budget, hard, function, log, undecided):
        budget = round(budget * self.runner.slowness(name))
        step = Step(self, name, budget, hard)
        step.undecided = undecided
        step.say(f"begins, budget {budget} s")
        with open(FOLDER / log, "w", encoding="utf-8") as step.log:
            try:
                function(self, step)
            except Overrun:
                spent = time.monotonic() >= self.deadline
                what = (
                    f"the gate's {self.seconds} s are" if spent else f"the budget of {budget} s is"
                )
                step.doubt(f"{what} spent")
        step.outcome.seconds = time.monotonic() - step.begin
        step.say(f"{step.outcome.verdict} after {step.outcome.seconds:.0f} s of {budget} s")
        return step

    def run_step(self, name, budget, hard, function):
        """Once; what is undecided then, once more. What failed is never tried again."""
        self.runner.console.progress.begin(name)
        step = self.run_once(name, budget, hard, function, f"{name}.log", {})
        outcome = step.outcome
        if outcome.verdict == "green":
            self.measured[name] = outcome.seconds
        if outcome.verdict == "undecided" and NO_BASE not in outcome.doubts:
            if time.monotonic() < self.deadline:
                step.say("undecided: once more")
                again = self.run_once(name, budget, hard, function, f"{name}.2.log", step.undecided)
                again.outcome.earlier, outcome = outcome, again.outcome
        self.outcomes.append(outcome)
        self.runner.console.progress.end()

    def run(self):
        for name, budget, hard, function in STEPS:
            if name not in self.chosen:
                continue
            outcome = Outcome(name, budget, hard, skipped=True)
            if not self.built and name in COUNTED:
                outcome.summary = "the build failed"
                self.runner.console.progress.skip(name)
                self.outcomes.append(outcome)
            elif time.monotonic() >= self.deadline:
                outcome.doubts.append(f"not run: the gate's {self.seconds} s are spent")
                self.outcomes.append(outcome)
            else:
                self.run_step(name, budget, hard, function)
        return self.outcomes


def verdict(outcomes):
    """(exit status, word) of a gate."""
    verdicts = {outcome.verdict for outcome in outcomes}
    if "red" in verdicts:
        return 1, "do not merge"
    return (2, "undecided") if "undecided" in verdicts else (0, "merge")
