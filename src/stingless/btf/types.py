"""BTF read from bytes: types by id or by name.

Format: Documentation/bpf/btf.rst and linux/btf.h.  Types are decoded one at a time, when asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from stingless.errors import ObjectError

MAGIC = 0xEB9F
_MAX_DEPTH = 64  # of typedef/const/... chains and nested arrays, so that a hostile cycle ends


class Kind(IntEnum):
    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


# Kinds that only wrap another type, for layout.
_MODIFIERS = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
# Bytes after the 12-byte head: fixed, and per member (vlen).
_TAIL: dict[int, tuple[int, int]] = {
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


@dataclass(frozen=True)
class Member:
    """A field of a struct or union (`bit_size` 0 unless it is a bit-field), a parameter, or a data section's variable
    (`bit_size` its whole size)."""

    name: str
    type: int
    bit_offset: int = 0
    bit_size: int = 0

    @property
    def offset(self) -> int:
        """Bytes from the start; of a bit-field: the byte that its first bit is in."""
        return self.bit_offset // 8

    @property
    def size(self) -> int:
        """Bytes, of a data section's variable."""
        return self.bit_size // 8


@dataclass(frozen=True)
class Type:
    """One BTF type.  `size` is bytes where the kind has a size; `type` the id referred to where it refers to one."""

    id: int
    kind: Kind
    name: str
    size: int = 0
    type: int = 0
    members: tuple[Member, ...] = ()
    values: tuple[tuple[str, int], ...] = ()  # of an enum
    length: int = 0  # of an array
    signed: bool = False
    encoding: int = 0  # of an int: 1 signed, 2 char, 4 bool
    linkage: int = 0


class Btf:
    """A BTF blob.  Raises `ObjectError` when it is malformed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        if len(data) < 24:
            raise ObjectError(f"BTF is {len(data)} bytes long, shorter than its header")
        for order in "<>":
            magic, version, _, hdr_len = struct.unpack_from(order + "HBBI", data)
            if magic == MAGIC:
                break
        else:
            raise ObjectError(f"not BTF: it starts with {data[:2].hex()}, not with the magic number eb9f")
        if version != 1:
            raise ObjectError(f"BTF version {version} is not known (1 is)")
        self.order = order
        type_off, type_len, str_off, str_len = struct.unpack_from(order + "IIII", data, 8)
        self._types_at = hdr_len + type_off
        self._types_end = self._types_at + type_len
        self._strings_at = hdr_len + str_off
        self._strings_end = self._strings_at + str_len
        if max(self._types_end, self._strings_end) > len(data):
            raise ObjectError(f"BTF is truncated: {len(data)} bytes, its header promises more")
        self._head = struct.Struct(order + "III")
        self._offsets = self._index()

    def _index(self) -> list[int]:
        """Offset of each type; index 0 is void."""
        offsets = [0]
        unpack, data, at, end = self._head.unpack_from, self.data, self._types_at, self._types_end
        tails = [_TAIL.get(kind) for kind in range(32)]
        while at < end:
            if at + 12 > end:
                raise ObjectError(f"BTF type {len(offsets)} is cut off")
            info = unpack(data, at)[1]
            tail = tails[info >> 24 & 31]
            if tail is None:
                raise ObjectError(f"BTF type {len(offsets)} has unknown kind {info >> 24 & 31}")
            offsets.append(at)
            at += 12 + tail[0] + tail[1] * (info & 0xFFFF)
        if at != end:
            raise ObjectError(f"BTF type {len(offsets) - 1} is cut off")
        return offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def string(self, offset: int) -> str:
        """The string at `offset` of the string section."""
        start = self._strings_at + offset
        if not self._strings_at <= start < self._strings_end:
            return ""
        end = self.data.find(b"\0", start, self._strings_end)
        if end < 0:
            raise ObjectError(f"BTF string at {offset} does not end")
        return self.data[start:end].decode("utf-8", "replace")

    def kind(self, type_id: int) -> Kind:
        if type_id == 0:
            return Kind.VOID
        return Kind(self._head.unpack_from(self.data, self.offset_of(type_id))[1] >> 24 & 31)

    def offset_of(self, type_id: int) -> int:
        """Where the type's record starts in `data`."""
        if not 0 < type_id < len(self._offsets):
            raise ObjectError(f"BTF has no type {type_id} (it has {len(self._offsets) - 1})")
        return self._offsets[type_id]

    def type(self, type_id: int) -> Type:
        """Decode one type.  Raises `ObjectError` when there is none of that id."""
        if type_id == 0:
            return Type(0, Kind.VOID, "void")
        at = self.offset_of(type_id)
        name_off, info, last = self._head.unpack_from(self.data, at)
        kind, vlen, flag = Kind(info >> 24 & 31), info & 0xFFFF, bool(info >> 31)
        name, at = self.string(name_off), at + 12

        def rows(fields: str) -> Iterator[tuple[int, ...]]:
            row = struct.Struct(self.order + fields)
            return row.iter_unpack(self.data[at : at + row.size * vlen])

        match kind:
            case Kind.INT:
                (extra,) = struct.unpack_from(self.order + "I", self.data, at)
                encoding = extra >> 24 & 15
                return Type(type_id, kind, name, last, signed=bool(encoding & 1), encoding=encoding)
            case Kind.ARRAY:
                element, _, length = struct.unpack_from(self.order + "III", self.data, at)
                return Type(type_id, kind, name, type=element, length=length)
            case Kind.STRUCT | Kind.UNION:
                members = tuple(
                    Member(self.string(n), t, o & 0xFFFFFF if flag else o, o >> 24 if flag else 0)
                    for n, t, o in rows("III")
                )
                return Type(type_id, kind, name, last, members=members)
            case Kind.ENUM:
                fmt = "Ii" if flag else "II"
                return Type(
                    type_id, kind, name, last, values=tuple((self.string(n), v) for n, v in rows(fmt)), signed=flag
                )
            case Kind.ENUM64:
                fmt = "IIi" if flag else "III"
                values = tuple((self.string(n), high << 32 | low) for n, low, high in rows(fmt))
                return Type(type_id, kind, name, last, values=values, signed=flag)
            case Kind.FUNC_PROTO:
                params = tuple(Member(self.string(n), t) for n, t in rows("II"))
                return Type(type_id, kind, name, type=last, members=params)
            case Kind.DATASEC:
                variables = tuple(Member("", t, o * 8, s * 8) for t, o, s in rows("III"))
                return Type(type_id, kind, name, last, members=variables)
            case Kind.VAR:
                (linkage,) = struct.unpack_from(self.order + "I", self.data, at)
                return Type(type_id, kind, name, type=last, linkage=linkage)
            case Kind.FUNC:
                return Type(type_id, kind, name, type=last, linkage=vlen)
            case Kind.FLOAT:
                return Type(type_id, kind, name, last)
            case _:
                return Type(type_id, kind, name, type=last)

    def ids(self, kind: Kind) -> Iterator[int]:
        """Ids of all types of a kind."""
        unpack, data = self._head.unpack_from, self.data
        for type_id in range(1, len(self._offsets)):
            if unpack(data, self._offsets[type_id])[1] >> 24 & 31 == kind:
                yield type_id

    def find(self, name: str, kind: Kind) -> Type | None:
        """The first type of that name and kind."""
        wanted = b"\0" + name.encode() + b"\0"
        spots: set[int] = set()
        at = self.data.find(wanted, self._strings_at - 1, self._strings_end)
        while at >= 0:  # a name can stand more than once in an undeduplicated blob
            spots.add(at + 1 - self._strings_at)
            at = self.data.find(wanted, at + 1, self._strings_end)
        if not spots:
            return None
        unpack, data = self._head.unpack_from, self.data
        for type_id in range(1, len(self._offsets)):
            name_off, info, _ = unpack(data, self._offsets[type_id])
            if name_off in spots and info >> 24 & 31 == kind:
                return self.type(type_id)
        return None

    def resolve(self, type_id: int) -> Type:
        """Skip typedefs and qualifiers."""
        for _ in range(_MAX_DEPTH):
            found = self.type(type_id)
            if found.kind not in _MODIFIERS:
                return found
            type_id = found.type
        raise ObjectError(f"BTF type {type_id} refers to itself")

    def size_of(self, type_id: int) -> int:
        """Bytes that a value of this type takes (0 for void and functions)."""
        count = 1
        for _ in range(_MAX_DEPTH):
            found = self.resolve(type_id)
            if found.kind == Kind.ARRAY:
                count, type_id = count * found.length, found.type
                continue
            return count * (8 if found.kind == Kind.PTR else found.size)
        raise ObjectError(f"BTF type {type_id} is nested too deeply")

    def for_kernel(self) -> bytes:
        """The bytes to hand to BPF_BTF_LOAD."""
        return self.data
