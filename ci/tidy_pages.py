"""Rules of ci/tidy about pages and fuzz targets, which look at several files at once.

page-link     a relative link leads to a file, and its #part to a heading of that page
page-command  a command of ci/ in a page exists, is executable, and its --help knows its options
page-length   a paragraph has at most 100 words, README.md at most 1,200
page-made     a page that says `Made by COMMAND` is what COMMAND would write (COMMAND --check)
fuzz-target   each fuzz/NAME_fuzz.cpp has a corpus, a canary and a row in fuzz/README.md
"""

import re
import subprocess

RULES = {"page-link", "page-command", "page-length", "page-made", "fuzz-target"}
PARAGRAPH_WORDS = 100
README_WORDS = 1200
FOLDERS = ("docs", "src", "props", "fuzz", "stress", "tests", "bench", "ci", ".github")
SKIPPED = {"tidy_cases", "corpus", "regressions"}
HELP_SECONDS = 10

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_SPAN = re.compile(r"`([^`]+)`")
MADE_BY = re.compile(r"<!-- Made by (\S+) -->")
# A command of ci/ at the start of a piece of code, perhaps behind variables or a prompt.
COMMAND = re.compile(r"\s*(?:\$ )?(?:\w+=\S* )*(ci/[\w./-]+)(.*)", re.DOTALL)
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
LIST_ITEM = re.compile(r"\s*(?:[-*]|\d+\.) ")


def pages(root):
    yield from sorted(root.glob("*.md"))
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.md")):
            if not SKIPPED & set(path.relative_to(root).parts):
                yield path


def is_for_readers(path):
    """The pages for people outside and in docs/, whose paragraphs are short."""
    return len(path.parts) == 1 or path.parts[0] == "docs"


def blocks(text):
    """(number, line, is_code) of each line that is no fence."""
    is_code = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        else:
            yield number, line, is_code


def headings(text):
    """The parts of a page that a link can name, as GitHub spells them."""
    names = set()
    for _, line, is_code in blocks(text):
        if not is_code and line.startswith("#"):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip()).lower()
            names.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return names


class Pages:
    def __init__(self, root):
        self.root = root
        self.findings = []
        self.helps = {}

    def report(self, path, line, rule, advice):
        self.findings.append((str(path), line, rule, advice))

    def run(self):
        for path in pages(self.root):
            text = path.read_text()
            name = path.relative_to(self.root)
            self.check_links(path, name, text)
            self.check_commands(name, text)
            if is_for_readers(name):
                self.check_length(name, text)
        for path in sorted((self.root / "docs").rglob("*")):
            if path.suffix in (".md", ".svg"):
                self.check_made(path)
        self.check_fuzz_targets()
        return self.findings

    def check_links(self, path, name, text):
        for number, line, is_code in blocks(text):
            if is_code:
                continue
            for match in LINK.finditer(CODE_SPAN.sub("", line) if "](" not in line else line):
                target, _, part = match[1].partition("#")
                if re.match(r"[a-z]+:", target):
                    continue
                file = path.parent / target if target else path
                if not file.exists():
                    advice = f"{target} does not exist; name a file relative to this page"
                    self.report(name, number, "page-link", advice)
                elif part and file.suffix == ".md" and part not in headings(file.read_text()):
                    self.report(name, number, "page-link", f"{match[1]}: no such heading there")

    def check_commands(self, name, text):
        for number, line, is_code in blocks(text):
            codes = [line] if is_code else CODE_SPAN.findall(line)
            for code in codes:
                for piece in re.split(r"&&|\|\||[;|#]", code):
                    if match := COMMAND.match(piece):
                        self.check_command(name, number, match[1].rstrip("."), match[2])

    def check_command(self, name, number, command, arguments):
        file = self.root / command
        if not file.exists():
            self.report(name, number, "page-command", f"{command} does not exist")
            return
        options = OPTION.findall(arguments)
        is_command = file.is_file() and (not file.suffix or options)
        if is_command and not file.stat().st_mode & 0o100:
            self.report(name, number, "page-command", f"{command} is not executable")
        elif is_command and options:
            known = set(OPTION.findall(self.help_of(file)))
            for option in options:
                if option not in known:
                    advice = f"{command} --help does not know {option}"
                    self.report(name, number, "page-command", advice)

    def help_of(self, file):
        if file not in self.helps:
            try:
                done = subprocess.run(
                    [str(file), "--help"],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=HELP_SECONDS,
                )
                self.helps[file] = done.stdout + done.stderr
            except (OSError, subprocess.TimeoutExpired):
                self.helps[file] = ""
        return self.helps[file]

    def check_length(self, name, text):
        words = len(text.split())
        if name.as_posix() == "README.md" and words > README_WORDS:
            advice = f"{words} words: move detail to docs/ (at most {README_WORDS})"
            self.report(name, 1, "page-length", advice)
        start = count = 0
        for number, line, is_code in [*blocks(text), (0, "", False)]:
            ends = is_code or not line.strip() or line[0] in "#|<" or LIST_ITEM.match(line)
            if ends:
                if count > PARAGRAPH_WORDS:
                    advice = f"{count} words: split the paragraph (at most {PARAGRAPH_WORDS})"
                    self.report(name, start, "page-length", advice)
                count = 0
            if not ends or LIST_ITEM.match(line):
                start = number if count == 0 else start
                count += len(line.split())

    def check_made(self, path):
        if match := MADE_BY.search(path.read_text()[:2000]):
            name = path.relative_to(self.root)
            try:
                command = [str(self.root / match[1]), "--check"]
                is_current = subprocess.run(command, capture_output=True).returncode == 0
            except OSError:
                is_current = False
            if not is_current:
                self.report(name, 1, "page-made", f"run {match[1]}, which makes this page")

    def check_fuzz_targets(self):
        folder = self.root / "fuzz"
        readme = folder / "README.md"
        build = folder / "CMakeLists.txt"
        rows = readme.read_text() if readme.exists() else ""
        canaries = build.read_text() if build.exists() else ""
        for path in sorted(folder.glob("*_fuzz.cpp")):
            target, name = path.stem.removesuffix("_fuzz"), path.relative_to(self.root)
            corpus = folder / "corpus" / target
            if not corpus.is_dir() or not any(corpus.iterdir()):
                advice = f"begin a corpus: files in fuzz/corpus/{target}"
                self.report(name, 1, "fuzz-target", advice)
            if not re.search(rf"^\s*fuzz_canary\(\w+ {target} \w", canaries, re.MULTILINE):
                advice = f"seed a defect that its corpus shows: fuzz_canary(... {target} DEFECT)"
                self.report(name, 1, "fuzz-target", advice)
            if not re.search(rf"^\| {target} \|", rows, re.MULTILINE):
                self.report(name, 1, "fuzz-target", f"give {target} a row in fuzz/README.md")


def findings(root):
    return Pages(root).run()
