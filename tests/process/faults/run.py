#!/usr/bin/env python3
"""Runs faults (faults.c): for each scenario, each kind of system call and each k, a process in
which the k-th call fails, once and from then on, and one in which the k-th call of any kind and all
later ones fail. How many calls there are is counted by a run without a failure.

usage: run.py PROGRAM LIBRARY [SCENARIO...]     LIBRARY is preloaded; - for a program that is linked
                                                with it
"""
import concurrent.futures
import os
import resource
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
    limit = (
        (lambda: resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30)))
        if options == "rlimit"
        else None
    )
    shown = " ".join(
        f"{name}={given[name]}"
        for name in ("REFUSE", "HAKMEM_OPTIONS", "LD_PRELOAD")
        if name in given
    )
    shown = ("ulimit -v 16777216; " if limit else "") + f"{shown} {program} --only {scenario}"
    try:
        done = subprocess.run(
            [program, "--only", scenario],
            env=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=limit,
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
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, library, chosen = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    preload = None if library == "-" else os.path.abspath(library)
    listed = subprocess.run(
        [program, "--list"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
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
