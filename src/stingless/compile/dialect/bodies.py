"""The functions that a text defines: where their bodies are, and what they are given."""

from __future__ import annotations

from typing import NamedTuple

from stingless.compile.dialect.lexer import Token, arguments, matching

_HELPERS = frozenset({"static", "inline", "__always_inline"})


class Body(NamedTuple):
    """A function's `name` (of a macro that makes one, the macro's), the tokens of each parameter, the indices of the
    brackets around its body, and whether it is a program of its own."""

    name: str
    parameters: list[list[Token]]
    opener: int
    closer: int
    is_program: bool

    @property
    def context(self) -> str:
        """The name of the packet or other context that it is given: the parameter of that type, or the first."""
        for part in self.parameters:
            if any(token.text in ("__sk_buff", "xdp_md") for token in part):
                return part[-1].text
        return self.parameters[0][-1].text if self.parameters and self.parameters[0] else ""


def bodies(tokens: list[Token]) -> list[Body]:
    """In the order of the text."""
    found = []
    i = start = 0
    while i < len(tokens):
        text = tokens[i].text
        if tokens[i].kind == "directive" or text == ";":
            start = i + 1
        elif text == "{":
            i = matching(tokens, i)
            start = i + 1
        elif text == "(" and i:
            closer = matching(tokens, i)
            if tokens[i - 1].kind == "name" and closer + 1 < len(tokens) and tokens[closer + 1].text == "{":
                end = matching(tokens, closer + 1)
                is_program = not any(t.text in _HELPERS for t in tokens[start:i])
                found.append(Body(tokens[i - 1].text, arguments(tokens, i), closer + 1, end, is_program))
            i = closer
        i += 1
    return found
