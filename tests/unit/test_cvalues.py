"""ctypes classes from BTF have clang's own layout."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from stingless._sys.cvalues import at_address, buffer, c_type, from_bytes, integer_type, to_bytes
from stingless.btf.types import Btf, Kind
from stingless.compile import compile_object
from stingless.obj.reader import read_object

SOURCE = """
#include <bpf/bpf_helpers.h>
enum color { RED, GREEN = 5 };
typedef u32 pid_type;
struct inner { u8 a; u64 b; };
struct all {
    u8 small; u64 big; s16 negative; char name[5]; struct inner inner; u32 numbers[3]; enum color color;
    pid_type pid; void *pointer; _Bool flag; union { u32 word; u8 bytes[4]; }; const volatile s32 last;
};
struct tight { u8 a; u64 b; u16 c; } __attribute__((packed));
union either { u64 number; char text[3]; };
struct bits { u32 low : 3; s32 middle : 7; u8 plain; union { struct { u16 inside : 9, rest : 7; }; u16 both; }; };
struct all all SEC(".data");
struct tight tight SEC(".data");
union either either SEC(".data");
struct bits bits SEC(".data") = { .low = 5, .middle = -3, .plain = 9, .inside = 300, .rest = 77 };
"""


@pytest.fixture(scope="module")
def btf() -> Btf:
    found = read_object(compile_object(SOURCE)).btf
    assert found is not None
    return found


def made(btf: Btf, name: str, kind: Kind = Kind.STRUCT) -> Any:
    found = btf.find(name, kind)
    assert found is not None
    return c_type(btf, found.id)


@pytest.mark.parametrize(("name", "kind"), [("all", Kind.STRUCT), ("tight", Kind.STRUCT), ("either", Kind.UNION)])
def test_layout_is_clangs(btf: Btf, name: str, kind: Kind) -> None:
    cls, record = made(btf, name, kind), btf.find(name, kind)
    assert record is not None
    assert ctypes.sizeof(cls) == record.size
    for member in record.members:
        if member.name:
            assert getattr(cls, member.name).offset == member.offset
            assert getattr(cls, member.name).size == btf.size_of(member.type)


def test_values(btf: Btf) -> None:
    value = made(btf, "all")()
    value.small, value.big, value.negative, value.name = 255, 1 << 63, -2, b"abc"
    value.inner.b, value.numbers[2], value.color, value.word = 9, 7, 5, 0x01020304
    again = from_bytes(made(btf, "all"), bytes(value))
    assert (again.small, again.big, again.negative, again.name) == (255, 1 << 63, -2, b"abc")
    assert (again.inner.b, list(again.numbers), again.color, list(again.bytes)) == (9, [0, 0, 7], 5, [4, 3, 2, 1])
    assert "negative=-2" in repr(again) and "__pad" not in repr(again)


@pytest.mark.parametrize(
    ("kind", "value", "data"),
    [
        (integer_type(8), 5, (5).to_bytes(8, "little")),
        (integer_type(8), ctypes.c_int(5), (5).to_bytes(8, "little")),
        (integer_type(4, signed=True), -1, b"\xff" * 4),
        (integer_type(4), b"\1\2\3\4", b"\1\2\3\4"),
        (ctypes.c_uint * 2, [1, 2], b"\1\0\0\0\2\0\0\0"),
        (ctypes.c_char * 4, b"ab", b"ab\0\0"),
    ],
)
def test_to_bytes(kind: Any, value: Any, data: bytes) -> None:
    if kind is ctypes.c_char * 4:
        value = kind(*[bytes([c]) for c in value])
    assert to_bytes(kind, value) == data


def test_wrong_values_are_named() -> None:
    with pytest.raises(TypeError, match="'x' is no value for c_u"):
        to_bytes(integer_type(8), "x")
    with pytest.raises(ValueError, match="2 bytes; c_u"):
        to_bytes(ctypes.c_uint, (ctypes.c_char * 2)())


def test_event_at_an_address() -> None:
    holder = buffer(b"\x07\0\0\0")
    assert at_address(ctypes.c_uint, ctypes.addressof(holder)).value == 7


def test_bit_fields_are_clangs(btf: Btf) -> None:
    spec = read_object(compile_object(SOURCE))
    variable = spec.variable_specs["bits"]
    data = (spec.maps[".data"].initial or b"")[variable.offset :][: variable.size]
    value = from_bytes(made(btf, "bits"), data)
    assert (value.low, value.middle, value.plain, value.inside, value.rest) == (5, -3, 9, 300, 77)
    assert value.both == 300 | 77 << 9 and "middle=-3" in repr(value)
    other = made(btf, "bits")(low=5, plain=9, inside=300)
    other.middle, other.rest = -3, 77
    assert bytes(other) == data
