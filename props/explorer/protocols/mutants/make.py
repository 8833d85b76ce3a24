#!/usr/bin/env python3
"""Makes a copy of src/ that holds every defect of list.py, each behind a comparison of hak::mutant
with its number.

  make.py SOURCE TARGET    copies SOURCE (src/) to TARGET and writes TARGET/mutants.txt: number,
                           name and killing scenario of each

A defect whose text is not found exactly once in the source is left out and marked MISSING in
mutants.txt, which is a failure of the test: the source has moved on, and the list must follow.
"""

import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from list import MUTANTS  # noqa: E402

HEADER = """namespace hak {
inline unsigned mutant = 0;  // number of the defect that is switched on; 0: none
}
"""


TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|\w+|\S')
BETWEEN = r"(?:\s|//[^\n]*\n)*"


def places_of(old, text):
    """Where these tokens stand in the text, whatever white space and comments lie between them."""
    tokens = TOKEN.findall(re.sub(r"//[^\n]*", "", old))
    start, end = (r"\b" if re.match(r"\w", token) else "" for token in (tokens[0], tokens[-1]))
    return list(re.finditer(start + BETWEEN.join(map(re.escape, tokens)) + end, text))


def main(source, target):
    source, target = Path(source), Path(target)
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target)
    # Defects of one place become one chain of alternatives.
    places = {}
    for number, mutant in enumerate(MUTANTS, 1):
        for path, old, new, *is_expression in mutant["changes"]:
            places.setdefault((path, old, bool(is_expression)), []).append(
                (number, mutant["name"], new)
            )
    missing = set()
    for (path, old, is_expression), alternatives in places.items():
        text = (target / path).read_text()
        found = places_of(old, text)
        if len(found) != 1:
            print(
                f"mutants: {alternatives[0][1]}: this stands {len(found)} times in {path}, "
                f"not once:\n{old}",
                file=sys.stderr,
            )
            missing |= {number for number, *_ in alternatives}
            continue
        old = found[0][0]  # as it stands there, comments and lines included
        if is_expression:
            chain = (
                "".join(
                    f"::hak::mutant == {number} ? ({new}) : " for number, _, new in alternatives
                )
                + f"({old}\n)"
            )
        else:
            chain = (
                "".join(
                    f"if (::hak::mutant == {number}) {{ {new} }} else "
                    for number, _, new in alternatives
                )
                + f"{{ {old}\n}}"
            )
        (target / path).write_text(text[: found[0].start()] + chain + text[found[0].end() :])
    base = target / "base" / "attrs.hpp"
    base.write_text(base.read_text() + HEADER)
    lines = [
        f"{number} {mutant['name']} {'MISSING' if number in missing else mutant['killer']}\n"
        for number, mutant in enumerate(MUTANTS, 1)
    ]
    (target / "mutants.txt").write_text("".join(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
