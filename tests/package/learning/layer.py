"""Checks what the learning layer costs and leaves, by comparing the library with it and without it.

  traces       without it, no symbol and no string of the layer is in the library
  disassembly  malloc, free and all their kin are the same instructions with it and without it
  hits         the hit paths execute the same instructions without the layer, and with it in mode
               learning
  options      the CMake options decide what is compiled in
  only         with one feature alone, the functions of that feature exist and work, and those of
               the other do not
"""

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "ci"), str(ROOT / "props/explorer/protocols/zero_cost")]

from gatekit import stepping  # noqa: E402
import compare as objects  # noqa: E402

WORDS = re.compile(r"policy|elo_|evo_|\belo\b|learn|canary|rating|strateg|research", re.IGNORECASE)
PREFIXES = {"EVOLUTION": "hak_evo_", "ELO": "hak_elo_"}


class Wrong(Exception):
    pass


def expect(holds, text):
    if not holds:
        raise Wrong(text)


def run(*command):
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True
    ).stdout


def names_and_strings(library):
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare")
        run("objcopy", "--strip-debug", library, bare)
        names = [line.split()[-1] for line in run("nm", bare).splitlines()]
        return set(run("c++filt", *names).splitlines()), set(
            run("strings", "-a", "-n", "3", bare).splitlines()
        )


def traces(given):
    for library, has in ((given.with_library, True), (given.without_library, False)):
        names, strings = names_and_strings(library)
        found = sorted(text for text in names | strings if WORDS.search(text))
        expect(
            bool(found) == has,
            f"{library}: {found[:5] if found else 'nothing of the layer, although it is built in'}",
        )
    print("nothing of the layer is left in a library without it")


def disassembly(given):
    with_layer, _, exported = objects.functions(given.with_object)
    without, _, exported_without = objects.functions(given.without_object)
    extra = {
        name
        for name in exported ^ exported_without
        if not re.match(r"hak_(evo|elo|learning|init)", name)
    }
    expect(not extra, f"exported by one of them alone: {sorted(extra)}")
    hits = objects.hits(exported & exported_without)
    expect(objects.ENTRIES <= hits, f"not compared: {sorted(objects.ENTRIES - hits)}")
    different = sorted(name for name in hits if with_layer[name] != without[name])
    expect(not different, f"differ: {different}")
    print(
        f"{len(hits)} functions, {sum(len(without[name]) for name in hits)} instructions: the same"
    )


def hits(given):
    runs = {
        "without the layer": (given.without_library, {}),
        "in mode learning": (given.with_library, {"HAKMEM_MODE": "learning"}),
    }
    tables = {
        name: {row.key: row.counts for row in stepping.measure("", library, given.folder, **more)}
        for name, (library, more) in runs.items()
    }
    wanted = tables["without the layer"]
    expect(len(wanted) >= 30, f"only {len(wanted)} hit paths were seen")
    for name, table in tables.items():
        wrong = [
            f"{key[1]}({key[2]}): {table.get(key)}, not {counts}"
            for key, counts in wanted.items()
            if table.get(key) != counts
        ]
        expect(not wrong, f"{name}: {wrong}")
    print(f"{len(wanted)} hit paths execute the same instructions")


def options(given):
    with tempfile.TemporaryDirectory() as folder:
        for values in itertools.product(("ON", "OFF"), repeat=2):
            chosen = dict(zip(PREFIXES, values))
            run(
                given.cmake,
                "-S",
                ROOT,
                "-B",
                folder,
                "-DHAKMEM_TESTS=OFF",
                *(f"-DHAKMEM_FEATURE_{name}={value}" for name, value in chosen.items()),
            )
            entries = json.loads(Path(folder, "compile_commands.json").read_text())
            commands = [
                entry["command"].split()
                for entry in entries
                if entry["file"].endswith("src/api/library.cpp")
            ]
            expect(len(commands) >= 2, f"{len(commands)} commands compile the library")
            for command, (name, value) in itertools.product(commands, chosen.items()):
                expect(
                    f"-DHAKMEM_WITH_{name}={int(value == 'ON')}" in command,
                    f"HAKMEM_FEATURE_{name}={value}: {' '.join(command)}",
                )
    print("the options decide what is compiled in")


# In a process that the library serves, in mode learning: the one measures calls, the other rates
# what it is told.
PROGRAMS = {
    "EVOLUTION": """
for _ in range(1000): hak.hak_free(hak.hak_malloc(1 << 21))
figures = (ctypes.c_uint64 * 8)()
assert hak.hak_evo_get_stats(figures, 64) == 0 and figures[5] + figures[6] >= 2000, list(figures)
for _ in range(30):
    time.sleep(0.1)
    hak.hak_evo_tick(ctypes.c_uint64(time.clock_gettime_ns(time.CLOCK_MONOTONIC)))
assert hak.hak_evo_get_stats(figures, 64) == 0 and figures[0] >= 1, list(figures)
assert hak.hak_learning_features() == 1
""",
    "ELO": """
for strategy in list(range(12)) * 60:
    nanoseconds = ctypes.c_uint64(1000 if strategy == 9 else 9000)
    hak.hak_elo_record_alloc(strategy, ctypes.c_size_t(1 << 21), nanoseconds)
for _ in range(1000): hak.hak_free(hak.hak_malloc(1 << 21))
recomputed, cached = hak.hak_elo_async_recompute(), hak.hak_elo_get_cached_strategy()
assert recomputed == 9 and cached == 9, cached
assert hak.hak_learning_features() == 2
""",
}
PREFACE = """
import ctypes, time
hak = ctypes.CDLL(None)
hak.hak_malloc.restype, hak.hak_malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
hak.hak_free.argtypes = [ctypes.c_void_p]
"""


def only(given):
    names = {
        line.split()[-1] for line in run("nm", "--defined-only", given.with_object).splitlines()
    }
    header = (ROOT / "include/hakmem/hakmem_learn.h").read_text()
    declared = set(re.findall(r"\b(hak_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)))
    for feature, prefix in PREFIXES.items():
        mine = {name for name in declared if name.startswith(prefix)}
        expect(len(mine) >= 7, f"{prefix}: {sorted(mine)}")
        expect(
            mine <= names if feature == given.feature else not mine & names,
            f"{prefix}: {sorted(mine - names)} missing, {sorted(mine & names)} defined",
        )
    expect(
        {"hak_init", "hak_learning_features"} <= names,
        "hak_init or hak_learning_features is missing",
    )
    environment = {
        **os.environ,
        "LD_PRELOAD": given.with_library,
        "HAKMEM_OPTIONS": "mode=learning",
    }
    done = subprocess.run(
        [sys.executable, "-c", PREFACE + PROGRAMS[given.feature]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    expect(
        done.returncode == 0 and not done.stderr,
        f"{given.feature} alone: exit code {done.returncode}: {done.stderr.strip()}",
    )
    print(f"the functions of {given.feature} and no others, and they work")


def main():
    checks = {check.__name__: check for check in (traces, disassembly, hits, options, only)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("check", choices=checks)
    for name in (
        "--with-object",
        "--without-object",
        "--with-library",
        "--without-library",
        "--folder",
        "--feature",
        "--cmake",
    ):
        parser.add_argument(name)
    given = parser.parse_args()
    try:
        checks[given.check](given)
    except Wrong as wrong:
        print(f"{given.check}: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
