"""The patches below ci/mutants/patches: a head of fields, and a unified diff."""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

FIELDS = ("Breaks", "Source", "Killer")


class Trouble(Exception):
    """Something that makes a run impossible; its text is all that is printed."""


@dataclass(frozen=True)
class Mutant:
    name: str  # area/name, from its place
    path: Path
    breaks: str
    source: str
    killer: str
    chosen: bool
    ends: bool  # the defect shows as a test that does not end
    files: tuple


def read(path, folder):
    text = path.read_text()
    head, mark, diff = text.partition("\n--- a/")
    if not mark:
        raise Trouble(f"{path}: no unified diff (--- a/...)")
    fields = dict(re.findall(r"^([A-Z][a-z]+): (.+)$", head, re.MULTILINE))
    missing = [name for name in FIELDS if name not in fields]
    unknown = sorted(set(fields) - set(FIELDS) - {"Chosen", "Timeout"})
    if missing or unknown:
        raise Trouble(
            f"{path}: "
            + ", ".join(
                [f"{name} is missing" for name in missing]
                + [f"unknown field {name}" for name in unknown]
            )
        )
    files = tuple(re.findall(r"^\+\+\+ b/(.+)$", text, re.MULTILINE))
    return Mutant(
        str(path.relative_to(folder).with_suffix("")),
        path,
        fields["Breaks"],
        fields["Source"],
        fields["Killer"],
        fields.get("Chosen") == "yes",
        fields.get("Timeout") == "expected",
        files,
    )


def load(folder, killers):
    every = [read(path, folder) for path in sorted(Path(folder).rglob("*.patch"))]
    for mutant in every:
        if mutant.killer not in killers:
            raise Trouble(f"{mutant.path}: killers.toml has no {mutant.killer}")
    return every


def choose(every, patterns, killers, only_chosen, only_rest):
    return [
        m
        for m in every
        if (not patterns or any(fnmatch.fnmatch(m.name, p) for p in patterns))
        and (not killers or m.killer in killers)
        and (m.chosen or not only_chosen)
        and not (m.chosen and only_rest)
    ]
