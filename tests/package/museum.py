#!/usr/bin/env python3
"""Checks docs/history/museum.md: every bug from B01 to B59 has one row and at least one test, and
every test and mutant that it names exists.

  museum.py BUILD [--ctest PROGRAM]    BUILD: a configured build tree, which ctest asks for its
  tests
  museum.py --self-test                each of these mistakes is seen
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUGS = [f"B{n:02}" for n in range(1, 60)]
TOKEN = re.compile(r"`([^`]+)`")


def rows(text):
    """The cells of each row that begins with a bug's number."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| B"):
            yield cells


def wrong_in(text, tests, mutants):
    """What is wrong, as lines."""
    wrong, seen = [], []
    for cells in rows(text):
        if len(cells) != 5:
            wrong.append(f"{cells[0]}: {len(cells)} cells instead of 5")
            continue
        bug, *_, caught, mutant = cells
        seen.append(bug)
        if not TOKEN.findall(caught):
            wrong.append(f"{bug}: no test")
        wrong += [
            f"{bug}: {problem}"
            for name in TOKEN.findall(caught)
            if (problem := problem_of(name, tests))
        ]
        wrong += [
            f"{bug}: no mutant or canary is called {name}"
            for name in TOKEN.findall(mutant)
            if name not in mutants | tests
        ]
    if seen != BUGS:
        odd = sorted(set(seen) ^ set(BUGS)) or [a for a, b in zip(seen, BUGS) if a != b]
        wrong.append(f"the rows are not B01 to B59, once each and in order: {', '.join(odd[:5])}")
    return wrong


def problem_of(name, tests):
    path, is_case, case = name.partition(": ")
    if not is_case:
        return "" if name in tests else f"ctest knows no test {name}"
    file = ROOT / path
    if not file.is_file():
        return f"there is no file {path}"
    return "" if case in file.read_text() else f"{path} has no {case}"


def tests_of(build, ctest):
    out = subprocess.run(
        [ctest, "--show-only=json-v1"], cwd=build, capture_output=True, text=True, check=True
    ).stdout
    return {test["name"] for test in json.loads(out)["tests"]}


def known_mutants():
    names = {
        name
        for name in tomllib.loads(
            (ROOT / "props/explorer/protocols/mutants/explorer.toml").read_text()
        )
    }
    return names | {
        f"{path.stem}/{name}"
        for path in (ROOT / "ci/mutants/catalogue").glob("*.toml")
        for name in tomllib.loads(path.read_text())
    }


def self_test():
    row = "| {} | x | y | {} | {} |"
    good = "\n".join(row.format(bug, "`a.b`", "`m`") for bug in BUGS)
    cases = {
        "": good,
        "no test": good.replace("`a.b`", "", 1),
        "ctest knows no test a.c": good.replace("a.b", "a.c", 1),
        "there is no file nowhere.cpp": good.replace("a.b", "nowhere.cpp: case", 1),
        "docs/history/museum.md has no such_case_": good.replace(
            "a.b", "docs/history/museum.md: such_" + "case_", 1
        ),
        "no mutant or canary is called n": good.replace("`m`", "`n`", 1),
        "once each and in order": good.replace("B07", "B08", 1),
        "4 cells": good.replace(" y |", "", 1),
    }
    failed = 0
    for text, document in cases.items():
        found = wrong_in(document, {"a.b"}, {"m"})
        if found if not text else not any(text in line for line in found):
            print(f"museum: self-test: {text or 'nothing'} was to be found, not {found}")
            failed = 1
    return failed


def main(build, *options):
    if build == "--self-test":
        return self_test()
    ctest = options[1] if options[:1] == ("--ctest",) else "ctest"
    wrong = wrong_in(
        (ROOT / "docs" / "history" / "museum.md").read_text(),
        tests_of(build, ctest),
        known_mutants(),
    )
    for line in wrong:
        print(f"museum: {line}")
    print(f"museum: {len(BUGS)} bugs, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
