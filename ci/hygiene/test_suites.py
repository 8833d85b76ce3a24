"""Checks the runner of ci/test on small tables of its own, with a fake cmake and ctest, and
ci/bootstrap on lists of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

FAKE_CTEST = """#!/bin/sh
echo '    Start 1: kit.good'
echo '    Start 2: kit.bad'
echo '1/3 Test #1: kit.good ..................   Passed    0.50 sec'
echo '2/3 Test #2: kit.bad ...................***Failed    1.25 sec'
echo 'seed 42'
echo '3/3 Test #3: kit.worse .................Subprocess aborted***Exception:   0.25 sec'
exit 8
"""


class Suites(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def command(self, table, *arguments):
        (self.folder / "table.toml").write_text(table)
        return [
            sys.executable,
            str(ROOT / "ci/suites.py"),
            "--table",
            str(self.folder / "table.toml"),
            "--logs",
            str(self.folder / "logs"),
            *arguments,
        ]

    def run_table(self, table, *arguments, **environment):
        return subprocess.run(
            self.command(table, *arguments),
            capture_output=True,
            text=True,
            env=dict(os.environ, **environment),
        )

    @staticmethod
    def suite(name, script, budget=20):
        return (
            f'[[suite]]\nname = "{name}"\ncommand = ["sh", "-c", "{script}"]\nbudget = {budget}\n'
        )

    def test_counts_and_last_line(self):
        result = self.run_table(self.suite("one", "echo hello") + self.suite("two", "exit 3"))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout.splitlines()[-1], "1 passed, 1 failed")
        self.assertIn("hello", result.stdout)
        self.assertIn("failed with status 3", result.stdout)
        self.assertIn("hello", (self.folder / "logs/one.log").read_text())

    def test_only(self):
        table = self.suite("one", "exit 0") + self.suite("two", "exit 3")
        result = self.run_table(table, "--only", "one")
        self.assertEqual(
            (result.returncode, result.stdout.splitlines()[-1]), (0, "1 passed, 0 failed")
        )
        result = self.run_table(table, "--only", "three")
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown suite three; there are: one, two", result.stderr)

    def test_budget_overrun_fails_and_ends_the_children(self):
        begin = time.monotonic()
        result = self.run_table(
            self.suite("slow", f"sleep 61 & echo $! > {self.folder}/pid; wait", 1)
        )
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(
            (result.returncode, result.stdout.splitlines()[-1]), (1, "0 passed, 1 failed")
        )
        self.assertIn("spent its budget", result.stdout)
        self.assert_gone(int((self.folder / "pid").read_text()))

    def test_budgets_above_the_limit_are_refused(self):
        result = self.run_table(self.suite("slow", "exit 0", 1801))
        self.assertEqual(result.returncode, 2)
        self.assertIn("1801 s", result.stderr)

    def test_interrupt_ends_everything(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            pid_file = self.folder / "pid"
            pid_file.unlink(missing_ok=True)
            process = subprocess.Popen(
                self.command(self.suite("slow", f"sleep 61 & echo $! > {pid_file}; wait")),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            deadline = time.monotonic() + 10
            while not (pid_file.exists() and pid_file.read_text().strip()):
                self.assertLess(time.monotonic(), deadline, "the suite did not start")
                time.sleep(0.02)
            process.send_signal(number)
            _, error = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 128 + number)
            self.assertIn(f"interrupted by {number.name}", error)
            self.assert_gone(int(pid_file.read_text()))

    def test_a_folder_that_cannot_be_written(self):
        for folder in ("/proc/logs", "/dev/null/logs"):
            result = self.run_table(self.suite("one", "exit 0"), "--logs", folder)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)

    def test_results_of_ctest(self):
        programs = self.folder / "programs"
        programs.mkdir()
        for name, script in (
            ("cmake", "#!/bin/sh\nexit 0\n"),
            ("ctest", FAKE_CTEST),
            ("ninja", "#!/bin/sh\n"),
            ("clang-19", "#!/bin/sh\n"),
            ("clang++-19", "#!/bin/sh\n"),
            ("g++", "#!/bin/sh\n"),
        ):
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        table = (
            '[[suite]]\nname = "kit"\npreset = "dev"\ntargets = ["all"]\nlabels = ["kit"]\n'
            "budget = 20\n"
        )
        result = self.run_table(table, PATH=f"{programs}:{os.environ['PATH']}")
        self.assertEqual(
            (result.returncode, result.stdout.splitlines()[-1]), (1, "1 passed, 2 failed")
        )
        self.assertIn("kit.worse: Subprocess aborted Exception after 0.2 s", result.stdout)
        self.assertIn(
            "kit.bad: Failed after 1.2 s; again: ctest --test-dir build/dev", result.stdout
        )
        self.assertIn("seed 42", result.stdout)
        slowest = result.stdout.split("slowest tests:")[1]
        self.assertLess(slowest.index("kit.bad"), slowest.index("kit.good"))

        (programs / "cmake").write_text("#!/bin/sh\nexit 1\n")
        result = self.run_table(table, PATH=f"{programs}:{os.environ['PATH']}")
        self.assertEqual(
            (result.returncode, result.stdout.splitlines()[-1]), (1, "0 passed, 1 failed")
        )
        self.assertIn("build: `cmake --preset dev` failed", result.stdout)

        result = subprocess.run(
            [sys.executable, *self.command(table)[1:]],
            capture_output=True,
            text=True,
            env={"PATH": str(self.folder)},
        )
        self.assertEqual(result.returncode, 2)
        self.assertIn(
            "not installed: clang++-19, clang-19, cmake, ctest, g++, gcc, ninja", result.stderr
        )

    def test_budgets_are_longer_on_a_slow_machine(self):
        programs = self.folder / "programs"
        programs.mkdir()
        for name, script in (
            ("cmake", "exit 0"),
            ("ctest", "sleep 1.6; echo '1/1 Test #1: kit.slow ...   Passed    1.60 sec'"),
            ("ninja", ""),
            ("clang-19", ""),
            ("clang++-19", ""),
            ("g++", "sleep $PROBE"),
        ):
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        table = (
            '[[suite]]\nname = "kit"\npreset = "dev"\ntargets = ["all"]\nlabels = ["kit"]\n'
            "budget = 1\n"
        )
        for probe, budget, passes in ((0, 1, False), (2.2, 2, True), (9, 2, True)):
            result = self.run_table(
                table, PATH=f"{programs}:{os.environ['PATH']}", PROBE=str(probe)
            )
            self.assertIn(f" s of {budget} s", result.stdout)
            self.assertEqual(result.returncode, 0 if passes else 1, result.stdout)
            self.assertEqual("the machine is slower" in result.stdout, passes)

        (programs / "g++").write_text("#!/bin/sh\nexit 1\n")
        result = self.run_table(table, PATH=f"{programs}:{os.environ['PATH']}")
        self.assertEqual(result.returncode, 2)
        self.assertIn("ci/speed_probe.cpp` failed", result.stderr)

    def test_real_table(self):
        result = subprocess.run([ROOT / "ci/test", "--list"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("release", result.stdout)

    def assert_gone(self, pid):
        assert_gone(self, pid)


class Commands(unittest.TestCase):
    """Of the other commands of ci/."""

    def test_interrupted_they_leave_no_compiler_behind(self):
        with tempfile.TemporaryDirectory() as folder:
            pid_file = Path(folder, "pid")
            Path(folder, "cmake").write_text(f"#!/bin/sh\nsleep 61 & echo $! > {pid_file}; wait\n")
            Path(folder, "cmake").chmod(0o755)
            for command in (["ci/campaign", "--target", "size_class"], ["ci/coverage"]):
                for number in (signal.SIGINT, signal.SIGTERM):
                    pid_file.unlink(missing_ok=True)
                    process = subprocess.Popen(
                        [sys.executable, *command],
                        cwd=ROOT,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        text=True,
                        env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"),
                    )
                    while not (pid_file.exists() and pid_file.read_text().strip()):
                        self.assertIsNone(process.poll())
                        time.sleep(0.02)
                    process.send_signal(number)
                    _, error = process.communicate(timeout=20)
                    self.assertEqual(
                        (process.returncode, error), (128 + number, f"{command[0]}: interrupted\n")
                    )
                    assert_gone(self, int(pid_file.read_text()))

    def test_lists_for_who_stops_reading(self):
        for command in ("ci/test --list", "ci/gate --list", "ci/mutants/run --list"):
            reader, writer = os.pipe()
            os.close(reader)
            result = subprocess.run(
                [ROOT / command.split()[0], *command.split()[1:]],
                stdout=writer,
                stderr=subprocess.PIPE,
                text=True,
                timeout=20,
            )
            os.close(writer)
            self.assertEqual((result.returncode, result.stderr), (0, ""), command)
            with open("/dev/full", "w") as full:
                result = subprocess.run(
                    [ROOT / command.split()[0], *command.split()[1:]],
                    stdout=full,
                    stderr=subprocess.PIPE,
                    text=True,
                    timeout=20,
                )
            self.assertEqual(
                (result.returncode, len(result.stderr.splitlines())),
                (3 if command.startswith("ci/gate") else 2, 1),
                (command, result.stderr),
            )
            self.assertIn("No space left", result.stderr)

    def test_wrong_numbers(self):
        for command in (
            "ci/campaign --seconds nan",
            "ci/campaign --each inf",
            "ci/campaign --each 0",
            "ci/campaign --jobs 0",
            "ci/coverage --jobs 0",
            "ci/engines --seconds 0",
            "ci/engines --jobs 0",
            "ci/gate --jobs 0",
            "ci/mutants/run --jobs 0",
            "ci/test --jobs 0 --list",
        ):
            result = subprocess.run(
                [ROOT / command.split()[0], *command.split()[1:]],
                capture_output=True,
                text=True,
                timeout=20,
            )
            self.assertEqual(
                (result.returncode, "error: --" in result.stderr),
                (3 if command.startswith("ci/gate") else 2, True),
                (command, result.stderr),
            )


def assert_gone(test, pid):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    test.fail(f"process {pid} still runs")


class Bootstrap(unittest.TestCase):
    def bootstrap(self, packages, *before):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("# a comment\n" + "\n".join(packages) + "\n")
            file.flush()
            os.chmod(file.name, 0o644)
            return subprocess.run(
                [*before, "bash", ROOT / "ci/bootstrap"],
                capture_output=True,
                text=True,
                env=dict(os.environ, HAKMEM_PACKAGES=file.name),
            )

    def test_nothing_missing(self):
        result = self.bootstrap(["bash", "coreutils"])
        self.assertEqual(
            (result.returncode, result.stdout), (0, "ci/bootstrap: all 2 packages are installed\n")
        )

    def test_missing_and_not_allowed(self):
        become = (
            ["setpriv", "--reuid=65534", "--no-new-privs"]
            if os.geteuid() == 0
            else ["setpriv", "--no-new-privs"]
        )
        result = self.bootstrap(["bash", "hakmem-no-such-package"], *become)
        self.assertEqual(result.returncode, 1)
        self.assertIn(
            "apt-get install -y --no-install-recommends hakmem-no-such-package", result.stderr
        )


if __name__ == "__main__":
    unittest.main()
