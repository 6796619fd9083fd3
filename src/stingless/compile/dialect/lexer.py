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


def matching(tokens: list[Token], opener: int) -> int:
    """Index of the bracket that closes the one at `opener`, or of the last token when none does."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    closer, depth = pairs[tokens[opener].text], 0
    for i in range(opener, len(tokens)):
        if tokens[i].text == tokens[opener].text:
            depth += 1
        elif tokens[i].text == closer:
            depth -= 1
            if not depth:
                return i
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
