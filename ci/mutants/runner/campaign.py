"""Runs mutants in copies of the tree, those of one killer one after the other in one copy, and
judges them."""

import json
import queue
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from suites import finish

from .mutants import Trouble
from .tree import Tree, stop

GROUP = 15  # mutants of one test that one copy takes at a time, so that the others have work too
TAIL = 1500  # characters of output that are shown where something is wrong


@dataclass
class Row:
    mutant: str
    killer: str
    source: str
    verdict: str  # killed, or why not
    report: str
    build_seconds: float
    test_seconds: float


class Campaign:
    def __init__(self, root, killers, jobs):
        self.root, self.killers, self.jobs = root.resolve(), killers, jobs
        self.folder = self.root / "build" / "mutants"
        self.begin = time.monotonic()
        self.lock = threading.Lock()
        self.rows, self.wrong = [], []
        self.done = self.total = 0

    def say(self, text):
        with self.lock:
            print(f"[{time.monotonic() - self.begin:6.1f} s] {text}", flush=True)

    def run(self, mutants):
        self.total = len(mutants)
        groups = Counter(m.killer for m in mutants)
        self.say(f"{self.total} mutants, {len(groups)} tests, {self.jobs} jobs")
        work = queue.Queue()
        for killer, _ in groups.most_common():
            its = [m for m in mutants if m.killer == killer]
            for first in range(0, len(its), GROUP):
                work.put((self.killers[killer], its[first : first + GROUP]))
        jobs = min(self.jobs, work.qsize())
        with ThreadPoolExecutor(jobs) as pool:
            try:
                finish(
                    [
                        pool.submit(self.work, work, Tree(self.root, self.folder / f"tree{i}"))
                        for i in range(jobs)
                    ]
                )
            except BaseException:
                stop()
                raise
        return self.report()

    def work(self, groups, tree):
        try:
            tree.folder.mkdir(parents=True, exist_ok=True)
            tree.refresh()
            while True:
                try:
                    killer, mutants = groups.get_nowait()
                except queue.Empty:
                    return
                self.run_group(tree, killer, mutants)
        except Exception as error:  # a thread's end must not look like success
            with self.lock:
                self.wrong.append(
                    f"{tree.folder.name}: {error if isinstance(error, Trouble) else repr(error)}"
                )

    def run_group(self, tree, killer, mutants):
        tree.configure(killer)
        begin = time.monotonic()
        said = tree.build(killer)
        built = time.monotonic()
        clean = None if said else tree.test(killer, 2 * killer.seconds)
        if said or clean.status != 0:
            why = (
                "does not build"
                if said
                else "does not end"
                if clean.status is None
                else f"ends with status {clean.status}"
            )
            self.say(
                f"WRONG {killer.name} on the unchanged tree:"
                f" {why}\n{(said or clean.output)[-TAIL:]}"
            )
            with self.lock:
                self.wrong.append(
                    f"{killer.name} {why} on the unchanged tree; {len(mutants)} mutants were not"
                    " judged"
                )
            return
        self.say(
            f"{killer.name}: passes unchanged; built in {built - begin:.0f} s, ran"
            f" {clean.seconds:.1f} s; {len(mutants)} mutants"
        )
        for mutant in mutants:
            self.judge(tree, killer, mutant)

    def judge(self, tree, killer, mutant):
        begin = time.monotonic()
        output = tree.apply(mutant)
        verdict, report, tested = "does not apply", "", 0.0
        if not output:
            try:
                output = tree.build(killer)
                verdict = "does not build"
                if not output:
                    result = tree.test(killer, killer.seconds)
                    output, report, tested = result.output, result.reported, result.seconds
                    verdict = verdict_of(mutant, result)
            finally:
                tree.restore()
        row = Row(
            mutant.name,
            killer.name,
            mutant.source,
            verdict,
            report,
            time.monotonic() - begin - tested,
            tested,
        )
        with self.lock:
            self.rows.append(row)
            self.done += 1
        self.say(
            f"{self.done}/{self.total} {verdict:<8s} {mutant.name} by {killer.name},"
            f" {row.build_seconds:.1f} + {tested:.1f} s: {report[:110]}"
        )
        if verdict != "killed":
            self.say(output[-TAIL:])

    def report(self):
        self.rows.sort(key=lambda row: row.mutant)
        seconds = time.monotonic() - self.begin
        print(f"\n{'mutant':<52s} {'killer':<22s} {'source':<12s} {'seconds':>7s}  verdict")
        for row in self.rows:
            print(
                f"{row.mutant:<52s} {row.killer:<22s} {row.source:<12s} {row.test_seconds:>7.1f} "
                f" {row.verdict}"
            )
        for row in self.rows:
            if row.verdict != "killed":
                self.wrong.append(
                    f"{row.mutant}: {row.verdict}; again: ci/mutants/run --only '{row.mutant}'"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "matrix.json").write_text(
            json.dumps(
                {
                    "seconds": round(seconds, 1),
                    "wrong": self.wrong,
                    "mutants": [asdict(row) for row in self.rows],
                },
                indent=1,
            )
            + "\n"
        )
        for text in self.wrong:
            print(f"mutants: red: {text}")
        killed = sum(row.verdict == "killed" for row in self.rows)
        print(
            f"mutants: {killed} of {self.total} killed, by"
            f" {len({row.killer for row in self.rows})} tests, in {seconds:.0f} s"
        )
        return 1 if self.wrong or killed != self.total else 0


def verdict_of(mutant, result):
    if result.status == 0:
        return "survives"
    if result.status is None and not result.reported:
        return "killed" if mutant.ends else "does not end"
    if not result.reported:
        return "dies without a report"
    return "killed"
