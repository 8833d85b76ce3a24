"""One copy of the tree with a build of its own: changed sources go in, targets are built, tests
run, the sources come out."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass

from .catalogue import Trouble
from .switch import HEADER

# Nothing is optimised, so that compiling is quick, and a mutant may leave something unused; the
# properties do not shrink what they find, for nobody reads it.
SETTINGS = (
    "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
    "-DCMAKE_C_FLAGS_DEBUG=-O0",
    "-DHAKMEM_PRECOMPILE=ON",
    "-DHAKMEM_SANITIZER=",
    "-DHAKMEM_WERROR=OFF",
    "-DCMAKE_COMPILE_WARNING_AS_ERROR=OFF",
)
BUILD_SECONDS = 400
GRACE = 0.5  # seconds for what a test says behind its report


@dataclass
class Result:
    status: int | None  # None: it did not end
    reported: str  # the line by which the failure is the test's own
    output: str
    seconds: float
    cores: float  # seconds that processors spent on it
    told: str  # by the mutant: s selected, r reached


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
    dropped = ("LD_PRELOAD", "MAKEFLAGS", "RC_PARAMS", "HAKMEM_OPTIONS", "MUTANT")
    return {
        **{name: value for name, value in os.environ.items() if name not in dropped},
        "RC_PARAMS": "noshrink=1",
    }


def run(command, folder, seconds, more=None, until=None, on_line=lambda line: None):
    """(status or None, output, core seconds) of a command in a session of its own, all of which
    ends with it. Soon after a line that matches `until` nobody waits for more."""
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
            on_line(line)
            if until and until.search(line):
                until = None
                timer.cancel()
                timer = threading.Timer(GRACE, end)
                timer.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if is_over.is_set():
            raise Trouble("interrupted")
        return (
            None if is_late.is_set() else process.returncode,
            "".join(lines),
            used.ru_utime + used.ru_stime,
        )
    except BaseException:
        end()
        raise
    finally:
        timer.cancel()
        process.stdout.close()
        with lock:
            running.discard(process)


def listed(root):
    """Names of the tree's files, whether committed or not."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {name for name in names.split("\0") if name and (root / name).is_file()}


class Copy:
    def __init__(
        self, root, folder, preset="dev", settings=SETTINGS, jobs=1, seconds=BUILD_SECONDS
    ):
        """`seconds`: how long a build may take."""
        self.root, self.folder, self.jobs, self.seconds = root, folder, jobs, seconds
        self.configuring = ["cmake", "--preset", preset, *settings]
        self.build_folder = folder / "build" / preset
        self.on_line = lambda line: None  # of a build
        self.options = None
        self.tests, self.artifacts = {}, {}
        self.saved = {}
        self.build_cores = 0.0  # core seconds of all builds so far

    def refresh(self, changed={}):
        """Makes the copy equal to the working copy, or to `changed` {name: text} where that has a
        file. What does not differ keeps its time, so that nothing is compiled anew."""
        names = listed(self.root) | set(changed)
        for name in names:
            source, target = self.root / name, self.folder / name
            content = changed[name].encode() if name in changed else source.read_bytes()
            if target.exists() and target.read_bytes() == content:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if source.exists():
                shutil.copymode(source, target)
        for folder, folders, files in os.walk(self.folder):
            if folder == str(self.folder):
                folders[:] = [name for name in folders if name != "build"]
            for file in files:
                path = os.path.join(folder, file)
                if os.path.relpath(path, self.folder) not in names:
                    os.unlink(path)

    def configure(self, options):
        if self.options == options:
            return
        status, output, cores = run([*self.configuring, *options], self.folder, self.seconds)
        self.build_cores += cores
        if status != 0:
            raise Trouble(f"{self.folder} cannot be configured:\n{output[-3000:]}")
        self.options = options
        self.tests = {}
        rules = re.findall(
            r"^build (\S+): phony (\S+)$",
            (self.build_folder / "build.ninja").read_text(),
            re.MULTILINE,
        )
        self.artifacts = {target: self.build_folder / path for target, path in rules}

    def objects(self, killer):
        """What is compiled and linked for a test, but for what does not depend on the sources under
        test."""
        told = subprocess.run(
            ["ninja", "-C", str(self.build_folder), "-t", "inputs", *killer.targets],
            capture_output=True,
            text=True,
        )
        if told.returncode:
            raise Trouble(f"{killer.name}: {told.stdout.strip()}{told.stderr.strip()}")
        return {
            line
            for line in told.stdout.splitlines()
            if line.endswith((".o", ".a"))
            and "precompiled" not in line
            and not line.startswith("/")
        } | set(killer.targets)

    def ninja(self, *words):
        """(status, output) of a build."""
        command = ["ninja", "-C", str(self.build_folder), "-j", str(self.jobs), *words]
        status, output, cores = run(command, self.folder, self.seconds, on_line=self.on_line)
        self.build_cores += cores
        return status, output

    def build(self, targets):
        """What the compiler said, or nothing if all is well."""
        status, output = self.ninja(*targets)
        return "" if status == 0 else output or "it does not end"

    def build_all(self, targets):
        """The same, going on behind what fails, so that all that is wrong is said."""
        return self.ninja("-k", "0", *targets)[1]

    def holds(self, killer):
        """Numbers of the mutants that the programs of a test hold."""
        found = set()
        for target in killer.targets:
            path = self.artifacts.get(target, self.build_folder / target)
            if path.is_file():
                found |= {int(number) for number in re.findall(rb"<(\d+)>", section(path))}
        return found

    def listed_test(self, name):
        if name not in self.tests:  # ctest knows the command once the program is built
            self.list_tests()
        if name not in self.tests:
            raise Trouble(f"there is no test {name} in {self.build_folder}")
        return self.tests[name]

    def list_tests(self):
        told = subprocess.run(
            ["ctest", "--test-dir", str(self.build_folder), "--show-only=json-v1"],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        ).stdout
        self.tests = {
            test["name"]: test for test in json.loads(told)["tests"] if test.get("command")
        }

    def test(self, killer, seconds, number=0):
        """Runs a test, with a mutant selected if one is named."""
        test = self.listed_test(killer.test)
        folder, variables, _ = surroundings(test, self.build_folder)
        # A file of its own: what is left of the test before may still write.
        proof = self.folder / "build" / f"proof.{number}"
        proof.write_text("")
        proof.chmod(0o666)
        if number:
            variables["MUTANT"] = f"{number}:{proof}"
        begin = time.monotonic()
        status, output, cores = run(
            [*test["command"], *killer.arguments], folder, seconds, variables, killer.report
        )
        lines = [line for line in output.splitlines() if killer.report.search(line)]
        return Result(
            status,
            lines[0].strip() if lines else "",
            output,
            time.monotonic() - begin,
            cores,
            proof.read_text(),
        )

    def write(self, texts):
        """Changes sources, until restore()."""
        for name, text in texts.items():
            path = self.folder / name
            # Not from the working copy, which may have moved on meanwhile.
            self.saved.setdefault(name, path.read_bytes())
            path.write_text(text)
        if texts:
            shutil.copyfile(HEADER, self.folder / HEADER.name)

    def restore(self):
        for name, content in self.saved.items():
            (self.folder / name).write_bytes(content)
        self.saved = {}
        (self.folder / HEADER.name).unlink(missing_ok=True)


def surroundings(test, folder):
    """Where ctest runs a test, with which variables, and its labels."""
    properties = {p["name"]: p["value"] for p in test.get("properties", [])}
    variables = dict(
        pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []) if "=" in pair
    )
    return properties.get("WORKING_DIRECTORY", folder), variables, properties.get("LABELS", [])


def section(path):
    """What the section .mutants of an ELF file holds."""
    data = path.read_bytes()
    if data[:5] != b"\x7fELF\x02":
        return b""
    headers, size, count, names = (
        int.from_bytes(data[a:b], "little") for a, b in ((40, 48), (58, 60), (60, 62), (62, 64))
    )

    def fields(i):
        at = headers + i * size
        return (
            int.from_bytes(data[at : at + 4], "little"),
            int.from_bytes(data[at + 24 : at + 32], "little"),
            int.from_bytes(data[at + 32 : at + 40], "little"),
        )

    table = fields(names)[1]
    for i in range(count):
        name, offset, length = fields(i)
        if data[table + name : table + name + 9] == b".mutants\0":
            return data[offset : offset + length]
    return b""
