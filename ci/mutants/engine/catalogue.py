"""Lists of mutants: TOML, one table for each, whose places are found by name and whose texts are
found by tokens."""

import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .source import Source, words

FIELDS = {"breaks", "source", "killer", "at", "old", "new"}
FLAGS = ("chosen", "ends", "alone")
LINES = 8  # that a mutant may take in its list


class Trouble(Exception):
    """Something that makes a run impossible; its text is all that is printed."""


class NotFound(Exception):
    """A text is not there, or not once."""


@dataclass(frozen=True)
class Edit:
    path: str
    name: str  # of the function or declaration; empty: the whole file
    old: str
    new: str


@dataclass(frozen=True)
class Place:
    """Where an edit lies in a source: tokens [first, last]."""

    first: int
    last: int
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str  # area/name: the list's and the table's
    breaks: str
    source: str
    killer: str
    edits: tuple
    chosen: bool = False  # ci/test runs it
    ends: bool = False  # the defect shows as a test that does not end
    alone: bool = False  # needs a build of its own, though the language would allow it another one

    @property
    def test(self):
        """The killer without its cases."""
        return self.killer.partition(": ")[0]


class Tree:
    """The sources of one folder, read once."""

    def __init__(self, root):
        self.root, self.sources = Path(root), {}

    def source(self, path):
        if path not in self.sources:
            try:
                self.sources[path] = Source((self.root / path).read_text())
            except OSError as error:
                raise NotFound(f"{path}: {error.strerror}") from None
        return self.sources[path]

    def place(self, edit):
        source = self.source(edit.path)
        if edit.name and not source.named(edit.name):
            raise NotFound(f"{edit.path} has nothing that is called {edit.name}")
        found = source.find(edit.name, words(edit.old))
        if len(found) != 1:
            times = "nowhere" if not found else f"{len(found)} times"
            raise NotFound(
                f"this stands {times} in {edit.name or 'the file'} of {edit.path}, "
                f"not once: {edit.old}"
            )
        return Place(found[0], found[0] + len(words(edit.old)) - 1, edit.new)

    def places(self, mutant):
        """{path: places, in their order}."""
        places = {}
        for edit in mutant.edits:
            places.setdefault(edit.path, []).append(self.place(edit))
        for path, its in places.items():
            its.sort(key=lambda place: place.first)
            if any(a.last >= b.first for a, b in zip(its, its[1:])):
                raise NotFound(f"two edits of {path} overlap")
        return places

    def mutated(self, mutant):
        """{path: text} of the mutant's files."""
        return {path: replace(self.source(path), its) for path, its in self.places(mutant).items()}


def replace(source, places, begin=0, end=None):
    """The text between two offsets with the places in it changed."""
    text, at = [], begin
    for place in places:
        first = source.tokens[place.first].begin
        text += [source.text[at:first], place.new]
        at = source.tokens[place.last].end
    return "".join((*text, source.text[at:end]))


def listed(value):
    return value if isinstance(value, list) else [value]


def read_mutant(path, area, name, table):
    missing = sorted(FIELDS - set(table))
    unknown = sorted(set(table) - FIELDS - set(FLAGS))
    wrong = [f"{field} is missing" for field in missing] + [
        f"unknown field {field}" for field in unknown
    ]
    if not wrong:
        at, old, new = (listed(table[field]) for field in ("at", "old", "new"))
        at *= len(old) if len(at) == 1 else 1
        if not len(at) == len(old) == len(new):
            wrong.append("at, old and new are not as many")
        wrong += ["old is empty" for text in old if not words(text)]
        wrong += [f"{flag} is not true" for flag in FLAGS if table.get(flag, True) is not True]
    if wrong:
        raise Trouble(f"{path}: {name}: " + ", ".join(wrong))
    edits = tuple(Edit(*split(a), o, n) for a, o, n in zip(at, old, new))
    flags = {flag: True for flag in FLAGS if flag in table}
    return Mutant(
        f"{area}/{name}", table["breaks"], table["source"], table["killer"], edits, **flags
    )


def split(at):
    path, _, name = at.partition(": ")
    return path, name


def read(path):
    try:
        table = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Trouble(f"{path}: {error}") from None
    return [read_mutant(path, path.stem, name, its) for name, its in table.items()]


def load(paths, killers):
    every = [mutant for path in paths for mutant in read(path)]
    for mutant in every:
        if mutant.test not in killers:
            raise Trouble(f"{mutant.name}: killers.toml has no {mutant.test}")
    names = [mutant.name for mutant in every]
    for name in names:
        if names.count(name) > 1:
            raise Trouble(f"{name} stands in two lists")
    return every


def too_long(path):
    """Names of the tables that take more lines than they may."""
    found, name, lines = [], None, 0
    for line in [*path.read_text().splitlines(), "[]"]:
        if line.startswith("[") and line.rstrip().endswith("]"):
            if lines > LINES:
                found.append(f"{path.stem}/{name}")
            name, lines = line.strip("[]\"'"), 0
        if line.strip() and not line.startswith("#"):
            lines += 1
    return found


def wrong_in(root, paths, every):
    """What is wrong with lists, as far as it can be seen without a build."""
    tree = Tree(root)
    wrong = [f"{name} takes more than {LINES} lines" for path in paths for name in too_long(path)]
    for mutant in every:
        try:
            tree.places(mutant)
        except NotFound as error:
            wrong.append(f"{mutant.name}: {error}")
            continue
        if all(words(edit.old) == words(edit.new) for edit in mutant.edits):
            wrong.append(f"{mutant.name} changes nothing")
    return wrong


def choose(every, patterns, killers, only_chosen, only_rest):
    return [
        m
        for m in every
        if (not patterns or any(fnmatch.fnmatch(m.name, p) for p in patterns))
        and (not killers or m.killer in killers or m.test in killers)
        and (m.chosen or not only_chosen)
        and not (m.chosen and only_rest)
    ]
