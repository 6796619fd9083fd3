"""The heads of the functions that a text defines, with their brackets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stingless.compile.dialect.lexer import Token, branch, matching


class Head(NamedTuple):
    """Indices of tokens: where the definition begins, its name, the brackets of its parameters, and of its body."""

    start: int
    name: int
    opener: int
    closer: int
    body: int


def heads(tokens: list[Token]) -> Iterator[Head]:
    """In the order of the text.  `int f(...) __attribute__((x)) {` is one; of several heads that #if chooses from, all
    have the one body."""
    i = start = 0
    waiting: list[Head] = []
    while i < len(tokens):
        text = tokens[i].text
        if tokens[i].kind == "directive":
            start = i + 1
        elif text == ";":
            start, waiting = i + 1, []
        elif text == "{":
            for head in waiting:
                yield head._replace(body=i)
            waiting = []
            i = _after(tokens, i)
            start = i + 1
        elif text == "(" and i and tokens[i - 1].kind == "name":
            closer = matching(tokens, i)
            if tokens[i - 1].text not in ("__attribute__", "SEC", "__typeof__", "typeof", "asm"):
                after = tokens[closer + 1] if closer + 1 < len(tokens) else None
                if after is not None and (after.text == "{" or after.kind in ("directive", "name")):
                    waiting.append(Head(start, i - 1, i, closer, 0))
            i = closer
        elif text == "=":
            waiting = []
        i += 1


def _after(tokens: list[Token], opener: int) -> int:
    """Where to look on after a body's first bracket: at its last; in `#if int f() { #else int g() { #endif }`, at the
    other head."""
    closer = matching(tokens, opener)
    level = 0
    for i in range(opener + 1, closer):
        what = branch(tokens[i])
        level += (what == "if") - (what == "endif")
        if level < 0:
            break
        if what == "else" and not level:
            return i
    return closer
