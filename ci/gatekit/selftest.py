"""ci/gate --self-test: each slowdown of ci/slowdowns.toml must turn the limits red that it names,
in `turns_red`:

  "fast_path free: loads"          an increase of loads in a row of free
  "callgrind small_lifo"           instructions of this trace
  "syscalls large_churn: madvise"  system calls of this kind in this trace

The same sources without a slowdown, built the same way, must keep every limit green; a limit that
is red without a cause proves nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import children
from progress import Count

from . import base as base_of
from .stepping import ROOT

sys.path.append(str(ROOT / "ci" / "mutants"))
from engine import catalogue  # noqa: E402

SLOWDOWNS = ROOT / "ci" / "slowdowns.toml"
FOLDER = ROOT / "build" / "gate" / "self"
TOOLS = FOLDER / "tools"
# Taken once, so that an edit in the working copy while the self-test runs reaches either every copy
# or none.
SNAPSHOT = FOLDER / "snapshot"
VERDICTS = ROOT / "ci" / "gatekit" / "gate_test.py"
BUILD_TIMEOUT = 300
MEASURE_TIMEOUT = 300


@dataclass(frozen=True)
class Expectation:
    tool: str
    subject: str
    kind: str

    def __str__(self):
        return f"{self.tool} {self.subject}" + (f": {self.kind}" if self.kind else "")


class SelfTestFailed(Exception):
    pass


def expectations(texts):
    """What a slowdown promises to turn red."""
    found = []
    for text in texts:
        match = re.fullmatch(r"(fast_path|callgrind|syscalls) (\w+)(?:: (\w+))?", text)
        if not match:
            raise SelfTestFailed(f"not understood: {text}")
        found.append(Expectation(match[1], match[2], match[3] or ""))
    if not found:
        raise SelfTestFailed("it names no limit (turns_red)")
    return found


def read(path):
    """{name: (what it promises, the change)}: a list of mutants with one more field, that no test
    kills."""
    slowdowns = {}
    for name, table in tomllib.loads(path.read_text()).items():
        promised = table.pop("turns_red", [])
        change = catalogue.read_mutant(
            path, path.stem, name, {**table, "source": "own", "killer": "gate.self_test"}
        )
        slowdowns[name] = (promised, change)
    return slowdowns


def is_met(expectation, preset, output):
    """Whether a tool's output says that the named limit is red."""
    e = expectation
    pattern = {
        "fast_path": rf"^fast_path: increase: {preset} {e.subject}\(\d+\): {e.kind or 'insns'} ",
        "callgrind": rf"^traces: red: {e.subject}: library instructions ",
        "syscalls": rf"^syscalls: red: {e.subject}: {e.kind} ",
    }[e.tool]
    return re.search(pattern, output, re.MULTILINE) is not None


def build(folder, preset):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "MAKEFLAGS")
    }
    for command in (
        ["cmake", "--preset", preset, "-DHAKMEM_TESTS=OFF", "-DHAKMEM_BENCH=OFF"],
        ["cmake", "--build", f"build/{preset}", "-j", "1", "--target", "hakmem"],
    ):
        done = children.captured(command, BUILD_TIMEOUT, cwd=folder, env=environment)
        if done.returncode:
            raise SelfTestFailed(
                f"does not build with {preset}:\n{(done.stdout + done.stderr)[-2000:]}"
            )
    return folder / "build" / preset / "libhakmem.so"


def prepare(name, change, presets):
    """A copy of the library's sources, changed and built; {preset: library}."""
    folder = FOLDER / name
    shutil.copytree(SNAPSHOT, folder)
    try:
        for path, text in (catalogue.Tree(folder).mutated(change) if change else {}).items():
            (folder / path).write_text(text)
    except catalogue.NotFound as error:
        raise SelfTestFailed(f"does not apply: {error}") from None
    return {preset: build(folder, preset) for preset in presets}


def measure(tool, preset, library, control, subjects):
    """(exit status, output) of one tool that compares a library with the control."""
    golden = FOLDER / f"control.{preset}.golden"
    command = {
        "fast_path": [
            "ci/fast_path",
            "--check",
            "--lib",
            f"{preset}={library}",
            "--golden",
            str(golden),
            "--folder",
            str(TOOLS),
        ],
        "callgrind": [
            "ci/traces/run",
            "--lib",
            str(library),
            "--base",
            str(control),
            "--folder",
            str(TOOLS),
            *subjects,
        ],
        "syscalls": [
            "ci/syscalls",
            "--lib",
            str(library),
            "--base",
            str(control),
            "--folder",
            str(TOOLS),
            *subjects,
        ],
    }[tool]
    done = children.captured(command, MEASURE_TIMEOUT, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr


def demand(condition, message):
    if not condition:
        raise SelfTestFailed(message)


def check(name, promised, preset, library, control):
    """Every promised limit is red; without promises every limit is green."""
    by_tool = {}
    for expectation in promised:
        by_tool.setdefault(expectation.tool, []).append(expectation)
    if not promised:
        by_tool = {"fast_path": [], "callgrind": [], "syscalls": []}
    said = []
    for tool, expected in by_tool.items():
        subjects = sorted({e.subject for e in expected}) or ["small_lifo", "large_churn"]
        status, output = measure(tool, preset, library, control, subjects)
        if not expected:
            demand(
                status == 0,
                (
                    f"{name} {preset}: {tool} is not green without a slowdown (status "
                    f"{status}):\n{output}"
                ),
            )
            said.append(f"{tool} green")
            continue
        for e in expected:
            demand(
                status == 1 and is_met(e, preset, output),
                f"{name} {preset}: {e} did not turn red (status {status}):\n{output}",
            )
            said.append(f"red at {e}")
    return ", ".join(said)


def run(presets, jobs):
    began = time.monotonic()
    slowdowns = read(SLOWDOWNS)
    if not slowdowns:
        print(f"gate --self-test: {SLOWDOWNS} holds no slowdown")
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    TOOLS.mkdir(parents=True)
    base_of.working_copy(SNAPSHOT)
    failures = []
    # Each verdict of the gate, planted as a step.
    planted = children.captured([sys.executable, "-B", VERDICTS, "Verdicts"], MEASURE_TIMEOUT)
    if planted.returncode:
        failures.append(f"verdicts: {planted.stderr}")
    else:
        print("gate --self-test: each verdict is reached", flush=True)

    def guarded(name, function):
        try:
            return function()
        except (SelfTestFailed, subprocess.SubprocessError) as error:
            failures.append(f"{name}: {error}")
            return None

    promised = {"control": []} | {
        name: guarded(name, lambda its=its: expectations(its))
        for name, (its, _) in slowdowns.items()
    }
    sources = {"control": None} | {name: change for name, (_, change) in slowdowns.items()}
    count = Count(len(sources) * (1 + len(presets)))  # each is built, and measured for each
    with ThreadPoolExecutor(jobs) as pool:
        builds = {
            name: pool.submit(
                guarded, name, lambda name=name, change=change: prepare(name, change, presets)
            )
            for name, change in sources.items()
        }
        for build in as_completed(builds.values()):
            children.finish([build])
            print(f"gate --self-test: built ({count.one()})", flush=True)
        built = {name: build.result() for name, build in builds.items()}
    control = built["control"]
    if control:
        for preset in presets:
            # The control's own table is the golden one, so that the self-test judges the gate and
            # not the committed table.
            table = children.captured(
                ["ci/fast_path", "--lib", f"{preset}={control[preset]}", "--folder", TOOLS],
                MEASURE_TIMEOUT,
                cwd=ROOT,
            ).stdout
            (FOLDER / f"control.{preset}.golden").write_text(
                "".join(
                    line
                    for line in table.splitlines(keepends=True)
                    if not line.startswith("fast_path:")
                )
            )
        for name, libraries in built.items():
            for preset in presets if libraries and promised[name] is not None else ():
                said = guarded(
                    name,
                    lambda: check(name, promised[name], preset, libraries[preset], control[preset]),
                )
                far = count.one()
                if said:
                    print(f"gate --self-test: {name} {preset}: {said} ({far})", flush=True)
    for failure in failures:
        print(f"gate --self-test: FAILED {failure}")
    print(
        f"gate --self-test: {len(slowdowns)} slowdowns, {len(failures)} failures,"
        f" {time.monotonic() - began:.0f} s"
    )
    return 1 if failures else 0
