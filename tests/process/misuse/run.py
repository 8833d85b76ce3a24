#!/usr/bin/env python3
"""Death tests: each case of the program `misuse` in a process of its own, under the preloaded
library.

usage: run.py release|debug PROGRAM LIBRARY [CASE...]        LIBRARY is preloaded; - for a program
that is linked with it
                                                             CASE: of the program, or `options` for
                                                             the options' messages

A case must end by SIGABRT with exactly one line on stderr that names the function, the pointer and
the reason; a control must end with 0 and silence. The debug build says more in its line, finds
damage elsewhere, and must also find what is marked `unseen`. With the release build preloaded,
every case also runs under the system's malloc, to show what that detects: all of it is required
here, except overflows from one live block into another, which are listed. The options' messages are
checked in the same way. Failures print the command that reproduces them.
"""
import concurrent.futures
import os
import re
import shlex
import signal
import subprocess
import sys

REASONS = {
    "foreign": r"not allocated by hakmem",
    "start": r"not the start of a block( \(misaligned\))?",
    "never": r"not allocated \(never handed out, or returned already\)",
    "double": r"already free \(double free\)",
    "overwritten": r"a free block was overwritten",
}
# Where the debug build's guards and quarantine see what the release build's seals see: in another
# function, and for another reason.
DEBUG_DAMAGE = (
    r"written (behind its end|before its start) \(byte -?\d+\)|a free block was overwritten \(byte"
    r" \d+\)"
)
DEBUG_FINDERS = "malloc|free|exit"
DEBUG_BLOCK = (
    r"(; (\d+ bytes (into|before) )?(freed )?\d+ bytes from (malloc|operator new|operator new\[\])("
    r" aligned to \d+)?)?"
)
DEATHS = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS)


def run(command, preload=None, options=None, **more):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_PRELOAD", "HAKMEM_OPTIONS", "HAKMEM_MODE")
    } | more
    if preload:
        environment["LD_PRELOAD"] = preload
    if options is not None:
        environment["HAKMEM_OPTIONS"] = options
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    return (
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


def judge(build, function, reason, code, out, err):
    """What is wrong with one run under the library; empty if nothing is."""
    if reason == "silent":
        if code != 0 or err:
            return f"ended with {code} and wrote {err!r}; a control ends with 0 and silence"
        return ""
    if reason == "unseen" and build == "release":
        if code == -signal.SIGALRM:
            return "hangs"
        return ""
    if code != -signal.SIGABRT:
        return f"ended with {code} instead of SIGABRT, and wrote {err!r}"
    pointer = re.escape(out.split()[-1]) if out.split() else r"0x[0-9a-f]+"
    if reason in ("overwritten", "unseen"):
        pointer = r"0x[0-9a-f]+"
    if build == "debug" and reason in ("overwritten", "unseen"):
        function, texts = DEBUG_FINDERS, DEBUG_DAMAGE
    else:
        texts = "|".join(REASONS[key] for key in reason.split("|"))
    if build == "debug":
        texts = f"({texts}){DEBUG_BLOCK}"
    if not re.fullmatch(rf"hakmem: ({function})\({pointer}\): ({texts})\n", err):
        return (
            f"wrote {err!r}; wanted: hakmem:"
            f" {function}({out.split()[-1] if out.split() else '0x...'}): {texts}"
        )
    return ""


def check_misuse(build, program, library, wanted):
    code, out, _ = run([program, "--list"])
    assert code == 0, "misuse list failed"
    cases = [line.split("\t") for line in out.splitlines()]
    if wanted:
        cases = [case for case in cases if case[0] in wanted]
    if not cases:
        return ["no case has that name"]

    def both(case):
        ours = run([program, "--only", case[0]], preload=library)
        return ours, run([program, "--only", case[0]]) if library and build == "release" else None

    failures = []
    seen_by = {"glibc": 0, "hakmem": 0}
    unseen = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (name, function, reason), (ours, theirs) in zip(cases, pool.map(both, cases)):
            wrong = judge(build, function, reason, *ours)
            if wrong:
                failures.append(
                    f"{name}: {wrong}\n  reproduce:"
                    f" {f'LD_PRELOAD={library} ' if library else ''}{program} --only {name}"
                )
            if reason == "silent" or theirs is None:
                continue
            seen_by["glibc"] += theirs[0] in DEATHS
            seen_by["hakmem"] += ours[0] in DEATHS
            if ours[0] not in DEATHS:
                unseen.append(
                    name + (" (seen by glibc)" if theirs[0] in DEATHS else " (nor by glibc)")
                )
    compared = (
        f"; deaths under hakmem {seen_by['hakmem']}, under glibc {seen_by['glibc']}"
        if seen_by["hakmem"]
        else ""
    )
    print(f"misuse: {len(cases)} cases{compared}")
    for name in unseen:
        print(f"  not detected: {name}")
    return failures


# HAKMEM_OPTIONS, and a pattern that all of stderr must match.
OPTION_CASES = [
    ("", r""),
    (":", r""),
    ("cache=64M", r""),
    ("cache=64M:purge_delay=100:thp=0", r""),
    ("purge_delay=100ms", r""),
    ("nonsense=1", r"hakmem: HAKMEM_OPTIONS: unknown option: nonsense[^\n]*\n"),
    ("nonsense", r"hakmem: HAKMEM_OPTIONS: unknown option: nonsense[^\n]*\n"),
    ("=5", r"hakmem: HAKMEM_OPTIONS: [^\n]+\n"),
    ("cache", r"hakmem: HAKMEM_OPTIONS: [^\n]*cache\n"),
    ("cache=", r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=\n"),
    ("cache=x", r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=x\n"),
    ("cache=-1", r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=-1\n"),
    ("cache=1Q", r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=1Q\n"),
    (
        "cache=99999999999999999999999",
        r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=99999999999999999999999\n",
    ),
    ("cache=18446744073709551615T", r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=18446744073709551615T\n"),
    # Modulo 2^64 these would be in range.
    (
        "cache=18446744073709551617",
        r"hakmem: HAKMEM_OPTIONS: malformed value: cache=18446744073709551617\n",
    ),
    (
        "cache=18014398509481985K",
        r"hakmem: HAKMEM_OPTIONS: malformed value: cache=18014398509481985K\n",
    ),
    (
        "purge_delay=7200s",
        r"hakmem: HAKMEM_OPTIONS: value out of range \([^\n]+\): purge_delay=7200s\n",
    ),
    ("cach=1M", r"hakmem: HAKMEM_OPTIONS: unknown option: cach [^\n]*\n"),
    ("window=1", r"hakmem: HAKMEM_OPTIONS: [^\n]*window=1\n"),
    ("thp=2", r"hakmem: HAKMEM_OPTIONS: [^\n]*thp=2\n"),
    ("verbose=yes", r"hakmem: HAKMEM_OPTIONS: [^\n]*verbose=yes\n"),
    (
        "thp=2:nonsense=1",
        (
            r"hakmem: HAKMEM_OPTIONS: [^\n]*thp=2\nhakmem: HAKMEM_OPTIONS: unknown option:"
            r" nonsense[^\n]*\n"
        ),
    ),
    ("nonsense=" + "x" * 5000, r"hakmem: HAKMEM_OPTIONS: [^\n]+\n"),
    ("x" * 5000, r"hakmem: HAKMEM_OPTIONS: unknown option: x{200}\.\.\. [^\n]+\n"),
    ("cache=" + "x" * 5000, r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=x+\.\.\.\n"),
    (
        "cache=" + "1" * 5000 + ":thp=2",
        r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=1+\.\.\.\nhakmem: HAKMEM_OPTIONS: [^\n]*thp=2\n",
    ),
    ("window=" + "0" * 5000, r"hakmem: HAKMEM_OPTIONS: [^\n]*window=0+\.\.\.\n"),
    ("cache=1\n2\x1b[7m", r"hakmem: HAKMEM_OPTIONS: [^\n]*cache=1\?2\?\[7m\n"),
    ("help", r"hakmem: [^\n]*\n(  [a-z_]+ \([^\n]+default [^\n]+\): [^\n]+\n)+"),
]

MODE_CASES = [
    ("fast", r""),
    (
        "Learning",
        (
            r"hakmem: HAKMEM_MODE: no such mode: Learning; there are minimal fast balanced("
            r" learning research)?\n"
        ),
    ),
    ("", r"hakmem: HAKMEM_MODE: no such mode: ; there are minimal [^\n]+\n"),
]


def check_options(program, library):
    failures = []
    listed = run(["/bin/sh", "-c", "exit 0"], preload=library, options="help")[2]
    for name in ("window", "purge_delay", "cache", "thp", "verbose"):
        if not re.search(rf"^  {name} ", listed, re.MULTILINE):
            failures.append(f"HAKMEM_OPTIONS=help does not list {name}")
    for options, pattern in OPTION_CASES:
        code, out, err = run(["/bin/sh", "-c", "echo works"], preload=library, options=options)
        if code != 0 or out != "works\n" or not re.fullmatch(pattern, err):
            failures.append(
                f"HAKMEM_OPTIONS={options[:60]!r}: ended with {code}, wrote {err[:300]!r}; wanted"
                f" {pattern!r}\n  reproduce:"
                f" HAKMEM_OPTIONS={shlex.quote(options)} LD_PRELOAD={library} sh -c 'echo works'"
            )
    for mode, pattern in MODE_CASES:
        code, _, err = run(["/bin/sh", "-c", "exit 0"], preload=library, HAKMEM_MODE=mode)
        if code != 0 or not re.fullmatch(pattern, err):
            failures.append(
                f"HAKMEM_MODE={mode}: ended with {code}, wrote {err[:300]!r}; wanted {pattern!r}"
            )
    # A shell may leave by _exit, at which nothing is printed.
    code, _, err = run([program, "--list"], preload=library, options="verbose=1")
    if code != 0 or not re.fullmatch(r"hakmem: served [^\n]+\n", err):
        failures.append(
            f"HAKMEM_OPTIONS=verbose=1: ended with {code}, wrote {err[:300]!r} instead of one line"
        )
    print(f"options: {len(OPTION_CASES) + len(MODE_CASES) + 1} cases")
    return failures


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("release", "debug"):
        print(__doc__, file=sys.stderr)
        return 2
    build, program, wanted = sys.argv[1], sys.argv[2], sys.argv[4:]
    library = None if sys.argv[3] == "-" else os.path.abspath(sys.argv[3])
    failures = check_misuse(build, program, library, wanted) if wanted != ["options"] else []
    if library and (not wanted or "options" in wanted):
        failures += check_options(program, library)
    for failure in failures:
        print("FAIL " + failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
