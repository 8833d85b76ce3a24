"""Which commit the change is compared with, and its library."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import children

from .stepping import ROOT


class NoSuchCommit(Exception):
    """The reference that was asked for names no commit of this repository."""


@dataclass(frozen=True)
class Base:
    commit: str
    said: str


def git(*arguments, root=ROOT):
    """Output of a git command, or None where it fails."""
    result = children.captured(["git", *arguments], cwd=root)
    return result.stdout.strip() if result.returncode == 0 else None


def is_dirty(root=ROOT):
    return bool(git("status", "--porcelain", "--untracked-files=no", root=root))


def main_branch(root=ROOT):
    for name in (
        git("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD", root=root),
        "origin/main",
        "origin/master",
        "main",
        "master",
    ):
        if name and git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", root=root):
            return name
    return None


def choose(reference, root=ROOT):
    """(Base or None, why): the reference; else the merge base with the main branch; on that branch
    the commit before; where history is cut off, the last tag.

    A commit that is the head itself compares nothing, unless the working copy has changes.
    """

    def commit_of(name):
        return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", root=root)

    if reference is not None:
        commit = None if reference.startswith("-") else commit_of(reference)
        if not commit:
            raise NoSuchCommit(f"--base {reference}: no such commit in {root}")
        return Base(commit, f"base is {reference} ({commit[:12]})"), ""
    head = commit_of("HEAD")
    if not head:
        return None, "this is no git repository, or it has no commit"
    branch = main_branch(root)
    commit = git("merge-base", "HEAD", branch, root=root) if branch else None
    if commit and (commit != head or is_dirty(root)):
        return Base(commit, f"base is the merge base with {branch} ({commit[:12]})"), ""
    if commit := commit_of("HEAD^1"):
        return Base(commit, f"base is the previous commit ({commit[:12]})"), ""
    for tag in (git("tag", "--sort=-creatordate", root=root) or "").split():
        if (commit := commit_of(tag)) and commit != head:
            return Base(commit, f"base is the last tag, {tag} ({commit[:12]})"), ""
    return None, "the head is the first commit, and there is no tag of another"


def has_library(commit, root=ROOT):
    return all(
        git("cat-file", "-e", f"{commit}:{path}", root=root) is not None
        for path in ("CMakeLists.txt", "CMakePresets.json", "src/api/library.cpp")
    )


def extract(commit, folder):
    """The commit's tree in a folder of its own; trees of other commits beside it are removed."""
    target = Path(folder) / commit[:12]
    for other in Path(folder).glob("*"):
        if other != target:
            shutil.rmtree(other)
    complete = target / ".complete"
    if complete.exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    packed = target.with_suffix(".tar")
    children.run(["git", "archive", "-o", packed, commit], check=True, cwd=ROOT)
    children.run(["tar", "-x", "-C", target, "-f", packed], check=True)
    packed.unlink()
    complete.touch()
    return target


def working_copy(folder):
    """The sources of the library as they are in the working copy, copied to a folder."""
    folder = Path(folder)
    parts = (
        "CMakeLists.txt",
        "CMakePresets.json",
        "LICENSE",
        "cmake",
        "include",
        "sanitizers",
        "src",
    )
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *parts]
    listed = children.captured(command, check=True, cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder
