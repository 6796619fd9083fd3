"""The text under translation: its tokens, and the edits to make."""

from __future__ import annotations

from dataclasses import dataclass, field

from stingless.compile.dialect.lexer import Token
from stingless.errors import CompileError, Diagnostic


@dataclass
class Work:
    text: str
    name: str
    tokens: list[Token]
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    structs: dict[str, str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    events: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def replace(self, start: int, end: int, text: str) -> None:
        self.edits.append((start, end, text + "\n" * self.text.count("\n", start, end)))

    def refuse(self, token: Token, message: str) -> CompileError:
        line = self.text.count("\n", 0, token.start) + 1
        column = token.start - self.text.rfind("\n", 0, token.start)
        source = self.text.splitlines()[line - 1].strip()
        diagnostic = Diagnostic(self.name, line, column, "error", message, source)
        return CompileError(str(diagnostic), (diagnostic,))
