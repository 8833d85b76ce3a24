"""What ci/mutants/reached.txt holds: which tests reach which functions of src/, as far as known.

A line is a fact of one function or one test, so that lines of two versions together are a map too
(`merge=union` in .gitattributes). What it does not say is unknown.
"""

HEAD = """# Which tests reach which functions of src/: behind a tab, + reached by, - not reached by.
# Behind `test name` stands of what the test was built and what it went through. Written by
# ci/mutants/reach.
"""


class ReachMap:
    def __init__(self, text=""):
        self.prints = {}  # {test: fingerprint of what it is built of and goes through}
        self.reached, self.missed = {}, {}  # {"file: function": tests}
        for line in text.splitlines():
            if line.startswith("test "):
                _, test, self.prints[test] = line.split()
            elif line and not line.startswith("#"):
                key, _, tests = line.partition("\t")
                for word in tests.split():
                    rows = self.reached if word[0] == "+" else self.missed
                    rows.setdefault(key, set()).add(word[1:])

    def reaches(self, path, function, test):
        """None: unknown. Of two versions that are merged, one may not know that it is reached."""
        key = f"{path}: {function}"
        if test in self.reached.get(key, ()):
            return True
        return False if test in self.missed.get(key, ()) else None

    def forget(self, tests):
        for rows in (self.reached, self.missed):
            for its in rows.values():
                its -= tests
        for test in tests:
            self.prints.pop(test, None)

    def learn(self, functions, found):
        """`functions`: all that could have told, "file: function"; `found`: {test: those that it
        reached}."""
        self.forget(set(found))
        for rows in (self.reached, self.missed):
            for key in rows.keys() - functions:
                del rows[key]
        for key in functions:
            for test, its in found.items():
                rows = self.reached if key in its else self.missed
                rows.setdefault(key, set()).add(test)

    def text(self):
        lines = [f"test {test} {its}" for test, its in sorted(self.prints.items())]
        for key in sorted(self.reached.keys() | self.missed.keys()):
            reached = self.reached.get(key, set())
            missed = self.missed.get(key, set()) - reached
            signs = [*(("+", test) for test in reached), *(("-", test) for test in missed)]
            if signs:
                words = (sign + test for sign, test in sorted(signs, key=lambda its: its[1]))
                lines.append(f"{key}\t{' '.join(words)}")
        return HEAD + "".join(f"{line}\n" for line in lines)
