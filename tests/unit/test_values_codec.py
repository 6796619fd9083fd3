"""Codecs: how values read, print, compare and are made, and what is said of wrong ones."""

from __future__ import annotations

import copy
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless.btf.names import identifiers
from stingless.btf.records import asdict, replace
from stingless.btf.types import Btf, Kind
from stingless.btf.values import Codec, codec, integer, raw
from stingless.compile import compile_object
from stingless.errors import ObjectError
from stingless.obj.reader import read_object

SOURCE = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
enum state { CLOSED, OPEN = 3 };
struct flow { u32 source; u16 sport, dport; u8 proto; };
struct event { u64 time; struct flow flow; char name[8]; enum state state; _Bool last; u32 a : 3; int b : 5;
    union { u32 word; u8 bytes[4]; }; struct { short x, y; }; u16 numbers[3]; double share; };
union either { u64 whole; struct { u32 low, high; } half; };
struct event event; union either either; struct flow flow;
"""


@pytest.fixture(scope="module")
def btf() -> Btf:
    found = read_object(compile_object(SOURCE)).btf
    assert found is not None
    return found


def of(btf: Btf, name: str, kind: Kind = Kind.STRUCT) -> Any:
    found = btf.find(name, kind)
    assert found is not None
    return codec(btf, found.id)


def test_one_class_for_one_type(btf: Btf) -> None:
    assert of(btf, "flow") is of(btf, "flow")
    assert of(btf, "event").decode(bytes(of(btf, "event").size)).flow.__class__ is of(btf, "flow").cls


def test_records_are_made_in_many_ways(btf: Btf) -> None:
    flow = of(btf, "flow")
    made = flow.cls(1, 2, 3, 4)
    assert made == flow.cls(source=1, sport=2, dport=3, proto=4)
    for other in ((1, 2, 3, 4), [1, 2, 3, 4], {"source": 1, "sport": 2, "dport": 3, "proto": 4}, bytes(made), made):
        assert flow.encode(other) == bytes(made)
    assert repr(made) == "flow(source=1, sport=2, dport=3, proto=4)"
    assert made != flow.cls() and made != (1, 2, 3, 4) and hash(made) == hash(copy.copy(made))
    match made:
        case flow.cls(source, sport):
            assert (source, sport) == (1, 2)
    assert replace(made, sport=9).sport == 9 and made.sport == 2
    assert asdict(made) == {"source": 1, "sport": 2, "dport": 3, "proto": 4}


def test_a_copy_shares_nothing(btf: Btf) -> None:
    event = of(btf, "event").cls(flow=(1, 2, 3, 4))
    event.flow = of(btf, "flow").cls(1)
    other = copy.copy(event)
    other.flow.source, other.numbers[1], other.word = 7, 8, 9
    assert (event.flow.source, event.numbers, event.word) == (1, [0, 0, 0], 0)


def test_fields_read_and_write(btf: Btf) -> None:
    made = of(btf, "event")
    event = made.cls(time=1, name="ab", state="OPEN", last=True, a=5, b=-3, word=0x04030201, x=-1, numbers=[1, 2, 3])
    again = made.decode(bytes(event))
    assert (again.time, again.name, again.last, again.a, again.b, again.x) == (1, b"ab", True, 5, -3, -1)
    assert again.bytes == [1, 2, 3, 4] and again.numbers == [1, 2, 3]
    assert again.state == 3 and repr(again.state) == "OPEN" and "state=OPEN" in repr(again)
    again.bytes[0] = 0xFF
    assert again.word == 0x040302FF
    assert made.decode(bytes(again)).bytes == [0xFF, 2, 3, 4]
    again.state = 77  # no name
    assert made.decode(bytes(again)).state == 77


def test_unions_are_views_of_the_same_bytes(btf: Btf) -> None:
    either = of(btf, "either", Kind.UNION)
    value = either.cls(whole=0x1_0000_0002)
    assert (value.half.low, value.half.high) == (2, 1)
    value.half.high = 5
    assert value.whole == 0x5_0000_0002
    assert value == either.cls(half=(2, 5)) == either.decode(bytes(value))
    assert either.encode({"half": {"high": 1}}) == struct.pack("<II", 0, 1)
    with pytest.raises(ValueError, match=r"either.half.low: -1 does not fit"):
        value.half = {"low": -1}


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (
            {"flow": {"sport": 70000}},
            ValueError,
            r"value.flow.sport: 70000 does not fit in 16 bits unsigned \(0..65535\)",
        ),
        ({"flow": (1, 2, 3, 4, 5)}, TypeError, "value.flow: struct flow has 4 fields, not 5"),
        ({"flow": {"sprot": 1}}, TypeError, "value.flow: struct flow has no field 'sprot'"),
        ({"flow": 5}, TypeError, "value.flow: struct flow is needed, not int 5"),
        ({"flow": b"123"}, ValueError, "value.flow: struct flow has 12 bytes, not 3"),
        ({"time": -1}, ValueError, "value.time: -1 does not fit in 64 bits unsigned"),
        ({"time": "now"}, TypeError, "value.time: an integer is needed, not str 'now'"),
        ({"time": 1.5}, TypeError, "value.time: an integer is needed, not float 1.5"),
        ({"name": "too long a name"}, ValueError, r"value.name: 15 bytes do not fit in char\[8\]"),
        ({"name": 5}, TypeError, "value.name: bytes or text are needed, not int 5"),
        ({"state": "AJAR"}, ValueError, r"value.state: enum state has no 'AJAR' \(it has CLOSED, OPEN\)"),
        ({"last": 2}, ValueError, "value.last: 2 does not fit in 1 bits"),
        ({"a": 8}, ValueError, r"value.a: 8 does not fit in 3 bits unsigned \(0..7\)"),
        ({"b": 16}, ValueError, r"value.b: 16 does not fit in 5 bits signed \(-16..15\)"),
        ({"numbers": [1, 2]}, ValueError, "value.numbers: the array has 3 elements, not 2"),
        ({"numbers": [1, 2, 65536]}, ValueError, r"value.numbers\[2\]: 65536 does not fit in 16 bits"),
        ({"numbers": 7}, TypeError, "value.numbers: a sequence of 3 is needed, not int 7"),
        ({"share": "half"}, TypeError, "value.share: a number is needed, not str 'half'"),
    ],
)
def test_wrong_values_name_the_field(btf: Btf, change: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        of(btf, "event").encode(change)
    record = of(btf, "event").cls()
    for name, value in change.items():
        setattr(record, name, value)
    with pytest.raises(error, match=said):
        of(btf, "event").encode(record)


def test_too_few_bytes(btf: Btf) -> None:
    for made in (of(btf, "flow"), of(btf, "either", Kind.UNION), integer(4), raw(8)):
        with pytest.raises(ValueError, match=f"has {made.size} bytes, there are {made.size - 1}"):
            made.decode(bytes(made.size - 1))
        with pytest.raises(ValueError, match=f"has {made.size} bytes"):
            made.decode_many(bytes(made.size * 3 - 1), 3)


@pytest.mark.parametrize(
    ("made", "value"), [(integer(8), 1 << 63), (integer(4, signed=True), -5), (integer(16), 1 << 127), (raw(3), b"abc")]
)
def test_without_btf(made: Codec, value: Any) -> None:
    assert made.decode(made.encode(value)) == value
    assert made.decode_many(made.encode(value) * 4, 4) == [value] * 4
    with pytest.raises((TypeError, ValueError), match="value: "):
        made.encode("x")


def test_numpy(btf: Btf) -> None:
    event = of(btf, "event")
    made = [event.cls(time=n, name=f"n{n}", numbers=[n] * 3, x=-n, flow=(n, 1, 2, 3)) for n in range(3)]
    import numpy as np

    array = np.frombuffer(event.encode_many(made), event.dtype)
    assert array["time"].tolist() == [0, 1, 2] and array["name"].tolist() == [b"n0", b"n1", b"n2"]
    assert array["flow"]["source"].tolist() == [0, 1, 2] and array["numbers"][2].tolist() == [2, 2, 2]
    assert array["x"].tolist() == [0, -1, -2]
    assert event.encode(array[1]) == bytes(made[1])  # a NumPy record is bytes of the right size


def test_names_are_identifiers() -> None:
    names = ["a", "a", "class", "__init__", "1x", "x-y", "", "é", "a_2", "import os; os.abort()"]
    found = identifiers(names)
    assert len(set(found)) == len(names) and all(name.isidentifier() and name.isascii() for name in found)
    assert found[:4] == ["a", "a_2", "class_", "__init___"]


def test_many_fields_of_one_name_take_no_time() -> None:
    assert len(set(identifiers(["x"] * 65536))) == 65536


def _btf(types: bytes, strings: bytes) -> Btf:
    return Btf(struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings)


def _type(kind: Kind, vlen: int = 0, size: int = 0, tail: bytes = b"", flag: int = 0, name: int = 0) -> bytes:
    return struct.pack("<III", name, flag << 31 | kind << 24 | vlen, size) + tail


def _member(type: int, offset: int, name: int = 1) -> bytes:
    return struct.pack("<III", name, type, offset)


STRINGS = b"\0x\0evil = __import__('os').abort()\0"
INT = _type(Kind.INT, 0, 4, struct.pack("<I", 32))


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (_type(Kind.STRUCT, 1, 4, _member(1, 0)), "contains itself"),
        (_type(Kind.STRUCT, 1, 4, _member(2, 8)) + INT, "ends after"),
        (_type(Kind.STRUCT, 1, 8, _member(2, 4)) + INT, "within a byte"),
        (_type(Kind.STRUCT, 1, 8, _member(2, 40 << 24), 1) + INT, "has 40 bits of 32"),
        (_type(Kind.ARRAY, 0, 0, struct.pack("<III", 2, 2, 0xFFFFFFFF)) + INT, "claims"),
        (_type(Kind.STRUCT, 1, 4, _member(9, 0)), "no type 9"),
        (
            b"".join(_type(Kind.STRUCT, 2, 0, _member(n + 2, 0) + _member(n + 2, 0)) for n in range(30))
            + _type(Kind.STRUCT),
            "nested",
        ),
        (b"".join(_type(Kind.STRUCT, 1, 4, _member(n + 2, 0)) for n in range(60)) + INT, "nested"),
        (
            b"".join(_type(Kind.STRUCT, 2, 0, _member(n + 2, 0, 0) + _member(n + 2, 0, 0)) for n in range(30))
            + _type(Kind.STRUCT, 1, 0, _member(32, 0))
            + _type(Kind.STRUCT),
            "fields|nested",
        ),
    ],
)
def test_hostile_types_are_refused(types: bytes, said: str) -> None:
    with pytest.raises(ObjectError, match=said):
        codec(_btf(types, STRINGS), 1)


def test_hostile_names_run_nothing() -> None:
    made: Any = codec(_btf(_type(Kind.STRUCT, 1, 4, _member(2, 0, 3), name=3) + INT, STRINGS), 1)
    (name,) = made.cls.__fields__
    assert name.isidentifier() and made.decode(b"\1\0\0\0") == made.cls(1)


def test_overlapping_members_still_read() -> None:
    made: Any = codec(_btf(_type(Kind.STRUCT, 2, 4, _member(2, 0) + _member(2, 0)) + INT, STRINGS), 1)
    value = made.decode(b"\5\0\0\0")
    assert (value.x, value.x_2) == (5, 5) and made.decode_many(b"\5\0\0\0" * 2, 2) == [value, value]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_corrupt_btf_gives_a_codec_or_an_object_error(btf: Btf, data: st.DataObject) -> None:
    blob = bytearray(btf.data)
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(24, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        corrupt = Btf(bytes(blob))
        count = len(corrupt)
    except ObjectError:
        return
    for type_id in range(count):
        try:
            made = codec(corrupt, type_id)
            if made.size <= 4096:
                made.encode(made.decode(bytes(made.size)))
                _ = made.dtype.itemsize
        except ObjectError:
            pass
