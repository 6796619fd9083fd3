"""The few parts of ELF that eBPF objects use: sections, symbols, relocations.

System V ABI, chapter 4; only relocatable 64-bit objects for machine EM_BPF (247), of either byte order.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import Literal

from stingless.errors import ObjectError
from stingless.frozen import field, frozen

EM_NONE, EM_BPF = 0, 247
SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 1, 2, 4, 8, 9
SHF_ALLOC, SHF_EXECINSTR, SHF_COMPRESSED = 2, 4, 0x800
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION = 0, 1, 2, 3
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STV_INTERNAL, STV_HIDDEN = 1, 2
SHN_UNDEF = 0

_LONGEST_NAME = 4096


@frozen(slots=True)
class Symbol:
    name: str
    section: int  # index; 0 = undefined
    value: int
    size: int
    type: int
    bind: int
    visibility: int = 0

    @property
    def hidden(self) -> bool:
        return self.visibility in (STV_INTERNAL, STV_HIDDEN)


@frozen(slots=True)
class Relocation:
    offset: int  # bytes into the section
    type: int
    symbol: Symbol


@frozen(slots=True)
class Section:
    index: int
    name: str
    type: int
    flags: int
    size: int
    data: bytes = field(repr=False)
    link: int = 0
    info: int = 0

    @property
    def is_code(self) -> bool:
        return bool(self.flags & SHF_EXECINSTR)


@frozen
class Elf:
    """A parsed object: `relocations` maps a section's index to what applies to it, by offset; only of sections that
    are loaded, not of debugging information.  `order` is "<" or ">"."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: dict[int, tuple[Relocation, ...]]
    order: str = "<"

    @property
    def byteorder(self) -> Literal["little", "big"]:
        return "little" if self.order == "<" else "big"

    def section(self, name: str) -> Section | None:
        return self._by_name.get(name)

    def section_of(self, symbol: Symbol) -> Section | None:
        """Where the symbol is defined; None when it is not, or not in a section."""
        return self.sections[symbol.section] if SHN_UNDEF < symbol.section < len(self.sections) else None

    @cached_property
    def _by_name(self) -> dict[str, Section]:
        return {s.name: s for s in reversed(self.sections)}


class _Strings:
    """A string table.  What is read of it in all is bounded: many symbols can name overlapping strings."""

    def __init__(self, table: bytes) -> None:
        self._table = table
        self._known = {0: ""} if not table else {}
        self._left = 16 * len(table) + 4096

    def __getitem__(self, at: int) -> str:
        known = self._known.get(at)
        if known is None:
            end = self._table.find(b"\0", at, at + _LONGEST_NAME)
            if not 0 <= at < len(self._table) or end < 0:
                raise ObjectError(
                    f"ELF string offset {at} is outside its table of {len(self._table)} bytes, or endless"
                )
            self._left -= end - at
            if self._left < 0:
                raise ObjectError("the names in an ELF string table overlap")
            known = self._known[at] = self._table[at:end].decode("utf-8", "replace")
        return known


def parse_elf(data: bytes) -> Elf:
    """Parse an object.  Raises `ObjectError` that says what is wrong with it."""
    try:
        return _parse(data)
    except struct.error as error:
        raise ObjectError(f"the ELF object is truncated ({len(data)} bytes): {error}") from None


def _parse(data: bytes) -> Elf:
    if data[:4] != b"\x7fELF":
        raise ObjectError(f"not an ELF object: it starts with {data[:4].hex() or 'nothing'}, not with 7f454c46")
    if len(data) < 64:
        raise ObjectError(f"the ELF object is truncated ({len(data)} bytes): its header has 64")
    if data[4] != 2:
        raise ObjectError("a 32-bit ELF object: eBPF objects are 64-bit (compile with clang -target bpf)")
    if data[5] not in (1, 2):
        raise ObjectError(f"an ELF object of unknown byte order {data[5]}")
    order = "<>"[data[5] - 1]
    kind, machine = struct.unpack_from(order + "HH", data, 16)
    if machine not in (EM_BPF, EM_NONE) or (machine, kind) == (EM_NONE, 0):  # old LLVM left the machine out
        what = "a big-endian" if order == ">" else "an"
        raise ObjectError(f"{what} ELF object for machine {machine}, not for eBPF ({EM_BPF}): use clang -target bpf")
    if kind != 1:
        raise ObjectError(f"ELF type {kind}, not a relocatable object (1)")
    sections = _sections(data, order)
    symbols = _symbols(sections, order)
    return Elf(sections, symbols, _relocations(sections, symbols, order), order)


def _sections(data: bytes, order: str) -> tuple[Section, ...]:
    (table,) = struct.unpack_from(order + "Q", data, 40)
    entry, count, names_at = struct.unpack_from(order + "HHH", data, 58)
    if entry != 64:
        raise ObjectError(f"ELF section headers of {entry} bytes, not 64")
    head = struct.Struct(order + "IIQQQQIIQQ")
    if table + 64 <= len(data):  # numbers that do not fit the header are in the first section's
        first = head.unpack_from(data, table)
        count = count or first[5]
        names_at = first[6] if names_at == 0xFFFF else names_at
    if table + count * entry > len(data):
        raise ObjectError(
            f"the ELF object is truncated: {len(data)} bytes, its section headers end at {table + count * entry}"
        )
    heads = [head.unpack_from(data, table + i * entry) for i in range(count)]
    left = 2 * len(data)  # sections do not overlap, but for a string table that serves for two

    def content(i: int) -> bytes:
        nonlocal left
        _, kind, _, _, offset, size, *_ = heads[i]
        if kind in (0, SHT_NOBITS):
            return b""
        if offset + size > len(data):
            raise ObjectError(
                f"ELF section {i} reaches to byte {offset + size} of {len(data)}: the object is truncated or corrupt"
            )
        left -= size
        if left < 0:
            raise ObjectError("the sections of the ELF object overlap")
        return data[offset : offset + size]

    if names_at >= count:
        raise ObjectError("the ELF object has no table of section names")
    names = _Strings(content(names_at))
    sections = []
    for i, (name_at, kind, flags, _, _, size, link, info, _, _) in enumerate(heads):
        name = names[name_at] if kind else ""
        if flags & SHF_COMPRESSED and not name.startswith(".debug"):
            raise ObjectError(f"ELF section {name!r} is compressed: only debugging information may be")
        sections.append(Section(i, name, kind, flags, size, content(i), link, info))
    return tuple(sections)


def _symbols(sections: tuple[Section, ...], order: str) -> tuple[Symbol, ...]:
    tables = [s for s in sections if s.type == SHT_SYMTAB]
    if not tables:
        raise ObjectError("the ELF object has no symbols: it was stripped (of debugging information alone: strip -g)")
    if len(tables) > 1:
        raise ObjectError("the ELF object has more than one symbol table")
    table = tables[0]
    if table.link >= len(sections):
        raise ObjectError("the ELF symbol table names a string table that does not exist")
    strings = _Strings(sections[table.link].data)
    rows = struct.Struct(order + "IBBHQQ").iter_unpack(table.data[: len(table.data) // 24 * 24])
    out = []
    for name, info, other, shndx, value, size in rows:
        kind = info & 15
        text = strings[name] if name else ""
        if kind == STT_SECTION and shndx < len(sections):
            text = sections[shndx].name
        out.append(Symbol(text, shndx, value, size, kind, info >> 4, other & 3))
    return tuple(out)


def _relocations(
    sections: tuple[Section, ...], symbols: tuple[Symbol, ...], order: str
) -> dict[int, tuple[Relocation, ...]]:
    found: dict[int, list[Relocation]] = {}
    for section in sections:
        target = sections[section.info] if section.info < len(sections) else None
        if section.type not in (SHT_REL, SHT_RELA) or target is None or not target.flags & SHF_ALLOC:
            continue
        if section.type == SHT_RELA:
            raise ObjectError(f"relocations with addends ({section.name}), which no eBPF compiler writes")
        rows = found.setdefault(section.info, [])
        for offset, info in struct.Struct(order + "QQ").iter_unpack(section.data[: len(section.data) // 16 * 16]):
            if info >> 32 >= len(symbols):
                raise ObjectError(f"a relocation in {section.name} names symbol {info >> 32} of {len(symbols)}")
            if offset >= target.size:
                raise ObjectError(f"a relocation in {section.name} is for byte {offset} of {target.size}")
            rows.append(Relocation(offset, info & 0xFFFFFFFF, symbols[info >> 32]))
    return {index: tuple(rows) for index, rows in found.items()}
