"""`.BTF.ext`: which instruction comes from which function and line, and which ones CO-RE is to adapt.

Format: Documentation/bpf/btf.rst, chapter 4; `struct btf_ext_header` of libbpf.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise

from stingless.btf.types import MAGIC, Btf
from stingless.errors import ObjectError

_LONGEST_ACCESS = 1024  # of an access string; the kernel takes 64 indexes


Row = tuple[int, ...]


class Records:
    """Function, line and CO-RE records by section, sorted, one of a kind for an instruction.  A row is the byte offset
    of the instruction in the section, then the fields as in `FuncInfo`, `LineInfo`, and `struct bpf_core_relo`."""

    def __init__(self, btf: Btf | None = None, data: bytes = b"") -> None:
        """Raises `ObjectError`."""
        self.funcs: dict[str, list[Row]] = {}
        self.lines: dict[str, list[Row]] = {}
        self.core: dict[str, list[Row]] = {}
        self.access: dict[int, str] = {}  # the access strings of CO-RE, by offset
        if btf is None or not data:
            return
        try:
            self._read(btf, data)
        except struct.error as error:
            raise ObjectError(f".BTF.ext is truncated: {error}") from None

    def _read(self, btf: Btf, data: bytes) -> None:
        magic, _, _, header = struct.unpack_from(btf.order + "HBBI", data)
        if magic != MAGIC:
            raise ObjectError(".BTF.ext does not start with the magic number eb9f")

        def part(at: int) -> bytes:
            if at + 8 > header:
                return b""
            offset, length = struct.unpack_from(btf.order + "II", data, at)
            if header + offset + length > len(data):
                raise ObjectError(f".BTF.ext is truncated: {len(data)} bytes, its header promises more")
            return data[header + offset : header + offset + length]

        self.funcs = dict(_sections(btf, part(8), "II"))
        self.lines = dict(_sections(btf, part(16), "IIII"))
        self.core = dict(_sections(btf, part(24), "IIII"))
        for text in {row[2] for rows in self.core.values() for row in rows}:
            access = self.access[text] = btf.string(text)
            if len(access) > _LONGEST_ACCESS:
                raise ObjectError(f"a CO-RE access string has {len(access)} characters")


def within(rows: list[Row], start: int, end: int) -> list[Row]:
    """Those of the instructions in slots from `start` to before `end`."""
    return rows[bisect_left(rows, (8 * start,)) : bisect_left(rows, (8 * end,))]


def _sorted(rows: list[Row]) -> list[Row]:
    if all(one[0] < other[0] for one, other in pairwise(rows)):  # as compilers write them
        return rows
    by_place = {row[0]: row for row in rows}
    return [by_place[at] for at in sorted(by_place)]


def _sections(btf: Btf, data: bytes, fields: str) -> Iterator[tuple[str, list[Row]]]:
    """(section's name, its records) of one part."""
    if not data:
        return
    row = struct.Struct(btf.order + fields)
    (record,) = struct.unpack_from(btf.order + "I", data)
    if record < row.size:
        raise ObjectError(f".BTF.ext has records of {record} bytes, fewer than {row.size}")
    seen: set[str] = set()
    at = 4
    while at < len(data):
        offset, count = struct.unpack_from(btf.order + "II", data, at)
        at += 8
        if at + count * record > len(data):
            raise ObjectError(".BTF.ext is truncated")
        name = btf.string(offset)
        if name in seen:
            raise ObjectError(f".BTF.ext describes section {name!r} twice")
        seen.add(name)
        if record == row.size:
            yield name, _sorted(list(row.iter_unpack(data[at : at + count * record])))
        else:
            yield name, _sorted([row.unpack_from(data, at + i * record) for i in range(count)])
        at += count * record
