"""C text to tokens, just fine enough to find table methods and function definitions."""

from __future__ import annotations

import re
from typing import NamedTuple


class Token(NamedTuple):
    kind: str  # "name", "string", "directive" (a whole preprocessor line), "number" or "punct"
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z)|\\\n)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<name>[A-Za-z_]\w*)
  | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
  | (?P<punct>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BRANCH = re.compile(r"#\s*(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif)\b")
_PAIRS = {"(": ")", "{": "}", "[": "]"}
_DIRECTIVE = re.compile(r"#(?:\\\n|/\*.*?\*/|[^\n])*", re.DOTALL)


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`; spaces and comments are left out."""
    tokens = []
    at, fresh_line = 0, True
    while at < len(text):
        if text[at] == "#" and fresh_line:
            match = _DIRECTIVE.match(text, at)
            kind = "directive"
        else:
            match = _TOKEN.match(text, at)
            kind = match.lastgroup or "punct" if match else "punct"
        assert match is not None  # the last alternative takes any character
        if kind == "space":
            fresh_line = fresh_line or "\n" in match.group()
        else:
            tokens.append(Token(kind, match.group(), at, match.end()))
            fresh_line = False
        at = match.end()
    return tokens


def branch(token: Token) -> str:
    """Of a directive that begins, divides or ends what is compiled on a condition: "if", "else" or "endif"."""
    found = _BRANCH.match(token.text) if token.kind == "directive" else None
    if found is None:
        return ""
    return "if" if found[1].startswith("if") else "else" if found[1].startswith("el") else "endif"


def matching(tokens: list[Token], opener: int) -> int:
    """Index of the bracket that closes the one at `opener`, or of the last token when none does.

    Of the branches of an #if only one counts; of the one that the opener is in, the others do not.
    """
    first = tokens[opener].text
    closer, depth = _PAIRS[first], 0
    outer: list[int] = []  # the depths at the #ifs that are open
    i = opener
    while i < len(tokens):
        text = tokens[i].text
        if text == first:
            depth += 1
        elif text == closer:
            depth -= 1
            if not depth:
                return i
        elif tokens[i].kind == "directive":
            what = branch(tokens[i])
            if what == "if":
                outer.append(depth)
            elif what == "else" and outer:
                depth = outer[-1]
            elif what == "else":
                i = end_of_branches(tokens, i)
            elif what == "endif" and outer:
                outer.pop()
        i += 1
    return len(tokens) - 1


def end_of_branches(tokens: list[Token], i: int) -> int:
    """Index of the #endif of the #if that the directive at `i` divides."""
    level = 0
    for at in range(i + 1, len(tokens)):
        what = branch(tokens[at])
        level += (what == "if") - (what == "endif")
        if level < 0:
            return at
    return len(tokens) - 1


def arguments(tokens: list[Token], opener: int) -> list[list[Token]]:
    """The comma-separated parts between the bracket at `opener` and its partner."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens[opener + 1 : matching(tokens, opener)]:
        if token.text in "([{" and token.kind == "punct":
            depth += 1
        elif token.text in ")]}" and token.kind == "punct":
            depth -= 1
        if token.text == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts if parts != [[]] else []
