#!/usr/bin/env python3
"""Tests of the gate's own parts: what it counts and how it decides. The whole is tested by ci/gate
--self-test."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ci"))
sys.dont_write_bytecode = True

import children  # noqa: E402
from gatekit import (
    base,
    cli,
    instructions,
    main,
    selftest,
    steps,
    stepping,
    traces,
    wall,
)  # noqa: E402


class Instructions(unittest.TestCase):
    def counts(self, text):
        effect, _ = instructions.effect_of(text)
        return effect.loads, effect.stores, effect.branches, effect.calls, effect.locked

    def test_effects(self):
        table = {
            "mov    %fs:0x0,%rax": (1, 0, 0, 0, 0),
            "mov    0x8(%rdi),%rax": (1, 0, 0, 0, 0),
            "mov    %rax,(%rdi,%rsi,8)": (0, 1, 0, 0, 0),
            "movq   $0x0,0x10(%rax)": (0, 1, 0, 0, 0),
            "movzwl 0x4(%rdx),%eax": (1, 0, 0, 0, 0),
            "movups %xmm0,(%rdi)": (0, 1, 0, 0, 0),
            "lea    0x0(,%rax,8),%rcx": (0, 0, 0, 0, 0),
            "nopw   %cs:0x0(%rax,%rax,1)": (0, 0, 0, 0, 0),
            "add    %rax,0x20(%rbx)": (1, 1, 0, 0, 0),
            "add    0x20(%rbx),%rax": (1, 0, 0, 0, 0),
            "incq   0x8(%rax)": (1, 1, 0, 0, 0),
            "cmpq   $0x0,0x8(%rax)": (1, 0, 0, 0, 0),
            "test   %al,(%rdx)": (1, 0, 0, 0, 0),
            "cmp    %rdi,%fs:(%rax)": (1, 0, 0, 0, 0),
            "imul   0x10(%rdx),%rax": (1, 0, 0, 0, 0),
            "cmovb  (%rax),%rcx": (1, 0, 0, 0, 0),
            "sete   0x1(%rdi)": (0, 1, 0, 0, 0),
            "push   %rbx": (0, 1, 0, 0, 0),
            "push   0x8(%rax)": (1, 1, 0, 0, 0),
            "pop    %rbx": (1, 0, 0, 0, 0),
            "popcnt %rax,%rcx": (0, 0, 0, 0, 0),
            "je     1234 <f+0x10>": (0, 0, 1, 0, 0),
            "jmp    1234 <f+0x10>": (0, 0, 0, 0, 0),
            "jmp    *%rax": (0, 0, 1, 0, 0),
            "jmp    *0x2fe2(%rip)        # 4000 <x>": (1, 0, 1, 0, 0),
            "call   1000 <g>": (0, 0, 0, 1, 0),
            "call   *0x2fe2(%rip)        # 3ff8 <memset@GLIBC_2.2.5>": (1, 0, 0, 1, 0),
            "ret": (0, 0, 0, 0, 0),
            "lock cmpxchg %rcx,(%rdx)": (1, 1, 0, 0, 1),
            "lock xadd %rax,0x8(%rdi)": (1, 1, 0, 0, 1),
            "lock incq 0x8(%rdi)": (1, 1, 0, 0, 1),
            "xchg   %rax,(%rdi)": (1, 1, 0, 0, 1),
            "xchg   %ax,%ax": (0, 0, 0, 0, 0),
            "rep stos %rax,%es:(%rdi)": (0, 1, 0, 0, 0),
            "prefetcht0 (%rax)": (0, 0, 0, 0, 0),
            "endbr64": (0, 0, 0, 0, 0),
            "shr    $0x10,%rax": (0, 0, 0, 0, 0),
        }
        for text, expected in table.items():
            with self.subTest(text):
                self.assertEqual(self.counts(text), expected)

    def test_an_unknown_store_is_an_error(self):
        with self.assertRaises(instructions.UnknownInstruction):
            instructions.effect_of("frobnicate %rax,(%rdi)")

    def test_a_real_library_is_understood(self):
        source = (
            "static unsigned long n; unsigned long f(unsigned long *p, unsigned long k)"
            "{ __atomic_fetch_add(&n, 1, 0); if (k > 9) p[k] += 3; return p[0]; }"
        )
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "f.so"
            subprocess.run(
                ["gcc", "-O2", "-shared", "-fPIC", "-xc", "-", "-o", str(library)],
                input=source,
                text=True,
                check=True,
            )
            listing = instructions.disassemble(str(library))
            body = [
                instructions.instruction_at(listing, at)
                for at, (_, function) in listing.items()
                if function == "f"
            ]
            self.assertEqual(sum(i.effect.locked for i in body), 1)
            self.assertEqual(sum(i.effect.branches for i in body), 1)
            self.assertEqual(sum(i.effect.loads for i in body), 3)
            self.assertEqual(sum(i.effect.stores for i in body), 2)
            with self.assertRaises(KeyError):
                instructions.instruction_at(listing, 1)


class Tables(unittest.TestCase):
    def row(self, entry="malloc", counts=(20, 5, 2, 3, 0, 0), compiler="release"):
        return stepping.Row(compiler, entry, 16, counts)

    def test_format_and_parse_agree(self):
        rows = [self.row(), self.row("free", (30, 9, 3, 5, 0, 0))]
        parsed, compilers = stepping.parse_table(
            stepping.format_table(rows, {"release": "GCC: (Debian) 12"})
        )
        self.assertEqual(list(parsed.values()), rows)
        self.assertEqual(compilers["release"], "GCC: (Debian) 12")

    def test_every_column_can_be_red(self):
        golden = {self.row().key: self.row()}
        for at, column in enumerate(stepping.COLUMNS):
            counts = list(self.row().counts)
            counts[at] += 1
            increases, decreases, missing = stepping.compare(
                golden, [self.row(counts=tuple(counts))], {"release"}
            )
            self.assertEqual((len(increases), decreases, missing), (1, [], []), column)
            self.assertIn(column, increases[0])

    def test_missing_rows(self):
        golden = {self.row().key: self.row()}
        self.assertEqual(len(stepping.compare(golden, [], {"release"})[2]), 1)
        self.assertEqual(len(stepping.compare({}, [self.row()], {"release"})[2]), 1)
        self.assertEqual(stepping.compare(golden, [], {"release-clang"})[2], [])

    def test_rules_stand_above_the_table(self):
        self.assertEqual(stepping.broken_rules([self.row()]), [])
        self.assertEqual(len(stepping.broken_rules([self.row(counts=(20, 5, 2, 3, 0, 1))])), 1)
        self.assertEqual(len(stepping.broken_rules([self.row("free", (20, 5, 2, 3, 1, 0))])), 1)
        self.assertEqual(stepping.broken_rules([self.row("free_remote", (20, 5, 2, 3, 0, 1))]), [])
        self.assertEqual(
            len(stepping.broken_rules([self.row("free_remote", (20, 5, 2, 3, 0, 2))])), 1
        )

    def test_hit_path_needs_a_majority(self):
        self.assertEqual(stepping.hit_path([(1, 2), (1, 2), (1, 3)]), (1, 2))
        with self.assertRaises(stepping.NoSteadyPath):
            stepping.hit_path([(1,), (2,), (3,)])


class Traces(unittest.TestCase):
    def test_self_costs(self):
        lines = [
            "positions: line",
            "events: Ir",
            "ob=(1) /lib/a.so",
            "fl=(1) a.c",
            "fn=(1) malloc",
            "10 5",
            "+2 7",
            "cob=(2) /lib/libc.so",
            "cfn=(2) memset",
            "calls=3 0",
            "* 900",
            "- 1",
            "ob=(2)",
            "fn=(2)",
            "20 900",
            "ob=(1)",
            "fn=(3) free",
            "30 2",
            "totals: 915",
        ]
        self.assertEqual(dict(traces.self_costs(lines)), {"/lib/a.so": 15, "/lib/libc.so": 900})

    def test_instruction_limit(self):
        base_figures = {"t": {"library": 1000000, "process": 2000000}}
        for library, red in ((1005000, 0), (1005001, 1), (990000, 0)):
            head = {"t": {"library": library, "process": 2000000}}
            self.assertEqual(len(traces.compare_instructions(base_figures, head)[1]), red, library)
        head = {"t": {"library": 1000000, "process": 2020000}}
        self.assertEqual(len(traces.compare_instructions(base_figures, head)[1]), 1)
        self.assertEqual(len(traces.compare_instructions(base_figures, {})[1]), 1)
        self.assertEqual(traces.compare_instructions({}, head)[1], [])

    def test_one_system_call_more_is_red(self):
        base_calls = {"t": {"mmap": 3, "madvise": 5}}
        self.assertEqual(
            traces.compare_system_calls(base_calls, {"t": {"mmap": 3, "madvise": 5}}, {})[1], []
        )
        self.assertEqual(traces.compare_system_calls(base_calls, {"t": {"mmap": 3}}, {})[1], [])
        # Fewer of one kind do not pay for one more of another.
        self.assertEqual(
            traces.compare_system_calls(base_calls, {"t": {"mmap": 4, "madvise": 1}}, {})[1],
            ["t: mmap 3 -> 4"],
        )
        self.assertEqual(
            traces.compare_system_calls(base_calls, {"t": {"mmap": 3, "futex": 1}}, {})[1],
            ["t: futex 0 -> 1"],
        )

    def test_what_a_change_says_is_allowed_once(self):
        base_calls, more = {"t": {"mmap": 3, "madvise": 5}}, {"t": {"mmap": 4, "madvise": 7}}
        self.assertEqual(
            traces.compare_system_calls(base_calls, more, {"madvise": 2})[1], ["t: mmap 3 -> 4"]
        )
        self.assertEqual(
            traces.compare_system_calls(base_calls, more, {"mmap": 1, "madvise": 1})[1],
            ["t: madvise 5 -> 7"],
        )
        old = "# kinds\nmmap 1  a table\n"
        self.assertEqual(
            traces.allowed_system_calls(old + "\nmadvise 2  dumps\nmadvise 1  more\n", old),
            {"madvise": 3},
        )
        self.assertEqual(traces.allowed_system_calls(old, old), {})
        self.assertEqual(traces.allowed_system_calls(old, ""), {"mmap": 1})
        for wrong in ("mmap", "mmap 1", "mmap x  why", "1 mmap  why"):
            self.assertRaises(ValueError, traces.allowed_system_calls, wrong, "")
        self.assertIsInstance(
            traces.allowed_system_calls((base.ROOT / "ci/syscalls.allowed").read_text(), ""), dict
        )

    def test_a_preload_that_fails_is_no_measurement(self):
        with tempfile.TemporaryDirectory() as folder:
            program, clock = traces.build_program(folder)
            with self.assertRaises(traces.TraceFailed):
                traces.count_system_calls(program, clock, Path(folder) / "missing.so", "small_lifo")
            with self.assertRaises(traces.TraceFailed):
                traces.count_system_calls(program, clock, clock, "no_such_trace")


class CommandLine(unittest.TestCase):
    """Of ci/traces/run, ci/syscalls and ci/fast_path."""

    def end_of(self, figures, *argv):
        said = io.StringIO()
        with (
            mock.patch.object(traces, "all_traces", figures),
            mock.patch.object(sys, "argv", ["syscalls", "--lib", __file__, *argv]),
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(said),
        ):
            return (
                cli.run_comparison("syscalls", "", None, traces.compare_instructions),
                said.getvalue(),
            )

    def test_what_cannot_be_written_was_not_measured(self):
        self.assertEqual(
            self.end_of(lambda *_, **__: {}, "--json", "/dev/full"),
            (2, "syscalls: [Errno 28] No space left on device\n"),
        )

    def test_hit_paths_without_a_folder_for_tools(self):
        done = subprocess.run(
            [
                sys.executable,
                ROOT / "ci/fast_path",
                "--lib",
                "release=/bin/true",
                "--folder",
                "/proc/tools",
            ],
            capture_output=True,
            text=True,
        )
        self.assertEqual(
            (done.returncode, done.stderr),
            (2, "fast_path: [Errno 2] No such file or directory: '/proc/tools'\n"),
        )

    def test_interrupt(self):
        def interrupted(*_, **__):
            raise children.Interrupted(signal.SIGTERM)

        self.assertEqual(self.end_of(interrupted), (143, "syscalls: interrupted\n"))


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.git("init", "-q", "-b", "main")
        self.first = self.commit("one")

    def tearDown(self):
        self.folder.cleanup()

    def git(self, *arguments):
        return subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def commit(self, text):
        (self.root / "file").write_text(text)
        self.git("add", "file")
        self.git("commit", "-q", "-m", text)
        return self.git("rev-parse", "HEAD")

    def test_choice(self):
        self.assertIsNone(base.choose(None, self.root)[0])
        self.assertIn("no tag", base.choose(None, self.root)[1])
        with self.assertRaises(base.NoSuchCommit):
            base.choose("no-such-branch", self.root)
        with self.assertRaises(base.NoSuchCommit):
            base.choose("--output=x", self.root)
        self.git("tag", "v1")
        self.assertIsNone(base.choose(None, self.root)[0])
        second = self.commit("two")
        chosen = base.choose(None, self.root)[0]
        self.assertEqual(chosen.commit, self.first)
        self.assertIn("previous commit", chosen.said)
        third = self.commit("three")
        self.assertEqual(base.choose(None, self.root)[0].commit, second, "on main")
        self.git("update-ref", "refs/remotes/origin/main", self.first)
        self.assertEqual(base.choose(None, self.root)[0].commit, self.first)
        self.assertEqual(base.choose("HEAD", self.root)[0].commit, third)
        self.git("update-ref", "refs/remotes/origin/main", third)
        self.assertEqual(base.choose(None, self.root)[0].commit, second, "pushed")
        (self.root / "file").write_text("changed")
        self.assertEqual(base.choose(None, self.root)[0].commit, third)

    def test_a_branch_without_an_origin(self):
        self.git("checkout", "-q", "-b", "topic")
        self.commit("two")
        self.commit("three")
        self.assertEqual(base.choose(None, self.root)[0].commit, self.first)

    def test_history_that_is_cut_off(self):
        self.git("tag", "v1")
        self.git("checkout", "-q", "--orphan", "grafted")
        self.git("branch", "-q", "-D", "main")
        self.commit("alone")
        chosen = base.choose(None, self.root)[0]
        self.assertEqual(chosen.commit, self.first)
        self.assertIn("v1", chosen.said)


class Decisions(unittest.TestCase):
    def test_wall_clock(self):
        wave = [1.0, 1.01, 0.99, 1.005, 0.995] * 4
        self.assertEqual(
            wall.judge([100.0] * 20, [100 * w for w in wave], [100 * w for w in wave[::-1]])[0],
            "no large change",
        )
        self.assertEqual(
            wall.judge([100.0] * 20, [100 * w for w in wave], [106 * w for w in wave])[0], "slower"
        )
        self.assertEqual(
            wall.judge([100.0] * 20, [100 * w for w in wave], [102 * w for w in wave])[0],
            "no large change",
        )
        self.assertEqual(
            wall.judge([100.0] * 20, [108 * w for w in wave], [120 * w for w in wave])[0], "noisy"
        )
        self.assertEqual(
            wall.judge([100.0] * 20, [100 * w for w in wave], [90 * w for w in wave])[0], "faster"
        )
        self.assertEqual(wall.judge([100.0] * 5, [100.0] * 5, [200.0] * 5)[0], "too few rounds")

    def wall_step(self, program, pairs, budget):
        """step_wall with `program`, a shell script that gets the workload's name, in the place of
        the workloads."""
        step = mock.Mock(budget=budget, undecided={}, outcome=steps.Outcome("wall", budget, False))
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(steps, "FOLDER", Path(folder)),
            mock.patch.object(steps, "WALL_ROUNDS", pairs),
        ):
            for side in ("base", "twin", "head"):
                steps.library("release", side).parent.mkdir(parents=True)
                steps.library("release", side).write_text("")
            programs = Path(folder) / "programs"
            programs.write_text(program)
            programs.chmod(0o755)

            def run(command, on_line, show):
                command = [
                    str(programs if str(word).endswith("bench_workloads") else word)
                    for word in command
                ]
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,
                )
                for text in done.stdout.splitlines():
                    on_line(text)
                return done.returncode

            step.command = run
            steps.step_wall(mock.Mock(base=True), step)
        return step

    def test_wall_clock_beyond_its_budget_is_not_red(self):
        program = """#!/bin/sh
[ "$1" = --list ] && { echo "alpha 1"; exit 0; }
[ "$3" = 0.001 ] || sleep 0.1
figures='"seconds": 1, "cpu_seconds": 1, "ops": 1, "ns_per_op": 1, "peak_kib": 1,'
figures="$figures \\"baseline_kib\\": 1, \\"checksum\\": 1"
owners="\\"malloc\\": \\"$LD_PRELOAD\\", \\"free\\": \\"$LD_PRELOAD\\""
owners="$owners, \\"realloc\\": \\"$LD_PRELOAD\\""
echo "{$figures, $owners, \\"mapped\\": []}"
"""
        step = self.wall_step(program, 1000, 63)
        self.assertEqual(
            (step.red.call_args_list, step.outcome.summary),
            ([], "1 workloads, interrupted to stay within the budget"),
        )
        self.assertEqual(step.doubt.call_args[0][0], "alpha: too few rounds")
        step = self.wall_step(program.replace("sleep 0.1", "exit 3"), 1000, 63)
        self.assertIn("alpha under", step.red.call_args[0][0])

    def test_budgets_leave_room(self):
        self.assertLessEqual(sum(budget for _, budget, _, _ in steps.STEPS), steps.LIMIT)
        quick = sum(budget for name, budget, _, _ in steps.STEPS if name in steps.QUICK)
        self.assertLessEqual(quick, steps.QUICK_SECONDS)

    def test_the_tests_have_the_time_of_their_suites(self):
        suites = tomllib.loads((Path(__file__).resolve().parents[1] / "suites.toml").read_text())[
            "suite"
        ]
        self.assertGreaterEqual(
            next(budget for name, budget, _, _ in steps.STEPS if name == "tests"),
            sum(s["budget"] for s in suites if not s.get("gate")),
        )
        self.assertGreaterEqual(
            next(budget for name, budget, _, _ in steps.STEPS if name == "rest"),
            sum(s["budget"] for s in suites if s.get("gate")),
        )

    def test_expectations_of_a_slowdown(self):
        found = selftest.expectations(["fast_path free: loads", "callgrind tree"])
        self.assertEqual([str(e) for e in found], ["fast_path free: loads", "callgrind tree"])
        self.assertTrue(
            selftest.is_met(
                found[0], "release", "fast_path: increase: release free(16): loads 3 -> 4"
            )
        )
        self.assertFalse(
            selftest.is_met(
                found[0], "release", "fast_path: increase: release free_remote(16): loads 3 -> 4"
            )
        )
        self.assertFalse(
            selftest.is_met(
                found[0], "release", "fast_path: decrease: release free(16): loads 4 -> 3"
            )
        )
        for texts in ([], ["nonsense"]):
            with self.assertRaises(selftest.SelfTestFailed):
                selftest.expectations(texts)


class Verdicts(unittest.TestCase):
    """Each class of the gate's verdict, planted as a step of its own: what it ends with, what it
    says, and how often it ran."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.runs = 0
        for target, name, value in (
            (steps, "FOLDER", Path(folder.name)),
            (steps.Runner, "slowness", lambda *_: 1),
            (main, "NEEDED", {}),
        ):
            patch = mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def gate(self, *planted, argv=(), has_base=True):
        """(exit status, last line, all lines) of the gate with these steps."""

        def counted(function):
            def run(gate, step):
                """One."""
                self.runs += 1
                function(gate, step)

            return run

        # Only what shall spend its budget has a small one, for the machine may be busy.
        table = tuple(
            (name, 1 if function is self.slow else 300, True, counted(function))
            for name, function in planted
        )
        chosen = (base.Base("HEAD", "base is HEAD") if has_base else None, "no reason")
        said = io.StringIO()
        with (
            mock.patch.object(steps, "STEPS", table),
            mock.patch.object(base, "choose", lambda _: chosen),
            contextlib.redirect_stdout(said),
        ):
            status = main.main(list(argv))
        lines = said.getvalue().splitlines()
        return status, lines[-1], lines

    @staticmethod
    def good(gate, step):
        pass

    @staticmethod
    def slow(gate, step):
        step.command(["sleep", "30"])

    def failing(self, gate, step):
        step.judged(["sh", "-c", "echo red: a count; exit 1"], ("red:",))

    def noisy_until(self, run):
        def noisy(gate, step):
            if self.runs < run:
                step.undecided = {"alpha": "noisy"}
                step.doubt("alpha: noisy")
            else:
                step.say(f"left open: {step.undecided}")

        return noisy

    def test_merge(self):
        self.assertEqual(self.gate(("good", self.good))[:2], (0, "gate: merge"))

    def test_what_failed_is_not_tried_again(self):
        status, last, _ = self.gate(("bad", self.failing), ("slow", self.slow))
        self.assertEqual((status, last), (1, "gate: do not merge (bad: a count)"))
        self.assertEqual(self.runs, 3)

    def test_a_spent_budget_is_undecided_and_runs_twice(self):
        status, last, lines = self.gate(("slow", self.slow))
        self.assertEqual((status, self.runs), (2, 2))
        self.assertEqual(last, "gate: undecided (slow: the budget of 1 s is spent)")
        self.assertEqual(sum(line.startswith("slow, ") for line in lines), 2)

    def test_a_noisy_wall_clock(self):
        status, _, lines = self.gate(("wall", self.noisy_until(9)))
        self.assertEqual((status, self.runs), (2, 2))
        self.runs = 0
        status, last, lines = self.gate(("wall", self.noisy_until(2)))
        self.assertEqual((status, last, self.runs), (0, "gate: merge", 2))
        self.assertTrue(any("wall, 1st" in line and "undecided" in line for line in lines))
        self.assertTrue(any("left open: {'alpha': 'noisy'}" in line for line in lines))

    def test_no_base(self):
        status, last, _ = self.gate(("wall", steps.step_wall), has_base=False)
        self.assertEqual((status, last), (2, f"gate: undecided (wall: {steps.NO_BASE})"))
        self.assertEqual(self.runs, 1)

    def test_no_time_left(self):
        with mock.patch.object(steps, "QUICK_SECONDS", 0), mock.patch.object(
            steps, "QUICK", ("good",)
        ):
            status, last, _ = self.gate(("good", self.good), argv=["--quick"])
        self.assertEqual((status, self.runs), (2, 0))
        self.assertIn("not run: the gate's 0 s are spent", last)

    def test_one_step_alone(self):
        status, last, lines = self.gate(
            ("build", self.failing), ("stress", self.good), argv=["--only", "stress"]
        )
        self.assertEqual((status, last, self.runs), (0, "gate: merge", 1))
        self.assertIn("not run: build", lines)

    def test_usage(self):
        for argv in (["--only", "no_such_step"], ["--jobs", "0"], ["--no-such-option"]):
            with self.assertRaises(SystemExit) as end, contextlib.redirect_stderr(io.StringIO()):
                self.gate(("good", self.good), argv=argv)
            self.assertEqual(end.exception.code, 3, argv)

    def test_tests_that_failed_and_tests_that_had_no_time(self):
        spent = {"failures": ["the budget of 9 s was spent"], "overruns": 1}
        failed = {"failures": ["kit.bad: Failed"], "overruns": 0}
        for suites, verdict in (
            ({"dev": spent}, "undecided"),
            ({"dev": failed}, "red"),
            ({"dev": spent, "asan": failed}, "red"),
            (None, "red"),
        ):
            with mock.patch.object(steps, "ROOT", steps.FOLDER):
                gate = steps.Gate(None, {"tests"}, 1)
                step = steps.Step(gate, "tests", 9, True)

                def run(command):
                    result = steps.FOLDER / "build/ci/result.json"
                    result.parent.mkdir(parents=True, exist_ok=True)
                    if suites:
                        result.write_text(json.dumps(suites))
                    return 1

                step.command = run
                steps.step_tests(gate, step)
            self.assertEqual(step.outcome.verdict, verdict, suites)


if __name__ == "__main__":
    unittest.main()
