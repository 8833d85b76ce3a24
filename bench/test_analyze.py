#!/usr/bin/env python3
"""Tests of bench/analyze, on results as the tools write them."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMON = {
    "machine": {"cpu": "a processor", "processors": 2, "kernel": "6.1"},
    "allocators": {"glibc": {}, "hakmem": {}},
}
RUN = {"seconds": 0.5, "cpu_seconds": 0.7, "ops": 100, "peak_kib": 3000, "baseline_kib": 1000}
STEP = {
    "ns_per_op": 50.0,
    "limit_ns_per_op": 40.0,
    "ratio_to_limit": 1.25,
    "faults_per_op": 0.0,
    "peak_kib": 3000,
}


def both(run, times=3):
    return {"glibc": [run] * times, "hakmem": [run] * times}


RESULTS = {
    "compare": {
        "options": {"subject": "hakmem", "resamples": 100, "seed": 1, "clock": "wall"},
        "samples": {"tree": both(RUN)},
    },
    "allocators": {
        "options": {"subject": "hakmem", "resamples": 100, "seed": 1},
        "samples": {"vm": both(STEP)},
        "counts": {},
        "learning": {},
    },
    "before_after": {
        "options": {"resamples": 100, "seed": 1},
        "instructions": {},
        "samples": [
            {"policy": p, "size": "small", "threads": 1, "cycles": [9.0] * 3}
            for p in ("SeedBefore", "P0-1", "P0-2", "shipped")
        ],
    },
    "larson": {
        "options": {"seed": 1},
        "samples": {
            "churn": both({"replacements_per_second": 1_500_000, "threads": 9, "peak_kib": 3000})
        },
    },
}

# As much of matplotlib as is called: what is drawn goes into the file that it is saved to.
PYPLOT = """
class Axis:
    def __init__(self): self.said = []
    def bar(self, at, heights, **more): self.said.append(["bar", heights])
    def set_title(self, text, **more): self.said.append(["title", text])
    def set_xticks(self, at, labels, **more): self.said.append(["labels", labels])
    def tick_params(self, **more): pass
    def set_visible(self, shown): pass
class Axes:
    def __init__(self, n): self.flat = [Axis() for _ in range(n)]
class Figure:
    def suptitle(self, text): self.title = text
    def tight_layout(self): pass
    def savefig(self, path):
        import json, os
        if "FULL" in os.environ:
            open(path, "w").write("half of it")
            raise OSError(28, "No space left on device")
        open(path, "w").write(json.dumps([self.title] + [a.said for a in self.axes.flat]))
def subplots(rows, columns, **more):
    figure = Figure()
    figure.axes = Axes(rows * columns)
    return figure, figure.axes
def close(figure): pass
"""


class Analyze(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.files = {}
        for tool, content in RESULTS.items():
            self.files[tool] = self.folder / f"{tool}.json"
            self.files[tool].write_text(json.dumps({"tool": tool, **COMMON, **content}))

    def run_with(self, *argv, module=None, out=subprocess.PIPE, **more):
        """`module` stands in for matplotlib: its __init__.py, and pyplot."""
        environment = {**os.environ, **more}
        if module is not None:
            (self.folder / "matplotlib").mkdir()
            (self.folder / "matplotlib/__init__.py").write_text(module)
            (self.folder / "matplotlib/pyplot.py").write_text(PYPLOT)
            environment["PYTHONPATH"] = str(self.folder)
        return subprocess.run(
            [sys.executable, str(HERE / "analyze"), *map(str, argv)],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment,
            timeout=60,
        )

    def test_summaries(self):
        done = self.run_with(*self.files.values())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for text in (
            "tree",
            "5000000.00",
            "physical limit",
            "1.25 [1.25, 1.25]",
            "P0-2 / SeedBefore",
            "churn",
            "1.50; 2.9",
            "a processor",
        ):
            self.assertIn(text, done.stdout)

    def test_plots(self):
        (self.folder / "plots").mkdir()
        done = self.run_with(
            *self.files.values(),
            "--plots",
            self.folder / "plots",
            module="def use(backend): pass\n",
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        drawn = {
            tool: json.loads((self.folder / f"plots/{tool}.png").read_text()) for tool in RESULTS
        }
        self.assertEqual(
            drawn["allocators"][1],
            [
                ["bar", [50.0, 50.0, 40.0]],
                ["labels", ["glibc", "hakmem", "physical limit"]],
                ["title", "vm"],
            ],
        )
        self.assertEqual(drawn["before_after"][1][0], ["bar", [9.0] * 4])
        self.assertEqual(drawn["larson"][0], "stress/larson: million replacements per second")
        self.assertEqual(drawn["compare"][1][0], ["bar", [5e6, 5e6]])

    def test_a_plot_stays_until_there_is_another(self):
        (self.folder / "plots").mkdir()
        (self.folder / "plots/larson.png").write_text("the last one")
        done = self.run_with(
            self.files["larson"],
            "--plots",
            self.folder / "plots",
            module="def use(backend): pass\n",
            FULL="1",
        )
        self.assertEqual(
            (done.returncode, "larson.png: No space left" in done.stderr), (1, True), done.stderr
        )
        self.assertEqual(
            [(path.name, path.read_text()) for path in (self.folder / "plots").iterdir()],
            [("larson.png", "the last one")],
        )

    def test_without_matplotlib_the_summary_works(self):
        done = self.run_with(
            self.files["allocators"],
            "--plots",
            self.folder,
            module="raise ModuleNotFoundError('No module named matplotlib')\n",
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("1.25 [1.25, 1.25]", done.stdout)
        self.assertIn("apt-get install python3-matplotlib", done.stderr)

    def test_files_that_are_no_results(self):
        for name, text, said in [
            ("a", "{", "no result"),
            ("b", "[]", "no result"),
            ("c", '{"tool": "other", "options": {}, "samples": {}}', "other"),
            ("d", None, "No such file"),
        ]:
            path = self.folder / name
            if text is not None:
                path.write_text(text)
            done = self.run_with(path, self.files["larson"])
            self.assertEqual((done.returncode, said in done.stderr), (1, True), done.stderr)
            self.assertIn("churn", done.stdout)

    def test_results_with_something_missing(self):
        for tool, part in [
            ("allocators", '"machine": '),
            ("larson", '"peak_kib": '),
            ("compare", '"ops": '),
            ("before_after", '"cycles": '),
        ]:
            path = self.folder / "less"
            path.write_text(self.files[tool].read_text().replace(part, '"other": '))
            done = self.run_with(path)
            self.assertEqual((done.returncode, "no result" in done.stderr), (1, True), done.stderr)

    def test_figures_that_cannot_be(self):
        for tool, was, made in [
            ("compare", '"ops": 100', '"ops": 0'),
            ("larson", '"replacements_per_second": 1500000', '"replacements_per_second": 0'),
            ("before_after", "9.0", "0"),
            ("compare", '"ops": 100', f'"ops": 1{"0" * 400}'),
        ]:
            path = self.folder / "impossible"
            path.write_text(self.files[tool].read_text().replace(was, made))
            done = self.run_with(path)
            self.assertEqual(
                (done.returncode, "no result" in done.stderr), (1, True), (made, done.stderr)
            )

    def test_plots_of_one_name(self):
        (self.folder / "other").mkdir()
        other = self.folder / "other/larson.json"
        other.write_text(self.files["larson"].read_text())
        done = self.run_with(self.files["larson"], other, "--plots", self.folder)
        self.assertEqual(
            (done.returncode, "two files have one name" in done.stderr), (2, True), done.stderr
        )

    def test_usage_and_full_disk(self):
        self.assertEqual(self.run_with().returncode, 2)
        done = self.run_with(self.files["larson"], "--plots", self.folder / "none")
        self.assertEqual((done.returncode, "not a folder" in done.stderr), (2, True))
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_with(self.files["larson"], out=full)
        self.assertEqual((done.returncode, "No space left" in done.stderr), (1, True), done.stderr)


if __name__ == "__main__":
    unittest.main()
