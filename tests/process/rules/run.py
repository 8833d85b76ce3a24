#!/usr/bin/env python3
"""Runs each case of a program in a process of its own. A case called dies_... must be ended by
SIGABRT with its one line on stderr; the others must succeed and write nothing.

usage: run.py PROGRAM [CASE...]
"""
import signal
import subprocess
import sys

RANKS = "hakmem: lock ranks: a thread "
LINES = {
    "dies_taking_a_lower_lock": RANKS + "takes registry and holds pool",
    "dies_taking_a_lock_twice": RANKS + "takes reclaim and holds reclaim",
    "dies_giving_back_what_it_has_not": RANKS + "gives back pool and holds",
    "dies_calling_the_system_with_the_pool": RANKS + "calls purge and holds pool",
    "dies_calling_the_system_with_the_registry": RANKS + "calls purge and holds registry",
    "dies_awaiting_a_token_with_a_lock": RANKS + "sleeps for a token and holds start",
    "dies_allocating_under_the_pool": RANKS + "takes pool and holds pool",
    "dies_in_a_system_call": "nested: malloc inside malloc",
    "dies_in_a_trim": "nested: malloc inside malloc_trim",
    "dies_returning_with_a_lock": "FAIL hak_malloc returned and holds the locks 0x1",
}


def judge(program, case):
    """What is wrong with the run of a case; empty if nothing is."""
    try:
        done = subprocess.run(
            [program, "--only", case], capture_output=True, text=True, timeout=90, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{case}: hangs\n  reproduce: {program} --only {case}"
    wanted = (-signal.SIGABRT, LINES[case] + "\n") if case.startswith("dies_") else (0, "")
    if (done.returncode, done.stderr) == wanted:
        return ""
    return (
        f"{case}: ended with {done.returncode} and {done.stderr[:800]!r}, not {wanted}\n "
        f" reproduce: {program} --only {case}"
    )


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    program = sys.argv[1]
    cases = (
        sys.argv[2:]
        or subprocess.run(
            [program, "--list"], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    failures = [wrong for wrong in (judge(program, case) for case in cases) if wrong]
    for wrong in failures:
        print("FAIL " + wrong, file=sys.stderr)
    print(f"{len(cases)} cases, {len(failures)} failures")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
