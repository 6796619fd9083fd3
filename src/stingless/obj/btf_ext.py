"""`.BTF.ext`: which instruction comes from which function and line, and `.BTF` made fit for the kernel."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from stingless.btf.types import MAGIC, Btf, Kind
from stingless.errors import ObjectError
from stingless.obj.elf import STT_SECTION, Elf
from stingless.obj.spec import FuncInfo, LineInfo

_MAX_SECTION = 1 << 31


def read_infos(btf: Btf, data: bytes) -> tuple[dict[str, list[FuncInfo]], dict[str, list[LineInfo]]]:
    """Function and line records by section; `insn` counts 8-byte slots from the section's start."""
    try:
        magic, _, _, header, func_at, func_len, line_at, line_len = struct.unpack_from("<HBBIIIII", data)
        if magic != MAGIC:
            raise ObjectError(".BTF.ext does not start with the magic number eb9f")
        funcs = {
            name: [FuncInfo(off // 8, type_id) for off, type_id in rows]
            for name, rows in _sections(btf, data[header + func_at : header + func_at + func_len], "<II")
        }
        lines = {
            name: [LineInfo(off // 8, file, line, col) for off, file, line, col in rows]
            for name, rows in _sections(btf, data[header + line_at : header + line_at + line_len], "<IIII")
        }
    except struct.error as error:
        raise ObjectError(f".BTF.ext is truncated: {error}") from None
    return funcs, lines


def _sections(btf: Btf, data: bytes, fields: str) -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    if not data:
        return
    (record,) = struct.unpack_from("<I", data)
    if record < struct.calcsize(fields):
        raise ObjectError(f".BTF.ext has records of {record} bytes, fewer than {struct.calcsize(fields)}")
    at = 4
    while at < len(data):
        name, count = struct.unpack_from("<II", data, at)
        at += 8
        if at + count * record > len(data):
            raise ObjectError(".BTF.ext is truncated")
        yield btf.string(name), [struct.unpack_from(fields, data, at + i * record) for i in range(count)]
        at += count * record


def complete_sections(btf: Btf, elf: Elf) -> Btf:
    """clang leaves the sizes of data sections and the offsets of their variables 0: only the ELF tables know them, and
    the kernel refuses BTF without them."""
    data = bytearray(btf.data)
    sizes = {s.name: (s.index, s.size) for s in elf.sections}
    for type_id in btf.ids(Kind.DATASEC):
        section = btf.type(type_id)
        if section.name not in sizes:
            continue
        index, size = sizes[section.name]
        spots = {s.name: s.value for s in elf.symbols if s.section == index and s.type != STT_SECTION}
        rows = sorted(
            (spots.get(btf.type(m.type).name, m.offset), m.type, m.size or btf.size_of(btf.type(m.type).type))
            for m in section.members
        )
        if size > _MAX_SECTION or any(offset + length > size for offset, _, length in rows):
            raise ObjectError(f"section {section.name!r} has {size} bytes, which its variables do not fit")
        at = btf.offset_of(type_id)
        struct.pack_into("<I", data, at + 8, size)
        for i, (offset, var, length) in enumerate(rows):
            struct.pack_into("<III", data, at + 12 + 12 * i, var, offset, length)
    return Btf(bytes(data))
