"""Where each type of a BTF blob starts, and which types have a name: built in one pass, or kept from another process.

Names are in a chained hash table like ELF's DT_HASH: `heads[hash % len(heads)]` is the highest id of its chain,
`chain[id]` the next lower one, 0 the end.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence

from stingless.btf.decode import TAIL
from stingless.btf.kinds import Kind
from stingless.errors import ObjectError

_FIXED = [3 + TAIL[k][0] // 4 if k in TAIL else 0 for k in range(32)]  # in words of 4 bytes
_EACH = [TAIL[k][1] // 4 if k in TAIL else 0 for k in range(32)]
LONGEST_NAME = 1024  # bytes of a name that can be looked for: so many types may share one hostile string
_FUNC = int(Kind.FUNC)  # nearly half of a kernel's types
# Kept form, for this machine only: magic, types, hash heads, fingerprint; then the three arrays.  The version changes
# when the layout or the hash does.
_KEPT = struct.Struct("=8sIIQ")
_MAGIC = b"btfidx01"


class Index:
    """`offsets[n]` is where the blob's n-th own type starts, in words of 4 bytes from the start of the types; [0] is
    void's and means nothing."""

    def __init__(self, offsets: Sequence[int], heads: Sequence[int] = (), chain: Sequence[int] = ()) -> None:
        self.offsets, self.heads, self.chain = offsets, heads, chain

    def candidates(self, name: bytes) -> Iterator[int]:
        """Numbers of the types whose name may be `name`, lowest first."""
        found = []
        at = self.heads[zlib.crc32(name) & len(self.heads) - 1]
        while at:
            found.append(at)
            at = self.chain[at]
        return reversed(found)


def type_words(data: bytes, start: int, end: int, order: str) -> Sequence[int]:
    """The section as numbers of 4 bytes."""
    view = memoryview(data)[start:end]
    if (order == "<") == (sys.byteorder == "little"):
        return view.cast("I")
    swapped = array("I", bytes(view))
    swapped.byteswap()
    return swapped


def type_offsets(data: bytes, start: int, end: int, order: str) -> Sequence[int]:
    """Raises `ObjectError` when the types do not fill the section exactly."""
    if (end - start) % 4:
        raise ObjectError(f"BTF's type section has {end - start} bytes, no multiple of 4: its last type is cut off")
    words = type_words(data, start, end, order)
    fixed, each, func = _FIXED, _EACH, _FUNC
    offsets = [0]
    add = offsets.append
    at, count = 0, len(words)
    try:
        while at < count:
            add(at)
            info = words[at + 1]
            kind = info >> 24
            if kind == func:
                at += 3
                continue
            kind &= 31
            if not fixed[kind]:
                raise ObjectError(f"BTF type {len(offsets) - 1} has unknown kind {kind}")
            at += fixed[kind] + each[kind] * (info & 0xFFFF) if each[kind] else fixed[kind]
    except IndexError:
        at = -1
    if at != count:
        raise ObjectError(f"BTF type {len(offsets) - 1} is cut off")
    return array("I", offsets)


def add_names(
    index: Index, words: Sequence[int], strings: bytes, strings_base: int, base_string: Callable[[int], bytes]
) -> None:
    """Fill the hash table.  `words`: the type section.  `strings_base`: the offset that the first of `strings` has (not
    0 in split BTF); the strings below it are the base's."""
    count = len(index.offsets)
    size = 16
    while size * 2 < count:
        size *= 2
    heads, chain = [0] * size, [0] * count
    mask, crc, find, end = size - 1, zlib.crc32, strings.find, len(strings)
    own = iter(enumerate(index.offsets))
    next(own)  # void
    for number, at in own:
        offset = words[at]
        if not offset:
            continue
        name = offset - strings_base
        if name >= end:
            continue  # not in the strings: found when the type is decoded
        if name < 0:
            text = base_string(offset)
        elif (stop := find(0, name, name + LONGEST_NAME)) >= 0:
            text = strings[name:stop]
        else:
            continue
        bucket = crc(text) & mask
        chain[number] = heads[bucket]
        heads[bucket] = number
    index.heads, index.chain = array("I", heads), array("I", chain)


def dump(index: Index, blob: int) -> bytes:
    """The index as bytes, for the blob of that fingerprint."""
    head = _KEPT.pack(_MAGIC, len(index.offsets), len(index.heads), blob)
    return head + b"".join(array("I", numbers).tobytes() for numbers in (index.offsets, index.heads, index.chain))


def restore(kept: bytes | None, blob: int) -> Index | None:
    """None when it is of another blob, or no index."""
    if kept is None or len(kept) < _KEPT.size:
        return None
    magic, types, heads, fingerprint = _KEPT.unpack_from(kept)
    sizes = [4 * types, 4 * heads, 4 * types]
    if magic != _MAGIC or fingerprint != blob or len(kept) != _KEPT.size + sum(sizes):
        return None
    numbers = memoryview(kept)[_KEPT.size :].cast("I")
    return Index(numbers[:types], numbers[types : types + heads], numbers[types + heads :])


def fingerprint(data: bytes) -> int:
    """Tells blobs apart without reading all of them: the length, the header and sixteen samples."""
    length = len(data)
    state = zlib.crc32(data[:64])
    for number in range(1, 17):
        at = length * number // 17
        state = zlib.crc32(data[at : at + 64], state)
    return length << 32 | state
