#!/usr/bin/env python3
"""Tests of bench/allocators: points and bounds, the errors of the command line, and whole runs of a
program that only pretends to measure."""

import io
import contextlib
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import scenario_report  # noqa: E402

loader = importlib.machinery.SourceFileLoader("allocators", str(HERE / "allocators"))
allocators = importlib.util.module_from_spec(importlib.util.spec_from_loader("allocators", loader))
loader.exec_module(allocators)


def run_of(ns, limit=40.0):
    return {
        "ns_per_op": ns,
        "limit_ns_per_op": limit,
        "ratio_to_limit": ns / limit,
        "faults_per_op": 0.0,
        "peak_kib": 3000,
        "ops": 100,
    }


def report_of(costs, rounds=15, **more):
    """costs[scenario][allocator] is a cost in nanoseconds, the same in all rounds."""
    samples = {s: {a: [run_of(ns)] * rounds for a, ns in row.items()} for s, row in costs.items()}
    names = list(next(iter(costs.values())))
    return scenario_report.ScenarioReport(
        samples, names, more.pop("subject", "hakmem"), 100, 1, **more
    )


class Reports(unittest.TestCase):
    def test_points(self):
        r = report_of(
            {
                "json": {"glibc": 40.0, "mimalloc": 50.0, "hakmem": 30.0},
                "vm": {"glibc": 40.0, "mimalloc": 40.0, "hakmem": 90.0},
            }
        )
        self.assertEqual(r.points(), {"glibc": 2 + 2.5, "hakmem": 3 + 1, "mimalloc": 1 + 2.5})
        self.assertEqual(list(r.points())[0], "glibc")

    def test_bounds_hold(self):
        r = report_of(
            {
                "json": {"glibc": 40.0, "hakmem": 38.0},
                "mir": {"glibc": 40.0, "hakmem": 40.0},
                "vm": {"glibc": 80.0, "hakmem": 42.0},
            }
        )
        self.assertEqual([v for _, v, _ in r.verdicts()], ["holds"] * 3)
        self.assertAlmostEqual(r.to_limit["vm"]["hakmem"].value, 1.05)

    def test_each_bound_can_miss(self):
        r = report_of(
            {
                "json": {"glibc": 40.0, "hakmem": 39.0},
                "mir": {"glibc": 40.0, "hakmem": 41.0},
                "vm": {"glibc": 80.0, "hakmem": 43.0},
            }
        )
        self.assertEqual([v for _, v, _ in r.verdicts()], ["misses"] * 3)

    def test_the_best_peer_is_the_fastest(self):
        r = report_of({"json": {"glibc": 40.0, "mimalloc": 20.0, "hakmem": 30.0}})
        self.assertEqual(r.best_name["json"], "mimalloc")
        self.assertAlmostEqual(r.to_best["json"].value, 1.5)

    def test_few_rounds_decide_nothing(self):
        r = report_of({"json": {"glibc": 40.0, "hakmem": 10.0}}, rounds=14)
        self.assertEqual([v for _, v, _ in r.verdicts()], ["undecided"])
        self.assertIn("a verdict needs 15", r.text())

    def test_learning_beside_the_best_fixed(self):
        r = report_of(
            {"mixed-live": {"fixed-2M": 60.0, "fixed-1536K": 30.0, "fixed-16M": 20.0}},
            learning={
                "mixed-live": {
                    "froze_kib": 1536,
                    "ns_per_op": 31.0,
                    "fixed": [(2048, 1.2), (16384, 0.5)],
                    "learned": (16384, 0.51),
                }
            },
        )
        row = r.learning_rows()["mixed-live"]
        self.assertAlmostEqual(row["wall"]["value"], 1.5)
        self.assertAlmostEqual(row["deterministic"], 1.02)
        self.assertEqual((row["best_by_wall"], row["froze"]), ("fixed-16M", "fixed-1536K"))
        self.assertIn("1.020", r.text())

    def test_nothing(self):
        self.assertIn(
            "Nothing",
            scenario_report.ScenarioReport(
                {"json": {"glibc": []}}, ["glibc"], "hakmem", 100, 1
            ).text(),
        )


class Command(unittest.TestCase):
    def exit_of(self, *argv):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            try:
                return allocators.main(list(argv)), errors.getvalue()
            except SystemExit as stop:
                return stop.code, errors.getvalue()

    def test_usage_errors(self):
        for argv in (
            ["--pairs", "0"],
            ["--scale", "-1"],
            ["--scenario", "("],
            ["--lib", "nothing"],
            ["--variant", "x"],
            ["--variant", "glibc=a"],
            ["--allocators", "glibc,unheard"],
            ["--learning", "--counts"],
            ["--learning", "--strict"],
            ["--learning", "--subject", "glibc"],
            ["--json", "/no/such/folder/x"],
            ["--json", "/"],
            ["--what"],
        ):
            status, message = self.exit_of(*argv)
            self.assertEqual(status, 2, argv)
            self.assertTrue(message.strip(), argv)

    def test_missing_peer_names_the_package(self):
        with tempfile.TemporaryDirectory() as folder:
            before = allocators.runs.DEBIAN["mimalloc"]
            allocators.runs.DEBIAN["mimalloc"] = ([f"{folder}/libmimalloc.so"], "libmimalloc2.0")
            try:
                status, message = self.exit_of("--allocators", "mimalloc")
            finally:
                allocators.runs.DEBIAN["mimalloc"] = before
        self.assertEqual(status, 1)
        self.assertIn("apt-get install libmimalloc2.0", message)

    def test_missing_programs(self):
        status, message = self.exit_of("--allocators", "glibc", "--programs", "/does/not/exist")
        self.assertEqual(
            (status, "ninja -C build/release bench_allocators" in message), (1, True), message
        )

    def test_programs_that_are_others(self):
        for program in ("/tmp", "/bin/ls", "/bin/echo", "/etc/passwd"):
            status, message = self.exit_of("--allocators", "glibc", "--programs", program)
            self.assertEqual((status, program in message), (1, True), message)

    def test_a_count_that_does_not_end(self):
        with mock.patch.object(
            allocators.subprocess, "run", side_effect=subprocess.TimeoutExpired("valgrind", 600)
        ):
            with self.assertRaisesRegex(allocators.Failure, "does not end: valgrind program"):
                allocators.Counter.run(None, ["valgrind", "program"], {})

    def test_the_judged_is_among_them(self):
        for argv in (["--subject", "nobody"], ["--subject", "mimalloc"], ["--strict"]):
            status, message = self.exit_of("--allocators", "glibc", *argv)
            self.assertEqual(
                (status, "none of the allocators, glibc" in message), (2, True), message
            )


FAKE = """#!/bin/sh
if [ "$1" = --list ]; then echo "json 1"; echo "vm 1"; echo "vm-live 1"; exit 0; fi
library=${LD_PRELOAD:-/lib/libc.so.6}
[ "$1" = "$CRASH" ] && { echo broken >&2; exit 3; }
ns=50; [ "$HAKMEM_OPTIONS" = slow ] && ns=100
[ "$HAKMEM_OPTIONS" = tph=1 ] && echo "hakmem: HAKMEM_OPTIONS: unknown option: tph" >&2
[ "$4" = --frozen ] && echo "{\\"froze_kib\\": 3072,"  || echo "{"
echo "\\"workload\\": \\"$1\\", \\"ns_per_op\\": $ns, \\"limit_ns_per_op\\": 40,"
echo "\\"ratio_to_limit\\": 1.25, \\"ops\\": 100, \\"faults_per_op\\": 0,"
echo "\\"peak_kib\\": 3000, \\"checksum\\": \\"7\\", \\"mapped\\": [],"
echo "\\"malloc\\": \\"$library\\", \\"free\\": \\"$library\\", \\"realloc\\": \\"$library\\"}"
"""


class WholeRuns(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        programs = self.folder / "programs"
        programs.write_text(FAKE)
        programs.chmod(0o755)
        library = (self.folder / "library.so").resolve()
        library.write_text("")
        self.command = [
            sys.executable,
            str(HERE / "allocators"),
            "--programs",
            str(programs),
            "--allocators",
            "glibc,hakmem",
            "--lib",
            f"hakmem={library}",
            "--variant",
            "slowly=slow",
            "--resamples",
            "100",
        ]

    def run_with(self, *argv, out=subprocess.PIPE, before=None, **environment):
        return subprocess.run(
            [*self.command, *argv],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, **environment},
            preexec_fn=before,
        )

    def test_complete(self):
        result = self.folder / "result.json"
        done = self.run_with("--pairs", "2", "--json", str(result))
        self.assertEqual(done.returncode, 0, done.stderr)
        content = json.loads(result.read_text())
        self.assertEqual(set(content["scenarios"]), {"json", "vm"})
        self.assertEqual(
            content["scenarios"]["vm"]["median_ns_per_op"],
            {"glibc": 50, "hakmem": 50, "slowly": 100},
        )
        self.assertEqual(
            (content["tool"], content["options"]["settings"]), ("allocators", {"slowly": "slow"})
        )
        self.assertIn("slowly 2", done.stdout)

    def test_learning(self):
        policy = self.folder / "policy_scenarios"
        policy.write_text(
            """#!/bin/sh
echo "         threshold    score"
echo "vm        2048 KiB    1.200        300"
echo "vm       16384 KiB    0.500        300"
echo "vm       16384 KiB    0.510        300   what mode learning froze"
"""
        )
        policy.chmod(0o755)
        command = [
            part
            for part in self.command
            if part not in ("--allocators", "glibc,hakmem", "--variant", "slowly=slow")
        ]
        done = subprocess.run(
            [
                *command,
                "--learning",
                "--pairs",
                "2",
                "--policy-scenarios",
                str(policy),
                "--json",
                str(self.folder / "result.json"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        content = json.loads((self.folder / "result.json").read_text())
        row = content["learning_over_best_fixed"]["vm-live"]
        self.assertEqual(
            (row["froze"], row["wall"]["value"], round(row["deterministic"], 9)),
            ("fixed-3M", 1.0, 1.02),
        )
        self.assertEqual(sum(a.startswith("fixed-") for a in content["samples"]["vm-live"]), 12)
        self.assertIn("threshold=1536K", content["options"]["settings"]["fixed-1536K"])
        done = subprocess.run(
            [*command, "--learning", "--policy-scenarios", "/bin/false"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(
            (done.returncode, "/bin/false ended with 1" in done.stderr), (1, True), done.stderr
        )

    def test_wrong_scenario(self):
        done = self.run_with("--scenario", "xml")
        self.assertEqual(done.returncode, 2)
        self.assertIn("matches none of json, vm", done.stderr)

    def test_crash_names_the_command(self):
        done = self.run_with("--pairs", "1", CRASH="vm")
        self.assertEqual(done.returncode, 1)
        self.assertIn("programs vm --scale", done.stderr)

    def test_an_option_that_hakmem_refuses_is_no_measurement(self):
        done = self.run_with("--pairs", "1", "--variant", "misspelled=tph=1")
        self.assertEqual(
            (done.returncode, "unknown option: tph" in done.stderr), (1, True), done.stderr
        )

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_with("--pairs", "1", out=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)
        done = self.run_with("--pairs", "1", "--json", "/dev/full")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/dev/full: No space left", done.stderr)
        self.assertIn("Cost: median", done.stdout)

    def test_a_result_stays_until_there_is_another(self):
        result = self.folder / "result.json"
        result.write_text("an hour's work")
        done = self.run_with(
            "--pairs", "1", "--scenario", "^vm$", "--json", str(result), CRASH="vm"
        )
        self.assertEqual((done.returncode, result.read_text()), (1, "an hour's work"), done.stderr)
        done = self.run_with(
            "--pairs",
            "1",
            "--json",
            str(result),
            before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        )
        self.assertEqual((done.returncode, result.read_text()), (1, "an hour's work"), done.stderr)
        self.assertIn("result.json: File too large", done.stderr)
        self.assertEqual(
            sorted(path.name for path in self.folder.iterdir()),
            ["library.so", "programs", "result.json"],
        )

    def test_strict(self):
        done = self.run_with("--pairs", "15", "--scenario", "^vm$", "--strict")
        self.assertEqual((done.returncode, "misses" in done.stdout), (1, True), done.stderr)
        done = self.run_with("--pairs", "1", "--scenario", "live", "--strict")
        self.assertEqual(
            (done.returncode, "there is no bound" in done.stderr), (1, True), done.stderr
        )

    def test_interrupted_before_anything_was_measured(self):
        policy = self.folder / "policy_scenarios"
        begun = self.folder / "begun"
        policy.write_text(f"#!/bin/sh\n: >{begun}; exec sleep 100\n")
        policy.chmod(0o755)
        child = subprocess.Popen(
            [
                *self.command[:4],
                *self.command[6:8],
                "--learning",
                "--policy-scenarios",
                str(policy),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while not begun.exists():
            self.assertIsNone(child.poll())
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        out, errors = child.communicate(timeout=60)
        self.assertEqual(
            (child.returncode, out, errors), (130, "", "bench/allocators: interrupted\n")
        )

    def test_interrupted(self):
        child = subprocess.Popen(
            [*self.command, "--pairs", "10000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while "round 1 of" not in child.stderr.readline():
            self.assertIsNone(child.poll())
        child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, errors)
        self.assertIn("interrupted", errors)
        self.assertIn("Points", out)


if __name__ == "__main__":
    unittest.main()
