"""BTF read from bytes: types by id or by name.

Types are decoded one at a time, when asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from stingless.btf.decode import KINDS, decode
from stingless.btf.index import Index, add_names, type_offsets, type_words
from stingless.btf.kinds import ENUMS as ENUMS
from stingless.btf.kinds import MODIFIERS
from stingless.btf.kinds import RECORDS as RECORDS
from stingless.btf.kinds import Kind as Kind
from stingless.btf.kinds import Member as Member
from stingless.btf.kinds import Members as Members
from stingless.btf.kinds import Type as Type
from stingless.btf.kinds import Values as Values
from stingless.errors import ObjectError, UnknownNameError

if TYPE_CHECKING:
    from stingless.btf.layout import RecordLayout
    from stingless.btf.scalars import Codec

MAGIC = 0xEB9F
_MAX_DEPTH = 64  # of typedef/const/... chains and nested arrays, so that a hostile cycle ends
_LONGEST = 1 << 16  # bytes of a string; the kernel's names have 512 at most, lines of source some more
_KEPT = 1 << 16  # decoded types
# Which one `btf["name"]` is when types of several kinds have the name.
_PREFERENCE = (
    Kind.STRUCT,
    Kind.UNION,
    Kind.ENUM,
    Kind.ENUM64,
    Kind.TYPEDEF,
    Kind.INT,
    Kind.FLOAT,
    Kind.FUNC,
    Kind.VAR,
    Kind.DATASEC,
    Kind.FWD,
    Kind.DECL_TAG,
    Kind.TYPE_TAG,
)
_WORDS = {
    "struct": (Kind.STRUCT,),
    "union": (Kind.UNION,),
    "enum": (Kind.ENUM, Kind.ENUM64),
    "typedef": (Kind.TYPEDEF,),
}
_LONGS = ("long unsigned int", "long int", "unsigned long", "long")


class Btf:
    """A BTF blob.  Raises `ObjectError` when it is malformed.

    Split BTF (of a kernel module) goes on where `base` ends: it has the base's types and strings, and its own behind
    them.

    `btf["task_struct"].members["pid"].offset` is in bytes.  A name may say its kind: `btf["struct list_head"]`.
    """

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        self.data = data
        self.base = base
        if len(data) < 24:
            raise ObjectError(f"BTF is {len(data)} bytes long, shorter than its header")
        for order in "<>":
            magic, version, _, header = struct.unpack_from(order + "HBBI", data)
            if magic == MAGIC:
                break
        else:
            raise ObjectError(f"not BTF: it starts with {data[:2].hex()}, not with the magic number eb9f")
        if version != 1:
            raise ObjectError(f"BTF version {version} is not known (1 is)")
        if header < 24:
            raise ObjectError(f"BTF says that its header has {header} bytes; it has 24 at least")
        self.order = order
        type_off, type_len, str_off, str_len = struct.unpack_from(order + "IIII", data, 8)
        self._types_at: int = header + type_off
        self._types_end = self._types_at + type_len
        self._strings_at: int = header + str_off
        self._strings_end = self._strings_at + str_len
        if max(self._types_end, self._strings_end) > len(data):
            raise ObjectError(f"BTF is truncated: {len(data)} bytes, its header promises more")
        if str_len and data[self._strings_end - 1]:
            raise ObjectError("BTF's last string does not end")
        if base is not None and base.order != order:
            raise ObjectError("split BTF and its base differ in byte order")
        self.first_id: int = len(base) if base else 1  # of this blob's own types
        self._strings_base: int = base.strings_length if base else 0
        self.strings_length: int = self._strings_base + str_len
        self._id_shift = self.first_id - 1
        self._head = struct.Struct(order + "III")
        self._index = self._open_index()
        self._count = self._id_shift + len(self._index.offsets)
        self._decoded: dict[int, Type] = {}
        self._strings: dict[int, str] = {}
        self._strings_left = 16 * self.strings_length + 4096  # hostile names can all be ends of a long one
        self._layouts: dict[int, RecordLayout] = {}
        self.codecs: dict[int, Codec] = {}  # of `stingless.btf.values`; here, so that they end with the types
        self._pointer_size = 0

    def _open_index(self) -> Index:
        return Index(type_offsets(self.data, self._types_at, self._types_end, self.order))

    def _named_index(self) -> Index:
        """The index with its names, which are read when the first is looked for."""
        if not self._index.heads:
            words = type_words(self.data, self._types_at, self._types_end, self.order)
            add_names(self._index, words, self.strings(), self._strings_base, self._string)
        return self._index

    def __deepcopy__(self, _: object) -> Self:
        """Itself: types do not change."""
        return self

    def __len__(self) -> int:
        """Types, with void; the highest id is one less."""
        return self._count

    def string(self, offset: int) -> str:
        """The string at `offset` of the string section."""
        known = self._strings.get(offset)
        if known is None:
            text = self._string(offset)
            self._strings_left -= len(text)
            if self._strings_left < 0:
                raise ObjectError("the strings of BTF overlap each other")
            known = self._strings[offset] = text.decode("utf-8", "replace")
        return known

    def _string(self, offset: int) -> bytes:
        if offset < self._strings_base and self.base is not None:
            return self.base._string(offset)
        start = self._strings_at + offset - self._strings_base
        if start >= self._strings_end or offset < 0:
            if not offset:
                return b""
            raise ObjectError(f"BTF has no string at {offset} (its strings have {self.strings_length} bytes)")
        stop = self.data.find(b"\0", start, start + _LONGEST)
        if stop < 0:
            raise ObjectError(f"BTF's string at {offset} is longer than {_LONGEST} bytes")
        return self.data[start:stop]

    def kind(self, type_id: int) -> Kind:
        if type_id == 0:
            return Kind.VOID
        if type_id < self.first_id and self.base is not None:
            return self.base.kind(type_id)
        info: int = self._head.unpack_from(self.data, self.offset_of(type_id))[1]
        return KINDS[info >> 24 & 31]

    def offset_of(self, type_id: int) -> int:
        """Where the type's record starts in `data`; for types of this blob, not of its base."""
        if not self.first_id <= type_id < self._count:
            raise ObjectError(f"BTF has no type {type_id} (it has {self._count - 1})")
        return self._types_at + 4 * self._index.offsets[type_id - self._id_shift]

    def type(self, type_id: int) -> Type:
        """Decode one type.  Raises `ObjectError` when there is none of that id."""
        if type_id == 0:
            return Type(0, Kind.VOID, "void")
        if type_id < self.first_id and self.base is not None:
            return self.base.type(type_id)
        found = self._decoded.get(type_id)
        if found is None:
            if len(self._decoded) >= _KEPT:
                self._decoded.clear()
            found = self._decoded[type_id] = decode(self, type_id, self.offset_of(type_id))
        return found

    def types(self) -> Iterator[Type]:
        """All types by id, without void."""
        return map(self.type, range(1, len(self)))

    __iter__ = types

    def ids(self, kind: Kind) -> Iterator[int]:
        """Ids of all types of a kind."""
        if self.base is not None:
            yield from self.base.ids(kind)
        unpack, data, offsets, start = self._head.unpack_from, self.data, self._index.offsets, self._types_at
        for number in range(1, len(offsets)):
            if unpack(data, start + 4 * offsets[number])[1] >> 24 & 31 == kind:
                yield number + self._id_shift

    def find(self, name: str, kind: Kind) -> Type | None:
        """The first type of that name and kind."""
        return next((self.type(found) for found in self._ids_named(name) if self.kind(found) == kind), None)

    def find_all(self, name: str) -> list[Type]:
        """All types of that name, by id."""
        return [self.type(found) for found in self._ids_named(name)]

    def _ids_named(self, name: str) -> Iterator[int]:
        if self.base is not None:
            yield from self.base._ids_named(name)
        wanted = name.encode("utf-8", "replace")
        if not wanted or b"\0" in wanted:
            return
        index = self._named_index()
        for number in index.candidates(wanted):
            offset = self._head.unpack_from(self.data, self._types_at + 4 * index.offsets[number])[0]
            if self._string(offset) == wanted:
                yield number + self._id_shift

    def get(self, name: str) -> Type | None:
        """As `btf[name]`, None when there is none."""
        word, _, rest = name.partition(" ")
        kinds, bare = (_WORDS[word], rest.strip()) if rest and word in _WORDS else (_PREFERENCE, name)
        ranked = [(kinds.index(kind), i) for i in self._ids_named(bare) if (kind := self.kind(i)) in kinds]
        return self.type(min(ranked)[1]) if ranked else None

    def __getitem__(self, name: str) -> Type:
        """The type of that name; structs before typedefs before functions.  Raises `UnknownNameError`."""
        found = self.get(name)
        if found is None:
            raise self.unknown(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def unknown(self, name: str, kind: Kind | None = None) -> UnknownNameError:
        """The error that says that there is no such type (of that kind), and which names are near."""
        from stingless.btf.near import near

        word, _, rest = name.partition(" ")
        if rest and word in _WORDS:
            name, kind = rest.strip(), _WORDS[word][0]
        what = f"{kind.name.lower().replace('_', ' ')} in BTF" if kind is not None else "type in BTF"
        return UnknownNameError(what, name, near(self, name, kind))

    def strings(self) -> bytes:
        """The blob's own string section."""
        return self.data[self._strings_at : self._strings_end]

    def resolve(self, type_id: int) -> Type:
        """Skip typedefs and qualifiers."""
        for _ in range(_MAX_DEPTH):
            found = self.type(type_id)
            if found.kind not in MODIFIERS:
                return found
            type_id = found.type
        raise ObjectError(f"BTF type {type_id} refers to itself")

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer: as many as a `long` has, 8 where there is none."""
        if not self._pointer_size:
            longs = (self.find(name, Kind.INT) for name in _LONGS)
            self._pointer_size = 4 if any(found is not None and found.size == 4 for found in longs) else 8
        return self._pointer_size

    def size_of(self, type_id: int) -> int:
        """Bytes that a value of this type takes (0 for void and functions)."""
        found, count = self.element(type_id)
        return count * (self.pointer_size if found.kind == Kind.PTR else found.size)

    def element(self, type_id: int) -> tuple[Type, int]:
        """What an array is made of, and of how many; itself and 1 for another type."""
        count = 1
        for _ in range(_MAX_DEPTH):
            found = self.resolve(type_id)
            if found.kind != Kind.ARRAY:
                return found, count
            count, type_id = count * found.length, found.type
        raise ObjectError(f"BTF type {type_id} is nested too deeply")

    def align_of(self, type_id: int) -> int:
        """Bytes that a value is aligned to, as far as BTF tells: of a record, the least that its members' offsets and
        its size allow (BTF does not record alignment itself).  1 for void and functions."""
        from stingless.btf.layout import align_of

        return align_of(self, type_id)

    def for_kernel(self) -> bytes:
        """The bytes to hand to BPF_BTF_LOAD."""
        return self.data
