#!/usr/bin/env python3
"""Tests of bench/before_after and of bench_seed, whose path is in BENCH_SEED."""

import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from before_after_report import BeforeAfterReport  # noqa: E402

PROGRAM = os.environ["BENCH_SEED"]


def report_of(rounds=15, instructions=None, **cycles):
    names = {"before": "SeedBefore", "first": "P0-1", "second": "P0-2", "shipped": "shipped"}
    samples = [
        {"policy": names[k], "size": "small", "threads": 1, "cycles": [v] * rounds}
        for k, v in cycles.items()
    ]
    return BeforeAfterReport(samples, instructions or {}, 100, 1)


class Reports(unittest.TestCase):
    def test_holds(self):
        r = report_of(before=100.0, first=76.0, second=55.0, shipped=50.0)
        self.assertEqual([v for _, v, _ in r.verdicts()], ["holds"])
        self.assertIn("-45 %", r.text())
        self.assertNotIn("Why the forecast", r.text())

    def test_misses_and_says_why(self):
        r = report_of(before=100.0, first=90.0, second=80.0, shipped=75.0)
        self.assertEqual([v for _, v, _ in r.verdicts()], ["misses"])
        self.assertIn("the ratio would be 0.75. P0-2 removes 80 % of what the layer cost", r.text())

    def test_few_rounds_decide_nothing(self):
        self.assertEqual(
            [
                v
                for _, v, _ in report_of(
                    14, before=100.0, first=76.0, second=10.0, shipped=5.0
                ).verdicts()
            ],
            ["undecided"],
        )

    def test_instructions_stand_beside(self):
        r = report_of(
            before=100.0,
            first=76.0,
            second=55.0,
            shipped=50.0,
            instructions={
                "small": {"SeedBefore": 60.0, "P0-1": 45.0, "P0-2": 30.0, "shipped": 28.0}
            },
        )
        self.assertEqual(r.counted("small", "P0-2", "SeedBefore"), "-50 %")


class Policies(unittest.TestCase):
    """That each policy does on the hot path what it is said to do."""

    def count(self, policy):
        done = subprocess.run(
            [PROGRAM, "--count", policy, "small", "--batches", "300"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    def test_samples(self):
        for policy in ("SeedBefore", "P0-1"):
            got = self.count(policy)
            self.assertAlmostEqual(
                got["learner_samples"], got["allocations"] / 100, delta=10
            )  # the chooser's first eight do not count
        for policy in ("P0-2", "shipped"):
            self.assertEqual(self.count(policy)["learner_samples"], 0)

    def bodies(self):
        listing = subprocess.run(
            ["objdump", "-d", "-C", "--no-show-raw-insn", PROGRAM],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return dict(
            re.findall(
                (
                    r"^[0-9a-f]+ <void\*"
                    r" hak::bench::hak_alloc_at<hak::bench::(\w+)>\([^\n]*\)>:\n(.*?)\n\n"
                ),
                listing,
                re.M | re.S,
            )
        )

    def test_locked_instructions(self):
        locked = {name: len(re.findall(r"\tlock ", body)) for name, body in self.bodies().items()}
        self.assertEqual(locked, {"Before": 1, "P01": 0, "P02": 0, "Shipped": 0})

    def test_words_of_the_layer(self):
        words = {
            name: set(
                re.findall(
                    r"(?:features|ticks|calls|selected|learner_of)\b",
                    " ".join(re.findall(r"<hak::bench::[^\n]*", body)),
                )
            )
            for name, body in self.bodies().items()
        }
        self.assertEqual(
            words,
            {
                "Before": {"features", "ticks", "calls", "selected", "learner_of"},
                "P01": {"calls", "selected"},
                "P02": {"learner_of"},
                "Shipped": set(),
            },
        )


class Command(unittest.TestCase):
    def run_with(self, *argv, out=subprocess.PIPE):
        return subprocess.run(
            [
                sys.executable,
                str(HERE / "before_after"),
                "--program",
                PROGRAM,
                "--no-instructions",
                "--rounds",
                "1",
                "--resamples",
                "100",
                *argv,
            ],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    def test_complete(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self.run_with("--json", f"{folder}/result.json")
            self.assertEqual(done.returncode, 0, done.stderr)
            content = json.loads(Path(folder, "result.json").read_text())
        self.assertEqual(content["tool"], "before_after")
        self.assertEqual(
            [(c["size"], c["threads"]) for c in content["cases"]],
            [("small", 1), ("small", 4), ("json", 1), ("json", 4)],
        )
        self.assertTrue(all(c["median_cycles"]["P0-2"] > 0 for c in content["cases"]))
        self.assertIn("undecided", done.stdout)

    def test_errors(self):
        for argv, status, said in [
            (["--rounds", "0"], 2, "--rounds must be"),
            (["--json", "/no/such/folder/x"], 2, "does not exist"),
            (["--program", "/does/not/exist"], 1, "ninja -C build/release bench_seed"),
            (["--program", "/bin/false"], 1, "ended with 1"),
            (["--program", "/bin/true"], 1, "/bin/true printed other than"),
            (["--json", "/dev/full"], 1, "No space left"),
        ]:
            done = self.run_with(*argv)
            self.assertEqual(
                (done.returncode, said in done.stderr), (status, True), (argv, done.stderr)
            )
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_with(out=full)
        self.assertEqual((done.returncode, "No space left" in done.stderr), (1, True), done.stderr)

    def test_program_that_does_not_end(self):
        loader = importlib.machinery.SourceFileLoader("before_after", str(HERE / "before_after"))
        module = importlib.util.module_from_spec(
            importlib.util.spec_from_loader("before_after", loader)
        )
        loader.exec_module(module)
        with self.assertRaisesRegex(module.Failure, "does not end in 0.1 s: sleep 60"):
            module.run(["sleep", "60"], 0.1)

    def test_interrupted(self):
        child = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "before_after"),
                "--program",
                PROGRAM,
                "--no-instructions",
                "--rounds",
                "10000",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        # A terminal interrupts the whole group; only once the program runs is there something to
        # interrupt.
        deadline = time.monotonic() + 30
        while not Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGINT)
        out, errors = child.communicate(timeout=60)
        self.assertEqual((child.returncode, out), (130, ""), errors)
        self.assertIn("interrupted", errors)

    def test_program_refuses(self):
        for argv in (
            ["--rounds"],
            ["--rounds", "-1"],
            ["--count", "P0-3", "small"],
            ["--count", "P0-2"],
            ["--what", "1"],
        ):
            done = subprocess.run(
                [PROGRAM, *argv], capture_output=True, text=True, check=False, timeout=60
            )
            self.assertEqual(done.returncode, 2, argv)
            self.assertIn("usage:", done.stderr)

    def test_program_needs_room_for_what_it_says(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run(
                [PROGRAM, "--list"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=60,
            )
        self.assertEqual(
            (done.returncode, "cannot be written" in done.stderr), (1, True), done.stderr
        )


if __name__ == "__main__":
    unittest.main()
