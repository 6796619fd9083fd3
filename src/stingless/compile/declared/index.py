"""Many declarations in one file that need not be read whole: a hash table of names, and a record for each declaration.

header   magic, number of slots, number of records, where records begin
slots    u32 each: where a name's entry is, 0 for none; a name's first slot is its CRC-32 modulo their number
entries  u16 length of the name, u16 number of records, the name, u32 record numbers
places   u32 for each record: where it begins, and one for where the last ends
records  marshalled `Declaration`s
end      the magic again: a file that was not written to its end is not one
"""

from __future__ import annotations

import marshal
import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_MAGIC = b"STDECL01"
_HEAD = struct.Struct("<8sIII")
_ENTRY = struct.Struct("<HH")
_U32 = struct.Struct("<I")


class Declaration(NamedTuple):
    """`text` declares `names` (tags with `struct`, `union` or `enum`).

    It needs the declarations `needs` of the same index, and what is called `words` elsewhere.  `behind` has
    (member, numbers): what that member points to, needed by a program that names the member.  `tags` are to be declared
    before it, since it has them in parameter lists.  `header` is the file that it is from.  It is for kernels that have
    all of `conditions`: "struct tag.member", a name, or a machine's, or "!" and what they may not have.
    """

    text: str
    names: tuple[str, ...]
    needs: tuple[int, ...] = ()
    behind: tuple[tuple[str, tuple[int, ...]], ...] = ()
    tags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    header: str = ""
    conditions: tuple[str, ...] = ()


class Declarations:
    """An index that was written by `written`.  Raises `ValueError` for other bytes."""

    def __init__(self, data: bytes | memoryview) -> None:
        if len(data) < _HEAD.size or data[: len(_MAGIC)] != _MAGIC or data[-len(_MAGIC) :] != _MAGIC:
            raise ValueError("this is no index of declarations")
        _, self._slots, self.count, self._places = _HEAD.unpack_from(data)
        self._data = data
        self._records: dict[int, Declaration] = {}

    def find(self, name: str) -> tuple[int, ...]:
        """The numbers of the declarations of that name, in their order."""
        raw = name.encode()
        slot = zlib.crc32(raw) % self._slots
        data = self._data
        while True:
            (at,) = _U32.unpack_from(data, _HEAD.size + 4 * slot)
            if not at:
                return ()
            length, count = _ENTRY.unpack_from(data, at)
            start = at + _ENTRY.size
            if length == len(raw) and data[start : start + length] == raw:
                return struct.unpack_from(f"<{count}I", data, start + length)
            slot = (slot + 1) % self._slots

    def __contains__(self, name: str) -> bool:
        return bool(self.find(name))

    def __getitem__(self, number: int) -> Declaration:
        found = self._records.get(number)
        if found is None:
            start, end = struct.unpack_from("<2I", self._data, self._places + 4 * number)
            found = self._records[number] = Declaration(*marshal.loads(self._data[start:end]))
        return found

    @lru_cache(maxsize=1)  # noqa: B019  # an index lives as long as the process
    def names(self) -> list[str]:
        """All names; reads all of the index."""
        found = []
        for slot in range(self._slots):
            (at,) = _U32.unpack_from(self._data, _HEAD.size + 4 * slot)
            if at:
                length, _ = _ENTRY.unpack_from(self._data, at)
                found.append(str(self._data[at + _ENTRY.size : at + _ENTRY.size + length], "utf-8"))
        return found


def written(declarations: Iterable[Declaration]) -> bytes:
    """The bytes of an index of these declarations, numbered from 0 in their order."""
    records = list(declarations)
    numbers: dict[str, list[int]] = {}
    for number, each in enumerate(records):
        for name in each.names:
            numbers.setdefault(name, []).append(number)
    slots = 2 * len(numbers) + 1
    table = [0] * slots
    entries = bytearray()
    base = _HEAD.size + 4 * slots
    for name, of_name in numbers.items():
        raw = name.encode()
        slot = zlib.crc32(raw) % slots
        while table[slot]:
            slot = (slot + 1) % slots
        table[slot] = base + len(entries)
        entries += _ENTRY.pack(len(raw), len(of_name)) + raw + struct.pack(f"<{len(of_name)}I", *of_name)
    places_at = base + len(entries)
    at = places_at + 4 * (len(records) + 1)
    places, bodies = [at], []
    for each in records:
        bodies.append(marshal.dumps(tuple(each)))
        at += len(bodies[-1])
        places.append(at)
    head = _HEAD.pack(_MAGIC, slots, len(records), places_at)
    tables = struct.pack(f"<{slots}I", *table) + bytes(entries) + struct.pack(f"<{len(places)}I", *places)
    return head + tables + b"".join(bodies) + _MAGIC
