"""The fixed traces (ci/traces): instruction counts under callgrind, system calls by kind under
strace.

Nothing that differs from run to run may reach the allocator: the environment holds only what the
loader needs, the clock is ci/traces/fixed_clock.c, and addresses are not randomised.
"""

import ctypes
import os
import re
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import children
from progress import Count

from .stepping import ROOT

SOURCES = ROOT / "ci" / "traces"
INSTRUCTION_LIMIT = 0.005
# A trace of tens of thousands of calls cannot pass with fewer instructions than this: the library
# did not serve it.
LEAST_INSTRUCTIONS = 100_000
TRACE_TIMEOUT = 240
ADDR_NO_RANDOMIZE = 0x0040000


class TraceFailed(Exception):
    """A trace ended otherwise than it must, or its measurement cannot be trusted."""


def build_program(folder):
    """Compiles the trace program and the clock; returns both paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    built = []
    for source, target, flags in (
        ("traces.c", "traces", []),
        ("fixed_clock.c", "fixed_clock.so", ["-shared", "-fPIC"]),
    ):
        path = folder / target
        newest = max(
            file.stat().st_mtime
            for file in (SOURCES / source, ROOT / "tests" / "process" / "own_vdso.h")
        )
        if not path.exists() or path.stat().st_mtime < newest:
            partial = folder / f"{target}.{os.getpid()}"
            children.run(
                [
                    "gcc",
                    "-std=gnu11",
                    "-O2",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    "-fno-builtin",
                    *flags,
                    str(SOURCES / source),
                    "-o",
                    str(partial),
                ],
                check=True,
            )
            partial.rename(path)
        built.append(path)
    return built


def trace_names(program):
    return children.captured([program, "--list"], check=True).stdout.split()


def fix_addresses():
    """Switches address randomisation off for the process to be executed: how a reservation is
    trimmed depends on where it lies."""
    if ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE) == -1:
        os._exit(126)


def addresses_can_be_fixed():
    return children.run(["true"], preexec_fn=fix_addresses).returncode == 0


def run(command, environment):
    result = children.captured(
        command, TRACE_TIMEOUT, env=environment, preexec_fn=fix_addresses, cwd="/"
    )
    # valgrind 3.19 knows not all of clang-19's debug information and says so; anything else on
    # stderr is a failure, above all the loader's line about a library that cannot be preloaded.
    said = "\n".join(
        line
        for line in result.stderr.splitlines()
        if line.strip() and not line.startswith("### unhandled dwarf")
    )
    if result.returncode or said:
        raise TraceFailed(
            f"{' '.join(map(str, command[-2:]))}: exit code {result.returncode}: {said[-500:]}"
        )


def preload(clock, library):
    return f"{clock}:{Path(library).resolve()}"


def self_costs(lines):
    """Self cost by object from the lines of a callgrind output file."""
    names, costs = {}, Counter()
    here, inclusive = None, False
    for line in lines:
        if line.startswith("ob="):
            match = re.match(r"ob=(?:\((\d+)\))?(?: ?(.*))?$", line)
            number, name = match.group(1), match.group(2)
            if name:
                names[number] = name
            here = names[number] if number else name
        elif line.startswith("cob="):
            match = re.match(r"cob=\((\d+)\) (.+)$", line)
            if match:
                names[match.group(1)] = match.group(2)
        elif line.startswith("calls="):
            inclusive = True
        elif line and (line[0].isdigit() or line[0] in "+-*"):
            # The line after calls= is the callee's inclusive cost, which its own lines hold
            # already.
            fields = line.split()
            if not inclusive and len(fields) > 1:
                costs[here] += int(fields[-1])
            inclusive = False
    return costs


def count_instructions(program, clock, library, name):
    library = Path(library).resolve()
    with tempfile.TemporaryDirectory(prefix="hakmem_callgrind_") as folder:
        output = Path(folder) / "out"
        run(
            [
                "valgrind",
                "--quiet",
                "--tool=callgrind",
                f"--callgrind-out-file={output}",
                str(program),
                name,
            ],
            {
                "PATH": "/usr/bin:/bin",
                "LC_ALL": "C",
                "LD_BIND_NOW": "1",
                "LD_PRELOAD": preload(clock, library),
            },
        )
        costs = self_costs(output.read_text().splitlines())
    inside = sum(cost for obj, cost in costs.items() if obj and Path(obj).resolve() == library)
    if inside < LEAST_INSTRUCTIONS:
        raise TraceFailed(
            f"{name}: only {inside} instructions in {library}: it did not serve the trace"
        )
    return {"library": inside, "process": sum(costs.values())}


def count_system_calls(program, clock, library, name):
    with tempfile.TemporaryDirectory(prefix="hakmem_strace_") as folder:
        output = Path(folder) / "out"
        run(
            [
                "strace",
                "-f",
                "-qq",
                "-o",
                str(output),
                "-E",
                "LD_BIND_NOW=1",
                "-E",
                f"LD_PRELOAD={preload(clock, library)}",
                str(program),
                name,
            ],
            {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )
        kinds = Counter()
        for line in output.read_text().splitlines():
            match = re.match(r"^(?:\d+\s+)?(\w+)\(", line)
            if match:
                kinds[match.group(1)] += 1
    if not kinds:
        raise TraceFailed(f"{name}: strace saw no system call")
    return dict(sorted(kinds.items()))


def all_traces(measure, library, folder, progress=lambda line: None, only=None):
    """measure() of every trace, two at a time, as {trace: figures} in the traces' order."""
    if not addresses_can_be_fixed():
        raise TraceFailed(
            "address randomisation cannot be switched off here, and exact counts need it: "
            "run the container with --security-opt seccomp=unconfined"
        )
    program, clock = build_program(folder)
    names = [name for name in trace_names(program) if not only or name in only]
    if only and len(names) != len(only):
        raise TraceFailed(f"no such trace among {', '.join(only)}")
    count = Count(len(names))
    with ThreadPoolExecutor(2) as pool:
        futures = {name: pool.submit(measure, program, clock, library, name) for name in names}
        figures = {}
        try:
            for name in names:
                children.finish([futures[name]])
                figures[name] = futures[name].result()
                progress(f"{name}: {figures[name]} ({count.one()})")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return figures


def compare_instructions(base, head):
    """(lines of the table, reasons to be red)."""
    lines, reasons = [], []
    lines.append(
        f"{'trace':<16s} {'library':>12s} {'process':>12s} {'library':>9s} {'process':>9s}"
    )
    for name, figures in head.items():
        if name not in base:
            lines.append(
                f"{name:<16s} {figures['library']:>12d} {figures['process']:>12d}       new    "
                "   new"
            )
            continue
        change = {kind: figures[kind] / base[name][kind] - 1 for kind in ("library", "process")}
        lines.append(
            f"{name:<16s} {figures['library']:>12d} {figures['process']:>12d} "
            f"{change['library']:>+9.3%} {change['process']:>+9.3%}"
        )
        for kind, ratio in change.items():
            if ratio > INSTRUCTION_LIMIT:
                reasons.append(
                    f"{name}: {kind} instructions {base[name][kind]} -> {figures[kind]} "
                    f"({ratio:+.2%}, limit {INSTRUCTION_LIMIT:+.1%})"
                )
    reasons += [f"{name}: measured in base, missing in head" for name in base if name not in head]
    return lines, reasons


def allowed_system_calls(head, base):
    """{kind: number} from the lines of ci/syscalls.allowed, given as text, that base's does not
    have."""
    allowed = Counter()
    for line in set(head.splitlines()) - set(base.splitlines()):
        if line.strip() and not line.startswith("#"):
            match = re.fullmatch(r"(\w+) (\d+)  \S.*", line)
            if not match:
                raise ValueError(f"ci/syscalls.allowed: not 'KIND NUMBER  REASON': {line}")
            allowed[match.group(1)] += int(match.group(2))
    return dict(sorted(allowed.items()))


def compare_system_calls(base, head, allowed):
    lines, reasons = [], []
    for name, kinds in head.items():
        total = sum(kinds.values())
        shown = " ".join(f"{kind}={n}" for kind, n in kinds.items() if kind in MEMORY_CALLS)
        lines.append(f"{name:<16s} {total:>6d} in all: {shown}")
        if name not in base:
            continue
        for kind in sorted(set(kinds) | set(base[name])):
            old, new = base[name].get(kind, 0), kinds.get(kind, 0)
            if old < new <= old + allowed.get(kind, 0):
                lines.append(f"{'':<16s} allowed: {kind} {old} -> {new}")
            elif new > old:
                reasons.append(f"{name}: {kind} {old} -> {new}")
            elif new < old:
                lines.append(f"{'':<16s} fewer: {kind} {old} -> {new}")
    reasons += [f"{name}: measured in base, missing in head" for name in base if name not in head]
    return lines, reasons


MEMORY_CALLS = (
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "futex",
    "sched_yield",
    "clock_gettime",
    "getrandom",
)
