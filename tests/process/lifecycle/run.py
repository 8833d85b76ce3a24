#!/usr/bin/env python3
"""Runs the lifecycle programs, each case in a process of its own, and expects success and silence.

usage: run.py first_op|ends|forks|streams|replaced PROGRAM LIBRARY [CASE...]     LIBRARY is
preloaded; - for a program that is linked with it;
                                                                                 a case of first_op
                                                                                 is a function
       run.py loader|cxx_loader PROGRAM LIBRARY PLUGIN
       run.py elder PROGRAM LIBRARY CASE...
       run.py clocks PROGRAM LIBRARY CLOCK CASE...     CLOCK is preloaded before and behind LIBRARY;
                                                       - for a program that has both
"""
import concurrent.futures
import os
import resource
import struct
import subprocess
import sys

PLACES = (
    "preinit",
    "constructor",
    "main",
    "atexit",
    "quick_exit",
    "destructor",
    "signal",
    "child",
    "worker_child",
)
STORM_SIZES = (100, 300000)
# Whoever reads the clock, and a delay that is over soon.
CLOCK_CPU_SECONDS = 5
CLOCK_OPTIONS = (
    "purge_delay=1ms",
    "purge_delay=1ms:mode=learning:verbose=0",
    "purge_delay=1ms:profile=4096",
)
SIZES = (0, 1, 100, 5000, 40000, 300000, 3000000)
# This size has a process from its start; the others have children of one that allocated nothing
# yet, at a third of the time.
OWN_PROCESS_SIZE = 100


def run(command, preload, options=None):
    """What is wrong with the run; empty if nothing is."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_PRELOAD", "HAKMEM_OPTIONS")
    }
    shown = " ".join(command)
    if preload:
        environment["LD_PRELOAD"] = preload
        shown = f"LD_PRELOAD={preload} {shown}"
    if options:
        environment["HAKMEM_OPTIONS"] = options
        shown = f"HAKMEM_OPTIONS={options} {shown}"
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=90, check=False
        )
    except subprocess.TimeoutExpired:
        return f"hangs\n  reproduce: {shown}"
    if done.returncode == 0 and not done.stderr:
        return ""
    return (
        f"ended with {done.returncode}, wrote {done.stderr.decode(errors='replace')[:600]!r}\n "
        f" reproduce: {shown}"
    )


def listed(program):
    return subprocess.run(
        [program, "list" if program.split("/")[-1].startswith("first_op") else "--list"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def knows(program, preload, options):
    """The debug build has no heap profile."""
    environment = dict(
        os.environ, HAKMEM_OPTIONS="help", **({"LD_PRELOAD": preload} if preload else {})
    )
    done = subprocess.run([program, "--list"], env=environment, capture_output=True, text=True)
    return "profile" not in options or "profile" in done.stdout + done.stderr


def first_op_commands(program, functions):
    for function in functions:
        yield [program, "threads", function]
        if function.endswith("_other"):
            continue
        for size in STORM_SIZES:
            yield [program, "storm", function, str(size)]
        for place in PLACES:
            yield [program, place, function, str(OWN_PROCESS_SIZE)]
            others = [str(size) for size in SIZES if size != OWN_PROCESS_SIZE]
            yield [program, "each", place, function, *others]


def thread_local_bytes(library):
    """The size of the library's TLS segment, read from its program headers."""
    with open(library, "rb") as file:
        image = file.read()
    (offset,) = struct.unpack_from("<Q", image, 32)
    entry_bytes, count = struct.unpack_from("<HH", image, 54)
    kinds = [struct.unpack_from("<IIQQQQQQ", image, offset + i * entry_bytes) for i in range(count)]
    return sum(header[6] for header in kinds if header[0] == 7)


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in (
        "first_op",
        "ends",
        "forks",
        "streams",
        "replaced",
        "loader",
        "cxx_loader",
        "elder",
        "clocks",
    ):
        print(__doc__, file=sys.stderr)
        return 2
    family, program, library = sys.argv[1:4]
    preload = None if library == "-" else os.path.abspath(library)
    failures = []
    if family == "first_op":
        commands = [
            (command, preload)
            for command in first_op_commands(program, sys.argv[4:] or listed(program))
        ]
    elif family in ("ends", "forks", "streams", "replaced"):
        names = sys.argv[4:] or listed(program)
        commands = [([program, "--only", name], preload) for name in names]
    elif family == "cxx_loader":
        commands = [([program, sys.argv[4]], preload)]
    elif family == "elder":
        commands = [
            ([program, "--only", case], preload, "threshold=256K" if case == "limits" else None)
            for case in sys.argv[4:]
        ]
    elif family == "clocks":
        clock = sys.argv[4]
        before, behind = (
            (None, None) if clock == "-" else (f"{clock}:{preload}", f"{preload}:{clock}")
        )
        sets = [options for options in CLOCK_OPTIONS if knows(program, preload, options)]
        commands = [([program, name], before, options) for name in sys.argv[5:] for options in sets]
        commands += [([program, name], behind, CLOCK_OPTIONS[0]) for name in sys.argv[5:] if behind]
        # Who spins on his own heap ends here, on a busy machine no sooner than on an idle one.
        resource.setrlimit(resource.RLIMIT_CPU, (CLOCK_CPU_SECONDS, CLOCK_CPU_SECONDS))
    else:
        plugin = sys.argv[4]
        commands = [
            ([program, "cycles", preload], None),
            ([program, "threads", preload], None),
            ([program, "cancel", preload], None),
            ([program, "plain", plugin], preload),
            ([program, "deepbind", plugin], preload),
        ]
        size = thread_local_bytes(preload)
        if size > 16:
            failures.append(f"the library asks for {size} bytes of static TLS; the budget is 16")
    with concurrent.futures.ThreadPoolExecutor(1 if family == "clocks" else 2) as pool:
        for wrong in pool.map(lambda c: run(*c), commands):
            failures += [wrong] if wrong else []
            if family == "clocks" and failures:  # the others would take as long to hang
                pool.shutdown(wait=False, cancel_futures=True)
                break
    for failure in failures[:20]:
        print("FAIL " + failure, file=sys.stderr)
    print(f"{family}: {len(commands)} runs, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
