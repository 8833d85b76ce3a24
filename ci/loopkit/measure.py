"""ci/quick --measure: how long ci/quick takes after a change of each file of src/heap and src/mem,
on a warm tree. The time that counts is that of the processors: beside other work a clock says
nothing."""

import os
import resource
import subprocess
import sys
import time

import children

from .quick import PRESET

WHERE = ("src/heap", "src/mem")
MOST, MOST_ELSE = 60, 15  # seconds on PROCESSORS, of a change there and of one outside src
PROCESSORS = 2
ELSE = ("README.md", "ci/quick.toml", "props/heap_props.cpp")


def used():
    its = resource.getrusage(resource.RUSAGE_CHILDREN)
    return its.ru_utime + its.ru_stime


def one(root, jobs, name):
    """(seconds, core seconds, status) for a file, which is compiled anew whatever a cache knows."""
    os.utime(root / name)
    before, begin = used(), time.monotonic()
    status = children.run(
        [sys.executable, root / "ci" / "quick", "--changed", name, "--jobs", str(jobs)],
        env={**os.environ, "CCACHE_DISABLE": "1"},
        stdout=subprocess.DEVNULL,
    ).returncode
    return time.monotonic() - begin, used() - before, status


def main(root, jobs, lock, chosen):
    every = [
        path.relative_to(root).as_posix()
        for folder in WHERE
        for path in sorted((root / folder).iterdir())
    ]
    names = chosen or [*every, *ELSE]
    lock.close()
    print(f"{'file':<28s} {'seconds':>8s} {'core s':>8s} {'/ 2':>6s}  status", flush=True)
    begin, wrong, worst = time.monotonic(), 0, (0.0, "")
    for done, name in enumerate(names):
        seconds, cores, status = one(root, jobs, name)
        share = cores / PROCESSORS
        most = MOST if name.startswith(WHERE) else MOST_ELSE
        wrong += status != 0 or share > most
        worst = max(worst, (share, name))
        left = (time.monotonic() - begin) / (done + 1) * (len(names) - done - 1)
        print(
            (
                f"{name:<28s} {seconds:8.1f} {cores:8.1f} {share:6.1f}  {status}"
                f"   {100 * (done + 1) // len(names)} %, {left:.0f} s left"
            ),
            flush=True,
        )
    print(
        f"ci/quick: the worst is {worst[1]}: {worst[0]:.0f} s on {PROCESSORS} processors (at most"
        f" {MOST}), {wrong} wrong; build/{PRESET} is warm"
    )
    return 1 if wrong else 0
