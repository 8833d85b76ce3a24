"""Which tests a change can break. What is not known to be harmless runs."""

import fnmatch
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from engine import killers
from engine.catalogue import Trouble
from engine.reach_map import ReachMap

from .tree import digest

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
ADD_TEST = re.compile(r"^add_test\(\[=\[(.*?)\]=\] (.*)\)$", re.MULTILINE)
SUBFOLDER = re.compile(r'^subdirs\("(.*?)"\)$', re.MULTILINE)
LABELS = re.compile(r"^set_tests_properties\(\[=\[(.*?)\]=\].* LABELS \"(.*?)\"", re.MULTILINE)
PAGES = ("*.md", "docs/*", ".github/*", "LICENSE", ".gitignore", ".git-blame-ignore-revs")
SCRIPTS = ("ci/*", ".ci/*")
# A test outside the table runs if its own source changed. More than these are left out.
OTHERS_MOST = 4


@dataclass(frozen=True)
class Script:
    """A test of what has no C++."""

    name: str
    changes: tuple
    command: tuple


@dataclass
class Table:
    """ci/quick.toml: the tests of ci/quick; what is built for them and their arguments are those of
    ci/mutants/killers.toml."""

    tests: dict  # name: killers.Killer
    areas: dict  # name: patterns of the sources for which alone it runs, if it has some
    scripts: dict


@dataclass
class Plan:
    tests: list = field(default_factory=list)  # of the table
    others: list = field(default_factory=list)  # tests of ctest whose own source changed
    scripts: list = field(default_factory=list)
    left: list = field(default_factory=list)  # what the change can break and is not run


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def load(root):
    table = tomllib.loads((root / "ci" / "quick.toml").read_text())
    every = killers.load(root / "ci" / "mutants" / "killers.toml")
    missing = sorted(set(table["test"]) - set(every))
    if missing:
        raise Trouble(f"ci/mutants/killers.toml has no {', '.join(missing)}")
    return Table(
        {name: every[name] for name in table["test"]},
        {name: tuple(row["areas"]) for name, row in table["test"].items() if "areas" in row},
        {
            name: Script(name, tuple(row["changes"]), tuple(row["command"]))
            for name, row in table["script"].items()
        },
    )


def reach_map(root):
    """Without the file all is unknown."""
    path = root / "ci" / "mutants" / "reached.txt"
    return ReachMap(path.read_text() if path.exists() else "")


class Includes:
    """What sources include with quotes, directly or not."""

    def __init__(self, root):
        self.root, self.known = root, {}

    def direct(self, path):
        if path not in self.known:
            folders = (Path(path).parent, Path(), Path("src"), Path("include"))
            found = set()
            text = (self.root / path).read_text(errors="replace")
            for name in INCLUDE.findall(text):
                for folder in folders:
                    its = folder / name
                    if ".." not in its.parts and (self.root / its).is_file():
                        found.add(its.as_posix())
                        break
            self.known[path] = found
        return self.known[path]

    def closure(self, paths):
        found, left = set(), [path for path in paths if (self.root / path).is_file()]
        while left:
            path = left.pop()
            if path not in found:
                found.add(path)
                left += self.direct(path) - found
        return found


@dataclass(frozen=True)
class Registered:
    """A test as ctest has it, built or not."""

    name: str
    labels: tuple
    words: tuple  # the command and its arguments


def registered(build):
    """{name: test} of a build folder. ctest itself does not say the command of what is not built
    yet. A folder that has left the tree may still have a file there, so that only those are read
    that another one names."""
    found, left = {}, [build]
    while left:
        folder = left.pop()
        path = folder / "CTestTestfile.cmake"
        text = path.read_text() if path.exists() else ""
        left += [folder / name for name in SUBFOLDER.findall(text)]
        labels = dict(LABELS.findall(text))
        for name, words in ADD_TEST.findall(text):
            found[name] = Registered(
                name,
                tuple(labels.get(name, "").split(";")),
                tuple(re.findall(r'"((?:[^"\\]|\\.)*)"', words)),
            )
    return found


class Planner:
    def __init__(self, root, table, reach, tests, sources_of, state):
        """`tests`: registered(); `sources_of(test)`: the files of the tree that a test is built of
        and run from, without what they include; `state`: tree.snapshot()."""
        self.root, self.table, self.reach = root, table, reach
        self.tests, self.sources_of = tests, sources_of
        self.includes, self.state = Includes(root), state
        self.sources, self.closures, self.owned, self.prints = {}, {}, {}, {}

    def test_sources(self, name):
        if name not in self.sources:
            self.sources[name] = frozenset(self.sources_of(self.tests[name]))
        return self.sources[name]

    def owners(self, path):
        """Names of the tests that are built of a file, or that a file or its folder is named to."""
        if path not in self.owned:
            self.owned[path] = {
                name
                for name in self.tests
                if path in self.closure(name)
                or any(path.startswith(its + "/") for its in self.test_sources(name))
            }
        return self.owned[path]

    def closure(self, name):
        if name not in self.closures:
            sources = self.test_sources(name)
            self.closures[name] = self.includes.closure(sources)
        return self.closures[name]

    def fingerprint(self, name):
        """Of what a test is built of and goes through. As long as it is the same, the test reaches
        what it reached: what it does not reach changes nothing."""
        if name not in self.prints:
            its, paths = [], set(self.closure(name))
            for source in self.test_sources(name):
                # What a script imports stands beside it; a corpus is a folder.
                folder = str(Path(source).parent) if source.endswith(".py") else source
                paths |= {path for path in self.state if path.startswith(f"{folder}/")}
            for path in sorted(paths):
                state = self.state.get(path)
                if isinstance(state, dict):
                    state = [
                        (function, its_digest)
                        for function, its_digest in sorted(state.items())
                        if self.reach.reaches(path, function, name) is not False
                    ]
                its.append((path, state))
            self.prints[name] = digest(repr(its).encode())
        return self.prints[name]

    def knows(self, name):
        """Whether what the map says of a test holds for the tree as it is."""
        its = self.reach.prints.get(name)
        return its is not None and name in self.tests and its == self.fingerprint(name)

    def old(self):
        """Tests of the table of which the map says nothing that holds."""
        return sorted({row.test for row in self.table.tests.values() if not self.knows(row.test)})

    def breaks(self, change, name):
        """Whether a change can break a test of ctest."""
        path, function = change
        if matches(path, PAGES):
            return False
        if path.startswith("src/"):
            reaches = self.reach.reaches(path, function, name)
            if reaches is not None and self.knows(name):
                return reaches
        owners = self.owners(path)
        if not owners and matches(path, SCRIPTS):
            return False
        return not owners or name in owners

    def runs_for(self, name, changed):
        areas = self.table.areas.get(name)
        return not areas or any(matches(path, areas) for path, _ in changed)

    def plan(self, since):
        """`since`: {name: what changed since it was green, or None if it never was}, of everything
        in the table; that of "" is what changed since all of it was."""
        plan, whole = Plan(), since[""]
        for name, row in self.table.tests.items():
            changed = since[name]
            if changed is None or any(self.breaks(change, row.test) for change in changed):
                if self.runs_for(name, changed or whole or ()):
                    plan.tests.append(name)
        for name, script in self.table.scripts.items():
            changed = since[name]
            if changed and any(matches(path, script.changes) for path, _ in changed):
                plan.scripts.append(name)
        mine = {row.test for row in self.table.tests.values()}
        own, far = [], []
        for name in sorted(self.tests):
            if name in mine:
                continue
            if whole is None or any(self.breaks(change, name) for change in whole):
                paths = {path for path, _ in whole or () if not path.startswith("src/")}
                is_own = paths & self.test_sources(name)
                (own if is_own else far).append(name)
        plan.others = own if len(own) <= OTHERS_MOST else []
        plan.left = sorted([*far, *([] if plan.others else own)])
        return plan
