"""ci/campaign, on a seeded defect: it finds the crash without seeds, files a text that replays, and ends cleanly when it is interrupted."""

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = [
    sys.executable,
    "-B",
    str(ROOT / "ci" / "campaign"),
    "--built",
    "--target",
    "size_class",
]


class CampaignTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.options = [
            "--folder",
            str(self.folder / "work"),
            "--regressions",
            str(self.folder / "regressions"),
        ]

    def test_crash_is_found_and_filed(self):
        run = subprocess.run(
            [*CAMPAIGN, *self.options, "--each", "10", "--jobs", "1", "--seedless"],
            capture_output=True,
            text=True,
            env=dict(os.environ, HAKMEM_FUZZ_DEFECT="one_byte_over"),
        )
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        filed = sorted((self.folder / "regressions" / "size_class").iterdir())
        self.assertTrue(filed, run.stdout)
        self.assertEqual(filed[0].suffix, ".txt")
        self.assertEqual(len(filed[0].read_text().splitlines()), 1, "shrunk to the one command")
        again = re.search(r"; again: (.*)", run.stdout)[1].split()
        self.assertEqual(
            subprocess.run(again, capture_output=True).returncode,
            0,
            "with the defect the line must show the failure",
        )
        healthy = [word for word in again if word not in ("--defect", "one_byte_over")]
        self.assertEqual(
            subprocess.run(healthy, capture_output=True).returncode,
            0,
            "without the defect there is none",
        )

    def test_a_search_that_cannot_be_recorded_is_no_success(self):
        run = subprocess.run(
            [*CAMPAIGN, *self.options, "--each", "3", "--jobs", "1", "--seedless"],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        )
        self.assertEqual(
            (run.returncode, "File too large" in run.stdout, run.stderr), (2, True, ""), run.stdout
        )

    def test_interrupt_ends_it_with_its_summary(self):
        run = subprocess.Popen(
            [*CAMPAIGN, *self.options, "--each", "100", "--jobs", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        time.sleep(4)
        run.send_signal(signal.SIGINT)
        text, _ = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 130, text)
        self.assertRegex(text, r"campaign: [1-9]\d* inputs, 0 crashes, interrupted")


if __name__ == "__main__":
    unittest.main()
