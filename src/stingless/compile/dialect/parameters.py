"""A parameter of a probe: it becomes a variable that is read from the context."""

from __future__ import annotations

from typing import NamedTuple

from stingless.compile.dialect.lexer import Token, matching

_QUALIFIERS = frozenset({"const", "volatile", "struct", "union", "enum", "unsigned", "signed", "long", "short"})
_TYPES = frozenset({"int", "char", "void", "long", "short", "unsigned", "signed", "float", "double", "_Bool", "bool"})


class Parameter(NamedTuple):
    """`declaration` is `T name` without initializer, `type` what a cast to it says; `record` is a struct by value."""

    name: str
    declaration: str
    type: str
    record: bool

    def variable(self, value: str) -> str:
        """The variable, of the 64 bits of `value`."""
        narrow = "(u8)" if self.type in ("bool", "_Bool") else ""
        return f" {self.declaration} = ({self.type}){narrow}{value};"


def parameter(tokens: list[Token], text: str) -> Parameter | None:
    """None for one without a name.  `text` is what the tokens' places are in."""
    where = _name(tokens)
    if where is None:
        return None
    name = tokens[where]
    # On one line: the line numbers of what follows are to stay.
    before = " ".join(t.text for t in tokens[:where])
    after = " ".join(t.text for t in tokens[where + 1 :])
    if after.startswith("["):  # an array is a pointer here
        closer = matching(tokens, where + 1)
        before += " *"
        after = " ".join(t.text for t in tokens[closer + 1 :])
    kind = f"{before} {after}".strip()
    record = "*" not in kind and before.split()[-2:-1] in (["struct"], ["union"])
    return Parameter(name.text, f"{before} {name.text} {after}".strip(), kind, record)


def _name(tokens: list[Token]) -> int | None:
    for i in range(len(tokens) - 2):
        if tokens[i].text == "(" and tokens[i + 1].text == "*" and tokens[i + 2].kind == "name":
            return i + 2  # of a pointer to a function
    depth = 0
    found = None
    for i, token in enumerate(tokens):
        if token.text in ("(", "["):
            depth += 1
        elif token.text in (")", "]"):
            depth -= 1
        elif token.kind == "name" and not depth and token.text != "__attribute__":
            found = i
    if found is None or tokens[found].text in _TYPES:
        return None
    before = tokens[found - 1].text if found else ""
    if not found or (before in ("struct", "union", "enum")):
        return None
    return found
