"""The rule `format` of ci/tidy: every file stands as its formatter writes it, at most 100 columns.

C and C++ by clang-format-19 (.clang-format), Python by black and flake8 (pyproject.toml, .flake8),
shell scripts by shellcheck. clang-format leaves comments alone, and no formatter knows CMake: of
those, lines are measured here.
"""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RULES = {"format"}
COLUMNS = 100
PROJECT = Path(__file__).resolve().parent.parent
FINDING = re.compile(r"^(?:In )?(?:\./)?([^:\n]+?)(?::| line )(\d+)\b:?(.*)$", re.MULTILINE)
CPP = {".h", ".hpp", ".c", ".cpp"}

# Per language: the commands that judge its files, and the one that mends them.
CLANG_FORMAT = f"--style=file:{PROJECT}/.clang-format"
JUDGES = {
    "cpp": (("clang-format-19", CLANG_FORMAT, "--dry-run", "-Werror"),),
    "python": (
        ("black", "--config", f"{PROJECT}/pyproject.toml", "--check", "-q"),
        ("flake8", "--config", f"{PROJECT}/.flake8"),
    ),
    "shell": (("shellcheck", "--format=gcc"),),
    "cmake": (),
}
MENDS = {
    "cpp": "clang-format-19 -i",
    "python": "black",
    "shell": "correct what shellcheck says",
    "cmake": "break the line",
}


def language(path):
    """Of a file that is formatted, else None. Scripts without an ending say it in line 1."""
    if path.suffix in CPP:
        return "cpp"
    if path.suffix == ".py":
        return "python"
    if path.name == "CMakeLists.txt" or path.suffix == ".cmake":
        return "cmake"
    if path.suffix not in ("", ".sh") or not path.is_file():
        return None
    with path.open("rb") as file:
        first = file.readline(200)
    if not first.startswith(b"#!"):
        return None
    return "python" if b"python" in first else "shell" if b"sh" in first else None


def findings(root, paths):
    """[(path, line, rule, advice)] of the files at these paths below root."""
    groups = {}
    for path in paths:
        if kind := language(root / path):
            groups.setdefault(kind, []).append(str(path))
    with ThreadPoolExecutor() as pool:
        judged = [
            pool.submit(judge, root, command, names, MENDS[kind])
            for kind, names in groups.items()
            for command in JUDGES[kind]
        ]
    found = [finding for task in judged for finding in task.result()]
    for kind in ("cpp", "cmake"):
        found += long_lines(root, groups.get(kind, []))
    return found


def judge(root, command, names, mend):
    if not shutil.which(command[0]):
        return [("ci/packages.txt", 1, "format", f"{command[0]} is missing: run ci/bootstrap")]
    done = subprocess.run([*command, *names], cwd=root, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode == 0:
        return []
    if command[0] == "black":  # names no line, and nothing at all with -q
        command = [word for word in command if word != "-q"]
        said = subprocess.run([*command, *names], cwd=root, capture_output=True, text=True).stderr
        said = re.sub(r"would reformat (.*)", r"\1:1: not as black writes it", said)
    first = {}
    for path, line, text in FINDING.findall(said):
        path = str(Path(path).relative_to(root)) if Path(path).is_absolute() else path
        if path in names:
            first.setdefault(path, (int(line), text.strip()))
    if not first:
        return [(names[0], 1, "format", f"{command[0]} failed: {said.strip()[:200]}")]
    return [(path, n, "format", f"{mend} ({text})") for path, (n, text) in first.items()]


def long_lines(root, names):
    found = []
    for name in names:
        for number, line in enumerate((root / name).read_text().split("\n"), 1):
            # A string cannot be broken everywhere, and an address nowhere.
            if len(line) > COLUMNS and not re.search(r'"[^"]{50}|://', line):
                text = f"at most {COLUMNS} columns; this line has {len(line)}"
                found.append((name, number, "format", text))
    return found
