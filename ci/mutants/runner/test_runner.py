"""Checks the runner on a tree of its own: a small program, a test that looks at it, and mutants
that must be judged rightly."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

RUN = Path(__file__).resolve().parents[1] / "run"

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES C)
enable_testing()
add_executable(sum sum.c)
add_test(NAME small.sum COMMAND sum)
"""
PRESETS = (
    '{"version": 6, "configurePresets": [{"name": "dev", "generator": "Ninja", "binaryDir":'
    ' "${sourceDir}/build/dev"}]}'
)
SUM = """#include <stdio.h>
#include <stdlib.h>

static int sum(int a, int b) {
    return a + b;
}

int main(void) {
    if (sum(2, 3) == 5) return 0;
    puts("FAILED: 2 + 3");
    return 1;
}
"""
KILLERS = '["small.sum"]\ntargets = ["sum"]\nseconds = 5\n'


def patch(old, new, head=""):
    lines = SUM.splitlines()
    at = lines.index(old)
    body = [
        " " + lines[at - 1],
        "-" + old,
        *("+" + line for line in new.splitlines()),
        " " + lines[at + 1],
    ]
    return (
        f"Breaks: something.\nSource: own\nKiller: small.sum\n{head}\n--- a/sum.c\n+++ b/sum.c\n"
        f"@@ -{at},3 +{at},{2 + len(new.splitlines())} @@\n" + "\n".join(body) + "\n"
    )


RETURN = "    return a + b;"


class Runner(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("CMakeLists.txt", CMAKE)
        self.write("CMakePresets.json", PRESETS)
        self.write("sum.c", SUM)
        self.write("ci/mutants/killers.toml", KILLERS)
        self.write(".gitignore", "/build/\n")
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def seed(self, name, text):
        self.write(f"ci/mutants/patches/{name}.patch", text)

    def run_all(self, *arguments):
        done = subprocess.run(
            [sys.executable, str(RUN), "--root", str(self.root), "--jobs", "1", *arguments],
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def verdicts(self):
        matrix = json.loads((self.root / "build/mutants/matrix.json").read_text())
        return {row["mutant"]: row["verdict"] for row in matrix["mutants"]}

    def test_a_killed_mutant_is_green(self):
        self.seed("sum/minus", patch(RETURN, "    return a - b;"))
        status, output = self.run_all()
        self.assertEqual(status, 0, output)
        self.assertIn("1 of 1 killed", output)
        self.assertEqual((self.root / "sum.c").read_text(), SUM)

    def test_each_other_verdict_is_red(self):
        self.seed("a/harmless", patch(RETURN, "    return b + a;"))
        self.seed(
            "a/stale",
            patch(RETURN, "    return a - b;").replace("-" + RETURN, "-    return a * b;"),
        )
        self.seed("a/rubbish", patch(RETURN, "    return a -;"))
        self.seed("a/silent", patch(RETURN, "    abort();\n    return a + b;"))
        self.seed(
            "a/endless", patch(RETURN, "    for (volatile int i = 0;; ++i) {}\n    return a + b;")
        )
        self.seed("b/ends", patch(RETURN, "    return a - b;"))
        status, output = self.run_all()
        self.assertEqual(status, 1, output)
        self.assertEqual(
            self.verdicts(),
            {
                "a/harmless": "survives",
                "a/stale": "does not apply",
                "a/rubbish": "does not build",
                "a/silent": "dies without a report",
                "a/endless": "does not end",
                "b/ends": "killed",
            },
        )
        self.assertIn("again: ci/mutants/run --only 'a/harmless'", output)
        self.assertIn("1 of 6 killed", output)

    def test_an_expected_endless_loop_is_killed(self):
        self.seed(
            "a/endless",
            patch(
                RETURN,
                "    for (volatile int i = 0;; ++i) {}\n    return a + b;",
                "Timeout: expected\n",
            ),
        )
        self.assertEqual(self.run_all()[0], 0)

    def test_interrupted_it_ends_what_it_started(self):
        pid = self.root / "pid"
        told = (
            f'    int getpid(void);\n    FILE* f = fopen("{pid}", "w");\n    fprintf(f, "%d\\n",'
            " getpid());\n    fclose(f);"
        )
        self.seed(
            "a/endless",
            patch(RETURN, f"{told}\n    for (volatile int i = 0;; ++i) {{}}\n    return a + b;"),
        )
        self.seed("b/next", patch(RETURN, "    return a - b;"))
        self.write("ci/mutants/killers.toml", KILLERS.replace("seconds = 5", "seconds = 100"))
        for number, thread in ((signal.SIGINT, min), (signal.SIGTERM, min), (signal.SIGTERM, max)):
            pid.unlink(missing_ok=True)
            child = subprocess.Popen(
                [sys.executable, str(RUN), "--root", str(self.root), "--jobs", "1"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.addCleanup(child.kill)
            while not (pid.exists() and pid.read_text().endswith("\n")):
                self.assertIsNone(child.poll())
                time.sleep(0.02)
            os.kill(
                thread(map(int, os.listdir(f"/proc/{child.pid}/task"))), number
            )  # the kernel may hand it to any of them
            output, _ = child.communicate(timeout=30)
            self.assertEqual(
                (child.returncode, output.splitlines()[-1]),
                (128 + number, "ci/mutants/run: interrupted"),
                output,
            )
            self.assertNotIn("a/endless", output)
            self.assertFalse(Path(f"/proc/{pid.read_text().strip()}").exists())

    def test_a_test_that_fails_unchanged_is_red(self):
        self.write("sum.c", SUM.replace("== 5", "== 6"))
        self.seed("sum/minus", patch(RETURN, "    return a - b;"))
        status, output = self.run_all()
        self.assertEqual(status, 1, output)
        self.assertIn("on the unchanged tree; 1 mutants were not judged", output)

    def test_what_makes_a_run_impossible(self):
        self.assertEqual(self.run_all()[0], 2)
        self.seed("a/one", patch(RETURN, "    return a - b;").replace("small.sum", "small.other"))
        self.assertIn("has no small.other", self.run_all()[1])
        self.seed("a/one", patch(RETURN, "    return a - b;").replace("Breaks", "Means"))
        status, output = self.run_all()
        self.assertEqual(status, 2)
        self.assertIn("Breaks is missing, unknown field Means", output)

    def test_chosen_and_rest_make_the_whole(self):
        self.seed("a/one", patch(RETURN, "    return a - b;", "Chosen: yes\n"))
        self.seed("a/two", patch(RETURN, "    return a * b;"))
        self.assertIn("1 mutants", self.run_all("--list", "--chosen")[1])
        self.assertIn("a/two", self.run_all("--list", "--rest")[1])
        self.assertIn("2 mutants", self.run_all("--list")[1])


if __name__ == "__main__":
    unittest.main()
