#!/usr/bin/env python3
"""Makes docs/ordering.md: every atomic operation of src/, what the source says about its order, and
which scenario breaks if the order is weaker by one step.

  ordering.py SWEEP           check that docs/ordering.md is what it would write
  ordering.py SWEEP --write   write it

SWEEP is the program protocols_sweep. The table remembers which scenario finds each weaker order;
that one is tried first. A weaker order that no scenario finds makes the check fail: the scenario is
missing, or the order is stronger than it must be.
"""

import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOC = ROOT / "docs" / "ordering.md"
SKIPPED = (
    "src/sys/sync.hpp",
    "src/audit/",
    "src/checked/",
)  # the operations themselves; what looks on where one thread runs

CALL = re.compile(
    r"([\w\])>]+(?:\([^()]*\))?(?:\[[^\]]*\])?(?:(?:\.|->)\w+(?:\([^()]*\)|\[[^\]]*\])?)*?)"
    r"(?:\.|->)(load|store|exchange|fetch_add|fetch_sub|cas_weak|cas_strong)\("
)
ORDER = re.compile(r"order::(\w+)")
FUNCTION = re.compile(
    r"^\s*+(?!if\b|for\b|while\b|switch\b|return\b|else\b|do\b)[\w:<>*&,\[\]\s\"()=.]*?"
    r"(~?\b(?!alignas\b)\w+)\([^;{}]*\)[^;(){}]*(?:noexcept\([^{}]*\))?\s*\{",
    re.MULTILINE,
)
ROW = re.compile(r"^\| `(\w+)` \| `([^`]+)` \|")

HEAD = """# Memory orders

Made by `props/explorer/protocols/ordering.py --write`; a test checks that it is up to date. Every
atomic operation of `src/` but the debug build's stands here with the order that the source gives
it, and with what the source says about it. The explorer has run each one with every order that is
one step weaker: the last column names the scenario that breaks then, and how. So no order is
stronger than it must be, and none is weaker than what the scenarios can show. `relaxed` has no
weaker order.

`protocols --scenario NAME --mutant FILE:LINE:OPERATION=ORDER` shows what breaks, as a trace.
"""


def arguments_of(text, at):
    """The text between the parenthesis that opens before `at` and its partner."""
    depth, end = 1, at
    while depth and end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[at : end - 1]


def comments_of(lines):
    """Line -> text of the comment that it ends in or belongs to as a whole; blocks of whole lines
    are joined at each of their lines."""
    comments, code, number = {}, [], 0
    while number < len(lines):
        block = []
        while number < len(lines) and lines[number].lstrip().startswith("//"):
            block.append(lines[number].strip()[2:].strip())
            code.append("")
            number += 1
        for k in range(len(block)):
            comments[number - 1 - k] = " ".join(block)
        if block:
            continue
        head, mark, tail = lines[number].partition("//")
        code.append(head)
        if mark:
            comments[number] = tail.strip()
        number += 1
    return comments, code


def reason(order, number, first, comments):
    """What the source says: at the end of the line, or in the nearest comment above it that speaks
    of the order."""
    words = {"acq_rel": ("acquire", "release"), "seq_cst": ("seq_cst",)}.get(order, (order,))
    for at in range(number, first - 3, -1):
        said = comments.get(at, "")
        if any(word in said for word in words) and (
            at == number or not ends_line(at, comments, number)
        ):
            return said
    return ""


def ends_line(at, comments, number):
    """Whether the comment at line `at` stands behind code, and so speaks of that line alone unless
    it says otherwise."""
    return at in comments.get("behind code", ()) and not re.search(
        r"both|all of|here|these|below", comments[at]
    )


def heads_of(text):
    """Line -> name of the function that begins there; what stands in a body is no function."""
    heads, at = {}, 0
    while match := FUNCTION.search(text, at):
        heads[text.count("\n", 0, match.start(1))] = match[1]
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
    return heads


def sites_of(path):
    """The atomic operations of a file: function, text, operation, line, orders and comment."""
    lines = path.read_text().split("\n")
    comments, code = comments_of(lines)
    comments["behind code"] = {n for n in range(len(lines)) if code[n].strip() and n in comments}
    heads = heads_of("\n".join(code))
    found, function, first = [], "", 0
    for number, line in enumerate(code):
        if number in heads:
            function, first = heads[number], number
        for match in CALL.finditer(line):
            orders = ORDER.findall(arguments_of("\n".join(code[number : number + 9]), match.end()))
            if not orders:
                continue
            orders = orders[-2:] if match[2].startswith("cas") else orders[-1:]
            said = reason(orders[0], number, first, comments)
            found.append(
                {
                    "file": path.relative_to(ROOT).as_posix(),
                    "line": number + 1,
                    "function": function,
                    "what": match[2],
                    "text": f"{match[1]}.{match[2]}",
                    "orders": orders,
                    "reason": said,
                }
            )
    # Operations of one kind on one line are one site for the explorer: the first speaks for them.
    unique = {}
    for site in found:
        unique.setdefault((site["line"], site["what"]), site)
    seen = {}
    for site in unique.values():
        name = (site["function"], site["text"])
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            site["text"] += f" #{seen[name]}"
    return list(unique.values())


def remembered():
    """(file, function, text, weaker order) -> scenario, from the table as it stands."""
    killers, file = {}, ""
    for line in DOC.read_text().split("\n") if DOC.exists() else ():
        if line.startswith("## "):
            file = line[3:].strip("` ")
        elif row := ROW.match(line):
            for weaker, scenario in re.findall(
                r"(\w+(?: on failure)?): `([^`]+)`", line.rsplit("|", 2)[-2]
            ):
                killers[(file, row[1], row[2], weaker)] = scenario
    return killers


def sweep(program, sites):
    """Runs the sweep. id -> scenarios that execute it; (id, order) -> (scenario, kind)."""
    ids = {
        (s["file"], s["function"], s["text"]): f"{s['file']}:{s['line']}:{s['what']}" for s in sites
    }
    with tempfile.NamedTemporaryFile("w", suffix=".hints") as hints:
        for (file, function, text, weaker), scenario in remembered().items():
            if (file, function, text) in ids:
                suffix = ".failure" if weaker.endswith(" on failure") else ""
                print(ids[(file, function, text)] + suffix, weaker.split()[0], scenario, file=hints)
        hints.flush()
        out = subprocess.run([program, hints.name], stdout=subprocess.PIPE, text=True)
    if out.returncode != 0:
        sys.exit(f"ordering: the sweep ended with status {out.returncode}")
    reached, mutants = {}, {}
    for line in out.stdout.split("\n"):
        field = line.split()
        if field[:1] == ["site"]:
            reached[field[1]] = field[2:4]
        elif field[:1] == ["mutant"]:
            mutants.setdefault(field[1].removesuffix(".failure"), []).append(
                (
                    field[2] + (" on failure" if field[1].endswith(".failure") else ""),
                    field[3],
                    field[4],
                )
            )
    return reached, mutants


def table(sites, reached, mutants):
    """The document, and what is wrong with the source or the scenarios."""
    text, wrong, file = [HEAD], [], None
    for site in sites:
        if site["file"] != file:
            file = site["file"]
            text += [
                f"\n## `{file}`\n",
                "| function | operation | order | the source says | found if weaker |",
                "|---|---|---|---|---|",
            ]
        name = f"{site['file']}:{site['line']}:{site['what']}"
        orders = site["orders"]
        is_relaxed = orders == ["relaxed"] * len(orders)
        if name in reached and reached[name][0] != orders[0]:
            wrong.append(
                f"{name}: the explorer saw order {reached[name][0]}, the text says {orders[0]}"
            )
        if not is_relaxed and not site["reason"]:
            wrong.append(f"{name}: no comment says what its order {orders[0]} pairs with")
        if not is_relaxed and name not in reached:
            wrong.append(
                f"{name}: no scenario executes it, so nothing shows that it must be {orders[0]}"
            )
        cells = []
        for weaker, scenario, kind in mutants.get(name, ()):
            if scenario == "-":
                wrong.append(f"{name}: no scenario breaks with {weaker}")
            cells.append(f"{weaker}: `{scenario}` ({kind.replace('_', ' ')})")
        order = (
            orders[0]
            if len(orders) == 1 or orders[1] == "relaxed"
            else f"{orders[0]}, on failure {orders[1]}"
        )
        said = site["reason"].replace("|", "\\|")
        text.append(
            f"| `{site['function']}` | `{site['text']}` | {order} | {said} | {'; '.join(cells)} |"
        )
    return "\n".join(text) + "\n", wrong


def main(program, *options):
    files = sorted(
        p
        for p in (ROOT / "src").rglob("*.hpp")
        if not p.relative_to(ROOT).as_posix().startswith(SKIPPED)
    )
    sites = [site for path in files for site in sites_of(path)]
    reached, mutants = sweep(program, sites)
    known = {f"{s['file']}:{s['line']}:{s['what']}" for s in sites}
    text, wrong = table(sites, reached, mutants)
    wrong += [
        f"{name}: the explorer executed it, and this script does not see it in the source"
        for name in sorted(set(reached) - known)
        if not name.startswith(SKIPPED)
    ]
    for line in wrong:
        print(f"ordering: {line}")
    weaker = sum(len(m) for m in mutants.values())
    print(
        f"ordering: {len(sites)} operations, {len(reached)} executed by scenarios, {weaker} weaker"
        f" orders, {len(wrong)} findings"
    )
    if wrong:
        return 1
    if "--write" in options:
        DOC.write_text(text)
        print(f"ordering: wrote {DOC}")
        return 0
    before = DOC.read_text() if DOC.exists() else ""
    for line in difflib.unified_diff(
        before.split("\n"), text.split("\n"), "docs/ordering.md", "as it would be", lineterm="", n=0
    ):
        print(line)
    if text != before:
        print(
            "ordering: docs/ordering.md is out of date; props/explorer/protocols/ordering.py SWEEP"
            " --write makes it anew"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
