"""Checks the runner of ci/test on small tables of its own, with a fake cmake and ctest, and
ci/bootstrap on lists of its own."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "ci"))
sys.dont_write_bytecode = True

import progress  # noqa: E402
import report  # noqa: E402
import suites  # noqa: E402

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
            self.suite("slow", f"sleep 611 & echo $! > {self.folder}/pid; wait", 3)
        )
        self.assertLess(time.monotonic() - begin, 300)
        self.assertEqual(
            (result.returncode, result.stdout.splitlines()[-1]), (1, "0 passed, 1 failed")
        )
        self.assertIn("spent its budget", result.stdout)
        self.assert_gone(int((self.folder / "pid").read_text()))

    def test_budgets_above_the_limit_are_refused(self):
        result = self.run_table(self.suite("slow", "exit 0", suites.LIMIT + 1))
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"{suites.LIMIT + 1} s", result.stderr)
        table = (
            self.suite("slow", "exit 0", suites.LIMIT)
            + self.suite("more", "exit 0")
            + "gate = true\n"
        )
        self.assertEqual(self.run_table(table, "--list").returncode, 0)

    def test_interrupt_ends_everything(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            pid_file = self.folder / "pid"
            pid_file.unlink(missing_ok=True)
            process = subprocess.Popen(
                self.command(self.suite("slow", f"sleep 611 & echo $! > {pid_file}; wait")),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            deadline = time.monotonic() + 100
            while not (pid_file.exists() and pid_file.read_text().strip()):
                self.assertLess(time.monotonic(), deadline, "the suite did not start")
                time.sleep(0.02)
            process.send_signal(number)
            _, error = process.communicate(timeout=200)
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
        self.assertIn("kit: kit.bad: Failed after 1.2 s\n", result.stdout)
        again = f"again: ctest --test-dir {ROOT}/build/dev --output-on-failure -R '^kit\\.bad$'"
        self.assertIn(again, result.stdout)
        self.assertIn("seed 42", result.stdout)
        slowest = result.stdout.split("slowest tests:")[1]
        self.assertLess(slowest.index("kit.bad"), slowest.index("kit.good"))

        (programs / "cmake").write_text("#!/bin/sh\nexit 1\n")
        result = self.run_table(table, PATH=f"{programs}:{os.environ['PATH']}")
        self.assertEqual(
            (result.returncode, result.stdout.splitlines()[-1]), (1, "0 passed, 1 failed")
        )
        self.assertIn("build: `cmake --preset dev` failed", result.stdout)
        self.assertIn(f"again: cd {ROOT} && cmake --preset dev\n", result.stdout)

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
        clock = mock.Mock(monotonic=lambda: self.seconds)
        for probe, budget in ((0.0, 10), (0.8, 10), (1.2, 15), (2.0, 25), (9.0, 25)):
            self.seconds = 0.0

            def run(command, **_):
                self.seconds = probe if command == suites.PROBE else self.seconds
                return subprocess.CompletedProcess(command, 0)

            with (
                mock.patch.object(suites, "time", clock),
                mock.patch.object(suites.children, "run", run),
                mock.patch.object(suites.children, "stream", lambda *_, **__: 0),
                contextlib.redirect_stdout(io.StringIO()) as said,
            ):
                runner = suites.Runner(2, self.folder)
                outcome = runner.suite(suites.Suite("x", 10, command=["true"], compiles=True))
            self.assertEqual((outcome.suite.budget, outcome.passed), (budget, 1), said.getvalue())
            self.assertEqual("the machine is slower" in said.getvalue(), probe > 0.8)

        programs = self.folder / "programs"
        programs.mkdir()
        (programs / "g++").write_text("#!/bin/sh\nexit 1\n")
        (programs / "g++").chmod(0o755)
        table = self.suite("x", "exit 0") + "compiles = true\n"
        result = self.run_table(table, PATH=f"{programs}:{os.environ['PATH']}")
        self.assertEqual(result.returncode, 2)
        self.assertIn("ci/speed_probe.cpp` failed", result.stderr)

    def test_what_the_gate_runs(self):
        table = self.suite("one", "exit 0") + self.suite("two", "exit 0") + "gate = true\n"
        for arguments, ran in (([], {"one"}), (["--rest"], {"two"}), (["--only", "two"], {"two"})):
            self.assertEqual(self.run_table(table, *arguments).returncode, 0)
            result = json.loads((self.folder / "logs/result.json").read_text())
            self.assertEqual(set(result), ran)

    def test_shards_are_the_whole(self):
        table = [suites.Suite(f"s{n}", 10 * n, preset=f"p{n // 2}") for n in range(1, 9)]
        for parts in (1, 2, 3, 20):
            shards = [suites.shard(table, f"{k}/{parts}") for k in range(1, parts + 1)]
            names = sorted(suite.name for part in shards for suite in part)
            self.assertEqual(names, sorted(suite.name for suite in table))
            presets = [{suite.preset for suite in part} for part in shards]
            self.assertEqual(sum(map(len, presets)), 5, "one build in two parts")
        for wrong in ("0/2", "3/2", "1", "1/0", "x/y"):
            self.assertRaises(suites.Trouble, suites.shard, table, wrong)

    def test_reports_for_machines_and_pages(self):
        page = self.folder / "page.md"
        table = self.suite("one", "exit 0") + self.suite("two", "exit 3")
        self.run_table(table, GITHUB_STEP_SUMMARY=str(page))
        self.assertIn("| two | 0 | 1 |", page.read_text())
        self.assertIn("**1 passed, 1 failed**", page.read_text())
        root = xml.parse(self.folder / "logs/junit.xml").getroot()
        found = {case.get("name"): case.find("failure") is None for case in root.iter("testcase")}
        self.assertEqual(found, {"one": True, "two": False})

    def test_what_ctest_wrote_is_merged(self):
        (self.folder / "kit.xml").write_text(
            '<testsuite name="Linux"><testcase name="kit.good" time="1"/>'
            '<testcase name="kit.bad"><failure message="why"/></testcase></testsuite>'
        )
        outcome = suites.Outcome(suites.Suite("kit", 9, preset="dev"), 1.0, 1)
        outcome.failures = [suites.Failure("kit.bad", "Failed"), suites.Failure("budget", "spent")]
        lost = suites.Outcome(suites.Suite("lost", 9, preset="dev"), 1.0)
        lost.tests, lost.failures = [(0.5, "lost kit.good")], [suites.Failure("build", "no")]
        root = xml.fromstring(report.junit([outcome, lost], self.folder))
        figures = {suite.get("name"): suite.attrib for suite in root}
        self.assertEqual((figures["kit"]["tests"], figures["kit"]["failures"]), ("3", "2"))
        self.assertEqual((figures["lost"]["tests"], figures["lost"]["failures"]), ("2", "1"))
        self.assertEqual({case.get("classname") for case in root[0].iter("testcase")}, {"kit"})

    def test_recorded_durations(self):
        table = self.folder / "durations.toml"
        progress.record("ci/test", {"a: build": 30.2, "a: tests": 10}, table)
        progress.record("ci/gate", {"build": 5}, table)
        progress.record("ci/test", {"a: tests": 20}, table)
        known = progress.recorded(table)
        self.assertEqual(known["ci/test"], {"a: build": 30, "a: tests": 20})
        self.assertEqual(known["ci/gate"], {"build": 5})

    def test_percent_and_time_left(self):
        table = self.folder / "durations.toml"
        progress.record("x", {"a": 100}, table)
        with mock.patch.object(progress, "time", mock.Mock(monotonic=lambda: self.seconds)):
            self.seconds = 0.0
            parts = progress.expected("x", {"a": 1, "b": 100}, table)
            far = progress.Progress(parts)
            self.assertEqual(far.estimate(), (0, 200))
            far.begin("a")
            self.seconds = 105.0
            far.see("[50/100] Building")
            percent, left = far.estimate()  # half of the first part took as long as the whole
            self.assertEqual((percent, round(left)), (27, 288))
            self.seconds = 210.0
            far.begin("b")
            self.assertEqual(far.estimate()[0], 51)
            far.see("  1/4 Test  #7: kit.good ....   Passed    0.50 sec")
            self.assertEqual(round(far.estimate()[1]), 122)
            far.skip("b")
            self.assertEqual(far.shown(), "99 %, 0 s left")

    def test_the_workflow_waits_long_enough(self):
        """The budgets, stretched as far as they go, and ten minutes to prepare the machine."""
        text = (ROOT / ".github/workflows/ci.yml").read_text()
        text = text.split("\njobs:\n")[1]
        jobs = dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", text, re.MULTILINE))
        minutes = {
            name: int(re.search(r"timeout-minutes: (\d+)", job)[1]) for name, job in jobs.items()
        }
        shards = re.search(r"shard: \[([\d, ]+)\]", jobs["test"])[1].split(",")
        command = re.search(r"ci/test .*--shard \${{ matrix.shard }}/(\d+)", jobs["test"])
        self.assertEqual(list(map(int, shards)), list(range(1, int(command[1]) + 1)))
        table = [s for s in suites.read_suites(ROOT / "ci/suites.toml") if not s.gate]
        for k in map(int, shards):
            part = suites.shard(table, f"{k}/{len(shards)}")
            budget = sum(suite.budget for suite in part) * suites.STRETCH_MAX
            self.assertLessEqual(budget / 60 + 10, minutes["test"])
        whole = sum(suite.budget for suite in table) * suites.STRETCH_MAX
        self.assertLessEqual(whole, 80 * 60)
        self.assertRegex(jobs["gate"], r"ci/gate .*--except tests")
        self.assertLessEqual(80 + 10, minutes["gate"])

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
            Path(folder, "cmake").write_text(f"#!/bin/sh\nsleep 611 & echo $! > {pid_file}; wait\n")
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
                    _, error = process.communicate(timeout=200)
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
                timeout=200,
            )
            os.close(writer)
            self.assertEqual((result.returncode, result.stderr), (0, ""), command)
            with open("/dev/full", "w") as full:
                result = subprocess.run(
                    [ROOT / command.split()[0], *command.split()[1:]],
                    stdout=full,
                    stderr=subprocess.PIPE,
                    text=True,
                    timeout=200,
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
                timeout=200,
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
