"""A type as people look at it: its C declaration with the offset and size of each member, and what lies unused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stingless.btf.cdecl_scalars import number
from stingless.btf.cdecl_text import Declarator
from stingless.btf.kinds import ENUMS, RECORDS, Kind, Member, Type

if TYPE_CHECKING:
    from stingless.btf.types import Btf

_COLUMN = 64  # where the offsets stand, unless a line is longer
# Text, and what to say of it: an offset with the size, or a remark.
_Row = tuple[str, str]


def show(btf: Btf, found: Type) -> str:
    """Lines of C; at the right `offset size` in bytes (`offset:bit :bits` of a bit-field).  Raises `ObjectError`."""
    writer = Declarator(btf)
    if found.kind in RECORDS:
        rows = list(_record(writer, found, writer.names.tag(found), ";", "", 0, 0))
        return "\n".join(_line(text, remark) for text, remark in rows)
    if found.kind in ENUMS:
        values = "".join(f"\t{name} = {number(value)},\n" for name, value in found.values)
        return f"enum {found.name} {{\n{values}}}; /* {found.size} bytes */"
    if found.kind == Kind.TYPEDEF:
        target = btf.resolve(found.type)
        if target.kind in RECORDS and not target.name:
            rows = list(_record(writer, target, f"typedef {target.kind.name.lower()}", f" {found.name};", "", 0, 0))
            return "\n".join(_line(text, remark) for text, remark in rows)
        return f"typedef {writer.declare(found.type, found.name)}; /* {btf.size_of(found.id)} bytes */"
    if found.kind == Kind.FUNC:
        return f"{writer.declare(found.type, found.name)};"
    if found.kind == Kind.VAR:
        return f"{writer.declare(found.type, found.name)}; /* {btf.size_of(found.type)} bytes */"
    if found.kind == Kind.DATASEC:
        variables = [(btf.type(m.type), m) for m in found.members]
        lines = [_line(f"\t{writer.declare(v.type, v.name)};", f"{m.offset} {m.size}") for v, m in variables]
        return "\n".join([f"section {found.name!r}, {found.size} bytes:", *lines])
    if found.kind == Kind.FWD:
        return f"{writer.names.tag(found)}; /* only declared */"
    return f"{found.name}; /* {found.kind.name.lower()}, {found.size} bytes */"


def _line(text: str, remark: str) -> str:
    if not remark:
        return text
    return f"{text}{' ' * max(_COLUMN - len(text.expandtabs(8)), 1)}/* {remark} */"


def _record(
    writer: Declarator, record: Type, head: str, tail: str, indent: str, base: int, depth: int
) -> Iterator[_Row]:
    """`base`: the bit where the record starts in the outermost."""
    yield f"{indent}{head} {{", ""
    end = 0
    for member in record.members:
        if record.kind == Kind.STRUCT and member.bit_offset > end:
            yield f"{indent}\t/* {_amount(member.bit_offset - end)} unused */", ""
        yield from _member(writer, member, indent + "\t", base + member.bit_offset, writer.deeper(depth, member.name))
        end = max(end, member.bit_offset + (member.bit_size or writer.btf.size_of(member.type) * 8))
    if record.size * 8 > end:
        yield f"{indent}\t/* {_amount(record.size * 8 - end)} unused at the end */", ""
    size = f"{record.size} bytes" if not indent else f"{base // 8:6} {record.size:5}"
    yield f"{indent}}}{tail}", size


def _member(writer: Declarator, member: Member, indent: str, at: int, depth: int) -> Iterator[_Row]:
    btf = writer.btf
    inner, dimensions = btf.type(member.type), ""
    while inner.kind == Kind.ARRAY:
        inner, dimensions = btf.type(inner.type), f"{dimensions}[{inner.length}]"
    if inner.kind in RECORDS and not inner.name:
        name = f" {member.name}{dimensions};" if member.name else ";"
        yield from _record(writer, inner, inner.kind.name.lower(), name, indent, at, depth)
        return
    text = writer.declare(member.type, member.name, len(indent), depth)
    if member.bit_size:
        yield f"{indent}{text}:{member.bit_size};", f"{at // 8:6}:{at % 8} :{member.bit_size}"
    else:
        yield f"{indent}{text};", f"{at // 8:6} {btf.size_of(member.type):5}"


def _amount(bits: int) -> str:
    return f"{bits} bits" if bits % 8 else f"{bits // 8} bytes"
