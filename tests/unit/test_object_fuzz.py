"""Hostile objects: `ObjectError` or specs, in bounded time and memory, and nothing else."""

from __future__ import annotations

import contextlib
import struct
import time
import tracemalloc
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stingless.errors import ObjectError
from stingless.obj.elf import Section, parse_elf
from stingless.obj.reader import read_object
from tests.object_sources import EVERYTHING, HEAD, build

LEGACY = (
    HEAD
    + """
struct map_def { unsigned type, key_size, value_size, max_entries, map_flags, id, pinning, inner_id, inner_idx; };
struct map_def in SEC("maps") = {1, 4, 4, 2, 0, 7, 0, 0, 1}, out SEC("maps") = {12, 4, 4, 3, 0, 8, 2, 7, 0};
int data = 3;
SEC("xdp") int f(void *ctx) { int k = data; return !!bpf_map_lookup_elem(&in, &k) + !!bpf_map_lookup_elem(&out, &k); }
"""
)
OBJECTS: dict[str, Callable[[], bytes]] = {
    "everything": lambda: build(EVERYTHING),
    "big-endian": lambda: build(EVERYTHING, "-target", "bpfeb"),
    "no BTF": lambda: build(LEGACY, "-g0"),
    "legacy": lambda: build(LEGACY),
}
NUMBERS = st.one_of(
    st.integers(0, 64),
    st.sampled_from([0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)
fuzz = settings(deadline=timedelta(seconds=10), suppress_health_check=[HealthCheck.too_slow])
kinds = st.sampled_from(sorted(OBJECTS))


def read(data: bytes) -> None:
    with contextlib.suppress(ObjectError):
        spec = read_object(data)
        repr(spec)
        with contextlib.suppress(ObjectError):
            repr(spec.variables)


def _order(data: bytes | bytearray) -> str:
    return "<" if data[5] == 1 else ">"


def _header(data: bytes, number: int) -> int:
    (table,) = struct.unpack_from(_order(data) + "Q", data, 40)
    return int(table) + 64 * number


def _place(data: bytes, section: Section) -> int:
    return int(struct.unpack_from(_order(data) + "Q", data, _header(data, section.index) + 24)[0])


@given(kinds, st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 7)), min_size=1, max_size=10))
@settings(fuzz, max_examples=150)
def test_flipped_bits(kind: str, flips: list[tuple[int, int]]) -> None:
    data = bytearray(OBJECTS[kind]())
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    read(bytes(data))


@given(kinds, st.integers(0, 1 << 20), st.integers(0, 200))
@settings(fuzz, max_examples=100)
def test_cut_off_and_shifted(kind: str, cut: int, missing: int) -> None:
    data = OBJECTS[kind]()
    at = cut % len(data)
    read(data[:at])
    read(data[:at] + data[at + missing :])


@given(kinds, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9), NUMBERS), min_size=1, max_size=3))
@settings(fuzz, max_examples=100)
def test_section_headers(kind: str, changes: list[tuple[int, int, int]]) -> None:
    """name, type, flags, address, offset, size, link, info, alignment, entry size"""
    data = bytearray(OBJECTS[kind]())
    count = len(parse_elf(bytes(data)).sections)
    for number, column, value in changes:
        at, form = ((0, 4, 8, 16, 24, 32, 40, 44, 48, 56)[column], "IIQQQQIIQQ"[column])
        mask = 0xFFFFFFFF if form == "I" else (1 << 64) - 1
        struct.pack_into(_order(data) + form, data, _header(bytes(data), number % count) + at, value & mask)
    read(bytes(data))


@given(kinds, st.integers(0, 40), st.integers(0, 40))
@settings(fuzz, max_examples=100)
def test_swapped_sections(kind: str, one: int, other: int) -> None:
    data = bytearray(OBJECTS[kind]())
    count = len(parse_elf(bytes(data)).sections)
    a, b = _header(bytes(data), one % count), _header(bytes(data), other % count)
    # Offset and size change places; name and type stay.
    data[a + 24 : a + 40], data[b + 24 : b + 40] = data[b + 24 : b + 40], data[a + 24 : a + 40]
    read(bytes(data))


SECTIONS = [
    ".symtab",
    ".strtab",
    ".BTF",
    ".BTF.ext",
    ".maps",
    "maps",
    "xdp",
    ".relxdp",
    ".rel.maps",
    ".rel.struct_ops.link",
]


@given(
    kinds,
    st.sampled_from(SECTIONS),
    st.lists(st.tuples(st.integers(0, 1 << 14), NUMBERS, st.sampled_from("BHIQ")), min_size=1, max_size=4),
)
@settings(fuzz, max_examples=400)
def test_numbers_in_tables(kind: str, name: str, changes: list[tuple[int, int, str]]) -> None:
    data = bytearray(OBJECTS[kind]())
    section = parse_elf(bytes(data)).section(name)
    if section is None or not section.data:
        return
    start = _place(bytes(data), section)
    for at, value, form in changes:
        width = struct.calcsize(form)
        place = start + at * width % len(section.data)
        struct.pack_into(_order(data) + form, data, min(place, len(data) - 8), value % (1 << 8 * width))
    read(bytes(data))


@given(st.binary(max_size=600))
@settings(fuzz, max_examples=100)
def test_anything_behind_a_header(tail: bytes) -> None:
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 247, 1, 0, 0, 64, 0, 64, 0, 0, 64, 0, 0)
    count = len(tail) // 64
    read(head[:60] + struct.pack("<HH", count, 0) + tail)


def _elf(sections: list[tuple[str, int, int, bytes, int, int]], order: str = "<") -> bytes:
    """A relocatable object of (name, type, flags, data, link, info); section 1 holds the names."""
    names, offsets = b"\0", []
    for name, *_ in sections:
        offsets.append(len(names))
        names += name.encode() + b"\0"
    rows = [(0, 3, 0, names, 0, 0)] + [
        (at, kind, flags, data, link, info)
        for at, (_, kind, flags, data, link, info) in zip(offsets, sections, strict=True)
    ]
    body, heads = b"", [bytes(64)]
    for at, kind, flags, data, link, info in rows:
        size = len(data) if kind != 8 else int.from_bytes(data, "little")
        heads.append(struct.pack(order + "IIQQQQIIQQ", at, kind, flags, 0, 64 + len(body), size, link, info, 8, 0))
        body += data if kind != 8 else b""
    body += bytes(-len(body) % 8)
    table = 64 + len(body)
    ident = b"\x7fELF\x02" + bytes([1 if order == "<" else 2, 1]) + bytes(9)
    head = struct.pack(order + "HHIQQQIHHHHHH", 1, 247, 1, 0, 0, table, 0, 64, 0, 0, 64, len(heads), 1)
    return ident + head + body + b"".join(heads)


def _symbol(name: int, info: int, section: int, value: int, size: int) -> bytes:
    return struct.pack("<IBBHQQ", name, info, 0, section, value, size)


def _overlapping() -> bytes:
    data = bytearray(_elf([("x", 1, 0, b"", 0, 0)] * 5000) + bytes(1 << 20))
    (table,) = struct.unpack_from("<Q", data, 40)
    for i in range(2, 5002):
        struct.pack_into("<QQ", data, table + 64 * i + 24, 0, len(data))
    return bytes(data)


CALL_AND_EXIT = struct.pack("<BBhiBBhi", 0x85, 0x10, 0, 1, 0x95, 0, 0, 0)
NAME = b"\0" + b"n" * 3000 + b"\0"
ADVERSE: dict[str, Callable[[], bytes]] = {
    "names that overlap": lambda: _elf(
        [
            (".strtab", 3, 0, NAME, 0, 0),
            (".symtab", 2, 0, b"".join(_symbol(1 + i % 3000, 0x10, 0, 0, 0) for i in range(60000)), 2, 0),
        ]
    ),
    "a huge .bss": lambda: _elf([(".bss", 8, 3, (1 << 40).to_bytes(8, "little"), 0, 0), (".symtab", 2, 0, b"", 2, 0)]),
    "functions that overlap": lambda: _elf(
        [
            ("xdp", 1, 6, bytes(80000), 0, 0),
            (".strtab", 3, 0, b"\0f\0", 0, 0),
            (".symtab", 2, 0, b"".join(_symbol(1, 0x12, 2, 8 * i, 80000 - 8 * i) for i in range(9999)), 3, 0),
        ]
    ),
    "each calls all that follow": lambda: _elf(
        [
            (
                "xdp",
                1,
                6,
                b"".join(struct.pack("<BBhiBBhi", 0x85, 0x10, 0, 0, 0x95, 0, 0, 0) for _ in range(9999)),
                0,
                0,
            ),
            (".strtab", 3, 0, b"\0f\0", 0, 0),
            (".symtab", 2, 0, b"".join(_symbol(1, 0x12, 2, 16 * i, 16) for i in range(9998)), 3, 0),
        ]
    ),
    "the same section often": _overlapping,
    "no symbols": lambda: _elf([("xdp", 1, 6, bytes(16), 0, 0)]),
    "compressed": lambda: _elf([(".BTF", 1, 0x800, bytes(64), 0, 0)]),
    "with addends": lambda: _elf(
        [("xdp", 1, 6, bytes(16), 0, 0), (".symtab", 2, 0, bytes(24), 1, 0), (".relaxdp", 4, 0, bytes(24), 3, 2)]
    ),
}


@pytest.mark.parametrize("name", ADVERSE)
def test_what_would_cost_much_is_refused(name: str) -> None:
    data = ADVERSE[name]()
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(ObjectError):
            read_object(data)
        assert time.process_time() - begin < 20
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
