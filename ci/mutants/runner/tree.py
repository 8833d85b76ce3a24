"""One copy of the tree with a build of its own: a patch goes in, one target is built, one test
runs, the patch comes out."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

from .mutants import Trouble

# Nothing is optimised, so that compiling is quick; the properties do not shrink what they find, for
# nobody reads it.
CONFIGURE = (
    "--preset",
    "dev",
    "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
    "-DCMAKE_C_FLAGS_DEBUG=-O0",
    "-DHAKMEM_PRECOMPILE=ON",
    "-DHAKMEM_SANITIZER=",
)
BUILD_SECONDS = 400
GRACE = 3  # seconds for what a test says behind its report


@dataclass
class Result:
    status: int | None  # None: it did not end
    reported: str  # the line by which the failure is the test's own
    output: str
    seconds: float


running, lock, is_over = set(), threading.Lock(), threading.Event()


def stop():
    """Ends what all threads run, and lets nothing begin."""
    is_over.set()
    with lock:
        for process in running:
            kill(process)


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def environment():
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LD_PRELOAD", "MAKEFLAGS", "RC_PARAMS", "HAKMEM_OPTIONS")
    }
    return {**kept, "RC_PARAMS": "noshrink=1"}


def run(command, folder, seconds, more=None, until=None):
    """(status or None, output) of a command in a session of its own, all of which ends with it.
    Soon after a line that matches `until` nobody waits for more."""
    with lock:
        if is_over.is_set():
            raise Trouble("interrupted")
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment(), **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        running.add(process)
    lines, is_late = [], threading.Event()

    def end():
        is_late.set()
        kill(process)

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if until and until.search(line):
                until = None
                timer.cancel()
                timer = threading.Timer(GRACE, end)
                timer.start()
        status = process.wait()
        if is_over.is_set():
            raise Trouble("interrupted")
        return None if is_late.is_set() else status, "".join(lines)
    except BaseException:
        end()
        raise
    finally:
        timer.cancel()
        with lock:
            running.discard(process)


class Tree:
    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        self.build_folder = folder / "build" / "dev"
        self.options = None
        self.saved = {}

    def refresh(self):
        """Makes the copy equal to the working copy; files that did not change keep their times, so
        that nothing is compiled anew."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        names = {name for name in listed.split("\0") if name and (self.root / name).is_file()}
        for name in names:
            source, target = self.root / name, self.folder / name
            if target.exists() and target.read_bytes() == source.read_bytes():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
        for path in self.folder.rglob("*"):
            relative = path.relative_to(self.folder)
            if relative.parts[0] != "build" and path.is_file() and str(relative) not in names:
                path.unlink()

    def configure(self, killer):
        if self.options == killer.options:
            return
        status, output = run(["cmake", *CONFIGURE, *killer.options], self.folder, BUILD_SECONDS)
        if status != 0:
            raise Trouble(f"{self.folder} cannot be configured:\n{output[-3000:]}")
        self.options = killer.options

    def build(self, killer):
        """What the compiler said, or nothing if all is well."""
        status, output = run(
            ["ninja", "-C", str(self.build_folder), "-j", "1", *killer.targets],
            self.folder,
            BUILD_SECONDS,
        )
        return "" if status == 0 else output or "it does not end"

    def test(self, killer, seconds):
        listed = subprocess.run(
            [
                "ctest",
                "--test-dir",
                str(self.build_folder),
                "-R",
                f"^{killer.test}$",
                "--show-only=json-v1",
            ],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        ).stdout
        tests = [
            t for t in json.loads(listed)["tests"] if t["name"] == killer.test and t.get("command")
        ]
        if not tests:
            raise Trouble(f"there is no test {killer.test} in {self.build_folder}")
        properties = {p["name"]: p["value"] for p in tests[0].get("properties", [])}
        variables = dict(
            pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []) if "=" in pair
        )
        begin = time.monotonic()
        status, output = run(
            [*tests[0]["command"], *killer.arguments],
            properties.get("WORKING_DIRECTORY", self.build_folder),
            seconds,
            variables,
            killer.report,
        )
        lines = [line for line in output.splitlines() if killer.report.search(line)]
        return Result(status, lines[0].strip() if lines else "", output, time.monotonic() - begin)

    def apply(self, mutant):
        """What patch said, or nothing. A patch applies where it says, or not at all."""
        done = subprocess.run(
            ["patch", "-p1", "-F0", "--dry-run", "-i", str(mutant.path)],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return done.stdout + done.stderr
        # Not from the working copy, which may have moved on meanwhile.
        self.saved = {name: (self.folder / name).read_bytes() for name in mutant.files}
        subprocess.run(
            ["patch", "-p1", "-F0", "-s", "--no-backup-if-mismatch", "-i", str(mutant.path)],
            cwd=self.folder,
            check=True,
        )
        return ""

    def restore(self):
        for name, content in self.saved.items():
            (self.folder / name).write_bytes(content)
