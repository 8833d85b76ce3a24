#!/usr/bin/env python3
"""Tests of ci/quick and ci/props: their parts, and both whole on a tree of one toy test."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "ci" / "mutants"), str(ROOT / "ci")]
sys.dont_write_bytecode = True

from engine.reach_map import ReachMap  # noqa: E402
from loopkit import plan, tree, work  # noqa: E402
from progress import Progress  # noqa: E402

OLD = "int f(int a) { return a; }\nint g() { return 1; }\nconst int k = 3;\n#define M 1\n"


class Changes(unittest.TestCase):
    def change(self, old, new):
        path = "src/heap/a.hpp"
        before = {path: tree.functions(old)}
        return tree.changes(before, {path: tree.functions(new)})

    def test_a_function_that_differs_is_named(self):
        new = OLD.replace("return a", "return a + 1")
        self.assertEqual(self.change(OLD, new), {("src/heap/a.hpp", "f")})

    def test_comments_and_format_are_no_change(self):
        new = OLD.replace("{ return a; }", "{\n    // why\n    return a;\n}")
        self.assertEqual(self.change(OLD, new), set())

    def test_what_is_in_no_function_is_the_rest(self):
        for old, new in (("k = 3", "k = 4"), ("M 1", "M 2"), ("#define M 1", "#define M\n1")):
            changed = self.change(OLD, OLD.replace(old, new))
            self.assertEqual(changed, {("src/heap/a.hpp", tree.REST)})

    def test_files_come_and_go(self):
        self.assertEqual(tree.changes({"a": "1"}, {"b": "1"}), {("a", ""), ("b", "")})


def registered(name, label, *words):
    return plan.Registered(name, (label,), words)


class Plans(unittest.TestCase):
    """Two tests of the table and one beside it, on files that include each other."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in {
            "src/heap/a.hpp": OLD,
            "props/one.cpp": '#include "heap/a.hpp"\n',
            "props/two.cpp": '#include "props/kit.hpp"\n',
            "props/kit.hpp": "",
            "props/new.hpp": "",
            "stress/three.cpp": '#include "heap/a.hpp"\n',
            "fuzz/corpus/three/1": "",
            "CMakeLists.txt": "",
        }.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        names = ["one", "two", "three"]
        killer = type("Row", (), {})
        rows = {name: killer() for name in ("one", "two")}
        for name, row in rows.items():
            row.test = name
        script = plan.Script("script", ("ci/mutants/*",), ("ci/mutants/run",))
        self.table = plan.Table(rows, {}, {"script": script})
        self.tests = {name: registered(name, "props") for name in names}
        self.sources = {
            "one": {"props/one.cpp"},
            "two": {"props/two.cpp"},
            "three": {"stress/three.cpp", "fuzz/corpus/three"},
        }

        self.reach = ReachMap()
        self.learn(one=True, two=False, three=True)

    def learn(self, **tests):
        """Who reaches f, in the tree as it is."""
        key = "src/heap/a.hpp: f"
        self.reach.learn({key}, {name: {key} if its else set() for name, its in tests.items()})
        planner = self.planner()
        self.reach.prints.update({name: planner.fingerprint(name) for name in tests})

    def planner(self):
        state = {
            path: tree.functions((self.root / path).read_text())
            if path.startswith("src/")
            else tree.digest((self.root / path).read_bytes())
            for path in sorted(its.relative_to(self.root).as_posix() for its in self.files())
        }
        return plan.Planner(
            self.root,
            self.table,
            self.reach,
            self.tests,
            lambda test: self.sources[test.name],
            state,
        )

    def files(self):
        return [path for path in self.root.rglob("*") if path.is_file()]

    def plan(self, *changed):
        planner = self.planner()
        its = None if None in changed else set(changed)
        return planner.plan({name: its for name in ("one", "two", "script", "")})

    def test_a_function_runs_the_tests_that_reach_it(self):
        its = self.plan(("src/heap/a.hpp", "f"))
        self.assertEqual((its.tests, its.left), (["one"], ["three"]))

    def test_an_unknown_function_runs_all_that_include_it(self):
        its = self.plan(("src/heap/a.hpp", "g"))
        self.assertEqual((its.tests, its.left), (["one"], ["three"]))

    def test_an_unknown_file_runs_all(self):
        for path in ("props/new.hpp", "CMakeLists.txt", "src/heap/gone.hpp", "odd.txt"):
            its = self.plan((path, ""))
            self.assertEqual((its.tests, its.left), (["one", "two"], ["three"]), path)

    def test_without_a_green_run_all_run(self):
        self.assertEqual(self.plan(None).tests, ["one", "two"])

    def test_a_test_that_the_map_does_not_know_runs(self):
        self.reach = ReachMap()
        self.sources["two"] = {"props/one.cpp"}
        self.learn(one=False)
        self.assertEqual(self.plan(("src/heap/a.hpp", "f")).tests, ["two"])

    def test_what_the_map_says_holds_as_long_as_a_test_goes_through_the_same(self):
        self.sources["two"] = {"props/one.cpp"}
        self.learn(one=True, two=False)
        path = self.root / "src/heap/a.hpp"
        self.assertEqual(self.planner().old(), [])
        path.write_text(OLD.replace("return a", "return -a"))
        self.assertEqual(self.planner().old(), ["one"])
        self.assertEqual(self.plan(("src/heap/a.hpp", "f")).tests, ["one"])
        for text in (
            OLD.replace("k = 3", "k = 4"),  # outside of functions
            OLD.replace("return 1", "return 2"),  # in a function that the map does not know
        ):
            path.write_text(text)
            self.assertEqual(self.planner().old(), ["one", "two"])
            self.assertEqual(self.plan(("src/heap/a.hpp", "f")).tests, ["one", "two"])
        path.write_text(OLD)
        (self.root / "props/one.cpp").write_text('#include "heap/a.hpp"\nint one;\n')
        self.assertEqual(self.planner().old(), ["one", "two"])

    def test_a_test_whose_own_source_changed_runs(self):
        its = self.plan(("stress/three.cpp", ""))
        self.assertEqual((its.tests, its.others, its.left), ([], ["three"], []))

    def test_a_file_below_a_folder_that_a_test_names_is_its_own(self):
        its = self.plan(("fuzz/corpus/three/1", ""))
        self.assertEqual((its.tests, its.left), ([], ["three"]))

    def test_what_includes_a_header_runs(self):
        self.assertEqual(self.plan(("props/kit.hpp", "")).tests, ["two"])

    def test_areas(self):
        self.table.areas["one"] = ("src/policy/*",)
        self.assertEqual(self.plan(("CMakeLists.txt", "")).tests, ["two"])
        self.assertEqual(self.plan(("src/policy/x.hpp", "")).tests, ["one", "two"])

    def test_pages_and_scripts_run_no_test(self):
        its = self.plan(("docs/a.md", ""), ("README.md", ""))
        self.assertEqual((its.tests, its.scripts, its.others), ([], [], []))
        its = self.plan(("ci/mutants/run", ""))
        self.assertEqual((its.tests, its.scripts, its.others), ([], ["script"], []))


class Registry(unittest.TestCase):
    def test_only_folders_that_are_named_count(self):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            for folder in ("new", "gone"):
                (root / folder).mkdir()
                (root / folder / "CTestTestfile.cmake").write_text(
                    f'add_test([=[a.test]=] "/{folder}" "its words")\n'
                    'set_tests_properties([=[a.test]=] PROPERTIES  LABELS "one;two" TIMEOUT "3")\n'
                )
            (root / "CTestTestfile.cmake").write_text('subdirs("new")\n')
            its = plan.registered(root)["a.test"]
            self.assertEqual((its.words, its.labels), (("/new", "its words"), ("one", "two")))


class TheTable(unittest.TestCase):
    def test_its_rows_are_rows_of_killers_and_its_patterns_match(self):
        table = plan.load(ROOT)
        paths = list(tree.snapshot(ROOT))
        patterns = [pattern for its in table.areas.values() for pattern in its]
        patterns += [pattern for script in table.scripts.values() for pattern in script.changes]
        for pattern in patterns:
            self.assertTrue(any(plan.matches(p, (pattern,)) for p in paths), pattern)
        for script in table.scripts.values():
            self.assertTrue((ROOT / script.command[0]).is_file(), script.command)


TOY = {
    "CMakePresets.json": """{ "version": 6, "configurePresets": [ { "name": "quick",
        "generator": "Ninja", "binaryDir": "${sourceDir}/build/quick" } ] }""",
    "CMakeLists.txt": """
        cmake_minimum_required(VERSION 3.25)
        project(toy LANGUAGES C)
        enable_testing()
        file(GLOB any CONFIGURE_DEPENDS src/*)
        add_executable(toy props/toy.c)
        target_include_directories(toy PRIVATE src)
        add_test(NAME props.toy COMMAND toy)
        set_tests_properties(props.toy PROPERTIES LABELS props TIMEOUT 60 ENVIRONMENT TOY=1)
        """,
    "src/heap/toy.h": """
        static int wrong(void) { return 0; }
        static int slow(void) { return 0; }
        """,
    "props/toy.c": r"""
        #include "heap/toy.h"
        /* #include <rapidcheck.h> */
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(void) {
            const char* parameters = getenv("RC_PARAMS");
            if (getenv("TOY") == 0) return 5;
            if (slow()) sleep(600);
            if (parameters && strcmp(parameters, "seed=7") == 0) return 4;
            if (wrong()) puts("FAILED: it is wrong");
            return wrong();
        }
        """,
    "ci/tidy": "#!/bin/sh\necho with $* >>build/tidied\n! grep -q untidy README.md\n",
    "ci/quick.toml": '[test."props.toy"]\n[script]\n',
    "ci/mutants/killers.toml": '["props.toy"]\ntargets = ["toy"]\n',
    "ci/suites.toml": '[[suite]]\nname = "dev"\npreset = "dev"\nlabels = ["props"]\nbudget = 9\n',
    "README.md": "a page\n",
    ".gitignore": "/build/\n",
}
SHIM = """
import sys
from pathlib import Path
sys.path[:0] = [{mutants!r}, {ci!r}]
sys.dont_write_bytecode = True
code = Path({program!r}).read_text()
code = code.replace("Path(__file__).resolve().parents[1]", "Path({root!r})")
code = code.replace('sys.path[:0] = ', 'unused = ')
exec(compile(code, {program!r}, "exec"), {{"__name__": "__main__"}})
"""


class HowFar(unittest.TestCase):
    def test_percent_and_time_left_follow_what_steps_took(self):
        said = []
        progress = Progress({"long": 30.0, "short": 10.0}, 2, said.append)
        progress.told = progress.start = progress.start - Progress.EVERY
        progress.finish("short")
        progress.finish("nobody knows this one")
        progress.tell("building")
        self.assertRegex(said[0], r"^25 %, \d+ s left: building$")
        progress.tell("not again within seconds")
        self.assertEqual(len(said), 1)


class Whole(unittest.TestCase):
    """The programs on a tree of one test. They stand elsewhere, as if they were in that tree."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp()).resolve()
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in TOY.items():
            self.write(path, textwrap.dedent(text))
        (self.root / "ci" / "tidy").chmod(0o755)
        subprocess.run(["git", "init", "-q", "."], cwd=self.root, check=True)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def replace(self, path, old, new):
        text = (self.root / path).read_text()
        self.assertIn(old, text)
        self.write(path, text.replace(old, new))

    def start(self, program, *arguments):
        code = SHIM.format(
            mutants=str(ROOT / "ci" / "mutants"),
            ci=str(ROOT / "ci"),
            program=str(ROOT / "ci" / program),
            root=str(self.root),
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd="/",  # any folder
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, status, program, *arguments):
        process = self.start(program, *arguments)
        output, _ = process.communicate()
        self.assertEqual(process.returncode, status, output)
        return output

    def shell(self, line):
        return subprocess.run(line, shell=True, cwd="/", stdout=subprocess.DEVNULL).returncode

    def last(self, output):
        return output.rstrip().splitlines()[-1]

    def again(self, output):
        return re.findall(r"again: (.*)", output)[-1]

    def test_quick(self):
        first = self.call(0, "quick")
        self.assertIn("first run in this tree", first)
        self.assertRegex(self.last(first), r"^ci/quick: green: tidy and 1 tests, \d+ s")

        nothing = self.call(0, "quick")
        self.assertRegex(self.last(nothing), "green: nothing changed since the last green run")

        self.write("README.md", "another page\n")
        pages = self.call(0, "quick")
        self.assertRegex(self.last(pages), "green: tidy and 0 tests")
        tidied = (self.root / "build" / "tidied").read_text().splitlines()
        self.assertEqual(tidied, ["with", "with --changed README.md"])
        self.write("README.md", "untidy\n")
        self.assertIn(f"failed: tidy; again: {self.root}/ci/tidy", self.call(1, "quick"))
        self.write("README.md", "a page\n")

        self.replace("src/heap/toy.h", "wrong(void) { return 0; }", "wrong(void) { return 3; }")
        broken = self.call(1, "quick")
        self.assertIn("FAILED: it is wrong", broken)
        self.assertRegex(self.last(broken), "^ci/quick: red: 1 failed")
        line = self.again(broken)
        self.assertEqual(self.shell(line), 3, line)
        self.assertIn("red", self.call(1, "quick"))  # until it is mended

        self.replace("src/heap/toy.h", "wrong(void) { return 3; }", "wrong(void) { return x; }")
        refused = self.call(1, "quick")
        self.assertIn("failed: the build; again: ninja -C", refused)
        self.replace("src/heap/toy.h", "wrong(void) { return x; }", "wrong(void) { return 0; }")
        self.assertRegex(self.last(self.call(0, "quick")), "green")

        self.replace("src/heap/toy.h", "slow(void) { return 0; }", "slow(void) { return 1; }")
        process = self.start("quick")
        toy = f"{self.root}/build/quick/toy"
        self.wait_for(lambda: running(toy))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
        self.assertEqual(process.returncode, 130, output)
        self.wait_for(lambda: not running(toy))

    def test_props(self):
        passed = self.call(0, "props")
        self.assertEqual(self.last(passed), "ci/props: green: 1 passed, 0 failed")
        self.call(0, "props", "--only", "toy", "--seed", "5")
        failed = self.call(1, "props", "--only", "props.toy", "--seed", "7")
        self.assertEqual(self.last(failed), "ci/props: red: 0 passed, 1 failed")
        line = self.again(failed)
        self.assertIn("RC_PARAMS=seed=7", line)
        self.assertEqual(self.shell(line), 4, line)
        search = self.call(0, "props", "--seconds", "1")
        seeds = re.findall(r"with seed (\d+): passed", search)
        self.assertGreater(len(seeds), 1)
        self.assertEqual(len(seeds), len(set(seeds)))
        found = self.call(1, "props", "--seconds", "60", "--seed", "5")
        self.assertEqual(re.findall(r"with seed (\d+): \w+", found), ["5", "6", "7"])
        self.assertIn("there is no suite nobody", self.call(3, "props", "--only", "nobody"))

    def test_what_ninja_will_do_is_known_before(self):
        self.call(0, "props", "--list")
        toy = work.Work(self.root, self.root / "build" / "quick", 1)
        self.assertEqual([its.split()[0] for its in toy.steps(["toy"])], ["Building", "Linking"])
        self.assertTrue(toy.make(["toy"]))
        self.assertEqual(toy.steps(["toy"]), [])
        self.assertGreater(min(toy.logged().values()), 0)

    def test_usage(self):
        for program, arguments in (
            ("quick", ["--no-such"]),
            ("quick", ["--jobs", "0"]),
            ("quick", ["--changed", "nobody"]),
            ("props", ["--seed", "x"]),
            ("props", ["--seconds", "0"]),
        ):
            self.call(3, program, *arguments)

    def wait_for(self, is_so):
        for _ in range(600):
            if is_so():
                return
            time.sleep(0.1)
        self.fail("it does not come to that in a minute")


def running(program):
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/exe") == program:
                    return True
    return False


if __name__ == "__main__":
    unittest.main()
