#!/usr/bin/env python3
"""Tests of bench/compare: the statistics, the verdicts, the usage errors. Quick; runs no
workload."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import paired  # noqa: E402
import report  # noqa: E402

loader = importlib.machinery.SourceFileLoader("compare", str(HERE / "compare"))
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
loader.exec_module(compare)


def noisy(rng, center, count=20, spread=0.05):
    return [center * rng.lognormvariate(0, spread) for _ in range(count)]


class Statistics(unittest.TestCase):
    def test_percentile(self):
        self.assertEqual(paired.percentile([1.0, 2.0, 3.0], 0.5), 2.0)
        self.assertEqual(paired.percentile([1.0, 2.0], 0.25), 1.25)
        self.assertEqual(paired.percentile([5.0], 0.975), 5.0)

    def test_geometric_mean(self):
        self.assertAlmostEqual(paired.geometric_mean([0.5, 2.0]), 1.0)
        self.assertAlmostEqual(paired.geometric_mean([1.0, 8.0, 1.0]), 2.0)

    def test_ratios_are_paired(self):
        # A disturbance that hits whole rounds divides out.
        peer = [1.0, 10.0, 3.0, 7.0]
        self.assertEqual(paired.ratios([2 * p for p in peer], peer), [2.0] * 4)
        self.assertRaises(ValueError, paired.ratios, [1.0], [1.0, 2.0])

    def test_constant_ratio_has_no_width(self):
        e = paired.median_ratio([2.0] * 20, [1.0] * 20, 200, 1)
        self.assertEqual((e.value, e.low, e.high), (2.0, 2.0, 2.0))

    def test_same_seed_same_bounds(self):
        rng = random.Random(3)
        a, b = noisy(rng, 1.0), noisy(rng, 1.0)
        first, second = (paired.median_ratio(a, b, 300, 7) for _ in range(2))
        self.assertEqual(first.as_dict(), second.as_dict())
        self.assertNotEqual(first.as_dict(), paired.median_ratio(a, b, 300, 8).as_dict())
        self.assertTrue(first.low < first.value < first.high)

    def test_coverage(self):
        # 200 experiments of which the true ratio is 1.2: nominally 190 intervals contain it. The
        # seed is fixed.
        rng = random.Random(11)
        covered = 0
        for _ in range(200):
            e = paired.median_ratio(noisy(rng, 1.2), noisy(rng, 1.0), 300, 5)
            covered += e.low <= 1.2 <= e.high
        self.assertGreaterEqual(covered, 178)
        self.assertLess(covered, 200)

    def test_worst_ratio_is_to_the_best_peer(self):
        e = paired.worst_median_ratio([2.0] * 20, [[4.0] * 20, [1.0] * 20, [8.0] * 20], 200, 1)
        self.assertEqual(e.value, 2.0)
        rng = random.Random(2)
        mine, p, q = noisy(rng, 1.0), noisy(rng, 1.0), noisy(rng, 1.0)
        worst = paired.worst_median_ratio(mine, [p, q], 300, 1)
        single = [paired.median_ratio(mine, peer, 300, 1) for peer in (p, q)]
        self.assertEqual(worst.value, max(e.value for e in single))
        self.assertGreaterEqual(worst.high, max(e.high for e in single))

    def test_geometric_mean_ratio(self):
        pairs = [([2.0] * 20, [1.0] * 20), ([1.0] * 20, [2.0] * 20)]
        self.assertAlmostEqual(paired.geometric_mean_ratio(pairs, 200, 1).value, 1.0)
        rng = random.Random(4)
        pairs = [(noisy(rng, 0.8), noisy(rng, 1.0)) for _ in range(6)]
        e = paired.geometric_mean_ratio(pairs, 300, 1)
        self.assertTrue(e.low < 0.8 < e.high)
        self.assertLess(e.high, 1.0)


class Verdicts(unittest.TestCase):
    def verdict(self, low, high, limit=1.0, pairs=20):
        return paired.verdict(paired.Estimate((low + high) / 2, low, high), limit, pairs, 20)

    def test_sides(self):
        self.assertEqual(self.verdict(0.8, 0.9), paired.HOLDS)
        self.assertEqual(self.verdict(0.8, 1.0), paired.HOLDS)
        self.assertEqual(self.verdict(0.9, 1.01), paired.UNDECIDED)
        self.assertEqual(self.verdict(1.0, 1.1), paired.UNDECIDED)
        self.assertEqual(self.verdict(1.001, 1.1), paired.MISSES)

    def test_too_few_pairs(self):
        self.assertEqual(self.verdict(0.1, 0.2, pairs=19), paired.UNDECIDED)
        self.assertEqual(self.verdict(7.0, 8.0, pairs=19), paired.UNDECIDED)

    def test_together(self):
        h, m, u = paired.HOLDS, paired.MISSES, paired.UNDECIDED
        self.assertEqual(paired.together([h, h]), h)
        self.assertEqual(paired.together([h, u]), u)
        self.assertEqual(paired.together([h, u, m]), m)
        self.assertEqual(paired.together([]), u)


def run_of(seconds, peak, baseline=1000):
    return {
        "seconds": seconds,
        "cpu_seconds": 3 * seconds,
        "ops": 1000,
        "peak_kib": peak,
        "baseline_kib": baseline,
    }


class Reports(unittest.TestCase):
    def report(self, seconds, peaks, rounds=20, workload="larson-1"):
        """One workload; seconds and peaks by allocator, the same in every round."""
        samples = {workload: {a: [run_of(s, peaks[a])] * rounds for a, s in seconds.items()}}
        return report.Report(samples, list(seconds), "hakmem", 200, 1)

    def by_bound(self, r):
        return {bound: verdict for bound, verdict, _ in r.verdicts()}

    def test_all_hold(self):
        r = self.report(
            {"glibc": 2.0, "mimalloc": 1.0, "hakmem": 0.9},
            {"glibc": 3000, "mimalloc": 5000, "hakmem": 4000},
        )
        self.assertEqual(set(self.by_bound(r).values()), {"holds"})
        self.assertEqual(len(r.verdicts()), 4)
        self.assertAlmostEqual(r.memory["larson-1"].value, 3000 / 3000)

    def test_each_bound_can_miss(self):
        peaks = {"glibc": 3000, "mimalloc": 3000, "hakmem": 3000}
        r = self.by_bound(self.report({"glibc": 1.0, "mimalloc": 2.0, "hakmem": 1.2}, peaks))
        self.assertEqual(r["geometric mean of cost <= 1.00 of mimalloc's"], "holds")
        self.assertEqual(r["larson-1 <= 1.05 of the best peer's"], "misses")
        self.assertEqual(r["no workload above 1.30 of the best peer's"], "holds")
        r = self.by_bound(
            self.report({"glibc": 1.0, "mimalloc": 1.0, "hakmem": 1.4}, peaks, workload="tree")
        )
        self.assertEqual(r["geometric mean of cost <= 1.00 of mimalloc's"], "misses")
        self.assertEqual(r["no workload above 1.30 of the best peer's"], "misses")
        self.assertNotIn("larson-1 <= 1.05 of the best peer's", r)
        r = self.by_bound(
            self.report({"glibc": 1.0, "mimalloc": 1.0, "hakmem": 1.0}, {**peaks, "hakmem": 3500})
        )
        self.assertEqual(r["peak RSS of each workload <= 1.20 of the median peer's"], "misses")

    def test_partial_rounds_and_nothing(self):
        r = self.report(
            {"glibc": 1.0, "mimalloc": 1.0, "hakmem": 0.5},
            {"glibc": 3000, "mimalloc": 3000, "hakmem": 2000},
            rounds=3,
        )
        self.assertEqual(set(self.by_bound(r).values()), {"undecided"})
        self.assertIn("a verdict needs 20", r.text())
        empty = report.Report(
            {"tree": {"glibc": [], "hakmem": []}}, ["glibc", "hakmem"], "hakmem", 200, 1
        )
        self.assertIn("Nothing was measured", empty.text())
        self.assertEqual(empty.verdicts(), [])

    def test_libraries_given_by_name_are_no_peers(self):
        r = self.report(
            {"glibc": 1.0, "other": 0.1, "hakmem": 1.0},
            {"glibc": 3000, "other": 3000, "hakmem": 3000},
        )
        self.assertEqual(r.best_name["larson-1"], "glibc")
        self.assertAlmostEqual(r.cost["larson-1"]["other"].value, 10.0)

    def test_clocks(self):
        samples = {
            "tree": {
                "glibc": [{**run_of(1.0, 3000), "cpu_seconds": 1.0}],
                "hakmem": [{**run_of(2.0, 3000), "cpu_seconds": 0.5}],
            }
        }
        ratio = {
            clock: (
                report.Report(samples, ["glibc", "hakmem"], "hakmem", 100, 1, clock)
                .cost["tree"]["glibc"]
                .value
            )
            for clock in ("wall", "cpu")
        }
        self.assertEqual(ratio, {"wall": 2.0, "cpu": 0.5})

    def test_no_subject(self):
        r = report.Report({"tree": {"glibc": [run_of(1.0, 2000)]}}, ["glibc"], "hakmem", 200, 1)
        self.assertEqual(r.verdicts(), [])
        self.assertIn("tree", r.text())
        self.assertEqual(statistics.median(r.net_kib("tree", "glibc")), 1000)


class Command(unittest.TestCase):
    def exit_of(self, *argv):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            try:
                return compare.main(list(argv)), errors.getvalue()
            except SystemExit as stop:
                return stop.code, errors.getvalue()

    def test_usage_errors(self):
        for argv in (
            ["--pairs", "0"],
            ["--pairs", "x"],
            ["--scale", "0"],
            ["--workload", "("],
            ["--lib", "nothing"],
            ["--lib", "a=/does/not/exist"],
            ["--lib", "glibc=/etc/passwd"],
            ["--allocators", "glibc,unheard"],
            ["--allocators", ""],
            ["--allocators", "glibc,glibc"],
            ["--what"],
            ["--json", "/no/such/folder/x"],
        ):
            status, message = self.exit_of(*argv)
            self.assertEqual(status, 2, argv)
            self.assertTrue(message.strip(), argv)

    def test_output_that_could_not_be_replaced_after_an_hour(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            result = Path(folder, "result.json")
            result.write_text("{}")
            result.chmod(0o666)
            Path(folder, "loop").symlink_to("loop")
            os.chmod(folder, 0o555)
            if os.geteuid() == 0:
                os.seteuid(65534)
                self.addCleanup(os.seteuid, 0)
            try:
                for name in ("result.json", "loop", "x" * 300, "x" * 250):
                    status, message = self.exit_of("--json", f"{folder}/{name}")
                    self.assertEqual(
                        (status, "it cannot be written" in message), (2, True), message
                    )
            finally:
                if os.getuid() == 0:
                    os.seteuid(0)
                os.chmod(folder, 0o755)

    def test_missing_library_names_the_package(self):
        with tempfile.TemporaryDirectory() as folder:
            before = compare.DEBIAN["jemalloc"]
            compare.DEBIAN["jemalloc"] = ([f"{folder}/libjemalloc.so.2"], "libjemalloc2")
            try:
                status, message = self.exit_of("--allocators", "jemalloc")
            finally:
                compare.DEBIAN["jemalloc"] = before
        self.assertEqual(status, 1)
        self.assertIn("apt-get install libjemalloc2", message)

    def test_library_that_cannot_be_preloaded_from_where_it_is(self):
        with tempfile.TemporaryDirectory(prefix="a b") as folder:
            library = Path(folder, "x.so")
            library.write_text("")
            status, message = self.exit_of("--allocators", "glibc", "--lib", f"x={library}")
        self.assertEqual((status, "LD_PRELOAD cannot name it" in message), (1, True), message)

    def test_missing_programs(self):
        status, message = self.exit_of("--allocators", "glibc", "--programs", "/does/not/exist")
        self.assertEqual(status, 1)
        self.assertIn("bench_workloads", message)

    def test_proof_of_the_serving_library(self):
        options = compare.arguments([])
        runner = compare.Runner(options, {"glibc": None, "x": Path("/etc/passwd")})
        libc = "/lib/x86_64-linux-gnu/libc.so.6"
        good = {"malloc": libc, "free": libc, "realloc": libc, "mapped": []}
        runner.prove("glibc", good, "", "")
        self.assertRaises(compare.Failure, runner.prove, "x", good, "", "")
        self.assertRaises(
            compare.Failure, runner.prove, "glibc", {**good, "mapped": ["libjemalloc"]}, "", ""
        )
        self.assertRaises(
            compare.Failure, runner.prove, "glibc", {**good, "free": "/etc/passwd"}, "", ""
        )
        runner.prove(
            "x",
            {
                "malloc": "/etc/passwd",
                "free": "/etc/passwd",
                "realloc": "/etc/passwd",
                "mapped": [],
            },
            "",
            "",
        )


FAKE = """#!/bin/sh
if [ "$1" = --list ]; then echo "alpha 1"; echo "beta 2"; exit 0; fi
library=${LD_PRELOAD:-/lib/libc.so.6}
sum=7; [ -n "$LD_PRELOAD" ] && [ "$1" = "$WRONG_SUM" ] && sum=8
[ "$1" = "$CRASH" ] && { echo broken >&2; exit 3; }
echo "{\\"workload\\": \\"$1\\", \\"seconds\\": 0.5, \\"cpu_seconds\\": 0.7, \\"ops\\": 100,"
echo "\\"peak_kib\\": 3000, \\"baseline_kib\\": 1000, \\"checksum\\": \\"$sum\\", \\"mapped\\": [],"
echo "\\"malloc\\": \\"$library\\", \\"free\\": \\"$library\\", \\"realloc\\": \\"$library\\"}"
"""


class WholeRuns(unittest.TestCase):
    """bench/compare as a process, on a program that only pretends to measure."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.programs = self.folder / "programs"
        self.programs.write_text(FAKE)
        self.programs.chmod(0o755)
        self.library = self.folder / "library.so"
        self.library.write_text("")
        self.command = [
            sys.executable,
            str(HERE / "compare"),
            "--programs",
            str(self.programs),
            "--allocators",
            "glibc",
            "--lib",
            f"hakmem={self.library.resolve()}",
            "--resamples",
            "100",
        ]

    def run_with(self, *argv, **environment):
        return subprocess.run(
            [*self.command, *argv],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
            timeout=60,
        )

    def test_complete(self):
        result = self.folder / "result.json"
        done = self.run_with("--pairs", "20", "--workload", "alpha", "--json", str(result))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("round 20 of 20", done.stderr)
        self.assertIn("alpha", done.stdout)
        self.assertNotIn("beta", done.stdout)
        content = json.loads(result.read_text())
        self.assertEqual(len(content["samples"]["alpha"]["hakmem"]), 20)
        self.assertEqual({v["verdict"] for v in content["verdicts"]}, {"holds"})

    def test_strict_needs_every_verdict(self):
        self.assertEqual(self.run_with("--pairs", "1", "--strict").returncode, 1)
        self.assertEqual(self.run_with("--pairs", "20", "--strict").returncode, 0)

    def test_wrong_checksum(self):
        done = self.run_with("--pairs", "1", WRONG_SUM="beta")
        self.assertEqual(done.returncode, 1)
        self.assertIn("beta: checksum", done.stderr)

    def test_crash_names_the_command(self):
        done = self.run_with("--pairs", "1", CRASH="beta")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ended with 3: ", done.stderr)
        self.assertIn("again: ", done.stderr)
        self.assertIn("programs beta --scale", done.stderr)

    def test_program_that_measures_something_else(self):
        self.programs.write_text(FAKE.replace("baseline_kib", "other_kib"))
        done = self.run_with("--pairs", "1")
        self.assertEqual(
            (
                done.returncode,
                "printed other than bench_workloads does, no baseline_kib" in done.stderr,
            ),
            (1, True),
            done.stderr,
        )

    def test_terminated_it_leaves_no_program_behind(self):
        begun = self.folder / "begun"
        self.programs.write_text(
            FAKE.replace(
                "sum=7;", f"echo $$ >{begun}.new; mv {begun}.new {begun}; exec sleep 100; sum=7;"
            )
        )
        child = subprocess.Popen(
            [*self.command, "--pairs", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not begun.exists():
            self.assertIsNone(child.poll())
            time.sleep(0.01)
        child.send_signal(signal.SIGTERM)
        out, errors = child.communicate(timeout=60)
        self.assertEqual((child.returncode, out), (143, "Nothing was measured.\n"), errors)
        self.assertIn("bench/compare: interrupted", errors)
        self.assertFalse(Path(f"/proc/{begun.read_text().strip()}").exists())

    def test_interrupt_prints_what_there_is(self):
        child = subprocess.Popen(
            [*self.command, "--pairs", "10000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = ""
        while "round 1 of" not in line:
            line = child.stderr.readline()
            self.assertTrue(line)
        child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, errors)
        self.assertIn("interrupted", errors)
        self.assertIn("alpha", out)
        self.assertIn("undecided", out)


if __name__ == "__main__":
    unittest.main()
