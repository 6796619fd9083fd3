"""BTF written: types of all kinds, made anew or copied from other BTF.

Format: Documentation/bpf/btf.rst and linux/btf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from stingless.btf.types import ENUMS, MAGIC, RECORDS, Btf, Kind, Member, Members, Type
from stingless.frozen import replace

_HEADER = "HBBIIIII"
_MOST = 0xFFFF  # members of a type


class BtfBuilder:
    """Collects types; ids count on from `base`'s, if there is one.  `order` is "<" or ">", the byte order.

    builder = BtfBuilder()
    number = builder.add(Type(0, Kind.INT, "int", size=4, signed=True, encoding=1))
    builder.add(Type(0, Kind.STRUCT, "pair", size=8, members=Members((Member("a", number), Member("b", number, 32)))))
    data = builder.to_bytes()
    """

    def __init__(self, base: Btf | None = None, order: str = "<") -> None:
        self.base = base
        self.order = base.order if base else order
        self._first = len(base) if base else 1
        self._records: list[bytes] = []
        self._strings = bytearray() if base else bytearray(b"\0")
        self._strings_base = base.strings_length if base else 0
        self._offsets: dict[str, int] = {"": 0}
        self._copied: dict[tuple[Btf, int], int] = {}

    def __len__(self) -> int:
        """As of `Btf`: the id that the next type gets."""
        return self._first + len(self._records)

    def string(self, text: str) -> int:
        """The offset of a string, which is stored once; in the base if that has it."""
        offset = self._offsets.get(text)
        if offset is None:
            offset = self._in_base(text)
            if offset is None:
                offset = self._strings_base + len(self._strings)
                self._strings += _c_string(text)
            self._offsets[text] = offset
        return offset

    def _in_base(self, text: str) -> int | None:
        btf, whole = self.base, b"\0" + _c_string(text)
        while btf is not None:
            at = btf.strings().find(whole)
            if at >= 0:
                return at + 1 + (btf.base.strings_length if btf.base else 0)
            btf = btf.base
        return None

    def add(self, found: Type) -> int:
        """Add a type and return its id; `found.id` does not count, and the ids in it are the builder's: of types added
        before or later.  Raises `ValueError` when it has what BTF can't hold."""
        self._records.append(self._encode(found))
        return len(self) - 1

    def copy(self, btf: Btf, type_id: int) -> int:
        """Add a type of `btf` and all that it refers to, each once however often it is asked for.  Raises `ObjectError`
        when it refers to what is not there."""
        return self.copy_with(btf, type_id, btf.type)

    def copy_with(self, btf: Btf, type_id: int, read: Callable[[int], Type]) -> int:
        """As `copy`, with `read` in the place of `btf.type`: for types that are to be changed on the way."""
        waiting: list[tuple[int, Type]] = []

        def place(old: int) -> int:
            if old == 0 or (self.base is not None and old < len(self.base) and self.base in (btf, btf.base)):
                return old
            known = self._copied.get((btf, old))
            if known is None:
                known = self._copied[btf, old] = len(self)
                self._records.append(b"")
                waiting.append((known, read(old)))
            return known

        new = place(type_id)
        while waiting:
            here, found = waiting.pop()
            self._records[here - self._first] = self._encode(_moved(found, place))
        return new

    def to_bytes(self) -> bytes:
        types = b"".join(self._records)
        header = struct.pack(self.order + _HEADER, MAGIC, 1, 0, 24, 0, len(types), len(types), len(self._strings))
        return header + types + self._strings

    def build(self) -> Btf:
        return Btf(self.to_bytes(), self.base)

    def _encode(self, found: Type) -> bytes:
        count = found.linkage if found.kind == Kind.FUNC else len(found.values) or len(found.members)
        if count > _MOST:
            raise ValueError(f"{found.kind.name} {found.name!r} has {count} members; BTF holds {_MOST}")
        flag = found.flag or _has_bit_fields(found) or (found.kind in ENUMS and found.signed)
        info = flag << 31 | found.kind << 24 | count
        last = found.size if found.kind in _SIZED else 0 if found.kind == Kind.ARRAY else found.type
        try:
            head = struct.pack(self.order + "III", self.string(found.name), info, last)
            return head + b"".join(struct.pack(self.order + row, *numbers) for row, numbers in self._rows(found))
        except struct.error as error:
            raise ValueError(f"{found.kind.name} {found.name!r} has a number that BTF can't hold: {error}") from None

    def _rows(self, found: Type) -> Iterator[tuple[str, tuple[int, ...]]]:
        """What follows the head: formats and numbers."""
        match found.kind:
            case Kind.INT:
                yield "I", (found.encoding << 24 | found.bit_offset << 16 | (found.bits or found.size * 8),)
            case Kind.ARRAY:
                yield "III", (found.type, found.index_type, found.length)
            case Kind.STRUCT | Kind.UNION:
                packed = found.flag or _has_bit_fields(found)
                for member in found.members:
                    if packed and member.bit_offset >= 1 << 24:
                        raise ValueError(
                            f"member {member.name!r} is at bit {member.bit_offset}: too far for BTF with bit-fields"
                        )
                    spot = member.bit_size << 24 | member.bit_offset
                    yield "III", (self.string(member.name), member.type, spot)
            case Kind.ENUM:
                for name, value in found.values:
                    yield "Ii" if value < 0 else "II", (self.string(name), value)
            case Kind.ENUM64:
                for name, value in found.values:
                    if not -(1 << 63) <= value < 1 << 64:
                        raise ValueError(f"enumerator {name!r} is {value}: 64 bits can't hold it")
                    yield "III", (self.string(name), value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)
            case Kind.FUNC_PROTO:
                for member in found.members:
                    yield "II", (self.string(member.name), member.type)
            case Kind.DATASEC:
                for member in found.members:
                    yield "III", (member.type, member.offset, member.size)
            case Kind.VAR:
                yield "I", (found.linkage,)
            case Kind.DECL_TAG:
                yield "i", (found.component,)


_SIZED = RECORDS | ENUMS | {Kind.INT, Kind.DATASEC, Kind.FLOAT}


def _has_bit_fields(found: Type) -> bool:
    return found.kind in RECORDS and any(member.bit_size for member in found.members)


def _c_string(text: str) -> bytes:
    if "\0" in text:
        raise ValueError(f"a name with a zero byte: {text!r}")
    return text.encode() + b"\0"


def _moved(found: Type, place: Callable[[int], int]) -> Type:
    """The type with its references changed."""
    members: list[Member] = [replace(member, type=place(member.type)) for member in found.members]
    return replace(
        found, type=place(found.type), index_type=place(found.index_type), members=Members(members) or found.members
    )
