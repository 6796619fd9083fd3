"""An object without its DWARF: clang writes it beside BTF, twenty times as large, and nothing here reads it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_REL = struct.Struct("<QQ")
_SYMTAB, _STRTAB, _RELA, _NOBITS, _REL_TYPE, _GROUP, _SYMTAB_SHNDX = 2, 3, 4, 8, 9, 17, 18
_SECTION_SYMBOL = 3
_DROPPED = (".debug_", ".rel.debug_", ".rela.debug_", ".llvm_addrsig")  # the last counts symbols


@dataclass
class _Section:
    name: str
    fields: list[int]  # of Elf64_Shdr
    data: bytes
    number: int = 0  # its new one

    @property
    def kind(self) -> int:
        return self.fields[1]


def without_dwarf(elf: bytes) -> bytes:
    """The same object without DWARF; an object of a form that clang does not write for eBPF comes back as it is."""
    if elf[:6] != b"\x7fELF\x02\x01":
        return elf
    header = list(_HEADER.unpack_from(elf))
    sections = _sections(elf, header)
    if any(s.kind in (_GROUP, _SYMTAB_SHNDX, _RELA) for s in sections):
        return elf
    kept = [s for s in sections if not s.name.startswith(_DROPPED)]
    if len(kept) == len(sections):
        return elf
    numbers = {}
    for number, section in enumerate(kept):
        numbers[sections.index(section)] = section.number = number
    tables = {n: _fewer_symbols(s, numbers) for n, s in enumerate(sections) if s.kind == _SYMTAB}
    for section in kept:
        if section.kind == _REL_TYPE:
            symbols = tables[section.fields[6]]
            entries = (_REL.unpack_from(section.data, at) for at in range(0, len(section.data), _REL.size))
            section.data = b"".join(
                _REL.pack(at, symbols[info >> 32] << 32 | info & 0xFFFFFFFF) for at, info in entries
            )
            section.fields[7] = numbers[section.fields[7]]
        section.fields[6] = numbers.get(section.fields[6], 0)
    return _written(header, kept, numbers)


def _sections(elf: bytes, header: list[int]) -> list[_Section]:
    table, count, names_at = header[6], header[12], header[13]
    fields = [list(_SECTION.unpack_from(elf, table + n * _SECTION.size)) for n in range(count)]
    names = elf[fields[names_at][4] :]
    return [
        _Section(
            names[f[0] : names.index(b"\0", f[0])].decode(), f, b"" if f[1] == _NOBITS else elf[f[4] : f[4] + f[5]]
        )
        for f in fields
    ]


def _fewer_symbols(table: _Section, numbers: dict[int, int]) -> dict[int, int]:
    """Takes the symbols of dropped sections out of the table.  Returns old index -> new."""
    special = 0xFF00  # absolute and common symbols have no section
    renumbered: dict[int, int] = {}
    out: list[bytes] = []
    local = 0
    for index in range(len(table.data) // _SYMBOL.size):
        name, info, other, section, value, size = _SYMBOL.unpack_from(table.data, index * _SYMBOL.size)
        if section < special and section not in numbers:
            continue
        if index < table.fields[7]:
            local += 1
        renumbered[index] = len(out)
        out.append(_SYMBOL.pack(name, info, other, numbers.get(section, section), value, size))
    table.data = b"".join(out)
    table.fields[7] = local  # the index of the first that is not local
    return renumbered


def _written(header: list[int], kept: list[_Section], numbers: dict[int, int]) -> bytes:
    body = bytearray(_HEADER.size)
    for section in kept[1:]:
        body += bytes(-len(body) % max(section.fields[8], 1))
        section.fields[4] = len(body)
        if section.kind != _NOBITS:
            section.fields[5] = len(section.data)
        body += section.data
    body += bytes(-len(body) % 8)
    header[6], header[12], header[13] = len(body), len(kept), numbers[header[13]]
    body[: _HEADER.size] = _HEADER.pack(*header)
    return bytes(body) + b"".join(_SECTION.pack(*s.fields) for s in kept)
