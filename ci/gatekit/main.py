"""Decides whether a change may be merged: builds base and head, tests head, and holds head to
base's figures.

  ci/gate                 against the merge base with origin's main branch, or the last tag; with
                          neither it records
  ci/gate --base REF      against a commit, branch or tag
  ci/gate --quick         only the counts: hit paths, instructions, system calls
  ci/gate --only STEP     one step (and the build); may be repeated
  ci/gate --list          the steps and their budgets
  ci/gate --self-test     proves that each slowdown of ci/slowdowns.toml turns the named limit red

Hard limits: ci/test, sanitizer stress, fuzzing, the golden table of hit paths, at most +0.5 %
instructions in each trace, no additional system call but those that the change adds to
ci/syscalls.allowed. Wall-clock time is reported with 95 % bounds beside a comparison of base with
itself; it turns the gate red only where the whole interval lies above +3 % and above that
control's.

The last line is `gate: green` or `gate: red (reasons)`. Exit code: 0 green, 1 red, 2 the gate could
not run. Logs and record.json are in build/gate. Address randomisation, the clock and the
environment are fixed where counts are compared.
"""

import argparse
import datetime
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ci"))
sys.dont_write_bytecode = True

from gatekit import base as base_of  # noqa: E402
from gatekit import selftest, steps  # noqa: E402
from suites import UNWRITABLE, Interrupted, Trouble, write_list  # noqa: E402

NEEDED = {
    "cmake": "cmake",
    "ninja": "ninja-build",
    "g++": "g++",
    "clang++-19": "clang-19",
    "objdump": "binutils",
    "valgrind": "valgrind",
    "strace": "strace",
    "git": "git",
}


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="ci/gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", metavar="REF")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--only", metavar="STEP", action="append", choices=[name for name, *_ in steps.STEPS]
    )
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument(
        "--preset",
        metavar="PRESET",
        action="append",
        choices=steps.COMPILERS,
        help="with --self-test: this compiler alone; may be repeated",
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error("--jobs must be at least 1")
    return arguments


def chosen_steps(arguments):
    if arguments.only:
        chosen = set(arguments.only)
        if chosen & {"fast_path", "callgrind", "syscalls", "wall"}:
            chosen.add("build")
        return chosen
    return set(steps.QUICK) if arguments.quick else {name for name, *_ in steps.STEPS}


def write_record(gate, outcomes, seconds):
    head = base_of.git("rev-parse", "HEAD") or "none"
    record = {
        "head": head + ("+changes" if base_of.is_dirty() else ""),
        "base": gate.base.commit if gate.base else None,
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "steps": {
            o.name: {
                "verdict": o.verdict,
                "seconds": round(o.seconds),
                "reasons": o.reasons,
                "notes": o.notes,
            }
            for o in outcomes
        },
        **gate.record,
    }
    (steps.FOLDER / "record.json").write_text(json.dumps(record, indent=1) + "\n")


def finish(gate, outcomes, seconds):
    write_record(gate, outcomes, seconds)
    print(f"\n{'step':<12s} {'verdict':<8s} {'seconds':>8s} {'budget':>7s}  ")
    for o in outcomes:
        print(f"{o.name:<12s} {o.verdict:<8s} {o.seconds:>8.0f} {o.budget:>7d}  {o.summary}")
        for reason in o.reasons:
            print(f"{'':<13s}red: {reason}")
        for note in o.notes:
            print(f"{'':<13s}note: {note}")
    if not gate.base:
        print(
            "nothing was compared with a base; the figures are recorded in build/gate/record.json"
        )
    missing = {name for name, *_ in steps.STEPS} - gate.chosen
    if missing:
        print(f"not run: {', '.join(name for name, *_ in steps.STEPS if name in missing)}")
    red = [
        f"{o.name}: {o.reasons[0]}"
        + (f" and {len(o.reasons) - 1} more" if len(o.reasons) > 1 else "")
        for o in outcomes
        if o.reasons
    ]
    print(f"gate: red ({'; '.join(red)})" if red else "gate: green")
    return 1 if red else 0


def main(argv):
    arguments = parse(argv)
    if arguments.list:
        write_list(
            f"{name:<12s} {budget:>5d} s  {'hard' if hard else 'soft'}  {function.__doc__.strip()}"
            for name, budget, hard, function in steps.STEPS
        )
        return 0
    missing = [package for tool, package in NEEDED.items() if not shutil.which(tool)]
    if missing:
        raise Trouble(f"not installed: {', '.join(missing)}; ci/bootstrap installs what is needed")
    steps.FOLDER.mkdir(parents=True, exist_ok=True)
    # ci/test, a step of the gate, runs the self-test; so that has a lock of its own.
    lock = open(steps.FOLDER / ("self_test.lock" if arguments.self_test else "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Trouble("another ci/gate is running in this tree") from None

    def interrupt(number, _):
        raise Interrupted(number)

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)

    if arguments.self_test:
        return selftest.run(arguments.preset or steps.COMPILERS, arguments.jobs)
    base, why = base_of.choose(arguments.base)
    if base and not base_of.has_library(base.commit):
        base, why = None, f"{base.commit[:12]} holds no library"
    print(f"gate: {base.said if base else f'no base ({why}): this run records'}", flush=True)
    began = time.monotonic()
    gate = steps.Gate(base, chosen_steps(arguments), arguments.jobs)
    outcomes = gate.run()
    return finish(gate, outcomes, time.monotonic() - began)


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main(sys.argv[1:]))
    except (Trouble, base_of.NoSuchCommit) as trouble:
        print(f"gate: {trouble}", file=sys.stderr)
        sys.exit(2)
    except subprocess.CalledProcessError as error:
        print(f"gate: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(f"gate: {error.filename or steps.FOLDER}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as interrupted:
        print(
            (
                f"\ngate: interrupted by {signal.Signals(interrupted.number).name}; everything it"
                " started was ended"
            ),
            file=sys.stderr,
        )
        sys.exit(128 + interrupted.number)
