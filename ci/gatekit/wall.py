"""Judging wall-clock times: base, a copy of base (the control) and head, in interleaved rounds of
bench/compare."""

import json
import sys
from pathlib import Path

from .stepping import ROOT

sys.path.insert(0, str(ROOT / "bench"))
import paired  # noqa: E402

LARGE = 1.03
FEWEST_ROUNDS = 10
RESAMPLES = 2000


def judge(base, twin, head, seed=1):
    """(verdict, control's estimate, head's estimate) of one workload's costs, one per round.

    `slower`: the head's whole 95 % interval lies above +3 % and above the control's. `noisy`: the
    control, which compares base with itself, is off by more than 3 %, so that the machine could not
    have shown a difference of that size.
    """
    control = paired.median_ratio(twin, base, RESAMPLES, seed)
    change = paired.median_ratio(head, base, RESAMPLES, seed)
    if len(base) < FEWEST_ROUNDS:
        return "too few rounds", control, change
    if control.low > LARGE or control.high < 1 / LARGE:
        return "noisy", control, change
    if change.low > LARGE and change.low > control.high:
        return "slower", control, change
    if change.high < 1 / LARGE and change.high < control.low:
        return "faster", control, change
    return "no large change", control, change


def report(file):
    """(lines, reasons to be red, {workload: why nothing is concluded}) of bench/compare's file."""
    samples = json.loads(Path(file).read_text())["samples"]
    lines = [f"{'workload':<16s} {'rounds':>6s}  {'base/base':>23s}  {'head/base':>23s}  verdict"]
    reasons, doubts = [], {}
    for name, runs in samples.items():
        costs = {
            allocator: [run["ns_per_op"] for run in runs[allocator]]
            for allocator in ("base", "twin", "head")
        }
        if not costs["base"]:
            doubts[name] = "no complete round"
            continue
        verdict, control, change = judge(costs["base"], costs["twin"], costs["head"])
        shown = [f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in (control, change)]
        lines.append(
            f"{name:<16s} {len(costs['base']):>6d}  {shown[0]:>23s}  {shown[1]:>23s}  {verdict}"
        )
        if verdict == "slower":
            reasons.append(
                f"{name}: cost {change.value:.3f} of base's, at least {change.low:.3f}; base "
                f"against itself at most {control.high:.3f}"
            )
        elif verdict in ("noisy", "too few rounds"):
            doubts[name] = verdict
    return lines, reasons, doubts
