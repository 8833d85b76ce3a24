#!/usr/bin/env python3
"""What a library built with HAKMEM_DEBUG_TIMING says of itself, held against its own equations; and
that the one that ships says nothing."""
import argparse
import json
import os
import pathlib
import subprocess
import sys


class Wrong(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def run(library, work, mode, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HAKMEM_")}
    result = subprocess.run(
        [work, mode],
        env={**clean, "LD_PRELOAD": library, **environment},
        capture_output=True,
        text=True,
    )
    expect(result.returncode == 0, f"{mode}: status {result.returncode}\n{result.stderr}")
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def equations(given):
    activities = equations_in(given, "balanced")
    for name in ("elo", "tick", "sys_rusage"):
        expect(activities[name]["calls"] == 0, f"the learner ran {name} in mode balanced")
    activities = equations_in(given, "learning")
    for name in ("elo", "tick", "sys_rusage") if activities else ():
        expect(
            activities[name]["calls"] > 0 and activities[name]["cycles"] > 0,
            f"mode learning spent no time in {name}",
        )


def equations_in(given, mode):
    """The activities' rows; None in a build that has no such mode."""
    [answer], report = run(given.timing, given.work, "mixed", HAKMEM_TIMING="1", HAKMEM_MODE=mode)
    if "no such mode" in report:
        return None
    stats, timing = answer["stats"], answer["timing"]
    events, activities = timing["events"], timing["activities"]
    served = [
        events[name] for name in ("popped", "untouched", "refilled", "above_small", "refused")
    ]
    freed = [
        events[name]
        for name in ("pushed", "to_slab", "kept", "posted", "above_small_freed", "null_freed")
    ]
    for name, value in events.items():
        expect(value > 0, f"the work made no event {name}")
    expect(
        sum(served) == events["requests"],
        f"EQ timing.1: {events['requests']} requests, {served} served",
    )
    expect(sum(freed) == events["frees"], f"EQ timing.2: {events['frees']} frees, {freed}")
    expect(
        events["above_small"] == stats["above_small"],
        f"{events['above_small']} requests above small, hak_stats has {stats['above_small']}",
    )
    expect(
        events["to_slab"] == stats["frees_local"],
        f"{events['to_slab']} frees to slabs, hak_stats has {stats['frees_local']}",
    )
    ended = sum(stats[f"refills_{how}"] for how in ("own", "others", "opened", "failed"))
    expect(
        ended == stats["refills"] == activities["refill"]["calls"],
        f"{stats['refills']} refills, {ended} ended, {activities['refill']['calls']} timed",
    )
    expect(
        activities["refill_open"]["calls"] >= stats["slab_opens"] > 0,
        "fewer slabs were tried than opened",
    )
    expect(
        0 < events["refilled"] <= stats["refills"],
        f"{events['refilled']} requests after {stats['refills']} refills",
    )
    # Within a realloc blocks come and go that no caller asked for.
    expect(activities["hak_alloc"]["calls"] <= events["requests"], "more calls than requests")
    expect(activities["hak_free"]["calls"] <= events["frees"], "more calls than frees")
    for name, row in activities.items():
        expect(
            (row["calls"] == 0) <= (row["cycles"] == 0) and row["self"] <= row["cycles"],
            f"{name}: {row}",
        )
    for name in (
        "hak_alloc",
        "hak_free",
        "realloc",
        "refill",
        "refill_own",
        "refill_open",
        "spill",
        "remote_drain",
        "big_cache",
        "reclaim",
        "sys_reserve",
        "sys_expose",
        "sys_advise",
        "sys_trial",
    ):
        expect(
            activities[name]["calls"] > 0 and activities[name]["cycles"] > 0,
            f"the work spent no time in {name}",
        )
    # What hak_stats counts once may take several calls, and tables are committed that it does not
    # count.
    for name, counter in (
        ("refill_others", "refills_others"),
        ("sys_commit", "commits"),
        ("sys_purge", "purges"),
        ("sys_decommit", "decommits"),
    ):
        expect(
            activities[name]["calls"] >= stats[counter] > 0,
            (
                f"{activities[name]['calls']} calls of {name}, hak_stats has"
                f" {stats[counter]} {counter}"
            ),
        )
    expect("hakmem: hak_alloc" in report and "share" in report, f"no table at exit:\n{report}")
    return activities


def steady(given):
    [before, after], _ = run(given.timing, given.work, "steady", HAKMEM_TIMING="1")

    def calls(answer, name):
        return answer["timing"]["activities"][name]["calls"]

    expect(
        calls(after, "hak_alloc") - calls(before, "hak_alloc") >= 5000,
        "the rounds were not counted",
    )
    for name in before["timing"]["activities"]:
        if name.startswith("sys_"):
            more = calls(after, name) - calls(before, name)
            expect(more == 0, f"{more} calls of {name} in the steady state")


def off(given):
    [answer], report = run(given.timing, given.work, "mixed")
    timing = answer["timing"]
    expect(
        not timing["on"] and timing["activities"]["hak_alloc"]["calls"] > 0,
        "calls are not counted without HAKMEM_TIMING",
    )
    expect(
        all(row["cycles"] == 0 for row in timing["activities"].values()),
        "cycles are counted without HAKMEM_TIMING",
    )
    expect(report == "", f"stderr without a reason:\n{report}")
    _, report = run(given.timing, given.work, "mixed", HAKMEM_OPTIONS="timing=1")
    expect("hakmem: hak_alloc" in report, "the option timing=1 prints no table")
    [answer], report = run(given.timing, given.work, "buffers", HAKMEM_TIMING="1")
    expect(
        "hakmem: refills" in report and "hakmem: served" in report and "cycles/call" in report,
        f"malloc_stats:\n{report}",
    )
    _, report = run(given.timing, given.work, "steady", HAKMEM_TIMING="yes")
    expect(report == "hakmem: HAKMEM_TIMING: neither 0 nor 1: yes\n", f"a wrong value: {report}")


def shipped(given):
    [answer], report = run(given.shipped, given.work, "buffers")
    expect(set(answer) == {"version", "stats"}, f"the shipped library tells {sorted(answer)}")
    expect("cycles" not in report and "hakmem: refills" in report, f"malloc_stats:\n{report}")
    missing = [name for name in answer["stats"] if f"hakmem: {name} " not in report]
    expect(not missing, f"malloc_stats has no line for {missing}:\n{report}")
    _, report = run(given.shipped, given.work, "steady", HAKMEM_TIMING="1")
    expect(
        report == "hakmem: HAKMEM_TIMING: this library was built without HAKMEM_DEBUG_TIMING\n",
        f"HAKMEM_TIMING=1: {report}",
    )
    timing, text = (pathlib.Path(library).read_bytes() for library in (given.timing, given.shipped))
    for name in (b"sys_purge", b"sys_advise", b"cycles/call"):
        expect(
            name in timing and name not in text,
            f"{name.decode()}: must be in the timing library and not in the one that ships",
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    checks = {function.__name__: function for function in (equations, steady, off, shipped)}
    parser.add_argument("check", choices=checks)
    for name in ("timing", "shipped", "work"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    try:
        checks[given.check](given)
    except Wrong as wrong:
        print(f"FAILED: {given.check}: {wrong}\nreproduce: {' '.join(sys.argv)}", file=sys.stderr)
        return 1
    print(f"OK: {given.check}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
