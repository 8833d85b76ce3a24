#!/usr/bin/env python3
"""Tests of stress/larson: its command line, and whole runs of a program that only pretends to be
larson."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent

FAKE = """#!/bin/sh
# seconds min max chunks rounds seed threads
echo "larson: 1000000 replacements/s, 42 threads in $7 chains, seed $6"
[ "$6" = "$FAIL_SEED" ] && { echo "FAIL seed $6: a block" >&2; exit 1; }
exit 0
"""


class Larson(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.program = self.folder / "larson"
        self.program.write_text(FAKE)
        self.program.chmod(0o755)
        library = (self.folder / "library.so").resolve()
        library.write_text("")
        self.command = [
            sys.executable,
            str(HERE / "larson"),
            "--program",
            str(self.program),
            "--lib",
            f"hakmem={library}",
            "--seconds",
            "1",
        ]

    def run_with(self, *argv, out=subprocess.PIPE, **environment):
        return subprocess.run(
            [*self.command, *argv],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, **environment},
        )

    def test_complete(self):
        # The stand-in is a shell script, whose interpreter complains of a library that is none; the
        # real larson must not.
        self.program.write_text(FAKE.replace("#!/bin/sh", "#!/usr/bin/env -S sh"))
        result = self.folder / "result.json"
        done = self.run_with(
            "--profile", "tiny,mt", "--pairs", "2", "--allocators", "glibc", "--json", str(result)
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be preloaded", done.stderr)
        done = subprocess.run(
            [
                *self.command[:4],
                "--profile",
                "tiny,mt",
                "--pairs",
                "2",
                "--allocators",
                "glibc",
                "--json",
                str(result),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        content = json.loads(result.read_text())
        self.assertEqual(content["tool"], "larson")
        self.assertEqual([run["seed"] for run in content["samples"]["mt"]["glibc"]], [12345, 12346])
        self.assertEqual(
            content["profiles"]["tiny"]["median_replacements_per_second"], {"glibc": 1_000_000}
        )
        self.assertIn("1.00;", done.stdout)

    def test_errors(self):
        (self.folder / "text").write_text("no program")
        (self.folder / "text").chmod(0o755)
        for argv, status, said in [
            (["--profile", "huge"], 2, "tiny, mid, large, mixed, mt, churn"),
            (["--profile", ""], 2, "a list of"),
            (["--profile", "tiny,mt,tiny"], 2, "each name once"),
            (["--seconds", "0"], 2, "--seconds must be"),
            (["--allocators", "unheard"], 2, "not known"),
            (["--json", "/no/such/folder/x"], 2, "does not exist"),
            (["--program", "/does/not/exist"], 1, "ninja -C build/release"),
            (["--program", "/tmp"], 1, "ninja -C build/release"),
            (["--program", str(self.folder / "text")], 1, "Exec format error"),
        ]:
            done = self.run_with(*argv)
            self.assertEqual(
                (done.returncode, said in done.stderr), (status, True), (argv, done.stderr)
            )

    def glibc_alone(self, *argv, **more):
        return subprocess.run(
            [*self.command[:4], "--allocators", "glibc", *argv],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            **more,
        )

    def test_failed_run_names_seed_and_command(self):
        done = self.glibc_alone(
            "--profile",
            "churn",
            "--pairs",
            "3",
            stdout=subprocess.PIPE,
            env={**os.environ, "FAIL_SEED": "12346"},
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAIL seed 12346", done.stderr)
        self.assertIn("larson 3 8 1000 50 1 12346 4", done.stderr)
        self.assertIn("churn", done.stdout)

    def test_a_library_that_does_not_serve_is_no_allocator(self):
        library = "/lib/x86_64-linux-gnu/libm.so.6"
        done = self.glibc_alone(
            "--profile", "churn", "--lib", f"other={library}", stdout=subprocess.PIPE
        )
        self.assertEqual(
            (
                done.returncode,
                "malloc is served by" in done.stderr,
                f"not by other ({os.path.realpath(library)})" in done.stderr,
            ),
            (1, True, True),
            done.stderr,
        )

    def test_an_option_that_hakmem_refuses_is_no_measurement(self):
        self.program.write_text(
            FAKE.replace("exit 0", "echo 'hakmem: HAKMEM_OPTIONS: unknown option: tph' >&2; exit 0")
        )
        done = self.glibc_alone("--profile", "churn", stdout=subprocess.PIPE)
        self.assertEqual(
            (done.returncode, "unknown option: tph" in done.stderr), (1, True), done.stderr
        )

    def test_terminated_it_leaves_no_program_behind(self):
        begun = self.folder / "begun"
        self.program.write_text(
            f"#!/bin/sh\n[ $1 = x ] && exit 2; echo $$ >{begun}.new; mv {begun}.new {begun}; exec"
            " sleep 100\n"
        )
        child = subprocess.Popen(
            [*self.command[:4], "--allocators", "glibc", "--profile", "tiny"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not begun.exists():
            self.assertIsNone(child.poll())
            time.sleep(0.01)
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=60)
        self.assertEqual(
            (child.returncode, "stress/larson: interrupted" in errors), (143, True), errors
        )
        self.assertFalse(Path(f"/proc/{begun.read_text().strip()}").exists())

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.glibc_alone("--profile", "churn", stdout=full)
        self.assertEqual((done.returncode, "No space left" in done.stderr), (1, True), done.stderr)
        done = self.glibc_alone("--profile", "churn", "--json", "/dev/full", stdout=subprocess.PIPE)
        self.assertEqual(
            (done.returncode, "No space left" in done.stderr, "churn" in done.stdout),
            (1, True, True),
            done.stderr,
        )

    def test_interrupted(self):
        child = subprocess.Popen(
            [*self.command[:4], "--allocators", "glibc", "--profile", "tiny", "--pairs", "10000"],
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
        self.assertIn("tiny", out)

    def test_list(self):
        done = self.run_with("--list")
        self.assertEqual(done.returncode, 0)
        self.assertIn("tiny   larson 1 8 128 1024 1 12345 4", done.stdout)
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_with("--list", out=full)
        self.assertEqual(
            (done.returncode, done.stderr), (1, "standard output: No space left on device\n")
        )


if __name__ == "__main__":
    unittest.main()
