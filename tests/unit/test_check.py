#!/usr/bin/env python3
"""Tests of tests/check.h on check_subject: what a test program says when a test fails, crashes or
hangs, and that its last line runs that test again.

usage: test_check.py PROGRAM
"""
import os
import shlex
import signal
import subprocess
import sys
import unittest

PROGRAM = ""
NAMES = (
    "passes fails fails_too crashes overflows_the_stack aborts hangs has_a_child_that_dies"
    " says_its_seed"
).split()


def run(*arguments, **environment):
    return subprocess.run(
        [os.path.join(".", os.path.relpath(PROGRAM)), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Check(unittest.TestCase):
    def dies(self, name, number, line):
        done = run("--only", name, "--seed", "7")
        self.assertEqual(done.returncode, -number, done)
        self.assertEqual(
            done.stderr.splitlines()[-2:],
            [line, f"reproduce: {PROGRAM} --only {name} --seed 7"],
        )

    def test_the_list_has_every_test(self):
        self.assertEqual(run("--list").stdout.split(), NAMES)

    def test_help_is_no_failure(self):
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ("--list", "--only", "--except", "--seed", "--help"):
            self.assertIn(option, done.stdout)

    def test_wrong_arguments_end_with_two(self):
        for wrong in (
            ["--no"],
            ["--only"],
            ["--seed", "x"],
            ["--seed", "-1"],
            ["--only", "nobody"],
        ):
            done = run(*wrong)
            self.assertEqual(done.returncode, 2, wrong)
            self.assertNotEqual(done.stderr, "", wrong)

    def test_what_passes_is_silent(self):
        done = run("--only", "passes", "--only", "has_a_child_that_dies")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "2 tests, 0 failed\n")

    def test_a_name_alone_is_only(self):
        self.assertEqual(run("passes").stdout, "1 tests, 0 failed\n")

    def test_the_seed_reaches_the_test(self):
        self.assertIn("seed 42\n", run("--only", "says_its_seed", "--seed", "42").stdout)

    def test_a_failure_is_named_and_the_others_run(self):
        left_out = [
            word
            for n in ("crashes", "overflows_the_stack", "aborts", "hangs")
            for word in ("--except", n)
        ]
        done = run(*left_out, "--seed", "3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("5 tests, 2 failed\n", done.stdout)
        lines = done.stderr.splitlines()
        self.assertEqual(
            [line for line in lines if line.startswith("FAIL")], ["FAIL fails", "FAIL fails_too"]
        )
        self.assertEqual(lines[-1], f"reproduce: {PROGRAM} --only fails --only fails_too --seed 3")
        again = subprocess.run(
            shlex.split(lines[-1].removeprefix("reproduce: ")),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((again.returncode, again.stderr), (1, done.stderr))

    def test_the_environment_of_the_library_is_repeated(self):
        done = run("--only", "fails", HAKMEM_OPTIONS="thp=0 x")
        self.assertTrue(
            done.stderr.splitlines()[-1].startswith("reproduce: HAKMEM_OPTIONS='thp=0 x' /"),
            done.stderr,
        )

    def test_a_crash_is_named(self):
        self.dies("crashes", signal.SIGSEGV, "FAIL crashes: dies by SIGSEGV")

    def test_a_full_stack_is_named(self):
        self.dies(
            "overflows_the_stack", signal.SIGSEGV, "FAIL overflows_the_stack: dies by SIGSEGV"
        )

    def test_an_abort_is_named(self):
        self.dies("aborts", signal.SIGABRT, "FAIL aborts: dies by SIGABRT")

    def test_a_test_that_does_not_end_is_named_and_ended(self):
        self.dies("hangs", signal.SIGALRM, "FAIL hangs: does not end")


if __name__ == "__main__":
    PROGRAM = os.path.realpath(sys.argv.pop())
    unittest.main()
