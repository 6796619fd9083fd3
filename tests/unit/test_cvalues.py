"""ctypes classes from BTF have clang's own layout."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from stingless._sys.c_types import c_type, field_names, integer_type
from stingless._sys.cvalues import Staging, at_address, from_bytes, to_bytes
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
struct more {
    unsigned __int128 wide; __int128 negative; struct inner many[2]; int (*call)(int); s8 tiny; u8 raw[3];
    struct { u32 nested; } __attribute__((aligned(16))); _Bool flags[2]; char grid[2][4]; enum { LOW = -1 } level;
};
struct tail { u32 count; u32 items[]; };
struct mixed { u64 a; u64 b; u64 c : 36; u64 d : 28; struct { u32 a; u32 b; } s; };
struct more more SEC(".data") = { .wide = 5, .negative = -2, .many = { {}, { .a = 1, .b = 2 } }, .tiny = -3,
    .raw = { 1, 2, 3 }, .nested = 9, .flags = { 0, 1 }, .grid = { "ab", "cd" }, .level = LOW };
struct tail tail SEC(".data");
struct mixed mixed SEC(".data") = { 2, 3, 4, 1, { 5, 6 } };
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
        (ctypes.c_ulonglong, (ctypes.c_uint * 1)(7), (7).to_bytes(8, "little")),  # shorter
        (ctypes.c_uint, (ctypes.c_uint * 2)(7, 0), b"\7\0\0\0"),  # longer, with zeros at the end
        (integer_type(16), (1, 2), (1 | 2 << 64).to_bytes(16, "little")),
    ],
)
def test_to_bytes(kind: Any, value: Any, data: bytes) -> None:
    assert to_bytes(kind, value) == data


def test_wrong_values_are_named() -> None:
    with pytest.raises(TypeError, match="'x' is no value for c_u"):
        to_bytes(integer_type(8), "x")
    with pytest.raises(ValueError, match="8 bytes; c_u"):
        to_bytes(ctypes.c_uint, (ctypes.c_uint * 2)(1, 2))
    with pytest.raises(ValueError, match=r"4294967296 does not fit in c_u\w+ \(4 bytes\)"):
        to_bytes(ctypes.c_uint, 1 << 32)


def test_records_at_an_address() -> None:
    staging = Staging()
    first = staging.put(b"\x07\0\0\0")
    assert at_address(ctypes.c_uint, first).value == 7
    assert at_address(ctypes.c_ulonglong, first, 4).value == 7  # what is after the record is not looked at
    large = staging.put(bytes(1 << 20) + b"\x05\0\0\0")
    assert at_address(ctypes.c_uint, large + (1 << 20)).value == 5
    assert at_address(ctypes.c_uint, first).value == 7  # memory that was given out is not freed


def variable(name: str) -> bytes:
    spec = read_object(compile_object(SOURCE))
    found = spec.variable_specs[name]
    return (spec.maps[".data"].initial or b"")[found.offset :][: found.size]


def test_bit_fields_are_clangs(btf: Btf) -> None:
    data = variable("bits")
    value = from_bytes(made(btf, "bits"), data)
    assert (value.low, value.middle, value.plain, value.inside, value.rest) == (5, -3, 9, 300, 77)
    assert value.both == 300 | 77 << 9 and "middle=-3" in repr(value)
    other = made(btf, "bits")(low=5, plain=9, inside=300)
    other.middle, other.rest = -3, 77
    assert bytes(other) == data


def test_positional_values_go_by_member(btf: Btf) -> None:
    assert bytes(made(btf, "mixed")(2, 3, 4, 1, (5, 6))) == variable("mixed")
    with pytest.raises(TypeError, match="mixed has 5 members, not 6"):
        made(btf, "mixed")(1, 2, 3, 4, (5, 6), 7)


def test_more_types(btf: Btf) -> None:
    value = from_bytes(made(btf, "more"), variable("more"))
    assert (list(value.wide), list(value.negative)) == ([5, 0], [-2, -1])
    assert [(each.a, each.b) for each in value.many] == [(0, 0), (1, 2)]
    assert (value.call, value.tiny, list(value.raw), value.nested) == (0, -3, [1, 2, 3], 9)
    assert (list(value.flags), [row.value for row in value.grid], value.level) == ([False, True], [b"ab", b"cd"], -1)
    assert (ctypes.sizeof(made(btf, "tail")), len(made(btf, "tail")().items)) == (4, 0)


def test_padding_has_bccs_names(btf: Btf) -> None:
    assert [field[0] for field in made(btf, "inner")._fields_] == ["a", "__pad_1", "b"]
    assert field_names(made(btf, "inner")) == ["a", "b"]
    assert made(btf, "inner")(1, b"", 2).b == 2  # padding counts, as in bcc
    assert "__anon0" in [field[0] for field in made(btf, "all")._fields_]
    assert made(btf, "all")._fields_[-1][0] == "__pad_end"
