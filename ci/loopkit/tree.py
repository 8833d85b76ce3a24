"""What the tree holds, and what of it has changed since a test was green."""

import hashlib

from engine.source import Source
from engine.workcopy import listed

CPP = (".hpp", ".cpp", ".h", ".c")
REST = ""  # of a source: what is in no function that runs


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def functions(text):
    """{function: digest of its tokens}. What the compiler may evaluate, declarations and directives
    are the rest. Comments and white space do not count."""
    source = Source(text)
    found, at, rest = {}, 0, []
    for region in sorted(source.regions, key=lambda its: its.first):
        if not region.body or region.is_constant or region.first < at:
            continue
        rest += source.texts[at : region.first]
        found.setdefault(region.name, []).extend(source.texts[region.first : region.last + 1])
        at = region.last + 1
    rest += source.texts[at:]
    # A directive ends with its line, so that a line break is part of it.
    for first, last in source.directives.items():
        rest += ["\n", *source.texts[first:last]]
    found[REST] = rest
    return {name: digest("\0".join(texts).encode()) for name, texts in found.items()}


def snapshot(root):
    """{path: digest, or for a source of src/ {function: digest}} of the working copy."""
    found = {}
    for path in sorted(listed(root)):
        data = (root / path).read_bytes()
        if path.startswith("src/") and path.endswith(CPP):
            found[path] = functions(data.decode())
        else:
            found[path] = digest(data)
    return found


def changes(old, new):
    """{(path, function)} that differ; the function is REST where the file has none that differ."""
    found = set()
    for path in old.keys() | new.keys():
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            names = before.keys() | after.keys()
            found |= {(path, name) for name in names if before.get(name) != after.get(name)}
        else:
            found.add((path, REST))
    return found
