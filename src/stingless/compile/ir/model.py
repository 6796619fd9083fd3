"""What the parser makes of LLVM's textual IR: a module's lines, and the instructions that tell where pointers are from.

Everything else stays as it was written.  Types and values are texts: a type as `i32`, a value as `%7`, `@table`, `null`
or a constant expression with blanks between its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stingless.compile.ir.tokens import IrError

_LOCATION = ", !dbg "


@dataclass(slots=True)
class Instruction:
    """`text` is its line; `name` the value that it defines, as `%7`, or ""."""

    text: str
    name: str

    def location(self) -> str:
        """Where in the source it is from: `, !dbg !7`, or ""."""
        at = self.text.find(_LOCATION)
        if at < 0:
            return ""
        end = self.text.find(",", at + 1)
        return self.text[at:] if end < 0 else self.text[at:end]


@dataclass(slots=True)
class Alloca(Instruction):
    """A variable on the stack."""

    type: str


@dataclass(slots=True)
class Load(Instruction):
    """From memory."""

    type: str
    pointer: str
    volatile: bool = False
    atomic: bool = False


@dataclass(slots=True)
class Store(Instruction):
    type: str
    value: str
    pointer: str


@dataclass(slots=True)
class ElementPointer(Instruction):
    """`getelementptr`: `indices` are (type, value)."""

    type: str
    pointer: str
    indices: list[tuple[str, str]]


@dataclass(slots=True)
class Same(Instruction):
    """A value that has the provenance of one of `values`: a cast, a phi, a select, a freeze."""

    values: list[str]


@dataclass(slots=True)
class Arithmetic(Instruction):
    """An operation on two integers, which may be addresses."""

    opcode: str
    left: str
    right: str


@dataclass(slots=True)
class Call(Instruction):
    """A call of a function `@name`, of a helper by its number, or of inline assembly (neither is set).

    `arguments` are (type, value); `type` is that of the result."""

    type: str
    function: str
    helper: int | None
    arguments: list[tuple[str, str]]
    constraints: str = ""  # of inline assembly

    def argument(self, number: int) -> str:
        """The value of one.  Raises `IrError` when there are fewer."""
        if number >= len(self.arguments):
            raise IrError(f"a call with too few arguments: {self.text.strip()[:120]}")
        return self.arguments[number][1]


@dataclass(slots=True)
class Return(Instruction):
    value: str


@dataclass(slots=True)
class Function:
    """`header` is the line of its `define`; `body` what follows up to the line with its bracket."""

    header: str
    name: str
    parameters: list[str]  # the values' names
    internal: bool
    section: str
    debug: str  # the node of its DISubprogram, as `!7`, or ""
    body: list[str | Instruction] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join([self.header, *(i if isinstance(i, str) else i.text for i in self.body), "}\n"])


@dataclass(slots=True)
class Module:
    """`parts` are its functions, and the text between them."""

    parts: list[str | Function]

    @property
    def functions(self) -> list[Function]:
        return [part for part in self.parts if isinstance(part, Function)]

    @property
    def head(self) -> str:
        """What is before the functions: types and globals."""
        return self.parts[0] if self.parts and isinstance(self.parts[0], str) else ""

    @property
    def tail(self) -> str:
        """What is behind them: declarations, attributes, metadata."""
        return self.parts[-1] if self.parts and isinstance(self.parts[-1], str) else ""

    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text() for part in self.parts)
