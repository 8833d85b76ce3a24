"""The table of tests that kill mutants: what is built, what is run, and by what line a failure is
its own."""

import re
import tomllib
from dataclasses import dataclass, field, replace

# How every suite of this tree says that it found something: a property or example that fails, a
# check, an assertion, a signal's report.
REPORT = (
    r"FAILED|Falsifiable|it does not end in |the process was killed: |INV [a-z]+\.\d|"
    r"assertion failed|hakmem: \w+\(0x|WRONG|check failed"
)


@dataclass(frozen=True)
class Killer:
    name: str
    targets: tuple
    test: str
    arguments: tuple = ()
    report: re.Pattern = field(default=re.compile(REPORT))
    seconds: int = 300
    options: tuple = ()  # of cmake, where the test needs another build than the others


def load(path):
    table = tomllib.loads(path.read_text())
    return {
        name: Killer(
            name,
            tuple(row["targets"]),
            row.get("test", name),
            tuple(row.get("arguments", ())),
            re.compile(row.get("report", REPORT)),
            row.get("seconds", Killer.seconds),
            tuple(row.get("options", ())),
        )
        for name, row in table.items()
    }


def killer_of(table, text):
    """The test that a mutant names: a row of the table, and behind a colon the cases of it that are
    enough."""
    name, _, cases = text.partition(": ")
    return replace(table[name], name=text, arguments=(*table[name].arguments, *cases.split()))
