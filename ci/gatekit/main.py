"""Decides whether a change may be merged: builds base and head, tests head, and holds head to
base's figures.

  ci/gate                 against the merge base with the main branch; on that branch against the
                          commit before
  ci/gate --base REF      against a commit, branch or tag
  ci/gate --quick         only the counts, in ten minutes: hit paths, instructions, system calls
  ci/gate --only STEP     one step (and the build where it needs that); may be repeated
  ci/gate --except STEP   all but this one; may be repeated
  ci/gate --list          the steps and their budgets
  ci/gate --self-test     proves that each slowdown of ci/slowdowns.toml turns the named limit red

Hard limits: ci/test, sanitizer stress, fuzzing, the golden table of hit paths, at most +0.5 %
instructions in each trace, no additional system call but those that the change adds to
ci/syscalls.allowed. Wall-clock time is reported with 95 % bounds beside a comparison of base with
itself; it turns the gate red only where the whole interval lies above +3 % and above that
control's.

The last line is `gate: merge`, `gate: do not merge (reasons)` or `gate: undecided (reasons)`.
Exit code: 0 merge; 1 do not; 2 undecided, because the wall clock is too noisy, a budget is spent,
or there is no base; 3 the command line is wrong or the gate cannot run here. An undecided step runs
once more, and both runs are reported; what failed is not tried again. Logs and record.json are in
build/gate. Address randomisation, the clock and the environment are fixed where counts are
compared.
"""

import argparse
import datetime
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ci"))
sys.dont_write_bytecode = True

import children  # noqa: E402
from gatekit import base as base_of  # noqa: E402
from gatekit import selftest, steps  # noqa: E402
import report  # noqa: E402
from progress import record  # noqa: E402
from suites import UNWRITABLE, Trouble, write_list  # noqa: E402

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


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(3, f"{self.prog}: error: {message}\n")


def parse(argv):
    parser = Parser(
        prog="ci/gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", metavar="REF")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--only", metavar="STEP", action="append", choices=[name for name, *_ in steps.STEPS]
    )
    parser.add_argument(
        "--except",
        metavar="STEP",
        action="append",
        default=[],
        dest="without",
        choices=[name for name, *_ in steps.STEPS],
    )
    parser.add_argument(
        "--record", action="store_true", help="put what each step took into ci/durations.toml"
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
    else:
        chosen = set(steps.QUICK) if arguments.quick else {name for name, *_ in steps.STEPS}
    chosen -= set(arguments.without)
    return chosen | ({"build"} if chosen & set(steps.COUNTED) else set())


def recorded(outcome):
    shown = ("verdict", "reasons", "doubts", "notes", "summary")
    record = {"seconds": round(outcome.seconds)} | {name: getattr(outcome, name) for name in shown}
    return record | ({"earlier": recorded(outcome.earlier)} if outcome.earlier else {})


def write_record(gate, outcomes, seconds):
    head = base_of.git("rev-parse", "HEAD") or "none"
    record = {
        "head": head + ("+changes" if base_of.is_dirty() else ""),
        "base": gate.base.commit if gate.base else None,
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "verdict": steps.verdict(outcomes)[1],
        "steps": {o.name: recorded(o) for o in outcomes},
        **gate.record,
    }
    (steps.FOLDER / "record.json").write_text(json.dumps(record, indent=1) + "\n")


def runs(outcomes):
    """(name, outcome) of all runs in their order."""
    for o in outcomes:
        if o.earlier:
            yield f"{o.name}, 1st", o.earlier
        yield f"{o.name}, 2nd" if o.earlier else o.name, o


def remarks(outcome):
    for kind, texts in (
        ("red", outcome.reasons),
        ("undecided", outcome.doubts),
        ("note", outcome.notes),
    ):
        for text in texts:
            yield f"{kind}: {text}"


def finish(gate, outcomes, seconds):
    write_record(gate, outcomes, seconds)
    print(f"\n{'step':<15s} {'verdict':<9s} {'seconds':>8s} {'budget':>7s}  ")
    for name, o in runs(outcomes):
        print(f"{name:<15s} {o.verdict:<9s} {o.seconds:>8.0f} {o.budget:>7d}  {o.summary}")
        for remark in remarks(o):
            print(f"{'':<16s}{remark}")
    if not gate.base:
        print(f"nothing was compared with a base; the figures are in {steps.FOLDER}/record.json")
    missing = {name for name, *_ in steps.STEPS} - gate.chosen
    if missing:
        print(f"not run: {', '.join(name for name, *_ in steps.STEPS if name in missing)}")
    status, word = steps.verdict(outcomes)
    why = [(o.name, o.reasons if status == 1 else o.doubts) for o in outcomes]
    texts = [
        f"{name}: {texts[0]}" + (f" and {len(texts) - 1} more" if len(texts) > 1 else "")
        for name, texts in why
        if texts
    ]
    last = f"gate: {word}" + (f" ({'; '.join(texts)})" if status else "")
    rows = [
        (name, o.verdict, f"{o.seconds:.0f}", o.budget, "; ".join([o.summary, *remarks(o)]))
        for name, o in runs(outcomes)
    ]
    columns = ("step", "verdict", "seconds", "budget", "remarks")
    report.summarise(report.markdown("ci/gate", columns, rows, [], last))
    print(last)
    return status


def main(argv):
    arguments = parse(argv)
    if arguments.list:
        whats = (" ".join(function.__doc__.split()) for *_, function in steps.STEPS)
        write_list(
            f"{name:<12s} {budget:>5d} s  {'hard' if hard else 'soft'}  {what}"
            for (name, budget, hard, _), what in zip(steps.STEPS, whats)
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

    if arguments.self_test:
        return selftest.run(arguments.preset or steps.COMPILERS, arguments.jobs)
    base, why = base_of.choose(arguments.base)
    if base and not base_of.has_library(base.commit):
        base, why = None, f"{base.commit[:12]} holds no library"
    print(f"gate: {base.said if base else f'no base ({why}): this run records'}", flush=True)
    began = time.monotonic()
    seconds = steps.QUICK_SECONDS if arguments.quick else steps.SECONDS
    gate = steps.Gate(base, chosen_steps(arguments), arguments.jobs, seconds)
    outcomes = gate.run()
    if arguments.record:
        record("ci/gate", gate.measured)
    return finish(gate, outcomes, time.monotonic() - began)


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(children.command(main, sys.argv[1:]))
    except (Trouble, base_of.NoSuchCommit) as trouble:
        print(f"gate: {trouble}", file=sys.stderr)
        sys.exit(3)
    except subprocess.CalledProcessError as error:
        print(f"gate: {error}", file=sys.stderr)
        sys.exit(3)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(f"gate: {error.filename or steps.FOLDER}: {error.strerror}", file=sys.stderr)
        sys.exit(3)
    except children.Interrupted as interrupted:
        print(f"\ngate: {interrupted}; everything it started was ended", file=sys.stderr)
        sys.exit(128 + interrupted.number)
