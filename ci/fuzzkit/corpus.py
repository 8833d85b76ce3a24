#!/usr/bin/env python3
"""The seed corpora of fuzz/corpus: a folder for each target, with inputs as they are and in packs (*.pack: a line of hex digits each).

  corpus.py unpack TARGET FOLDER     writes each input to a file of its own
  corpus.py pack TARGET FOLDER       makes fuzz/corpus/TARGET/grown.pack of a folder's inputs
  corpus.py zip TARGET FILE.zip      what OSS-Fuzz expects beside a target
"""

import hashlib
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "fuzz" / "corpus"
REGRESSIONS = ROOT / "fuzz" / "regressions"


def name_of(data):
    return hashlib.sha1(data).hexdigest()[:16]


def inputs(target):
    """The bytes of each seed."""
    for path in sorted((CORPUS / target).iterdir()):
        if path.suffix == ".pack":
            yield from map(bytes.fromhex, path.read_text().splitlines())
        else:
            yield path.read_bytes()


def unpack(target, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    for data in inputs(target):
        (Path(folder) / name_of(data)).write_bytes(data)


def pack(target, folder):
    """What the folder holds, except what is a file of the corpus already; returns the number of inputs."""
    given = {path.read_bytes() for path in (CORPUS / target).iterdir() if path.suffix != ".pack"}
    found = {path.read_bytes() for path in Path(folder).iterdir()} - given - {b""}
    grown = CORPUS / target / "grown.pack"
    grown.write_text(
        "".join(data.hex() + "\n" for data in sorted(found, key=lambda data: (len(data), data)))
    )
    if not found:
        grown.unlink()
    return len(found)


def make_zip(target, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for data in inputs(target):
            archive.writestr(zipfile.ZipInfo(name_of(data)), data)


if __name__ == "__main__":
    actions = {"unpack": unpack, "pack": pack, "zip": make_zip}
    if len(sys.argv) != 4 or sys.argv[1] not in actions or not (CORPUS / sys.argv[2]).is_dir():
        sys.exit(__doc__)
    actions[sys.argv[1]](*sys.argv[2:])
