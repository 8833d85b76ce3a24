"""Hit paths of the entry points, observed by ci/fast_path_step.c, as rows of counts."""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import children

from . import instructions
from .instructions import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
# The order of the table's rows.
ENTRIES = (
    "malloc",
    "malloc_fresh",
    "calloc",
    "realloc",
    "aligned_alloc",
    "new",
    "free",
    "sized_delete",
    "free_foreign",
    "free_remote",
    "free_notify",
)
# Rules that no golden table may relax: on its hit path malloc and local free make no call and hold
# no lock; a remote free locks nothing while the thread's own list has room, then once for its block
# and once more when it notifies the owner.
RULES = {
    "malloc": {"calls": 0, "locked": 0},
    "malloc_fresh": {"locked": 0},
    "new": {"calls": 0, "locked": 0},
    "free": {"calls": 0, "locked": 0},
    "sized_delete": {"calls": 0, "locked": 0},
    "calloc": {"locked": 0},
    "realloc": {"locked": 0},
    "aligned_alloc": {"locked": 0},
    "free_foreign": {"calls": 0, "locked": 0},
    "free_remote": {"locked": 1},
    "free_notify": {"locked": 2},
}


class NoSteadyPath(Exception):
    """The calls of an entry point took so many different ways that none of them is its hit path."""


@dataclass(frozen=True)
class Row:
    compiler: str
    entry: str
    size: int
    counts: tuple
    path: tuple = ()

    @property
    def key(self):
        return (self.compiler, self.entry, self.size)


def environment(library, **more):
    """A process environment that holds nothing of the caller's, so that two runs differ in nothing
    but the library."""
    return {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "LD_BIND_NOW": "1",
        "LD_PRELOAD": str(library),
        **more,
    }


def build_driver(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    driver = folder / "fast_path_step"
    source = ROOT / "ci" / "fast_path_step.c"
    if not driver.exists() or driver.stat().st_mtime < source.stat().st_mtime:
        partial = folder / f"fast_path_step.{os.getpid()}"
        children.run(
            [
                "gcc",
                "-std=c11",
                "-O2",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-mno-red-zone",
                "-fno-builtin",
                str(source),
                "-o",
                str(partial),
                "-pthread",
                "-ldl",
            ],
            check=True,
        )
        partial.rename(driver)
    return driver


def observe(library, folder, **more):
    """Every stepped call as (entry, size) -> list of address tuples."""
    library = Path(library).resolve()
    driver = build_driver(folder)
    output = Path(folder) / f"steps.{os.getpid()}"
    children.run(
        [str(driver), str(output)], check=True, env=environment(library, **more), timeout=240
    )
    lines = output.read_text().splitlines()
    output.unlink()
    served = Path(lines[0].removeprefix("library ")).resolve()
    if served != library:
        raise RuntimeError(f"malloc came from {served}, not from {library}")
    calls = defaultdict(list)
    for line in lines[1:]:
        entry, size, _outside, *addresses = line.split()
        calls[entry, int(size)].append(tuple(int(address, 16) for address in addresses))
    return calls


def without_repeats(listing, path):
    """A string instruction with a rep prefix traps once per iteration; it is one instruction."""
    kept = []
    for address in path:
        if kept and kept[-1] == address and instructions.instruction_at(listing, address).repeats:
            continue
        kept.append(address)
    return tuple(kept)


def hit_path(paths):
    """The way most calls took. Less than half of the calls on one way means that there is no steady
    hit path."""
    path, times = Counter(paths).most_common(1)[0]
    if times * 2 < len(paths):
        raise NoSteadyPath(
            f"{len(set(paths))} different ways in {len(paths)} calls, the most frequent one "
            f"{times} times"
        )
    return path


def count(listing, path):
    decoded = [instructions.instruction_at(listing, address) for address in path]
    totals = [len(decoded)]
    for column in COLUMNS[1:]:
        totals.append(sum(getattr(instruction.effect, column) for instruction in decoded))
    return tuple(totals)


def measure(compiler, library, folder, **more):
    """Rows of one library, in the table's order; `more` joins its environment."""
    listing = instructions.disassemble(str(Path(library).resolve()))
    rows = []
    for (entry, size), paths in observe(library, folder, **more).items():
        try:
            path = hit_path([without_repeats(listing, path) for path in paths])
        except NoSteadyPath as reason:
            raise NoSteadyPath(f"{compiler} {entry}({size}): {reason}") from None
        rows.append(Row(compiler, entry, size, count(listing, path), path))
    return sorted(rows, key=lambda row: (ENTRIES.index(row.entry), row.size))


def show(library, row):
    """The listing of a row's path, one instruction a line with what it counts as."""
    listing = instructions.disassemble(str(Path(library).resolve()))
    lines = [
        f"{row.compiler} {row.entry}({row.size}): "
        + ", ".join(f"{n} {c}" for c, n in zip(COLUMNS, row.counts))
    ]
    function = None
    for address in row.path:
        instruction = instructions.instruction_at(listing, address)
        if instruction.function != function:
            function = instruction.function
            lines.append(f"  {function}:")
        marks = [c for c in COLUMNS[1:] for _ in range(getattr(instruction.effect, c))]
        lines.append(f"    {address:6x}  {instruction.text:<58s} {' '.join(marks)}".rstrip())
    return "\n".join(lines)


def format_table(rows, compilers):
    head = [
        (
            "# Instructions on the hit path of each entry point, observed by ci/fast_path "
            "(columns: ci/gatekit/instructions.py)."
        ),
        (
            "# Only instructions of the library count. `ci/fast_path --check` compares, "
            "`ci/fast_path --update` rewrites."
        ),
    ]
    head += [f"# {name}: {compiler}" for name, compiler in compilers.items()]
    head.append(
        f"{'compiler':<14s} {'entry':<14s} {'size':>5s} "
        + " ".join(f"{column:>8s}" for column in COLUMNS)
    )
    body = [
        f"{row.compiler:<14s} {row.entry:<14s} {row.size:>5d} "
        + " ".join(f"{n:>8d}" for n in row.counts)
        for row in rows
    ]
    return "\n".join(head + body) + "\n"


def parse_table(text):
    """Rows and compiler notes of a golden table."""
    rows, compilers = {}, {}
    for line in text.splitlines():
        if line.startswith("# ") and ": " in line and " " not in line[2:].split(": ")[0]:
            name, note = line[2:].split(": ", 1)
            compilers[name] = note
        if not line or line.startswith("#") or line.startswith("compiler "):
            continue
        compiler, entry, size, *counts = line.split()
        if len(counts) != len(COLUMNS):
            raise ValueError(f"not a row of the table: {line}")
        row = Row(compiler, entry, int(size), tuple(int(n) for n in counts))
        rows[row.key] = row
    return rows, compilers


def broken_rules(rows):
    found = []
    for row in rows:
        for column, limit in RULES[row.entry].items():
            value = row.counts[COLUMNS.index(column)]
            if value > limit:
                found.append(
                    f"{row.compiler} {row.entry}({row.size}): {value} {column}, the rule "
                    f"allows {limit}"
                )
    return found


def compare(golden, rows, compilers):
    """(increases, decreases, missing) between the golden rows and the measured rows of the given
    compilers."""
    increases, decreases, missing = [], [], []
    measured = {row.key: row for row in rows}
    for key, row in measured.items():
        name = f"{row.compiler} {row.entry}({row.size})"
        if key not in golden:
            missing.append(f"{name}: no row in the golden table")
            continue
        for column, old, new in zip(COLUMNS, golden[key].counts, row.counts):
            if new != old:
                (increases if new > old else decreases).append(f"{name}: {column} {old} -> {new}")
    for key, row in golden.items():
        if row.compiler in compilers and key not in measured:
            missing.append(
                f"{row.compiler} {row.entry}({row.size}): in the golden table, not measured"
            )
    return increases, decreases, missing
