#!/usr/bin/env python3
"""tests/process as a project of its own, with g++ alone: it tests libc's malloc, this library, and
a library with a mistake, which its one test must see.

usage: alone.py CMAKE CTEST LIBRARY FOLDER
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
# The product may overflow.
MISTAKEN = """#include <stdlib.h>
void* reallocarray(void* p, size_t count, size_t n) { return realloc(p, count * n); }
"""


def run(command, **options):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CC", "CXX", "CXXFLAGS", "LD_PRELOAD", "HAKMEM_OPTIONS", "CMAKE_GENERATOR")
    }
    return subprocess.run(
        [str(word) for word in command],
        env={**environment, "CXX": "g++"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        **options,
    )


def main(cmake, ctest, library, folder):
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mistaken = folder / "mistaken.so"
    source = folder / "mistaken.c"
    source.write_text(MISTAKEN)
    compiled = run(["g++", "-x", "c", "-fno-builtin", "-shared", "-fPIC", "-o", mistaken, source])
    if compiled.returncode != 0:
        print(f"FAIL mistaken.so: {compiled.stdout}")
        return 1
    failures = []
    for subject, wanted in (
        ("system", set()),
        (os.path.abspath(library), set()),
        (mistaken, {"contract.products_that_overflow"}),
    ):
        build = folder / "build"
        commands = (
            [
                cmake,
                "-S",
                SOURCE,
                "-B",
                build,
                "-DCMAKE_BUILD_TYPE=Release",
                f"-DSUBJECT={subject}",
            ],
            [cmake, "--build", build, "-j", "2"],
        )
        for command in commands:
            done = run(command)
            if done.returncode != 0:
                print(f"FAIL {' '.join(map(str, command))}\n{done.stdout}")
                return 1
        done = run([ctest, "-j", "2"], cwd=build)
        count = re.search(r"out of (\d+)", done.stdout)
        failed = set(re.findall(r"^\s+\d+ - (\S+) \(", done.stdout, re.MULTILINE))
        print(f"{subject}: {count[1] if count else 0} tests, failed: {sorted(failed)}")
        if count is None or int(count[1]) < 30 or failed != wanted:
            failures.append(f"SUBJECT={subject}: failed {sorted(failed)}, not {sorted(wanted)}")
    wrong = run([cmake, "-S", SOURCE, "-B", folder / "no", "-DSUBJECT=/no/such/library.so"])
    if wrong.returncode == 0:
        failures.append("a library that does not exist is configured")
    for failure in failures:
        print("FAIL " + failure)
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
