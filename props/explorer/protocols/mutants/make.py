#!/usr/bin/env python3
"""Makes a copy of src/ that holds every defect of explorer.toml, to be switched on by its number
(ci/mutants/engine/switch.py).

  make.py ROOT TARGET    copies ROOT/src to TARGET/src and writes TARGET/mutants.txt: number, name
                         and killing scenario of each

A defect whose text is not found exactly once in its function, or that cannot be switched, is left
out and marked MISSING in mutants.txt, which is a failure of the test: the source has moved on, and
the list must follow.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "ci" / "mutants"))
from engine import catalogue, switch  # noqa: E402

LIST = Path(__file__).with_name("explorer.toml")


def main(root, target):
    tree, target = catalogue.Tree(root), Path(target)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(tree.root / "src", target / "src")
    lines, numbered = [], []
    for number, mutant in enumerate(catalogue.read(LIST), 1):
        name, killer = mutant.name.removeprefix(LIST.stem + "/"), mutant.killer
        try:
            if switch.functions(tree, mutant) is None:
                raise catalogue.NotFound("the compiler evaluates what it changes")
            numbered.append((number, mutant))
        except catalogue.NotFound as error:
            print(f"mutants: {name}: {error}", file=sys.stderr)
            killer = "MISSING"
        lines.append(f"{number} {name} {killer}\n")
    switch.write(switch.switched(tree, numbered), target)
    (target / "mutants.txt").write_text("".join(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
