"""One BTF type record, decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stingless.btf.kinds import Kind, Member, Members, Type, Values

if TYPE_CHECKING:
    from stingless.btf.types import Btf

# Bytes after the 12-byte head: fixed, and per member (vlen).
TAIL: dict[int, tuple[int, int]] = {
    Kind.INT: (4, 0),
    Kind.PTR: (0, 0),
    Kind.ARRAY: (12, 0),
    Kind.STRUCT: (0, 12),
    Kind.UNION: (0, 12),
    Kind.ENUM: (0, 8),
    Kind.FWD: (0, 0),
    Kind.TYPEDEF: (0, 0),
    Kind.VOLATILE: (0, 0),
    Kind.CONST: (0, 0),
    Kind.RESTRICT: (0, 0),
    Kind.FUNC: (0, 0),
    Kind.FUNC_PROTO: (0, 8),
    Kind.VAR: (4, 0),
    Kind.DATASEC: (0, 12),
    Kind.FLOAT: (0, 0),
    Kind.DECL_TAG: (4, 0),
    Kind.TYPE_TAG: (0, 0),
    Kind.ENUM64: (0, 12),
}
KINDS = tuple(Kind(number) if number in TAIL else Kind.VOID for number in range(32))


def decode(btf: Btf, type_id: int, at: int) -> Type:
    """The type whose record starts at `at`; the index has seen to it that all of it is there."""
    order, data, string = btf.order, btf.data, btf.string
    name_off, info, last = struct.unpack_from(order + "III", data, at)
    kind, vlen, flag = KINDS[info >> 24 & 31], info & 0xFFFF, bool(info >> 31)
    name, at = string(name_off), at + 12

    def rows(fields: str) -> Iterator[tuple[int, ...]]:
        row = struct.Struct(order + fields)
        return row.iter_unpack(data[at : at + row.size * vlen])

    def members(found: Iterator[Member]) -> Members:
        made = Members(found)
        made._btf, made._owner = btf, f"{kind.name.lower()} {name or '(anonymous)'}"
        return made

    match kind:
        case Kind.INT:
            (extra,) = struct.unpack_from(order + "I", data, at)
            encoding = extra >> 24 & 15
            return Type(
                type_id,
                kind,
                name,
                last,
                signed=bool(encoding & 1),
                encoding=encoding,
                flag=flag,
                bits=extra & 0xFF,
                bit_offset=extra >> 16 & 0xFF,
            )
        case Kind.ARRAY:
            element, index, length = struct.unpack_from(order + "III", data, at)
            return Type(type_id, kind, name, type=element, length=length, flag=flag, index_type=index)
        case Kind.STRUCT | Kind.UNION:
            fields = (
                Member(string(n), t, o & 0xFFFFFF if flag else o, o >> 24 if flag else 0) for n, t, o in rows("III")
            )
            return Type(type_id, kind, name, last, members=members(fields), flag=flag)
        case Kind.ENUM:
            values = Values((string(n), v) for n, v in rows("Ii" if flag else "II"))
            return Type(type_id, kind, name, last, values=values, signed=flag, flag=flag)
        case Kind.ENUM64:
            values = Values((string(n), high << 32 | low) for n, low, high in rows("IIi" if flag else "III"))
            return Type(type_id, kind, name, last, values=values, signed=flag, flag=flag)
        case Kind.FUNC_PROTO:
            parameters = (Member(string(n), t) for n, t in rows("II"))
            return Type(type_id, kind, name, type=last, members=members(parameters), flag=flag)
        case Kind.DATASEC:
            variables = (Member("", t, o * 8, s * 8) for t, o, s in rows("III"))
            return Type(type_id, kind, name, last, members=members(variables), flag=flag)
        case Kind.VAR:
            (linkage,) = struct.unpack_from(order + "I", data, at)
            return Type(type_id, kind, name, type=last, linkage=linkage, flag=flag)
        case Kind.FUNC:
            return Type(type_id, kind, name, type=last, linkage=vlen, flag=flag)
        case Kind.FLOAT:
            return Type(type_id, kind, name, last, flag=flag)
        case Kind.DECL_TAG:
            (component,) = struct.unpack_from(order + "i", data, at)
            return Type(type_id, kind, name, type=last, flag=flag, component=component)
        case _:
            return Type(type_id, kind, name, type=last, flag=flag)
