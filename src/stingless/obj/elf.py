"""The few parts of ELF that eBPF objects use: sections, symbols, relocations.

System V ABI, chapter 4; only relocatable 64-bit objects for machine EM_BPF (247).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from stingless.errors import ObjectError

EM_BPF = 247
SHT_SYMTAB, SHT_NOBITS, SHT_REL = 2, 8, 9
SHF_ALLOC, SHF_EXECINSTR = 2, 4
STT_OBJECT, STT_FUNC, STT_SECTION = 1, 2, 3
STB_LOCAL = 0


@dataclass(frozen=True)
class Symbol:
    name: str
    section: int  # index; 0 = undefined
    value: int
    size: int
    type: int
    bind: int


@dataclass(frozen=True)
class Relocation:
    offset: int  # bytes into the section
    type: int
    symbol: Symbol


@dataclass(frozen=True)
class Section:
    index: int
    name: str
    type: int
    flags: int
    size: int
    data: bytes = field(repr=False)
    link: int = 0
    info: int = 0


@dataclass(frozen=True)
class Elf:
    """A parsed object: `relocations` maps a section's index to what applies to it."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: dict[int, tuple[Relocation, ...]]

    def section(self, name: str) -> Section | None:
        return next((s for s in self.sections if s.name == name), None)


def _string(table: bytes, at: int) -> str:
    end = table.find(b"\0", at)
    if not 0 <= at < len(table) or end < 0:
        raise ObjectError(f"ELF string offset {at} is outside its table of {len(table)} bytes")
    return table[at:end].decode("utf-8", "replace")


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
    if data[5] != 1:
        raise ObjectError("a big-endian ELF object: this machine needs little endian (compile with -target bpfel)")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if machine != EM_BPF:
        raise ObjectError(f"an ELF object for machine {machine}, not for eBPF ({EM_BPF}): use clang -target bpf")
    if kind != 1:
        raise ObjectError(f"ELF type {kind}, not a relocatable object (1)")
    (table,) = struct.unpack_from("<Q", data, 40)
    entry, count, names_at = struct.unpack_from("<HHH", data, 58)
    if entry != 64:
        raise ObjectError(f"ELF section headers of {entry} bytes, not 64")
    if table + count * entry > len(data):
        raise ObjectError(
            f"the ELF object is truncated: {len(data)} bytes, its section headers end at {table + count * entry}"
        )
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * entry) for i in range(count)]

    def content(i: int) -> bytes:
        _, kind, _, _, offset, size, *_ = heads[i]
        if kind == SHT_NOBITS:
            return b""
        if offset + size > len(data):
            raise ObjectError(f"ELF section {i} reaches to byte {offset + size} of {len(data)}")
        return data[offset : offset + size]

    if names_at >= count:
        raise ObjectError("the ELF object has no table of section names")
    names = content(names_at)
    sections = tuple(
        Section(i, _string(names, h[0]) if h[1] else "", h[1], h[2], h[5], content(i) if h[1] else b"", h[6], h[7])
        for i, h in enumerate(heads)
    )
    symbols = _symbols(sections)
    return Elf(sections, symbols, _relocations(sections, symbols))


def _symbols(sections: tuple[Section, ...]) -> tuple[Symbol, ...]:
    table = next((s for s in sections if s.type == SHT_SYMTAB), None)
    if table is None:
        return ()
    if table.link >= len(sections):
        raise ObjectError("the ELF symbol table names a string table that does not exist")
    strings = sections[table.link].data
    rows = struct.Struct("<IBBHQQ").iter_unpack(table.data[: len(table.data) // 24 * 24])
    out = []
    for name, info, _, shndx, value, size in rows:
        kind = info & 15
        text = _string(strings, name) if name else ""
        if kind == STT_SECTION and shndx < len(sections):
            text = sections[shndx].name
        out.append(Symbol(text, shndx, value, size, kind, info >> 4))
    return tuple(out)


def _relocations(sections: tuple[Section, ...], symbols: tuple[Symbol, ...]) -> dict[int, tuple[Relocation, ...]]:
    found: dict[int, tuple[Relocation, ...]] = {}
    for section in sections:
        if section.type != SHT_REL:
            continue
        rows = []
        for offset, info in struct.Struct("<QQ").iter_unpack(section.data[: len(section.data) // 16 * 16]):
            if info >> 32 >= len(symbols):
                raise ObjectError(f"a relocation in {section.name} names symbol {info >> 32} of {len(symbols)}")
            rows.append(Relocation(offset, info & 0xFFFFFFFF, symbols[info >> 32]))
        found[section.info] = found.get(section.info, ()) + tuple(rows)
    return found
