#!/usr/bin/env python3
"""Compares two objects of the library, function by function and instruction by instruction.

  compare.py ONE OTHER    exit code 0: every exported function that has a hit path, which is all but
                          those that report, tune and learn, is in
                          both with the same instructions. How many of the rest differ is printed:
                          there the compiler's choice of registers may.

Addresses inside a function count from its first byte, and those outside as the function that they
lie in, so that the order in which the compiler lays functions out does not matter. Names of one
address are one name.
"""

import re
import subprocess
import sys

LINE = re.compile(r"^\s*([0-9a-f]+):\t(.*)$")
HEAD = re.compile(r"^([0-9a-f]+) <(.+)>:$")
TARGET = re.compile(r"\b([0-9a-f]+) <([^>]+?)(\+0x[0-9a-f]+)?>")
# What a program calls; nothing was compared if these are not there.
ENTRIES = {"malloc", "free", "calloc", "realloc", "aligned_alloc", "_Znwm", "_ZdlPv"}
COLD = re.compile(
    r"hak_(elo|evo|learning|init|stats|trim|check_all|version|site|profile)|"
    r"malloc_(stats|info|trim)$|mallinfo|mallopt$"
)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def symbols(path):
    """The lines of the symbol table that define functions, as fields: value in 1, binding in 4,
    visibility in 5, section in 6, name in 7."""
    table = (line.split() for line in run("readelf", "-sW", path).splitlines())
    return [
        field for field in table if len(field) == 8 and field[3] == "FUNC" and field[6].isdigit()
    ]


def names_of(path):
    """(section, address) -> the first of its function names."""
    names = {}
    for field in symbols(path):
        key = (int(field[6]), int(field[1], 16))
        names[key] = min(names.get(key, field[7]), field[7])
    return names


def functions(path):
    """The lines of each function by its name, the name that stands for each symbol, and the names
    of the exported functions."""
    names = names_of(path)
    aliases = {field[7]: names[(int(field[6]), int(field[1], 16))] for field in symbols(path)}
    exported = {
        aliases[field[7]]
        for field in symbols(path)
        if field[4] in ("GLOBAL", "WEAK") and field[5] == "DEFAULT"
    }
    result, body, start = {}, None, 0
    for line in run("objdump", "-dr", "--no-show-raw-insn", path).splitlines():
        if head := HEAD.match(line):
            start, name = int(head[1], 16), aliases.get(head[2], head[2])
            body = result.setdefault(name, [])
        elif body is not None and (found := LINE.match(line)):

            def target(match):
                there = aliases.get(match[2], match[2])
                return f"{'.' if there == name else there}{match[3] or ''}"

            text = TARGET.sub(
                target, found[2].split("\t", 1)[-1] if found[2].startswith("R_") else found[2]
            )
            text = re.sub(r"\s+# .*", "", text)
            kind = found[2].split("\t")[0] if found[2].startswith("R_") else ""
            body.append(f"{int(found[1], 16) - start:5x} {kind} {' '.join(text.split())}")
    # Padding behind the last instruction belongs to the layout.
    for body in result.values():
        while body and re.search(r" (nop\w*|data16|cs nop\w*|xchg %ax,%ax)( |$)", body[-1]):
            body.pop()
    # Where two functions have one body the compiler may keep one, and a jump to it for the other.
    for name, body in result.items():
        if (
            len(body) == 1
            and (jump := re.fullmatch(r"\s*0\s+jmp (\w+)", body[0]))
            and jump[1] in result
        ):
            result[name] = result[jump[1]]
    return result, aliases, exported


def hits(exported):
    return {name for name in exported if not COLD.match(name)}


def main(one, other):
    (mine, names, exported), (theirs, _, exported_there) = functions(one), functions(other)
    if missing := ENTRIES - set(names):
        print(f"compare: {one} does not define {', '.join(sorted(missing))}")
        return 2
    different = [
        name for name in sorted(set(mine) | set(theirs)) if mine.get(name) != theirs.get(name)
    ]
    hot = hits(exported | exported_there)
    wrong = [name for name in different if name in hot]
    for name in wrong[:5]:
        left, right = mine.get(name, []), theirs.get(name, [])
        at = next(
            (i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right))
        )
        print(f"compare: {name} differs at instruction {at}:")
        print(
            f"  {left[at] if at < len(left) else '(ends)'}\n "
            f" {right[at] if at < len(right) else '(ends)'}"
        )
    lines = sum(len(mine.get(name, [])) for name in hot)
    print(
        f"compare: {len(hot)} exported functions with hits, {lines} lines: {len(wrong)} differ; of"
        f" {len(mine) - len(hot)} others {len(different) - len(wrong)}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
