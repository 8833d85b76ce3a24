"""Finds out which tests reach which functions of src/: each function of a copy tells once that it
runs."""

import hashlib
import json
import re
import time
from pathlib import Path

from progress import Progress

from .catalogue import Trouble, Tree
from .workcopy import Copy, listed, run, surroundings

HEADER = Path(__file__).with_name("reach_probe.h")
TEST = re.compile(
    r'^add_test\(\[=\[(.+?)\]=\] (.*)\)\nset_tests_properties\(.*? LABELS "([^"]*)"', re.MULTILINE
)
TEST_SECONDS, BUILD_SECONDS = 300, 7200


def functions(tree, paths):
    """[(path, region)] of the functions that run; what the compiler may evaluate cannot tell that
    it was."""
    return [
        (path, region)
        for path in paths
        for region in tree.source(path).regions
        if region.body and not region.is_constant
    ]


def probed(path, source, numbered):
    up = "../" * (len(Path(path).parts) - 1)
    text, at = [f'#include "{up}{HEADER.name}"\n#line 1\n'], 0
    for number, region in numbered:
        end = source.tokens[region.body[0]].end
        text += [source.text[at:end], f" REACHED({number})"]
        at = end
    return "".join((*text, source.text[at:]))


class Reach:
    def __init__(self, root, jobs, say):
        self.root, self.jobs, self.say = Path(root).resolve(), jobs, say
        self.folder = self.root / "build" / "reach"
        self.copy = Copy(self.root, self.folder / "tree")
        self.tree = Tree(self.root)
        paths = sorted(
            name
            for name in listed(self.root)
            if name.startswith("src/") and name.endswith((".hpp", ".cpp", ".h", ".c"))
        )
        self.functions = functions(self.tree, paths)
        self.texts = {HEADER.name: HEADER.read_text()}
        for path in paths:
            numbered = [
                (number, region)
                for number, (its, region) in enumerate(self.functions)
                if its == path
            ]
            if numbered:
                self.texts[path] = probed(path, self.tree.source(path), numbered)

    def prepare(self, is_wanted):
        """Builds what the wanted tests run, with probes; returns their names. What is as it was is
        not compiled anew."""
        self.copy.folder.mkdir(parents=True, exist_ok=True)
        self.copy.refresh(self.texts)
        self.copy.configure(())
        # ctest says nothing of a test whose program is not built: its own file does.
        listed_tests = "".join(
            path.read_text() for path in self.copy.build_folder.rglob("CTestTestfile.cmake")
        )
        names, programs = set(), set()
        for name, command, labels in TEST.findall(listed_tests):
            if is_wanted(name, set(labels.split(";"))):
                names.add(name)
                programs |= set(re.findall(rf'"{self.copy.build_folder}/([^"]+)"', command))
        progress = Progress({"building": 600.0}, say=self.say)
        progress.begin("building")

        def line(text):
            progress.see(text)
            progress.tell("building")

        said = self.copy.build(sorted(programs), self.jobs, BUILD_SECONDS, line)
        if said:
            raise Trouble(f"the tests do not build with probes:\n{said[-3000:]}")
        self.copy.list_tests()
        return names

    def reached(self, test, proof):
        """Numbers of the functions that a test reaches; None if it does not pass, for then it did
        not do what it does otherwise."""
        proof.write_bytes(bytes(len(self.functions)))
        proof.chmod(0o666)
        folder, variables, _ = surroundings(test, self.copy.build_folder)
        status, _, _ = run(
            test["command"], folder, TEST_SECONDS, {**variables, "REACH": str(proof)}
        )
        return (
            [number for number, byte in enumerate(proof.read_bytes()) if byte]
            if status == 0
            else None
        )

    def run(self, names):
        """{test: numbers of functions} of those tests that pass. What an interrupted run found out
        is kept, as long as the sources are the same."""
        state = hashlib.sha256()
        for path in sorted(listed(self.root)):
            if path.startswith(("src/", "include/", "props/", "stress/", "fuzz/", "cmake/")):
                state.update((self.root / path).read_bytes())
        state = state.hexdigest()
        known = self.folder / "known.json"
        found = json.loads(known.read_text()) if known.exists() else {}
        found = found["tests"] if found.get("state") == state else {}
        tests = [test for name, test in sorted(self.copy.tests.items()) if name in names]
        left = [test for test in tests if test["name"] not in found]
        begin = time.monotonic()
        for done, test in enumerate(left):
            seconds = (time.monotonic() - begin) / max(1, done) * (len(left) - done)
            self.say(
                f"{done}/{len(left)} {100 * done // len(left)} %, {seconds:.0f} s left: "
                + test["name"]
            )
            found[test["name"]] = self.reached(test, self.folder / "proof")
            if found[test["name"]] is None:
                self.say(f"{test['name']} does not pass: what it reaches counts as unknown")
            known.write_text(json.dumps({"state": state, "tests": found}))
        return {
            test["name"]: found[test["name"]] for test in tests if found[test["name"]] is not None
        }

    def table(self, found):
        """What is committed: {tests: names, reached: {"file: function": which of them, as a number
        in hexadecimal; bit 0 is the first}}."""
        names = sorted(found)
        rows = {}
        for bit, name in enumerate(names):
            for number in found[name]:
                path, region = self.functions[number]
                key = f"{path}: {region.name}"
                rows[key] = rows.get(key, 0) | 1 << bit
        for path, region in self.functions:
            rows.setdefault(f"{path}: {region.name}", 0)
        return {"tests": names, "reached": {key: f"{rows[key]:x}" for key in sorted(rows)}}
