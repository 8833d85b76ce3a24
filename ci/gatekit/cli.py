"""The command line that ci/traces/run and ci/syscalls share."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import children

from . import traces
from .stepping import ROOT


def allowance(text):
    kind, _, number = text.partition("=")
    return kind, int(number)


def run_comparison(name, description, measure, compare, allows=False):
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--lib", metavar="PATH", default=str(ROOT / "build" / "release" / "libhakmem.so")
    )
    parser.add_argument("--base", metavar="PATH")
    parser.add_argument("--json", metavar="FILE", help="write the counts of --lib")
    parser.add_argument("--folder", metavar="DIR", default=str(ROOT / "build" / "gate" / "tools"))
    if allows:
        parser.add_argument(
            "--allow",
            metavar="KIND=NUMBER",
            action="append",
            default=[],
            type=allowance,
            help="so many more calls of this kind in each trace",
        )
    parser.add_argument("trace", nargs="*", metavar="TRACE")
    arguments = parser.parse_args()
    for path in (arguments.lib, arguments.base):
        if path and not Path(path).exists():
            print(f"{name}: {path} is missing", file=sys.stderr)
            return 2

    def all_of(library):
        return traces.all_traces(
            measure,
            library,
            arguments.folder,
            only=arguments.trace,
            progress=lambda line: print(f"{name}: measured {line}", flush=True),
        )

    try:
        head = all_of(arguments.lib)
        base = all_of(arguments.base) if arguments.base else {}
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(head, indent=1) + "\n")
    except (traces.TraceFailed, OSError, subprocess.SubprocessError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except children.Interrupted as interrupted:
        print(f"{name}: interrupted", file=sys.stderr)
        return 128 + interrupted.number
    lines, reasons = compare(base, head, dict(arguments.allow)) if allows else compare(base, head)
    print("\n".join(lines))
    for reason in reasons:
        print(f"{name}: red: {reason}")
    return 1 if reasons else 0
