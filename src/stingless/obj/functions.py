"""The functions of an object, by name and by place."""

from __future__ import annotations

from stingless.asm.instruction import decode_big, encode
from stingless.errors import ObjectError
from stingless.frozen import frozen
from stingless.obj.elf import STB_LOCAL, STT_FUNC, Elf, Section, Symbol

TEXT = ".text"


@frozen(eq=False)
class Function:
    """Slots `start` to `end` of its section."""

    name: str
    section: Section
    start: int
    end: int
    is_program: bool  # not for others to call only


class Functions:
    """Raises `ObjectError` for functions that are not whole, or overlap."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf
        self._code: dict[int, bytes] = {}
        self._at: dict[tuple[int, int], Function] = {}
        self.programs: list[Function] = []
        self.named: dict[str, Function] = {}
        by_section: dict[int, list[Symbol]] = {}
        for symbol in elf.symbols:
            section = elf.section_of(symbol)
            if symbol.type == STT_FUNC and section is not None:
                if not section.is_code:
                    raise ObjectError(f"function {symbol.name!r} is in section {section.name!r}, which is not code")
                by_section.setdefault(section.index, []).append(symbol)
        for index in sorted(by_section):
            self._add(elf.sections[index], sorted(by_section[index], key=lambda s: s.value))

    def _add(self, section: Section, symbols: list[Symbol]) -> None:
        starts = sorted({s.value for s in symbols})
        following = dict(zip(starts, [*starts[1:], len(section.data)], strict=True))
        for symbol in symbols:
            limit = following[symbol.value]
            end = symbol.value + symbol.size if symbol.size else limit  # assembly may leave the size out
            if end > len(section.data):
                raise ObjectError(f"function {symbol.name!r} reaches past the end of section {section.name!r}")
            if end > limit or symbol.value % 8 or end % 8 or end == symbol.value:
                raise ObjectError(f"function {symbol.name!r} is not whole, or overlaps another one")
            is_program = symbol.bind != STB_LOCAL and section.name != TEXT
            found = Function(symbol.name, section, symbol.value // 8, end // 8, is_program)
            known = self._at.get((section.index, found.start))
            if known is None or (found.is_program and not known.is_program):
                self._at[section.index, found.start] = found
            self.named.setdefault(found.name, found)
            if is_program:
                self.programs.append(found)

    def at(self, section: int, slot: int) -> Function | None:
        return self._at.get((section, slot))

    def program_places(self) -> dict[tuple[int, int], str]:
        """Names of the programs by (section, byte offset)."""
        return {(f.section.index, 8 * f.start): f.name for f in self.programs}

    def code(self, function: Function) -> bytes:
        """Its instructions, little endian."""
        index = function.section.index
        if index not in self._code:
            code = function.section.data[: len(function.section.data) // 8 * 8]
            self._code[index] = code if self._elf.order == "<" else encode(decode_big(code))
        return self._code[index][8 * function.start : 8 * function.end]
