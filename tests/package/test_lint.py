"""Checks that ci/lint sees a defect of each group of checks, wherever in src it stands, and that it
never passes without having looked."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LINT = ROOT / "ci" / "lint"

CLEAN = """#pragma once
inline int one() {
    return 1;
}
"""
LIBRARY = """#include "base/one.hpp"
#if HAKMEM_DEBUG
#    include "checked/debug.hpp"
#endif
int two() {
    return one() + 1;
}
"""
DEFECTS = {
    "bugprone-branch-clone": "inline int f(bool x) {\n    if (x) return 1;\n"
    "    else return 1;\n}\n",
    "concurrency-mt-unsafe": "#include <ctime>\ninline bool f(std::time_t t) {\n"
    "    return std::localtime(&t) != nullptr;\n}\n",
    "misc-include-cleaner": "#include <cstddef>\ninline int f() {\n    return 1;\n}\n",
    "performance-noexcept-move-constructor": "struct S {\n    S(S&&) {}\n};\n",
    "nolint": "inline int f() {\n    return 1;  // NOLINT\n}\n",
    "clang-diagnostic-error": "inline Missing f();\n",
}


class Lint(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("src/base/one.hpp", CLEAN)

    def write(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def lint(self, *arguments, **environment):
        command = [sys.executable, LINT, "--tree", self.root, *arguments]
        environment = dict(os.environ, **environment)
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def found(self, result):
        return {
            (path, check)
            for path, check in re.findall(r"^(\S+?):\d+: ([\w-]+): ", result.stdout, re.MULTILINE)
        }

    def test_what_is_clean_passes(self):
        result = self.lint()
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertEqual(result.stdout, "ci/lint: 0 findings in 1 files\n")

    def test_a_defect_of_each_group_is_found(self):
        for number, (check, text) in enumerate(DEFECTS.items()):
            body = text.replace("f(", f"f{number}(")
            self.write(f"src/mem/{check}.hpp", f"#pragma once\n{body}")
        result = self.lint()
        self.assertEqual(result.returncode, 1, result.stderr)
        wanted = {(f"src/mem/{check}.hpp", check) for check in DEFECTS}
        self.assertEqual(self.found(result), wanted, result.stdout)
        # One line reproduces it, from any folder.
        self.assertRegex(result.stdout, rf"(?m)^again: {LINT} --tree {self.root} --only src/mem/")

    def test_each_build_and_each_header_is_seen(self):
        clone = "#pragma once\n" + DEFECTS["bugprone-branch-clone"]
        self.write("src/api/library.cpp", LIBRARY)
        self.write("src/checked/debug.hpp", clone)  # in one build alone
        self.write("src/audit/lone.hpp", clone.replace("f(", "g("))  # in none
        self.write("include/hakmem/c.h", "static int f(int x) { return x ? 1 : sizeof(sizeof 1); }")
        result = self.lint()
        self.assertEqual(result.returncode, 1, result.stderr)
        files = {path for path, check in self.found(result)}
        wanted = {"src/checked/debug.hpp", "src/audit/lone.hpp", "include/hakmem/c.h"}
        self.assertEqual(files, wanted, result.stdout)
        # One file alone, named from anywhere.
        for name in ("src/audit/lone.hpp", self.root / "src/audit/lone.hpp"):
            result = self.lint("--only", name)
            self.assertEqual({path for path, _ in self.found(result)}, {"src/audit/lone.hpp"})
        self.assertEqual(self.lint("--only", "src/base/one.hpp").returncode, 0)

    def test_without_clang_tidy_nothing_passes(self):
        result = self.lint(PATH=str(self.root))
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("clang-tidy-19 is not installed; ci/bootstrap", result.stderr)

    def test_a_clang_tidy_that_fails_is_no_pass(self):
        self.write("bin/clang-tidy-19", "#!/bin/sh\n[ $# = 2 ] || { echo broken >&2; exit 1; }\n")
        (self.root / "bin/clang-tidy-19").chmod(0o755)
        result = self.lint(PATH=f"{self.root}/bin:{os.environ['PATH']}")
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("broken", result.stderr)

    def test_another_file_or_tree_than_was_meant_is_no_pass(self):
        self.assertEqual(self.lint("--only", "src/base/two.hpp").returncode, 2)
        (self.root / "src/base/one.hpp").unlink()
        result = self.lint()
        self.assertEqual(result.returncode, 2)
        self.assertIn("has no files in src and include", result.stderr)

    def test_a_signal_ends_it_and_what_it_started(self):
        pids = self.root / "pids"
        slow = f"#!/bin/sh\n[ $# = 2 ] || {{ echo $$ >>{pids}; exec sleep 600; }}\n"
        self.write("bin/clang-tidy-19", slow)
        (self.root / "bin/clang-tidy-19").chmod(0o755)
        environment = dict(os.environ, PATH=f"{self.root}/bin:{os.environ['PATH']}")
        process = subprocess.Popen(
            [sys.executable, LINT, "--tree", self.root],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        with process:
            while not pids.is_file() or not pids.read_text().endswith("\n"):
                self.assertIsNone(process.poll())
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            errors = process.communicate()[1]
        self.assertEqual(process.returncode, 128 + signal.SIGINT)
        self.assertIn("interrupted by SIGINT", errors)
        self.assertNotIn("Traceback", errors)
        for pid in pids.read_text().split():
            self.assertFalse(Path("/proc", pid).exists())


if __name__ == "__main__":
    unittest.main()
