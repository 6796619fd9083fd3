"""What a BTF type is, once decoded: `Type`, its members and its values.

Format: Documentation/bpf/btf.rst and linux/btf.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, SupportsIndex, overload

from stingless.errors import UnknownNameError
from stingless.frozen import frozen, replace

if TYPE_CHECKING:
    from stingless.btf.types import Btf


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
MODIFIERS = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
RECORDS = frozenset({Kind.STRUCT, Kind.UNION})
ENUMS = frozenset({Kind.ENUM, Kind.ENUM64})


@frozen(slots=True)
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


class Members(tuple[Member, ...]):
    """Members in their order, by number or by name.

    By name, those of anonymous structs and unions are found too, as in C, at their offset from the outermost; in a data
    section, names are those of its variables.
    """

    _btf: Btf
    _owner: str

    @overload
    def __getitem__(self, key: SupportsIndex) -> Member: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Member, ...]: ...
    @overload
    def __getitem__(self, key: str) -> Member: ...
    def __getitem__(self, key: SupportsIndex | slice | str) -> Member | tuple[Member, ...]:
        """By name: raises `UnknownNameError` (a `KeyError`) that names the nearest."""
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        found = self.get(key)
        if found is None:
            raise UnknownNameError(f"member of {self._owner}", key, self.names())
        return found

    def get(self, name: str) -> Member | None:
        return next((member for member in self.flat() if member.name == name), None) if name else None

    def __contains__(self, key: object) -> bool:
        return self.get(key) is not None if isinstance(key, str) else tuple.__contains__(self, key)

    def names(self) -> list[str]:
        """All names that `[]` knows."""
        return [member.name for member in self.flat()]

    def flat(self) -> Iterator[Member]:
        """The named members, with those of anonymous ones in their place."""
        seen: set[int] = set()  # a hostile record may contain itself
        waiting: list[tuple[int, Iterator[Member]]] = [(0, iter(self))]
        while waiting:
            base, members = waiting[-1]
            for member in members:
                if base:
                    member = replace(member, bit_offset=base + member.bit_offset)
                if member.name:
                    yield member
                    continue
                inner = self._btf.resolve(member.type)
                if inner.kind == Kind.VAR:
                    yield replace(member, name=inner.name)
                elif inner.members and inner.kind in RECORDS and inner.id not in seen:
                    seen.add(inner.id)
                    waiting.append((member.bit_offset, iter(inner.members)))
                    break
            else:
                waiting.pop()


class Values(tuple[tuple[str, int], ...]):
    """Enumerators in their order, as (name, value); `["NAME"]` is the value of one."""

    @overload
    def __getitem__(self, key: SupportsIndex) -> tuple[str, int]: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[tuple[str, int], ...]: ...
    @overload
    def __getitem__(self, key: str) -> int: ...
    def __getitem__(self, key: SupportsIndex | slice | str) -> int | tuple[str, int] | tuple[tuple[str, int], ...]:
        """By name: raises `UnknownNameError` (a `KeyError`) that names the nearest."""
        if not isinstance(key, str):
            return tuple.__getitem__(self, key)
        found = self.get(key)
        if found is None:
            raise UnknownNameError("enumerator", key, (name for name, _ in self))
        return found

    def get(self, name: str) -> int | None:
        return next((value for other, value in self if other == name), None)

    def __contains__(self, key: object) -> bool:
        return self.get(key) is not None if isinstance(key, str) else tuple.__contains__(self, key)


NO_MEMBERS, NO_VALUES = Members(), Values()


@frozen
class Type:
    """One BTF type.  `size` is bytes where the kind has a size; `type` the id referred to where it refers to one."""

    id: int
    kind: Kind
    name: str
    size: int = 0
    type: int = 0
    members: Members = NO_MEMBERS
    values: Values = NO_VALUES  # of an enum
    length: int = 0  # of an array
    signed: bool = False
    encoding: int = 0  # of an int: 1 signed, 2 char, 4 bool
    linkage: int = 0
    flag: bool = False  # the record's kind_flag; of a forward declaration: that it is of a union
    bits: int = 0  # of an int: how many bits have a meaning
    bit_offset: int = 0  # of an int: where they start
    index_type: int = 0  # of an array
    component: int = -1  # of a declaration tag: the member or parameter it is on, -1 for the type itself
