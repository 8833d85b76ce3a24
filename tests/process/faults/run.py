#!/usr/bin/env python3
"""Runs faults (faults.c): for each scenario, each kind of system call and each k, a process in
which the k-th call fails, once and from then on, and one in which the k-th call of any kind and all
later ones fail. How many calls there are is counted by a run without a failure.

usage: run.py PROGRAM LIBRARY [--once SCENARIO]... [SCENARIO...]

LIBRARY is preloaded; - for a program that is linked with it. A scenario that is named behind --once
runs without a failure only; without any name, all run.
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys

COUNTED = ("threads",)  # its calls come in another order each time, so that the k-th may be missing
KINDS_THAT_MUST_OCCUR = (
    "mmap",
    "munmap",
    "mprotect",
    "madvise",
    "key_create",
    "setspecific",
    "getrandom",
    "sysinfo",
    "getrlimit",
    "open",
    "read",
)


# What a process may say, once, that was asked for a profile.
NO_PROFILE = "hakmem: profile: no memory for its tables; there is no profile\n"


def environment(preload, options, wish):
    result = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_PRELOAD", "HAKMEM_OPTIONS", "REFUSE")
    }
    if preload:
        result["LD_PRELOAD"] = preload
    if options and options != "rlimit":
        result["HAKMEM_OPTIONS"] = options
    if wish:
        result["REFUSE"] = wish
    return result


def is_moved(wish, counts, usual):
    """Whether the wished call was not made because the system happened to map where fewer calls are
    needed to align a reservation."""
    return (
        wish.split(":")[0] in ("mmap", "munmap", "any")
        and counts["mmap"] + counts["munmap"] < usual["mmap"] + usual["munmap"]
    )


def run(program, preload, scenario, options, wish, usual=None):
    """(what is wrong, the counts of the run); `usual` are those of a run without a failure."""
    given = environment(preload, options, wish)
    command = [program, "--only", scenario]
    if options == "rlimit":  # a shell's, because Python would copy itself to set it
        command = ["/bin/sh", "-c", 'ulimit -v 16777216; exec "$@"', "sh", *command]
    shown = " ".join(
        f"{name}={given[name]}"
        for name in ("REFUSE", "HAKMEM_OPTIONS", "LD_PRELOAD")
        if name in given
    )
    limit = "ulimit -v 16777216; " if options == "rlimit" else ""
    shown = f"{limit}{shown} {program} --only {scenario}"
    try:
        done = subprocess.run(
            command,
            env=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"hangs\n  reproduce: {shown}", {}
    words = done.stdout.split()
    counts = {name: int(value) for name, value in zip(words[::2], words[1::2])}
    said = done.stderr.replace(NO_PROFILE, "", 1) if wish and "profile=" in options else done.stderr
    if done.returncode != 0 or said or not counts:
        return (
            f"ended with {done.returncode}, wrote {done.stderr[:600]!r}\n  reproduce: {shown}",
            counts,
        )
    if (
        wish
        and counts["refused"] == 0
        and scenario not in COUNTED
        and not is_moved(wish, counts, usual)
    ):
        return f"nothing was refused\n  reproduce: {shown}", counts
    if not wish and counts["nulls"] != 0:
        return f"{counts['nulls']} nulls and no failure\n  reproduce: {shown}", counts
    return "", counts


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("library")
    parser.add_argument("--once", action="append", default=[], metavar="SCENARIO")
    parser.add_argument("chosen", nargs="*", metavar="SCENARIO")
    arguments = parser.parse_args()
    program, chosen = arguments.program, arguments.chosen
    preload = None if arguments.library == "-" else os.path.abspath(arguments.library)
    listed = subprocess.run(
        [program, "--list"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    names = [line.split()[0] for line in listed]
    unknown = sorted(set(chosen + arguments.once) - set(names))
    if unknown:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are: {', '.join(names)}")
    failures, runs, nulls, occurred = [], [], 0, set()
    for scenario, options in ((line.split() + [""])[:2] for line in listed):
        if chosen and scenario not in chosen:
            continue
        wrong, counts = run(program, preload, scenario, options, "")
        if wrong:
            failures.append(wrong)
            continue
        for kind in counts:
            if kind in ("refused", "nulls"):
                continue
            occurred |= {kind} if counts[kind] else set()
            if scenario in arguments.once:
                continue
            for k in range(1, counts[kind] + 1):
                for mode in ("once", "lasting") if kind != "any" else ("lasting",):
                    runs.append((program, preload, scenario, options, f"{kind}:{k}:{mode}", counts))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for wrong, counts in pool.map(lambda r: run(*r), runs):
            failures += [wrong] if wrong else []
            nulls += counts.get("nulls", 0)
    if not chosen:
        failures += [
            f"no scenario calls {kind}" for kind in KINDS_THAT_MUST_OCCUR if kind not in occurred
        ]
        failures += (
            ["no failure ever brought a null: the failures do not reach the allocator"]
            if nulls == 0
            else []
        )
    for failure in failures[:20]:
        print("FAIL " + failure, file=sys.stderr)
    print(f"{len(runs)} processes with a failure, {nulls} nulls, {len(failures)} failures")
    return 1 if failures or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
