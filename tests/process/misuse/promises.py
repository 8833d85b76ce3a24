#!/usr/bin/env python3
"""The promises of the debug build: each case of the program `promises` in a process of its own.

usage: promises.py PROGRAM LIBRARY [CASE...]        LIBRARY is preloaded; - for a program that is
                                                    linked with it

A case must end by SIGABRT with exactly the line on stderr that the program's list gives; a control
must end with 0 and silence. Failures print the command that reproduces them.
"""
import concurrent.futures
import os
import shlex
import signal
import subprocess
import sys


def run(program, arguments, preload, options):
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("LD_PRELOAD", "HAKMEM_OPTIONS")
    }
    shown = " ".join([program, *arguments])
    if preload:
        environment["LD_PRELOAD"] = preload
        shown = f"LD_PRELOAD={preload} {shown}"
    if options:
        environment["HAKMEM_OPTIONS"] = options
        shown = f"HAKMEM_OPTIONS={shlex.quote(options)} {shown}"
    done = subprocess.run(
        [program, *arguments], env=environment, capture_output=True, timeout=90, check=False
    )
    return (
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
        shown,
    )


def judge(case, program, preload):
    """What is wrong with a case; empty if nothing is."""
    name, options, line = case
    code, out, err, shown = run(program, ["--only", name], preload, options)
    pointers = out.split()
    wanted = line.replace("{p}", pointers[-1] if pointers else "0x0") + "\n" if line else ""
    if code == (-signal.SIGABRT if line else 0) and err == wanted:
        return ""
    return (
        f"{name}: ended with {code}, wrote {err[:500]!r}; wanted {wanted!r}\n  reproduce: {shown}"
    )


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, preload, wanted = (
        sys.argv[1],
        None if sys.argv[2] == "-" else os.path.abspath(sys.argv[2]),
        sys.argv[3:],
    )
    code, out, err, _ = run(program, ["--list"], preload, "")
    cases = [line.split("\t") for line in out.splitlines()]
    if wanted:
        cases = [case for case in cases if case[0] in wanted]
    if code != 0 or err or not cases:
        print(
            f"{program} --list ended with {code}, wrote {err!r}, gave {len(cases)} cases",
            file=sys.stderr,
        )
        return 1
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failures = [
            wrong for wrong in pool.map(lambda case: judge(case, program, preload), cases) if wrong
        ]
    for failure in failures:
        print("FAIL " + failure, file=sys.stderr)
    print(
        f"promises: {len(cases)} cases, of them {sum(not case[2] for case in cases)} controls;"
        f" {len(failures)} failures"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
