"""Typed values by BTF: the bytes of keys, values, events and variables as Python values and back.

`codec(btf, type_id)` gives the `Codec` of a type: ints, floats and `bool` are Python's, enumerators are members of an
`IntEnum`, arrays of `char` are `bytes` up to the first NUL, other arrays are lists, structs and unions are records (see
`stingless.btf.records`).  The layout is the C compiler's own: offsets and sizes come from BTF, nothing is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless.btf.scalars import Array, Boolean, Chars, Codec, Enumeration, Float, Integer, Raw
from stingless.btf.types import Btf, Kind, Type
from stingless.errors import ObjectError

if TYPE_CHECKING:
    from stingless.btf.records import RecordCodec

__all__ = ["Codec", "codec", "integer", "raw"]

_DEEPEST = 32  # nested types; C code has a handful


def codec(btf: Btf, type_id: int) -> Codec:
    """The codec of a BTF type (of a variable: of its type; of a data section: a record of its variables).  The same
    one each time, so that records of one type are of one class.  Raises `ObjectError` when the type is malformed."""
    return btf.codecs.get(type_id) or _Builder(btf).make(type_id)


def raw(size: int) -> Codec:
    """Just bytes: where there is no BTF."""
    return Raw(Type(0, Kind.VOID, ""), size)


def integer(size: int, signed: bool = False) -> Codec:
    """An int of the machine's byte order, of 1 to 16 bytes: what array indices, descriptors and addresses are."""
    import sys

    name = f"{'' if signed else 'unsigned '}{size * 8}-bit int"
    return Integer(
        Type(0, Kind.INT, name, size, signed=signed), size, signed, "<" if sys.byteorder == "little" else ">"
    )


class _Builder:
    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._known = btf.codecs
        self._building: set[int] = set()

    def make(self, type_id: int) -> Codec:
        if type_id in self._known:
            return self._known[type_id]
        found = self._btf.resolve(type_id)
        if found.id in self._known:
            made = self._known[found.id]
        elif found.id in self._building or len(self._building) >= _DEEPEST:
            raise ObjectError(f"BTF type {found.id} ({found.name}) contains itself or is nested too deeply")
        else:
            self._building.add(found.id)
            try:
                made = self._made(found)
            finally:
                self._building.discard(found.id)
            self._known[found.id] = made
        self._known[type_id] = made
        return made

    def _made(self, found: Type) -> Codec:
        order = self._btf.order
        match found.kind:
            case Kind.INT if found.encoding & 4 and found.size == 1:
                return Boolean(found, order)
            case Kind.INT if 0 < found.size <= 16:
                return Integer(found, found.size, found.signed, order)
            case Kind.PTR:
                return Integer(found, 8, False, order)
            case Kind.ENUM | Kind.ENUM64:
                return Enumeration(found, order)
            case Kind.FLOAT if found.size in (4, 8):
                return Float(found, order)
            case Kind.ARRAY:
                element = self._btf.resolve(found.type)
                if element.kind == Kind.INT and element.name == "char" and element.size == 1:
                    return Chars(found, found.length, order)
                return Array(found, self.make(found.type), found.length)
            case Kind.STRUCT | Kind.UNION | Kind.DATASEC:
                return self._record(found)
            case Kind.VAR:
                return self.make(found.type)
            case _:  # void, functions, forward declarations, floats of 10, 12 and 16 bytes
                return Raw(found, found.size, order)

    def _record(self, found: Type) -> RecordCodec:
        from stingless.btf import records

        return records.make(self._btf, found, self.make)
