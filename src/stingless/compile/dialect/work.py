"""The text under translation: its tokens, and the edits to make."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from stingless.compile.dialect.facts import Facts
from stingless.compile.dialect.lexer import Token
from stingless.errors import CompileError, CompilerMessage

_LINE = re.compile(r'^#line (\d+) "((?:[^"\\]|\\.)*)"\n', re.M)


@dataclass
class Work:
    """`text` has the user's headers in it, with `#line`s; it is of the file `name`, and for the kernel `facts`."""

    text: str
    name: str
    tokens: list[Token]
    facts: Facts
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def replace(self, start: int, end: int, text: str) -> None:
        self.edits.append((start, end, text + "\n" * self.text.count("\n", start, end)))

    def edited(self) -> str:
        parts, at = [], 0
        for start, end, new in sorted(self.edits, key=lambda edit: edit[:2]):
            parts += [self.text[at:start], new]
            at = end
        return "".join(parts) + self.text[at:]

    def place(self, offset: int) -> tuple[str, int]:
        """The file and line of a place in the text."""
        name, first, begin = self.name, 1, 0
        for marker in _LINE.finditer(self.text, 0, offset):
            name, first, begin = marker[2], int(marker[1]), marker.end()
        return name, first + self.text.count("\n", begin, offset)

    def refuse(self, token: Token, message: str) -> CompileError:
        name, line = self.place(token.start)
        column = token.start - self.text.rfind("\n", 0, token.start)
        end = self.text.find("\n", token.start)
        source = self.text[token.start - column + 1 : end if end >= 0 else None].strip()
        diagnostic = CompilerMessage(name, line, column, "error", message, source)
        return CompileError(str(diagnostic), (diagnostic,))
