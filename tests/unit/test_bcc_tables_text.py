"""key_sprintf(), leaf_scanf() and their like, in bcc's form."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from stingless._sys.c_types import c_type
from stingless._sys.ctext import scanf, sprintf
from stingless.btf.types import Kind
from stingless.compile import compile_object
from stingless.obj.reader import read_object

SOURCE = """
#include <bpf/bpf_helpers.h>
struct mixed { u64 a; u64 b; u64 c : 36; u64 d : 28; struct { u32 a; u32 b; } s; };
struct arrays { u32 a[3]; u8 pad; u64 b; s32 c; };
struct symbol { char name[16]; u8 path[16]; };
struct event { u32 pid; u32 tid; struct symbol stack[3]; union { u64 whole; u16 part; }; };
struct mixed mixed SEC(".data");
struct arrays arrays SEC(".data");
struct event event SEC(".data");
"""


@pytest.fixture(scope="module")
def types() -> dict[str, Any]:
    btf = read_object(compile_object(SOURCE)).btf
    assert btf is not None
    found = {name: btf.find(name, Kind.STRUCT) for name in ("mixed", "arrays", "event")}
    return {name: c_type(btf, record.id) for name, record in found.items() if record is not None}


def test_numbers() -> None:
    assert sprintf(ctypes.c_int(2)) == b"0x2"
    assert sprintf(ctypes.c_int(-1)) == b"0xffffffff"
    assert [scanf(ctypes.c_int, text).value for text in (b"0x10", b"10", b"010", b"-5", b"0xffffffff")] == [
        16,
        10,
        8,
        -5,
        -1,
    ]
    assert scanf(ctypes.c_double, sprintf(ctypes.c_double(0.1))).value == 0.1


def test_struct_with_bits(types: dict[str, Any]) -> None:
    text = sprintf(types["mixed"](2, 3, 4, 1, (5, 6)))
    assert text == b"{ 0x2 0x3 0x4 0x1 { 0x5 0x6 } }"
    again = scanf(types["mixed"], text)
    assert (again.a, again.b, again.c, again.d, again.s.a, again.s.b) == (2, 3, 4, 1, 5, 6)


def test_arrays_and_padding(types: dict[str, Any]) -> None:
    text = sprintf(types["arrays"](a=(1, 2, 3), pad=9, b=4, c=-1))
    assert text == b"{ [ 0x1 0x2 0x3 ] 0x9 0x4 0xffffffff }"
    again = scanf(types["arrays"], text)
    assert (list(again.a), again.b, again.c) == ([1, 2, 3], 4, -1)


def test_text_and_unions(types: dict[str, Any]) -> None:
    value = types["event"](1, 2)
    assert sprintf(value) == b'{ 0x1 0x2 [ { "" "" } { "" "" } { "" "" } ] { 0x0 } }'
    value.stack[0].name, value.whole = b"lib xyz", 1 << 40
    value.stack[1].path[:3] = b"abc"
    text = sprintf(value)
    assert text == b'{ 0x1 0x2 [ { "lib xyz" "" } { "" "abc" } { "" "" } ] { 0x10000000000 } }'
    assert bytes(scanf(types["event"], text)) == bytes(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{ [ 0x1 0x2 ] 0x1 0x2 0x3 }", r"b'\]' where|invalid literal"),
        (b"{ [ 0x1 0x2 0x3 ]", "ends before"),
        (b"{ [ 0x1 0x2 0x3 ] 0x1 0x2 0x3 } 0x4", "goes on after"),
        (b"0x1", r"where b'{' is needed"),
    ],
)
def test_wrong_text_is_named(types: dict[str, Any], text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scanf(types["arrays"], text)


def test_text_that_is_too_long(types: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at most 16 bytes"):
        scanf(types["event"], b'{ 1 2 [ { "12345678901234567" "" } { "" "" } { "" "" } ] { 0 } }')
