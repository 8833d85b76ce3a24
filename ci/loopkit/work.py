"""Builds targets and runs tests, says how far it is, and leaves nothing behind when interrupted."""

import json
import os
import re
import selectors
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import children
from engine import workcopy
from engine.catalogue import Trouble
from progress import Progress

STEP = re.compile(r"\[(\d+)/(\d+)\] (.*)")
BUILD_RULE = re.compile(r"^build ((?:[^:$\n]|\$.)+): (\S+)(.*)$", re.MULTILINE)
GUESS = 4.0  # seconds of a step that never ran


class Work:
    def __init__(self, root, build, jobs):
        self.root, self.build, self.jobs = root, build, jobs
        self.begin = time.monotonic()
        self.doing = "configuring and ci/tidy"
        self.remembered = build / "durations.json"
        self.durations = json.loads(self.remembered.read_text()) if self.remembered.exists() else {}
        self.progress = Progress(jobs=jobs, say=self.say)

    def say(self, text):
        print(f"[{time.monotonic() - self.begin:4.0f} s] {text}", flush=True)

    def expect(self, keys):
        """What comes, which is expected to take what it took when it ran last."""
        self.progress.expect({key: self.durations.get(key, GUESS) for key in keys})

    @staticmethod
    def look():
        """Raises if a signal came, and ends the tests that run."""
        try:
            children.look()
        except children.Interrupted:
            workcopy.stop()
            raise

    def remember(self):
        self.build.mkdir(parents=True, exist_ok=True)
        self.remembered.write_text(json.dumps(self.durations, indent=0, sort_keys=True))

    def run(self, command, on_line, seconds=None):
        """Exit status of a command, whose lines go to on_line as they come."""
        environment = {**workcopy.environment(), "NINJA_STATUS": "[%f/%t] ", "LC_ALL": "C"}
        del environment["RC_PARAMS"]
        try:
            process = children.start(
                command,
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError:
            raise Trouble(f"{command[0]} is not installed; ci/bootstrap installs it") from None
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                pending = b""
                while True:
                    ready = selector.select(0.2)
                    self.look()
                    self.progress.tell(self.doing)
                    if deadline and time.monotonic() > deadline:
                        return None
                    data = os.read(process.stdout.fileno(), 65536) if ready else None
                    if data == b"":
                        break
                    *lines, pending = (pending + (data or b"")).split(b"\n")
                    for line in lines:
                        on_line(line.decode(errors="replace"))
            if pending:
                on_line(pending.decode(errors="replace"))
            return process.wait()
        finally:
            children.end(process)

    def is_cold(self):
        return not (self.build / ".ninja_log").exists()

    def configure(self, preset):
        """Where there is none, or the presets changed; all other changes ninja sees itself."""
        presets = (self.root / "CMakePresets.json").read_text()
        seen = self.build / "presets.json"
        if (self.build / "build.ninja").exists() and seen.exists():
            if seen.read_text() == presets:
                return
        lines = []
        self.say(f"configuring {self.build}")
        if self.run(["cmake", "--preset", preset], lines.append) != 0:
            raise Trouble("\n".join([*lines[-30:], f"`cmake --preset {preset}` failed"]))
        seen.write_text(presets)

    def ninja(self, *words):
        return ["ninja", "-C", str(self.build), "-j", str(self.jobs), *words]

    def steps(self, targets):
        """What ninja is going to do, as it says it. It reads a copy of its file: in place of the
        plan for the file itself it would say that the file may have to be made anew."""
        found, dry = [], self.build / "steps.ninja"
        self.run(self.ninja("build.ninja"), lambda line: None)
        dry.write_text((self.build / "build.ninja").read_text())

        def note(line):
            step = STEP.fullmatch(line)
            if step:
                found.append(step[3])

        self.run(self.ninja("-f", dry.name, "-n", *targets), note)
        return found

    def logged(self):
        """{output: seconds that its step took when it ran last}."""
        log, found = self.build / ".ninja_log", {}
        for line in log.read_text().splitlines() if log.exists() else ():
            fields = line.split("\t")
            if len(fields) == 5:
                found[fields[3]] = (int(fields[1]) - int(fields[0])) / 1000
        return found

    def make(self, targets):
        """Whether the targets are built; what the compiler says is printed."""
        logged, steps = self.logged(), self.steps(targets)
        self.doing = f"building, {len(steps)} steps"
        # A step is said with its output last: "Linking CXX executable props/props_heap".
        self.progress.expect({step: logged.get(step.split()[-1], GUESS) for step in steps})

        def show(line):
            step = STEP.fullmatch(line)
            if step:
                self.progress.finish(step[3])
                self.doing = f"building, {step[1]} of {step[2]} steps done"
            elif line.strip() and not line.startswith("ninja: "):
                print(line, flush=True)

        return self.run(self.ninja(*targets), show) == 0

    def tests(self):
        """{name: test} as ctest has it, of what is built."""
        told = subprocess.run(
            ["ctest", "--test-dir", str(self.build), "--show-only=json-v1"],
            capture_output=True,
            text=True,
        )
        if told.returncode != 0:
            raise Trouble(told.stderr.strip())
        return {t["name"]: t for t in json.loads(told.stdout)["tests"] if t.get("command")}

    def run_all(self, jobs, seconds=None):
        """Runs [Job], as many at a time as there are jobs, and yields (job, status, output, cores)
        as they end. Behind `seconds` what still runs is ended, and its status is None."""
        deadline = None if seconds is None else time.monotonic() + seconds
        waiting, running = list(jobs), {}
        with ThreadPoolExecutor(self.jobs) as pool:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    job = waiting.pop(0)
                    most = job.seconds
                    if deadline:
                        most = min(most, max(0.1, deadline - time.monotonic()))
                    running[pool.submit(job.run, most)] = (job, time.monotonic())
                self.look()
                for future in [its for its in running if its.done()]:
                    job, begin = running.pop(future)
                    status, output, cores = future.result()
                    self.durations[job.key] = round(time.monotonic() - begin, 2)
                    self.progress.finish(job.key)
                    yield job, status, output, cores
                if running:
                    self.progress.tell(
                        "running " + ", ".join(job.name for job, _ in running.values())
                    )
                    time.sleep(0.02)


class Job:
    """A command to run: a test of ctest with other arguments, or a script."""

    def __init__(self, name, command, folder, variables=None, seconds=120):
        self.name, self.command, self.folder = name, list(map(str, command)), Path(folder)
        self.key = name  # of its duration
        self.stem = name.replace(".", "_")  # of the names of what it writes down
        self.variables, self.seconds = variables or {}, seconds

    def run(self, seconds):
        return workcopy.run(self.command, self.folder, seconds, self.variables)

    def written(self):
        """What a property suite wrote down when it failed, which may be long before it ends: it
        looks for a shorter history."""
        return sorted(path.name for path in self.folder.glob(f"{self.stem}*.failed"))

    def again(self):
        """One line that runs it again from any folder; what it wrote down, if it did."""
        command, variables = self.command, dict(self.variables)
        for name in self.written():
            command, variables = [command[0], "--replay", name], {}
        pairs = [f"{name}={value}" for name, value in variables.items()]
        return shlex.join(["env", "-C", str(self.folder), *pairs, *command])


def job_of(test, build, arguments=(), variables=None, seconds=None, name=None):
    folder, its, _ = workcopy.surroundings(test, build)
    properties = {p["name"]: p["value"] for p in test.get("properties", [])}
    return Job(
        name or test["name"],
        [*test["command"], *arguments],
        folder,
        {**its, **(variables or {})},
        seconds or min(120, properties.get("TIMEOUT", 120)),
    )


class NinjaFile:
    """What is built of what, from build.ninja."""

    def __init__(self, build, root):
        self.build, self.root = build, root
        self.rules = {}
        path = build / "build.ninja"
        for outputs, _, inputs in BUILD_RULE.findall(path.read_text() if path.exists() else ""):
            its = [word for word in split(inputs) if word not in ("|", "||")]
            for output in split(outputs):
                if output != "|":
                    self.rules.setdefault(output, []).extend(its)

    def sources(self, name):
        """Files of the tree that an output is made of, without what they include."""
        found, seen, left = set(), set(), [name]
        while left:
            its = left.pop()
            if its in seen:
                continue
            seen.add(its)
            if its in self.rules:
                left += self.rules[its]
            elif its.startswith(f"{self.root}/") and not its.startswith(f"{self.root}/build/"):
                found.add(its[len(str(self.root)) + 1 :])
        return {path for path in found if not path.endswith(("CMakeLists.txt", ".cmake"))}

    def sources_of(self, test):
        """Of what a test runs: what its command and its variables name."""
        found = set()
        for word in test.words:
            for its in re.split(r"[:=]", word):
                if its.startswith(f"{self.build}/"):
                    found |= self.sources(its[len(str(self.build)) + 1 :])
                elif its.startswith(f"{self.root}/"):
                    found.add(its[len(str(self.root)) + 1 :].rstrip("/"))
        return found


def split(text):
    return [word.replace("$ ", " ").replace("$:", ":") for word in re.findall(r"(?:\$.|\S)+", text)]
