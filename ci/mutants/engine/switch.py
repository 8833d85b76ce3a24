"""Sources that hold many mutants at once: each changed function has its whole body once for every
mutant, chosen at run time.

Only what runs can be switched. A function that the compiler may evaluate, a declaration, a
constant, a macro, a condition of `if constexpr` has the value that it was compiled with: such a
mutant is built alone.
"""

import re
import shutil
from pathlib import Path

from .catalogue import NotFound, replace

HEADER = Path(__file__).with_name("mutant_switch.h")
NAMED = re.compile(
    r"mutant:(\d+):\d+(?::\d+)?: error"
)  # how a compiler names a place in a mutant's body


def functions(tree, mutant):
    """{(path, function's first token): (region, places)} of a mutant that can be switched, or None
    if it must be built alone."""
    found = {}
    if mutant.alone:
        return None
    for path, places in tree.places(mutant).items():
        source = tree.source(path)
        for place in places:
            region = source.function(place.first, place.last)
            if region is None or region.is_constant or source.is_evaluated(place.first, region):
                return None
            found.setdefault((path, region.first), (region, []))[1].append(place)
    return found


def switched(tree, numbered, named=False):
    """{path: text} of the sources in which each of the (number, mutant) can be switched on.
    `named`: what a compiler says of a mutant's body says the mutant's number too. It is for finding
    out alone: the names of files are part of what some tests see.
    """
    changed = {}
    for number, mutant in numbered:
        for (path, _), (region, places) in functions(tree, mutant).items():
            changed.setdefault(path, {}).setdefault(region.body, []).append((number, places))
    return {
        path: switched_file(path, tree.source(path), bodies, named)
        for path, bodies in changed.items()
    }


def switched_file(path, source, bodies, named):
    up = "../" * (len(Path(path).parts) - 1)
    text, at = [f'#include "{up}{HEADER.name}"\n#line 1\n'], 0
    for (first, last), alternatives in sorted(bodies.items()):
        begin, end = source.tokens[first].end, source.tokens[last].begin
        line = source.text.count("\n", 0, begin) + 1
        text.append(source.text[at:begin])
        for number, places in alternatives:
            name = f' "mutant:{number}"' if named else ""
            text.append(
                f"\nif (MUTANT_IS({number})) {{\n#line {line}{name}\n"
                f"{replace(source, places, begin, end)}\n}} else"
            )
        name = f' "{path}"' if named else ""
        text.append(f" {{\n#line {line}{name}\n{source.text[begin:end]}}}")
        at = end
    return "".join((*text, source.text[at:]))


def write(texts, folder):
    """Writes switched sources below a folder, and what they include."""
    for path, text in texts.items():
        (folder / path).write_text(text)
    shutil.copyfile(HEADER, folder / HEADER.name)


def blamed(output):
    """Numbers of the mutants in whose bodies a compiler found an error."""
    return {int(number) for number in NAMED.findall(output)}


def is_switchable(tree, mutant):
    try:
        return functions(tree, mutant) is not None
    except NotFound:
        return False
