#!/usr/bin/env python3
"""Each case of the program `sanitized` in a process of its own: a report of the sanitizer where one
is due, silence where none is.

usage: run.py PROGRAM [CASE...]
"""
import concurrent.futures
import subprocess
import sys


def judge(program, name, wanted):
    """What is wrong with a case; empty if nothing is."""
    done = subprocess.run(
        [program, "--only", name], capture_output=True, text=True, timeout=120, check=False
    )
    pointers = done.stdout.split()
    report = wanted.replace("{p}", pointers[-1] if pointers else "{p}")
    if wanted and done.returncode != 0 and f"Sanitizer: {report}" in done.stderr:
        return ""
    if not wanted and done.returncode == 0 and not done.stderr:
        return ""
    return (
        f"{name}: ended with {done.returncode}, wrote {done.stderr[:700]!r}; wanted"
        f" {report or 'silence'!r}\n  reproduce: {program} --only {name}"
    )


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    program, wanted = sys.argv[1], sys.argv[2:]
    listed = subprocess.run(
        [program, "--list"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    cases = [line.split("\t") for line in listed]
    cases = [case for case in cases if not wanted or case[0] in wanted]
    if not cases:
        print("no case has that name", file=sys.stderr)
        return 1
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failures = [wrong for wrong in pool.map(lambda case: judge(program, *case), cases) if wrong]
    for failure in failures:
        print("FAIL " + failure, file=sys.stderr)
    print(
        f"sanitized: {len(cases)} cases, of them {sum(not case[1] for case in cases)} controls;"
        f" {len(failures)} failures"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
