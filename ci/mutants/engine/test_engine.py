"""Checks the engine on a tree of its own: a small program, tests that look at it, and mutants that
must be judged rightly."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in (1, 2)]
sys.dont_write_bytecode = True
from engine.catalogue import Edit, NotFound, Tree  # noqa: E402
from engine.reach import Reach  # noqa: E402
from engine.reach_map import ReachMap  # noqa: E402
from engine.source import Source, words  # noqa: E402
from engine.workcopy import Copy  # noqa: E402

RUN = Path(__file__).resolve().parents[1] / "run"

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES C CXX)
enable_testing()
add_executable(sum sum.c)
add_executable(twice twice.cpp)
add_test(NAME small.sum COMMAND sum)
add_test(NAME small.child COMMAND sum child)
add_test(NAME small.bare COMMAND sum bare)
add_test(NAME small.twice COMMAND twice)
add_executable(part src/part.c)
add_test(NAME small.part COMMAND part)
add_test(NAME small.part_fails COMMAND part failing)
set_tests_properties(small.part small.part_fails PROPERTIES LABELS "props;small")
"""
PRESETS = """{"version": 6, "configurePresets": [
  {"name": "dev", "generator": "Ninja", "binaryDir": "${sourceDir}/build/dev"}
]}"""
SUM = """#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int sum(int a, int b) {
    return a + b;
}

static int tripled(int a) {
    a *= 3;
    goto end;
end:
    return a;
}

static int sum_of_three(int a, int b, int c) {
    return a + b + c;
}

static int in_a_child(char** arguments, char** environment) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        execve(arguments[0], arguments, environment);
        _exit(9);
    }
    waitpid(child, &status, 0);
    return status;
}

int main(int count, char** arguments) {
    extern char** environ;
    char* nothing[] = {0};
    char* again[] = {arguments[0], "grandchild", 0};
    errno = 7;
    int wrong = count > 3 && sum_of_three(1, 2, 3) != 6;
    if (count == 1 || strcmp(arguments[1], "grandchild") == 0)
        wrong = sum(2, 3) != 5 || errno != 7 || tripled(2) != 6;
    else if (strcmp(arguments[1], "child") == 0) wrong = in_a_child(again, environ) != 0;
    else if (strcmp(arguments[1], "bare") == 0) wrong = in_a_child(again, nothing) != 0;
    if (wrong) puts("FAILED: 2 + 3");
    return wrong;
}
"""
PART = """static int used(int a) { return a; }
static __attribute__((used)) int unused(int a) { return used(a); }
int main(int count, char** arguments) { return used(count) != 1 || arguments[1] != 0; }
"""
OTHER = "int other(int a) {\n    return a + 1;\n}\n"
TWICE = """#include <cstdio>
namespace small {
constexpr int twice(int a) {
    return 2 * a;
}
constexpr int kTen = 10;
struct Half {
    int of(int a) const { return a / 2; }
    int of(long a) const;
};
int Half::of(long a) const { return static_cast<int>(a >> 1); }
}  // namespace small
int main() {
    char table[small::twice(4)];
    const small::Half half;
    if (sizeof table == 8 && small::kTen == 10 && half.of(8) == 4 && half.of(8l) == 4) return 0;
    std::puts("FAILED: twice");
    return 1;
}
"""
KILLERS = "".join(
    f'["small.{name}"]\ntargets = ["{target}"]\nseconds = 5\n'
    for name, target in (("sum", "sum"), ("child", "sum"), ("bare", "sum"), ("twice", "twice"))
)
ENDLESS = "for (volatile int i = 0;; ++i) {}"


def mutant(name, new, old="return a + b;", at="sum.c: sum", killer="small.sum", more=""):
    return (
        f"[{name}]\nbreaks = 'something'\nsource = 'own'\nkiller = '{killer}'\nat = '{at}'\n"
        f"old = {json.dumps(old)}\nnew = {json.dumps(new)}\n{more}\n"
    )


MINUS = mutant("minus", "return a - b;")


class Engine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("CMakeLists.txt", CMAKE)
        self.write("CMakePresets.json", PRESETS)
        self.write("sum.c", SUM)
        self.write("other.c", OTHER)
        self.write("src/part.c", PART)
        self.write("twice.cpp", TWICE)
        self.write("ci/mutants/killers.toml", KILLERS)
        self.write(".gitignore", "/build/\n")
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def seed(self, area, *mutants):
        self.write(f"ci/mutants/catalogue/{area}.toml", "".join(mutants))

    def run_all(self, *arguments):
        done = subprocess.run(
            [sys.executable, str(RUN), "--root", str(self.root), "--jobs", "1", *arguments],
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def rows(self):
        matrix = json.loads((self.root / "build/mutants/matrix.json").read_text())
        return {row["mutant"]: row for row in matrix["mutants"]}

    def verdicts(self):
        return {name: row["verdict"] for name, row in self.rows().items()}

    def test_killed_is_green(self):
        twice = {"at": "twice.cpp: twice", "killer": "small.twice"}
        self.seed(
            "sum",
            MINUS,
            mutant("in_a_child", "return a - b;", killer="small.child"),
            mutant("label", "a *= 4;", "a *= 3;", "sum.c: tripled"),
        )
        self.seed(
            "twice",
            mutant("value", "3 * a", "2*a", **twice),
            mutant("constant", "11", "10", "twice.cpp: kTen", "small.twice"),
            mutant("inside", "a / 3", "a / 2", "twice.cpp: Half::of", "small.twice"),
            mutant(
                "outside",
                "a >> 2",
                "a >> 1",
                "twice.cpp: Half::of",
                "small.twice",
                "alone = true\n",
            ),
        )
        status, output = self.run_all()
        self.assertEqual(status, 0, output)
        self.assertIn("7 of 7 killed", output)
        self.assertEqual((self.root / "sum.c").read_text(), SUM)
        # What the compiler evaluates is never switched; neither is what does not build so, here two
        # labels of one name.
        self.assertEqual(
            {name for name, row in self.rows().items() if row["is_switched"]},
            {"sum/minus", "sum/in_a_child", "twice/inside"},
        )

    def test_each_other_verdict_is_red(self):
        self.seed(
            "a",
            mutant("harmless", "return b + a;"),
            mutant("stale", "", "return a * b;"),
            mutant("twice_there", "a", "a", "sum.c: sum_of_three"),
            mutant("nameless", "", at="sum.c: product"),
            mutant("rubbish", "return a -;"),
            mutant("silent", "abort();\nreturn a + b;"),
            mutant("endless", ENDLESS),
            mutant("never_called", "return 7;", "return a + b + c;", "sum.c: sum_of_three"),
            mutant("elsewhere", "return a;", "return a + 1;", "other.c: other"),
            mutant("without_environment", "return a - b;", killer="small.bare"),
        )
        self.seed(
            "b",
            mutant("ends", "return a - b;"),
            mutant("ends_never", ENDLESS, more="ends = true\n"),
        )
        # A function of which only one child is told: what has no environment is not selected.
        status, output = self.run_all()
        self.assertEqual(status, 1, output)
        expected = {
            "a/harmless": "survives",
            "a/stale": "does not apply",
            "a/twice_there": "does not apply",
            "a/nameless": "does not apply",
            "a/rubbish": "does not build",
            "a/silent": "dies without a report",
            "a/endless": "does not end",
            "a/never_called": "not reached",
            "a/elsewhere": "not compiled in",
            "a/without_environment": "not selected",
            "b/ends": "killed",
            "b/ends_never": "killed",
        }
        self.assertEqual(self.verdicts(), expected, output)
        self.assertIn("again: ci/mutants/run --only 'a/harmless'", output)
        self.assertIn("2 of 12 killed", output)

    def test_a_test_that_fails_without_a_mutant_is_red(self):
        self.seed("sum", MINUS)
        self.write("sum.c", SUM.replace("!= 5", "!= 6"))
        status, output = self.run_all()
        self.assertEqual(status, 1, output)
        self.assertIn("1 mutants were not judged", output)
        # The switch must not disturb a test either.
        self.write(
            "sum.c",
            SUM.replace(
                "errno = 7;",
                '\n#ifdef MUTANT_IS\n    puts("FAILED");\n    return 1;\n#endif\n    errno = 7;',
            ),
        )
        status, output = self.run_all()
        self.assertEqual(status, 1, output)
        self.assertIn(
            "on the switched build with no mutant selected; 1 mutants were not judged", output
        )

    def test_interrupted_it_ends_what_it_started_and_goes_on_next_time(self):
        pid = self.root / "build" / "pid"
        told = f'FILE* f = fopen("{pid}", "w"); fprintf(f, "%d\\n", getpid()); fclose(f); {ENDLESS}'
        self.seed("a", MINUS, mutant("endless", told), mutant("next", "return a * b;"))
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
        self.assertIn("1 were killed by the run that was interrupted", output)
        self.seed("a", MINUS, mutant("next", "return a * b;"))
        status, output = self.run_all()
        self.assertEqual(status, 0, output)
        self.assertIn("1 were killed by the run that was interrupted", output)
        self.assertEqual(self.verdicts(), {"a/minus": "killed", "a/next": "killed"})
        # What is over is over: the next run begins anew.
        self.assertNotIn("interrupted", self.run_all()[1])

    def test_which_test_reaches_which_function(self):
        copy = Copy(self.root, self.root / "build" / "reach" / "tree")
        its = Reach(self.root, copy, lambda text: None)
        its.refresh()
        its.build({"small.part", "small.part_fails"})
        found = dict(its.run({"small.part", "small.part_fails"}, {}))
        self.assertEqual(found, {"small.part": {"src/part.c: used", "src/part.c: main"}})
        self.assertEqual(its.keys() - found["small.part"], {"src/part.c: unused"})

    def test_what_makes_a_run_impossible(self):
        self.assertEqual(self.run_all()[0], 2)
        self.seed("a", MINUS.replace("small.sum", "small.other"))
        self.assertIn("has no small.other", self.run_all()[1])
        self.seed("a", MINUS.replace("breaks", "means"))
        status, output = self.run_all()
        self.assertEqual(status, 2)
        self.assertIn("breaks is missing, unknown field means", output)

    def test_the_quick_check(self):
        self.seed("a", MINUS)
        self.assertEqual(self.run_all("--check")[0], 0)
        self.seed(
            "a",
            MINUS,
            mutant("stale", "", "return a * b;"),
            mutant("empty", "return a+b;"),
            mutant("long", "0", more="\n".join("#") * 3),
            mutant("longer", "0", more="chosen = true\nends = true\n"),
        )
        status, output = self.run_all("--check")
        self.assertEqual(status, 1)
        for text in (
            "a/stale: this stands nowhere in sum of sum.c",
            "a/empty changes nothing",
            "a/longer takes more than 8 lines",
            "5 mutants, 3 wrong",
        ):
            self.assertIn(text, output)

    def test_chosen_and_rest_make_the_whole(self):
        self.seed(
            "a",
            mutant("one", "return a - b;", more="chosen = true\n"),
            mutant("two", "return a * b;"),
        )
        self.assertIn("1 mutants", self.run_all("--list", "--chosen")[1])
        self.assertIn("a/two", self.run_all("--list", "--rest")[1])
        self.assertIn("2 mutants", self.run_all("--list")[1])
        self.write("others.toml", mutant("three", "return a * b;"))
        output = self.run_all("--list", "--list-file", str(self.root / "others.toml"))[1]
        self.assertIn("others/three", output)
        self.assertIn("1 mutants", output)


CLASS = """
#define WRAP(x) \\
    do { x; } while (0)
namespace a::b {
template <class T, int (*F)(int) = nullptr>
class Box final : public Base<T> {
public:
    Box(int a, int b) : a_(a), b_{b} { WRAP(check()); }
    ~Box() { free(p_); }
    bool operator()(int x) const { return x > 1; }
    template <class U> requires(sizeof(U) > 1)
    void each(U u) noexcept(noexcept(u())) { u(); }
    static constexpr int kLimit = 1 + 2;
    enum class Kind : unsigned char { one, two };
private:
    int a_ = 0, b_;
    void out(int);
};
template <World W>
void Box<W>::out(int x) {
    if constexpr (kLimit > 2) { use(">> // no comment", x >> 2); }
    static_assert(kLimit == 3);
}
inline auto table = [](int i) { return i; };
consteval int folded() { return 1; }
}  // namespace a::b
extern "C" { __attribute__((noinline)) const char* text(void) { return "a" /* and */ "b"; } }
"""


class Sources(unittest.TestCase):
    def test_names(self):
        regions = {region.name: region for region in Source(CLASS).regions}
        functions = {name for name, region in regions.items() if region.body}
        self.assertEqual(
            functions,
            {"Box::Box", "Box::~Box", "Box::operator()", "Box::each", "Box::out", "folded", "text"},
        )
        self.assertLessEqual(
            {"WRAP", "Box", "Box::kLimit", "Box::Kind", "Box::a_", "table"}, set(regions)
        )
        self.assertTrue(regions["folded"].is_constant)
        self.assertFalse(regions["Box::out"].is_constant)

    def test_what_the_compiler_evaluates(self):
        source = Source(CLASS)
        (out,) = (region for region in source.named("Box::out") if region.body)
        for text, is_evaluated in (("kLimit > 2", True), ("== 3", True), ("x >> 2", False)):
            (at,) = source.find("Box::out", words(text))
            self.assertEqual(source.is_evaluated(at, out), is_evaluated, text)

    def test_tokens(self):
        self.assertEqual(words("a+ b // c\n/* d */ >>=1'000u"), words("a +b>>= 1'000u"))
        self.assertEqual(words('"a" "b"'), words('"ab"'))
        self.assertNotEqual(words("a == b"), words("a = = b"))
        self.assertEqual(
            words("x = R\"(a // \" b)\"; 1e-5f 'a' '\\''"),
            ["x", "=", 'R"(a // " b)"', ";", "1e-5f", "'a'", "'\\''"],
        )

    def test_a_text_is_found_wherever_a_formatter_puts_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "box.hpp"
            edit = Edit("box.hpp", "Box::out", 'use( ">> // no comment",x>>2 );', "use();")
            path.write_text(CLASS)
            place = Tree(folder).place(edit)
            path.write_text(
                CLASS.replace("x >> 2", "// shift\n        x\n>>2").replace(
                    "Box<W>::out", "Box < W >\n::out"
                )
            )
            self.assertEqual(Tree(folder).place(edit), place)
            path.write_text(
                CLASS.replace("static_assert", 'use(">> // no comment", x >> 2); static_assert')
            )
            with self.assertRaisesRegex(NotFound, "2 times"):
                Tree(folder).place(edit)
            path.write_text(CLASS.replace("x >> 2", "x >> 3"))
            with self.assertRaisesRegex(NotFound, "nowhere"):
                Tree(folder).place(edit)


class Maps(unittest.TestCase):
    def setUp(self):
        self.map = ReachMap()
        self.map.learn({"a: f", "a: g"}, {"one": {"a: f"}, "two": set()})
        self.map.prints["one"] = "12ab"

    def test_what_is_not_said_is_unknown(self):
        again = ReachMap(self.map.text())
        for function, test, expected in (
            ("f", "one", True),
            ("g", "one", False),
            ("f", "two", False),
            ("f", "three", None),
            ("h", "one", None),
        ):
            self.assertIs(again.reaches("a", function, test), expected, (function, test))
        self.assertEqual(again.prints, {"one": "12ab"})
        self.assertEqual(again.text(), self.map.text())

    def test_lines_of_two_versions_are_a_map(self):
        other = ReachMap()
        other.learn({"a: f", "a: h"}, {"two": {"a: f"}})
        both = ReachMap(self.map.text() + other.text())
        self.assertTrue(both.reaches("a", "f", "one"))
        self.assertTrue(both.reaches("a", "f", "two"))
        self.assertIs(both.reaches("a", "h", "one"), None)
        self.assertEqual(both.text().count("a: f\t"), 1)

    def test_a_test_is_learnt_anew(self):
        self.map.learn({"a: f"}, {"one": set()})
        self.assertIs(self.map.reaches("a", "f", "one"), False)
        self.assertIs(self.map.reaches("a", "f", "two"), False)
        self.assertIs(self.map.reaches("a", "g", "two"), None)  # it is gone
        self.assertEqual(self.map.prints, {})


if __name__ == "__main__":
    unittest.main()
