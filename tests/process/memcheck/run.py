#!/usr/bin/env python3
"""Runs programs of the suites under valgrind's memcheck, with the library that ships and no
suppression, and expects no report; and runs the canary, which must be reported.

memcheck takes the allocator's memory for one mapping: it sees every access to what the allocator
has not made accessible, and every decision on a value that nobody wrote. It is told nothing of
blocks (no client requests), so their bounds are not what is tested here.

usage: run.py VALGRIND canary PROGRAM LIBRARY
       run.py VALGRIND run LIBRARY PROGRAM [ARGUMENT...]     LIBRARY is preloaded; - for a program
       that is linked with it
"""
import os
import re
import subprocess
import sys

ERROR = 99
# memcheck replaces every function that is called malloc, unless it is told to leave them alone.
OPTIONS = [
    "-q",
    "--soname-synonyms=somalloc=nouserintercepts",
    f"--error-exitcode={ERROR}",
    "--leak-check=no",
    "--default-suppressions=no",
    "--track-origins=no",
    "--fair-sched=yes",
]
CANARIES = {
    "clean": None,
    "undefined_jump": "Conditional jump or move depends on uninitialised value",
    "undefined_to_the_system": "points to uninitialised byte",
    "behind_the_stack": "Invalid read of size 1",
    "in_the_window": "Invalid read of size 1",
}


def run(valgrind, library, command):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_PRELOAD", "HAKMEM_OPTIONS")
    }
    environment[
        "HAKMEM_OPTIONS"
    ] = "window=4G:verbose=1"  # memcheck keeps a record for each piece of a mapping
    preload = [] if library == "-" else ["env", f"LD_PRELOAD={os.path.abspath(library)}"]
    whole = preload + [valgrind, *OPTIONS, *command]
    done = subprocess.run(
        whole, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    lines = done.stderr.splitlines()
    served = any(re.match(r"hakmem: served [1-9]", line) for line in lines)
    reports = "\n".join(line for line in lines if not line.startswith("hakmem: served"))
    shown = "HAKMEM_OPTIONS=window=4G:verbose=1 " + " ".join(whole)
    return done.returncode, reports, served, shown


def main():
    if len(sys.argv) < 5 or sys.argv[2] not in ("canary", "run"):
        print(__doc__, file=sys.stderr)
        return 2
    valgrind, mode = sys.argv[1:3]
    failures = 0
    if mode == "canary":
        program, library = sys.argv[3:5]
        for case, text in CANARIES.items():
            status, reports, _, shown = run(valgrind, library, [program, case])
            if (text is None and (status != 0 or reports)) or (
                text is not None and text not in reports
            ):
                print(
                    (
                        f"FAIL {case}: ended with {status}, not reported as {text!r}:\n{reports}\n "
                        f" reproduce: {shown}"
                    ),
                    file=sys.stderr,
                )
                failures += 1
    else:
        status, reports, served, shown = run(valgrind, sys.argv[3], sys.argv[4:])
        if status != 0 or reports or not served:
            print(
                (
                    f"FAIL ended with {status}, {'' if served else 'not '}served by"
                    f" hakmem:\n{reports}\n  reproduce: {shown}"
                ),
                file=sys.stderr,
            )
            failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
