"""Hostile BTF: whatever its bytes, only `ObjectError`, and soon."""

from __future__ import annotations

import contextlib
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stingless.btf.cdecl import Header, declarations
from stingless.btf.cdecl_asserts import asserts
from stingless.btf.file import elf_section, read_btf
from stingless.btf.kinds import RECORDS
from stingless.btf.show import show
from stingless.btf.types import Btf, Kind
from stingless.errors import ObjectError, UnknownNameError
from tests.btf_blobs import Blob, object_of
from tests.unit.test_btf_cdecl import RECORDS as TEXT
from tests.unit.test_btf_reader import TEXT as MORE

SECONDS = 5  # of CPU time, for one blob of a few kilobytes
FUZZED = settings(
    max_examples=150,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def objects() -> list[bytes]:
    uses = "struct pointers p; struct nested n; struct unions u; struct enums e; struct packed_bits b;"
    return [object_of(TEXT + uses, "a.c"), object_of(MORE, "b.c")]


@pytest.fixture(scope="module")
def blobs(objects: list[bytes]) -> list[bytes]:
    return [elf_section(data, b".BTF") or b"" for data in objects]


def use(data: bytes, base: Btf | None = None) -> None:
    """Ask all that there is to ask."""
    started = time.process_time()
    with contextlib.suppress(ObjectError):
        btf = Btf(data, base)
        for type_id in range(len(btf)):
            with contextlib.suppress(ObjectError):
                found = btf.type(type_id)
                btf.find_all(found.name)
                btf.get(f"struct {found.name}")
                if found.kind in RECORDS:
                    found.members.names()
            with contextlib.suppress(ObjectError):
                btf.size_of(type_id)
            with contextlib.suppress(ObjectError):
                btf.align_of(type_id)
            with contextlib.suppress(ObjectError):
                show(btf, btf.type(type_id))
        with contextlib.suppress(ObjectError):
            declarations(btf)
        for name in ("outer", "pointers", "nested", "struct list"):
            with contextlib.suppress(ObjectError, UnknownNameError):
                header = Header(btf, [name])
                header.text()
                asserts(header)
    assert time.process_time() - started < SECONDS


@FUZZED
@given(data=st.data())
def test_changed_bytes(blobs: list[bytes], data: st.DataObject) -> None:
    blob = bytearray(data.draw(st.sampled_from(blobs)))
    spots = st.integers(0, len(blob) - 1)
    for spot, value in data.draw(st.lists(st.tuples(spots, st.integers(0, 255)), min_size=1, max_size=12)):
        blob[spot] = value
    use(bytes(blob))


@FUZZED
@given(data=st.data())
def test_changed_words(blobs: list[bytes], data: st.DataObject) -> None:
    """Type ids, counts and offsets are words: small ones and extreme ones are the worst."""
    blob = bytearray(data.draw(st.sampled_from(blobs)))
    words = st.one_of(st.integers(0, 200), st.sampled_from([0x7FFFFFFF, 0xFFFFFFFF, 0x84FFFFFF, 1 << 31]))
    spots = st.integers(0, len(blob) // 4 - 1)
    for spot, value in data.draw(st.lists(st.tuples(spots, words), min_size=1, max_size=12)):
        struct.pack_into("<I", blob, spot * 4, value)
    use(bytes(blob))


@FUZZED
@given(st.binary(max_size=400), st.booleans())
def test_random_types(types: bytes, little: bool) -> None:
    """A good header, then anything."""
    order = "<" if little else ">"
    types = types[: len(types) // 4 * 4]
    strings = b"\0int\0name\0"
    use(struct.pack(order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings)


@FUZZED
@given(st.lists(st.tuples(st.integers(1, 19), st.integers(0, 24), st.integers(0, 3), st.booleans()), max_size=24))
def test_random_graphs(rows: list[tuple[int, int, int, bool]]) -> None:
    """Well-formed records that refer to each other at random: cycles, and records in themselves."""
    blob = Blob()
    for number, (kind, target, count, flag) in enumerate(rows):
        name = f"n{number % 5}" if flag else ""
        if kind in (Kind.STRUCT, Kind.UNION):
            members = [("" if flag else f"m{i}", (target + i) % 25, 32 * i) for i in range(count)]
            blob.record(name, 4 * count, members, kind)
        elif kind == Kind.FUNC_PROTO:
            blob.proto(target, [("", target + i) for i in range(count)])
        elif kind == Kind.ARRAY:
            blob.array(target, count << 30)
        elif kind == Kind.ENUM64:
            blob.enum64(name, [(f"V{i}", -i) for i in range(count)], signed=flag)
        elif kind == Kind.ENUM:
            blob.enum(name, [(f"V{i}", -i) for i in range(count)], signed=flag)
        elif kind == Kind.DATASEC:
            blob.record(name or ".data", 8, [("", target, 0)] * count, kind)
        elif kind in (Kind.INT, Kind.VAR, Kind.DECL_TAG):
            blob.add(kind, name, target, blob.words(count))
        else:
            blob.add(kind, name, target, flag=flag)
    use(blob.bytes())


@FUZZED
@given(data=st.data())
def test_split_btf_of_a_changed_module(blobs: list[bytes], data: st.DataObject) -> None:
    base = Btf(blobs[0])
    blob = Blob(base=base)
    numbers = st.integers(0, len(base) + 8)
    for i in range(data.draw(st.integers(0, 8))):
        blob.record(f"own{i}", 8, [("member", data.draw(numbers), 0), ("", data.draw(numbers), 32)])
    changed = bytearray(blob.bytes())
    for spot in data.draw(st.lists(st.integers(0, len(changed) - 1), max_size=4)):
        changed[spot] ^= data.draw(st.integers(0, 255))
    use(bytes(changed), base)


@FUZZED
@given(data=st.data())
def test_changed_elf(objects: list[bytes], data: st.DataObject) -> None:
    elf = bytearray(data.draw(st.sampled_from(objects)))
    (table,) = struct.unpack_from("<Q", elf, 40)
    spots = st.one_of(st.integers(0, 63), st.integers(table, len(elf) - 1), st.integers(0, len(elf) - 1))
    for spot, value in data.draw(st.lists(st.tuples(spots, st.integers(0, 255)), min_size=1, max_size=8)):
        elf[spot] = value
    cut = data.draw(st.integers(0, len(elf)))
    for damaged in (bytes(elf), bytes(elf[:cut])):
        with contextlib.suppress(ObjectError):
            elf_section(damaged, b".BTF")


def test_files(tmp_path: object, objects: list[bytes], blobs: list[bytes]) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "file"
    for data in (objects[0], blobs[0]):
        file.write_bytes(data)
        assert "nested" in read_btf(file)
    for data, message in (
        (b"", "shorter"),
        (b"\x7fELF", "damaged"),
        (objects[0][:200], "damaged|truncated|do not hold"),
    ):
        file.write_bytes(data)
        with pytest.raises(ObjectError, match=message):
            read_btf(file)
    file.write_bytes(object_of("int x;", "c.c", ["-g0"]))
    with pytest.raises(ObjectError, match="compile it with -g"):
        read_btf(file)


def test_huge_counts_are_cheap() -> None:
    """Many records of the largest vlen in the smallest blob; types that are each other's megabytes of members."""
    blob = Blob()
    number = blob.integer()
    members = [("", number + 1 + i % 8, 0) for i in range(2000)]
    for _ in range(8):
        blob.record("", 4, members)
    blob.record("top", 4, [("", 2, 0)])
    use(blob.bytes())
