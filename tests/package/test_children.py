"""Checks that no command of ci/ leaves a child behind, wherever in it the signal arrives.

The signal is planted, not awaited: the command runs in a process in which the start of the n-th
child raises it, either when the kernel has begun the child and Popen does not know it yet, or just
before Popen returns. Compilers are scripts that sleep for longer than any test waits.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PLANT = """
import os, runpy, signal, subprocess, sys
sys.dont_write_bytecode = True
pids, point, at, number, program, *arguments = sys.argv[1:]
begun, fork_exec, init = 0, subprocess._fork_exec, subprocess.Popen.__init__

def signal_at(here):
    if point == here and begun == int(at):
        signal.raise_signal(int(number))

def begin(*arguments):
    global begun
    pid = fork_exec(*arguments)
    begun += 1
    with open(pids, "a") as file:
        file.write(f"{pid}\\n")
    signal_at("fork")
    return pid

def know(*arguments, **options):
    init(*arguments, **options)
    signal_at("popen")

subprocess._fork_exec, subprocess.Popen.__init__ = begin, know
sys.argv = [program, *arguments]
sys.path.insert(0, os.path.dirname(program))
runpy.run_path(program, run_name="__main__")
"""
TABLE = """
[[suite]]
name = "compiling"
command = ["sleep", "611"]
compiles = true
budget = 20
"""


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = Path(cls.folder.name, "tree")
        shutil.copytree(ROOT / "ci", cls.root / "ci", ignore=shutil.ignore_patterns("patches"))
        shutil.copytree(ROOT / "bench", cls.root / "bench")
        for name in ("fuzz/corpus/size_class", "fuzz/oss-fuzz", "fuzz/regressions", "sanitizers"):
            (cls.root / name).mkdir(parents=True)
        (cls.root / "tests/process").mkdir(parents=True)
        shutil.copy(ROOT / "tests/process/own_vdso.h", cls.root / "tests/process")
        (cls.root / "sanitizers/options.txt").write_text("")
        (cls.root / "fuzz/size_class_fuzz.cpp").write_text("")
        (cls.root / "table.toml").write_text(TABLE)
        programs = cls.root / "programs"
        for path in (
            *(programs / name for name in ("cmake", "ctest", "ninja", "gcc", "g++", "clang-19")),
            *(programs / name for name in ("clang++-19", "objdump", "valgrind", "strace")),
            *(cls.root / "build/fuzz/fuzz" / name for name in ("size_class_fuzz", "fuzz_replay")),
            cls.root / "build/fuzz/fuzz/fuzz_real_replay",
            cls.root / "fuzz/oss-fuzz/build.sh",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\nsleep 611 & wait\n")
            path.chmod(0o755)
        cls.environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}")
        (cls.root / "plant.py").write_text(PLANT)
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", cls.root]
        for more in (["init", "-q"], ["add", "ci/test"], ["commit", "-q", "-m", "one"]):
            subprocess.run([*git, *more], check=True)

    def plant(self, point, at, number, *command):
        """What the command's end must be when the signal arrives at this point of a child's start;
        false if it does not start so many children."""
        pids = self.root / "pids"
        pids.write_text("")
        done = subprocess.Popen(
            [sys.executable, "plant.py", pids, point, str(at), str(int(number)), *command],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            said, _ = done.communicate(timeout=200)
        finally:
            done.kill()
        begun = list(map(int, pids.read_text().split()))
        context = (command, point, at, said)
        self.assertGreaterEqual(len(begun), at, context)
        # A campaign that searches ends with its summary and one status, whichever the signal.
        self.assertEqual(done.returncode, 130 if "--built" in command else 128 + number, context)
        self.assertIn("interrupted", said, context)
        for pid in begun:
            self.assertIn(state_of(pid), ("gone", "Z"), (pid, context))

    def test_at_every_child(self):
        root = self.root
        for children, *command in (
            (2, "ci/suites.py", "--table", "table.toml", "--logs", "logs", "--jobs", "2"),
            (6, "ci/gatekit/main.py", "--only", "build", "--jobs", "1"),
            (1, "ci/gatekit/main.py", "--self-test", "--jobs", "1"),
            (1, "ci/campaign", "--target", "size_class"),
            (2, "ci/campaign", "--target", "size_class", "--built", "--jobs", "2"),
            (1, "ci/engines", "--engine", "libfuzzer", "--jobs", "1", "size_class"),
            (1, "ci/coverage"),
            (1, "ci/fast_path", "--lib", "release=/bin/true", "--folder", root / "tools"),
            (2, "ci/traces/run", "--lib", "/bin/true", "--folder", root / "tools"),
            (2, "ci/syscalls", "--lib", "/bin/true", "--folder", root / "tools"),
        ):
            for at in range(1, children + 1):
                for point in ("fork", "popen"):
                    with self.subTest(command=command, at=at, point=point):
                        number = (signal.SIGINT, signal.SIGTERM)[at % 2]
                        self.plant(point, at, number, *command)


FAMILY = """
import sys
sys.path.insert(0, {ci!r})
sys.dont_write_bytecode = True
import children, time
children.command(lambda: {what})
"""
# Ready when it is in a session of its own.
DAEMON = "setsid sh -c 'echo $$ >> {pids}; echo ready; exec sleep 611' & "


class Families(unittest.TestCase):
    """What a child started ends with it, even in a session of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.pids = Path(folder.name, "pids")

    def lead(self, what):
        text = FAMILY.format(ci=str(ROOT / "ci"), what=what)
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, timeout=200
        )
        for pid in self.pids.read_text().split() if self.pids.exists() else ():
            self.assertIn(state_of(pid), ("gone", "Z"))
        return done

    def test_a_session_of_a_child(self):
        script = DAEMON.format(pids=self.pids) + "wait"
        done = self.lead(f"children.stream(['sh', '-c', {script!r}], lambda line: 1 / 0)")
        self.assertIn("ZeroDivisionError", done.stderr)

    def test_an_orphan_in_a_session_of_its_own(self):
        script = DAEMON.format(pids=self.pids) + f"until [ -s {self.pids} ]; do sleep 0.1; done"
        done = self.lead(f"children.run(['sh', '-c', {script!r}], stdout=-3)")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_an_orphan_that_ended_is_no_zombie(self):
        script = (
            f"(sh -c 'echo $$ > {self.pids}; exec sleep 0.2' &); "
            f"until [ -s {self.pids} ]; do sleep 0.1; done; "
            f"while kill -0 $(cat {self.pids}); do sleep 0.1; done"
        )
        done = self.lead(f"children.run(['sh', '-c', {script!r}], timeout=200)")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_one_that_ignores_the_request(self):
        script = f"trap '' TERM; echo $$ > {self.pids}; echo; while :; do sleep 1; done"
        begin = time.monotonic()
        self.lead(f"children.stream(['sh', '-c', {script!r}], lambda line: 1 / 0)")
        self.assertGreater(time.monotonic() - begin, 3)

    def test_a_deadline(self):
        begin = time.monotonic()
        done = self.lead("print(children.stream(['sleep', '611'], print, time.monotonic() + 1))")
        self.assertEqual(done.stdout, "None\n")
        self.assertGreater(time.monotonic() - begin, 1)

    def test_input_and_both_outputs(self):
        sys.path.insert(0, str(ROOT / "ci"))
        import children

        done = children.captured(["sh", "-c", "sleep 0.5; cat; echo bad >&2; exit 3"], input="in")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, "in", "bad\n"))
        with self.assertRaises(subprocess.CalledProcessError):
            children.run(["false"], check=True)


if __name__ == "__main__":
    unittest.main()
