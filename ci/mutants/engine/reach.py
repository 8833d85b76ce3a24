"""Finds out which tests reach which functions of src/: each function of a copy tells once that it
runs."""

import re
import time
from pathlib import Path

from .catalogue import Trouble, Tree
from .workcopy import listed, run, surroundings

HEADER = Path(__file__).with_name("reach_probe.h")
TEST = re.compile(r"^add_test\(\[=\[(.+?)\]=\] (.*)\)$", re.MULTILINE)
TEST_SECONDS = 1200


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
    def __init__(self, root, copy, say):
        self.root, self.copy, self.say = Path(root).resolve(), copy, say
        self.folder = copy.folder.parent
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

    def refresh(self):
        """Makes the copy what the tree is now, with probes. What is as it was is not compiled
        anew."""
        self.copy.folder.mkdir(parents=True, exist_ok=True)
        self.copy.refresh(self.texts)
        self.copy.configure(())

    def build(self, names):
        """Builds what the tests run."""
        # ctest says nothing of a test whose program is not built: its own file does.
        listed_tests = "".join(
            path.read_text() for path in self.copy.build_folder.rglob("CTestTestfile.cmake")
        )
        programs = set()
        for name, command in TEST.findall(listed_tests):
            if name in names:
                programs |= set(re.findall(rf'"{self.copy.build_folder}/([^"]+)"', command))
        said = self.copy.build(sorted(programs))
        if said:
            raise Trouble(f"the tests do not build with probes:\n{said[-3000:]}")
        self.copy.list_tests()

    def reached(self, test, arguments, proof):
        """Numbers of the functions that a test reaches; None if it does not pass, for then it did
        not do what it does otherwise."""
        proof.write_bytes(bytes(len(self.functions)))
        proof.chmod(0o666)
        folder, variables, _ = surroundings(test, self.copy.build_folder)
        status, _, _ = run(
            [*test["command"], *arguments], folder, TEST_SECONDS, {**variables, "REACH": str(proof)}
        )
        return (
            [number for number, byte in enumerate(proof.read_bytes()) if byte]
            if status == 0
            else None
        )

    def run(self, names, arguments):
        """(test, "file: function" of what it reaches) of those tests that pass; `arguments`: {test:
        what stands behind its own}."""
        begin, names = time.monotonic(), sorted(names)
        for done, name in enumerate(names):
            seconds = (time.monotonic() - begin) / max(1, done) * (len(names) - done)
            self.say(
                f"{done}/{len(names)} {100 * done // len(names)} %, {seconds:.0f} s left: {name}"
            )
            numbers = self.reached(
                self.copy.listed_test(name), arguments.get(name, ()), self.folder / "proof"
            )
            if numbers is None:
                self.say(f"{name} does not pass: what it reaches counts as unknown")
                continue
            its = (self.functions[number] for number in numbers)
            yield name, {f"{path}: {region.name}" for path, region in its}

    def keys(self):
        """'file: function' of all functions that can tell."""
        return {f"{path}: {region.name}" for path, region in self.functions}
