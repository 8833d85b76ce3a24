"""ci/coverage: what it makes of llvm-cov's export of a small program, and what it says of the list
of exceptions."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import unittest
from collections import defaultdict
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE = Path(__file__).resolve().parents[1] / "coverage"

HEADER = """\
template <int N>
int kind(int x) {
    if constexpr (N > 0) {
        return x + N;
    } else {
        return x;
    }
}
template <int N>
int sign(int x) {
    if (x < 0) return -1;
    // A comment is no line of code.
    if (x > 100 && N == 2) {
        return 2;
    }
    HAK_ASSERT(x >= 0);
    return 1;
}
inline int never(int x) {
    return -x;
}
"""
MAIN = """\
#define HAK_ASSERT(c) static_cast<void>(0)
#include "src/mem/small.hpp"
int main() {
    return kind<0>(0) + kind<1>(-1) + sign<1>(5) + sign<2>(-3) + 0 * sizeof(never(1)) == 0 ? 0 : 1;
}
int (*volatile address)(int) = never;
"""


class CoverageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = Path(folder.name).resolve()
        (cls.root / "src/mem").mkdir(parents=True)
        (cls.root / "src/mem/small.hpp").write_text(HEADER)
        (cls.root / "main.cpp").write_text(MAIN)

        def run(*command):
            return subprocess.run(
                command, cwd=cls.root, check=True, capture_output=True, text=True
            ).stdout

        run(
            "clang++-19",
            "-std=c++20",
            "-O0",
            "-fprofile-instr-generate",
            "-fcoverage-mapping",
            "-I.",
            "main.cpp",
            "-o",
            "program",
        )
        run("env", "LLVM_PROFILE_FILE=one.profraw", "./program")
        run("llvm-profdata-19", "merge", "one.profraw", "-o", "all.profdata")
        cls.export = json.loads(
            run(
                "llvm-cov-19",
                "export",
                "-skip-expansions",
                "-instr-profile=all.profdata",
                "./program",
            )
        )

    def setUp(self):
        loader = importlib.machinery.SourceFileLoader("coverage_tool", str(SOURCE))
        self.tool = importlib.util.module_from_spec(
            importlib.util.spec_from_loader("coverage_tool", loader)
        )
        loader.exec_module(self.tool)
        self.tool.ROOT, self.tool.BUILD, self.tool.MISSED = (
            self.root,
            self.root / "build/coverage",
            self.root / "missed",
        )
        self.lines, self.branches = defaultdict(lambda: defaultdict(bool)), defaultdict(
            lambda: defaultdict(lambda: [False, False])
        )
        for function in self.export["data"][0]["functions"]:
            self.tool.add(function, self.lines, self.branches)

    def judge(self, missed, lines=0.0, branches=0.0):
        self.tool.MISSED.write_text(missed)
        self.tool.LINES_LEAST, self.tool.BRANCHES_LEAST = lines, branches
        with contextlib.redirect_stdout(io.StringIO()) as out:
            status = self.tool.judge(self.lines, self.branches, False)
        return status, out.getvalue()

    ALL = """\
# What the program leaves out.
never line src/mem/small.hpp | return 2; | no such value
never line src/mem/small.hpp | inline int never(int x) { | not called
never line src/mem/small.hpp | return -x; | not called
never true src/mem/small.hpp | x > 100 | no such value
sometimes true src/mem/small.hpp | N == 2 | constant
sometimes false src/mem/small.hpp | N == 2 | constant
"""

    def test_instances_are_joined(self):
        lines, branches = self.lines["src/mem/small.hpp"], self.branches["src/mem/small.hpp"]
        self.assertEqual(set(self.lines), {"src/mem/small.hpp"}, "only the folders that count")
        ran = {line for line, did in lines.items() if did}
        self.assertLessEqual({2, 4, 6, 11, 17}, ran, "either instance's half of `if constexpr`")
        self.assertEqual(
            {
                line
                for line, did in lines.items()
                if not did and self.tool.is_code(HEADER.splitlines()[line - 1])
            },
            {14, 19, 20},
        )
        by_text = {
            self.tool.condition_at(HEADER.splitlines(), where): sides
            for where, sides in branches.items()
        }
        self.assertEqual(by_text["x < 0"], [True, True], "true in one instance, false in the other")
        self.assertEqual(by_text["x > 100"], [False, True])
        self.assertNotIn("N > 0", by_text, "what is constant where it was reached is no branch")

    def test_all_listed_is_green(self):
        status, text = self.judge(self.ALL)
        self.assertEqual(status, 0, text)

    def test_what_is_not_listed_is_red(self):
        status, text = self.judge("")
        self.assertEqual(status, 1)
        self.assertIn("red: nothing runs line src/mem/small.hpp:14: return 2;", text)
        self.assertIn("red: nothing runs true src/mem/small.hpp:13: x > 100", text)

    def test_a_listed_line_that_ran_is_red(self):
        _, before = self.judge(self.ALL)
        status, text = self.judge(self.ALL + "never line src/mem/small.hpp | return 1; | a lie\n")
        self.assertEqual(status, 1)
        self.assertNotIn("lists what runs", before)
        self.assertIn("missed lists what runs: line src/mem/small.hpp | return 1;", text)
        self.assertNotIn(
            "lists",
            self.judge(self.ALL + "sometimes line src/mem/small.hpp | return 1; | a race\n")[1],
        )

    def test_what_is_not_there_is_red(self):
        for entry in (
            "never line src/mem/small.hpp | return 3; | it went",
            "sometimes line src/mem/small.hpp | return 3; | it went",
            "sometimes line src/mem/small.hpp | return | it is longer now",
            "sometimes true src/mem/small.hpp | x < 5 | it went",
            "sometimes true src/mem/other.hpp | x < 0 | the file moved",
        ):
            status, text = self.judge(self.ALL + entry + "\n")
            self.assertEqual(status, 1, entry)
            self.assertIn("missed lists what is not there: ", text)

    def test_limits(self):
        lines = self.lines["src/mem/small.hpp"]
        code = [
            did for line, did in lines.items() if self.tool.is_code(HEADER.splitlines()[line - 1])
        ]
        share = 100 * sum(code) / len(code)
        self.assertNotIn("lines ran, less", self.judge(self.ALL, lines=share - 0.01)[1])
        self.assertIn("lines ran, less", self.judge(self.ALL, lines=share + 0.01)[1])
        self.assertIn("branches ran, less", self.judge(self.ALL, branches=99.0)[1])

    def test_a_malformed_entry_is_an_error(self):
        with self.assertRaises(self.tool.Trouble):
            self.judge("never line src/mem/small.hpp | return 2; |\n")


if __name__ == "__main__":
    unittest.main()
