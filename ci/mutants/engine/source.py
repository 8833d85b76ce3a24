"""Source text as tokens, and the functions and declarations that it is made of.

Places are found by name and texts are compared token by token, so that neither a formatter nor an
edit elsewhere moves them.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass

TOKEN = re.compile(
    r"""
    (?P<space>(?:\s|\\\n)+)
  | (?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)
  | (?P<string>(?:u8|[uUL])?R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)"
             | (?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
  | (?P<char>(?:u8|[uUL])?'(?:\\.|[^'\\\n])+')
  | (?P<number>\.?[0-9](?:'?[0-9a-zA-Z_.]|(?<=[eEpP])[+-])*)
  | (?P<word>[A-Za-z_$][\w$]*)
  | (?P<sign><=>|->\*|\.\.\.|<<=|::|->|\+\+|--|<<|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#|.)
    """,
    re.VERBOSE | re.DOTALL,
)
CLOSER = {"(": ")", "[": "]", "{": "}"}
KEY = {"class", "struct", "union"}
# A word before a parenthesis that does not name a function.
NO_NAME = {
    "requires",
    "alignas",
    "decltype",
    "noexcept",
    "explicit",
    "__attribute__",
    "throw",
    "sizeof",
    "asm",
    "__asm__",
    "void",
    "bool",
    "char",
    "short",
    "int",
    "long",
    "unsigned",
    "float",
    "double",
    "auto",
}


@dataclass(frozen=True)
class Token:
    text: str
    begin: int
    end: int


@dataclass
class Region:
    """A function, a declaration, a class or a macro: tokens [first, last], and the braces of a
    function's body."""

    name: str
    first: int
    last: int
    body: tuple | None = None  # indices of { and } of a function
    is_constant: bool = False  # the compiler may evaluate it


def tokenize(text):
    """Comments and white space are left out; a directive's end is not kept, for no text that is
    looked for crosses one."""
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match.lastgroup not in ("space", "comment"):
            token = Token(match[0], at, match.end())
            # A formatter may cut a long literal in pieces.
            if tokens and match["string"] and match[0][0] == '"' and tokens[-1].text[0] == '"':
                token = Token(tokens[-1].text[:-1] + match[0][1:], tokens.pop().begin, match.end())
            tokens.append(token)
        at = match.end()
    return tokens


def words(text):
    return [token.text for token in tokenize(text)]


class Source:
    def __init__(self, text):
        self.text = text
        self.tokens = tokenize(text)
        self.texts = [token.text for token in self.tokens]
        self.directives = self.find_directives()  # first token -> one behind the last
        self.pairs = self.find_pairs()
        self.regions = []
        self.parse(0, len(self.tokens), ())

    def find_directives(self):
        found, at = {}, 0
        for match in re.finditer(
            r"^[ \t]*#(?:\\\n|/\*.*?\*/|[^\n])*", self.text, re.MULTILINE | re.DOTALL
        ):
            first = bisect_left(self.tokens, match.start(), at, key=lambda token: token.begin)
            last = bisect_left(self.tokens, match.end(), first, key=lambda token: token.begin)
            if first < len(self.tokens) and self.texts[first] == "#":
                found[first] = last
                if last > first + 2 and self.texts[first + 1] == "define":
                    pass
            at = last
        return found

    def find_pairs(self):
        pairs, open_, at = {}, [], 0
        while at < len(self.tokens):
            if at in self.directives:
                at = self.directives[at]
                continue
            text = self.texts[at]
            if text in CLOSER:
                open_.append(at)
            elif text in (")", "]", "}"):
                while open_ and CLOSER[self.texts[open_[-1]]] != text:
                    open_.pop()
                if open_:
                    pairs[open_.pop()] = at
            at += 1
        return pairs

    def past_angles(self, at):
        """One behind the > that closes the < at `at`."""
        depth = 0
        while at < len(self.tokens):
            text = self.texts[at]
            if text in CLOSER:
                at = self.pairs.get(at, at)
            depth += (text == "<") - (text == ">")
            at += 1
            if depth == 0:
                break
        return at

    def parse(self, at, end, scope):
        """Reads the declarations of a namespace or class between two tokens."""
        while at < end:
            if at in self.directives:
                self.macro(at)
                at = self.directives[at]
            elif self.texts[at] in ("public", "private", "protected") and self.texts[at + 1] == ":":
                at += 2
            elif self.texts[at] in (";", "}"):
                at += 1
            else:
                at = self.declaration(at, end, scope)

    def macro(self, at):
        if self.texts[at + 1] == "define" and self.directives[at] > at + 2:
            self.regions.append(Region(self.texts[at + 2], at, self.directives[at] - 1, None, True))

    def declaration(self, first, end, scope):
        """Reads one declaration; returns the token behind it."""
        texts, pairs = self.texts, self.pairs
        at, head, parameters, assigned, listed, is_constant, nested = (
            first,
            [],
            None,
            False,
            False,
            False,
            None,
        )
        while at < end:
            text = texts[at]
            if at in self.directives:
                self.macro(at)
                at = self.directives[at]
                continue
            if text == "template" and texts[at + 1] == "<":
                at = self.past_angles(at + 1)
                continue
            if text in ("constexpr", "consteval", "constinit") and parameters is None:
                is_constant = True
            if text == ";":
                name = self.name(first, at, parameters, nested, head)
                if name:
                    self.regions.append(Region("::".join((*scope, *name)), first, at, None, True))
                return at + 1
            if text == "}":
                return at
            if text == "=" and texts[at - 1] != "operator":
                assigned = True
            elif text == ":" and parameters is not None and not assigned:
                listed = True
            elif text == "(" and not assigned:
                if texts[at - 1] == "operator":
                    at += 1  # operator()
                elif (
                    parameters is None
                    and (re.match(r"[\w~]", texts[at - 1]) or self.is_operator(at))
                    and texts[at - 1] not in NO_NAME
                ):
                    parameters = at
                if texts[at] == "(":
                    at = pairs.get(at, at)
            elif text == "[":
                at = pairs.get(at, at)
            elif text == "{":
                close = pairs.get(at, end)
                kind = self.kind(head, parameters, assigned)
                if kind == "namespace":
                    self.parse(at + 1, close, scope)
                    return close + 1
                if kind == "class":
                    nested = self.class_name(head)
                    self.parse(at + 1, close, (*scope, nested) if nested else scope)
                elif kind == "enum":
                    nested = self.class_name(head)
                elif kind == "function" and not (
                    listed and (re.match(r"\w", texts[at - 1]) or texts[at - 1] == ">")
                ):
                    name = self.name(first, at, parameters, None, head)
                    self.regions.append(
                        Region(
                            "::".join((*scope, *(name or ("?",)))),
                            first,
                            close,
                            (at, close),
                            is_constant,
                        )
                    )
                    return close + 1
                at = close
            if not assigned:
                head.append(texts[at])
            at += 1
        return at

    def is_operator(self, at):
        return "operator" in self.texts[max(0, at - 3) : at]

    @staticmethod
    def kind(head, parameters, assigned):
        if assigned:
            return "value"
        if "namespace" in head or (head and head[0] == "extern" and len(head) == 2):
            return "namespace"
        if parameters is not None:
            return "function"
        if "enum" in head:
            return "enum"
        return "class" if KEY & set(head) else "value"

    @staticmethod
    def class_name(head):
        at = max(i for i, text in enumerate(head) if text in KEY | {"enum"})
        named = [text for text in head[at + 1 :] if re.match(r"\w", text)]
        return named[0] if named and named[0] not in ("final",) else ""

    def name(self, first, end, parameters, nested, head):
        """The parts of the declared name."""
        if nested:
            return (nested,)
        texts = self.texts
        if parameters is None:
            # A variable, constant, alias or static_assert: the last word before what ends its
            # declarator.
            at = first
            last = None
            while at < end and texts[at] not in ("=", "{", ":", ","):
                if texts[at] == "template" and texts[at + 1] == "<":
                    at = self.past_angles(at + 1)
                    continue
                if texts[at] in ("[", "("):
                    if last:
                        at = self.pairs.get(at, at)
                elif texts[at] == "<":
                    at = self.past_angles(at) - 1
                elif re.match(r"[A-Za-z_]", texts[at]):
                    last = texts[at]
                at += 1
            return (last,) if last else None
        at = parameters - 1
        for back in range(1, 4):
            if parameters - back >= first and texts[parameters - back] == "operator":
                parts, at = ["".join(texts[parameters - back : parameters])], parameters - back
                break
        else:
            parts = [texts[at]]
        if texts[at - 1] == "~":
            parts, at = ["~" + parts[0]], at - 1
        while at - 2 >= first and texts[at - 1] == "::":
            at -= 2
            if texts[at] == ">":
                depth = 1
                while depth and at > first:
                    at -= 1
                    depth += (texts[at] == ">") - (texts[at] == "<")
                at -= 1
            if not re.match(r"\w", texts[at]):
                break
            parts.insert(0, texts[at])
        return tuple(parts)

    def named(self, name):
        return [
            region
            for region in self.regions
            if region.name == name or region.name.endswith("::" + name)
        ]

    def find(self, name, old):
        """First tokens of each place of the texts `old` within what is called `name`, or in the
        whole file."""
        regions = self.named(name) if name else [Region("", 0, len(self.tokens) - 1)]
        found = set()
        for region in regions:
            for at in range(region.first, region.last + 2 - len(old)):
                if self.texts[at] == old[0] and self.texts[at : at + len(old)] == old:
                    found.add(at)
        return sorted(found)

    def function(self, first, last):
        """The outermost function whose body holds both tokens."""
        for region in self.regions:
            if region.body and region.body[0] < first and last < region.body[1]:
                return region
        return None

    def is_evaluated(self, first, region):
        """Whether the token is part of what the compiler evaluates within a function: a constant,
        an assertion, a condition."""
        at = first
        while at > region.body[0]:
            at -= 1
            text = self.texts[at]
            if text == "constexpr" or text == "static_assert":
                return True
            if (
                text in (";", "}")
                or text == "{"
                and self.pairs.get(at, at) > first
                and self.texts[at - 1] in (")", "else", "{", "}", ";")
            ):
                return False
        return False
