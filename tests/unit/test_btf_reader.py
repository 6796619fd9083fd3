"""Types by id and by name: every kind, members and values by name, split BTF, and blobs that are malformed."""

from __future__ import annotations

import struct

import pytest

from stingless.btf.types import Btf, Kind, Member
from stingless.errors import ObjectError, UnknownNameError
from tests.btf_blobs import Blob, compiled

TEXT = """
struct inner { int first; long second; };
union choice { int number; char text[16]; };
enum color { RED, GREEN = 7, BLUE = -2 };
enum big { HUGE = 0x7fffffffffffffffULL, SMALL = 1 };
typedef unsigned long long u64;
typedef const volatile u64 stamp_t;
struct outer {
    char letter;
    struct { short a; union { int b; float c; }; } ;
    struct { int nested; } named;
    unsigned flag: 3, more: 7;
    struct inner *pointer;
    stamp_t stamps[2][3];
    int (*call)(int number, struct outer *self, ...);
    enum color color;
    enum big big;
    union choice choice;
    _Bool truth;
    double real;
} outer;
struct undefined *undefined; struct inner inner;
int number = 3;
static const int constant __attribute__((section(".rodata"))) = 4;
int function(struct outer *o __attribute__((btf_decl_tag("a tag")))) { return o->letter + constant + (long)undefined; }
"""


@pytest.fixture(scope="module")
def btf() -> Btf:
    return compiled(TEXT)


def test_members_by_name_have_cs_offsets(btf: Btf) -> None:
    members = btf["outer"].members
    found = {name: members[name].offset for name in ("letter", "a", "b", "c", "named", "pointer", "stamps")}
    assert found == {"letter": 0, "a": 4, "b": 8, "c": 8, "named": 12, "pointer": 24, "stamps": 32}
    assert (members["flag"].bit_offset, members["flag"].bit_size) == (128, 3)
    assert (members["more"].bit_offset, members["more"].bit_size, members["more"].offset) == (131, 7, 16)
    assert members["a"] is not None and members.get("b") is not None and members.get("nested") is None
    assert members[0] == Member("letter", members[0].type) and members[-1].name == "real"
    assert [m.name for m in members[:3]] == ["letter", "", "named"]
    assert members.get("nothing") is None
    assert members.names()[:4] == ["letter", "a", "b", "c"]


def test_unknown_member(btf: Btf) -> None:
    with pytest.raises(KeyError, match="no member of struct outer named 'ponter'; the nearest: pointer"):
        btf["outer"].members["ponter"]


def test_values_by_name(btf: Btf) -> None:
    color = btf["enum color"]
    assert dict(color.values) == {"RED": 0, "GREEN": 7, "BLUE": -2}
    assert color.values["GREEN"] == 7 and color.values[1] == ("GREEN", 7)
    assert color.values.get("RED") == 0 and color.values.get("GREY") is None
    assert btf["big"].values["HUGE"] == (1 << 63) - 1
    assert btf["big"].kind == Kind.ENUM64
    with pytest.raises(UnknownNameError, match="nearest: GREEN"):
        color.values["GREN"]


def test_names(btf: Btf) -> None:
    assert btf["inner"].kind == Kind.STRUCT and btf["struct inner"].size == 16
    assert btf["union choice"].size == 16 and btf["typedef u64"].kind == Kind.TYPEDEF
    assert "outer" in btf and "struct outer" in btf and "union outer" not in btf and "nothing" not in btf
    assert {found.kind for found in btf.find_all("outer")} == {Kind.STRUCT, Kind.VAR}
    assert btf.find("function", Kind.FUNC) is not None and btf.find("function", Kind.STRUCT) is None
    assert (
        btf.find("\0", Kind.STRUCT) is None and btf.find("", Kind.PTR) is None and btf.find("\udc80", Kind.INT) is None
    )
    with pytest.raises(UnknownNameError, match="no struct in BTF named 'iner'; the nearest: inner"):
        btf["struct iner"]


def test_sizes_and_alignment(btf: Btf) -> None:
    members = btf["outer"].members
    assert btf.size_of(members["stamps"].type) == 48 and btf.align_of(members["stamps"].type) == 8
    assert btf.size_of(members["pointer"].type) == 8 and btf.pointer_size == 8
    assert btf.align_of(btf["choice"].id) == 4 and btf.align_of(btf["outer"].id) == 8
    assert btf.align_of(members["truth"].type) == 1
    assert btf.resolve(members["stamps"].type).length == 2


def test_other_kinds(btf: Btf) -> None:
    data = btf[".data"]
    assert data.kind == Kind.DATASEC
    assert btf.type(data.members["number"].type).kind == Kind.VAR
    function = btf["function"]
    assert function.linkage == 1
    proto = btf.type(function.type)
    assert proto.kind == Kind.FUNC_PROTO and proto.members["o"].name == "o"
    tag = btf["a tag"]
    assert (tag.kind, tag.type, tag.component) == (Kind.DECL_TAG, function.id, 0)
    call = btf.type(btf.type(btf["outer"].members["call"].type).type)
    assert [m.type == 0 for m in call.members] == [False, False, True]
    assert btf["undefined"].kind in (Kind.FWD, Kind.VAR)
    assert btf["double"].size == 8 and btf["_Bool"].encoding == 4
    assert btf["int"].bits == 32
    assert [found.id for found in btf.types()] == list(range(1, len(btf)))
    assert all(btf.kind(i) == btf.type(i).kind for i in range(len(btf)))


def test_either_byte_order() -> None:
    for order in "<>":
        blob = Blob(order)
        number = blob.integer()
        record = blob.record("pair", 8, [("a", number, 0), ("b", number, 32)])
        blob.enum64("wide", [("LOW", -1)], signed=True)
        blob.enum("narrow", [("LESS", -1)], signed=True)
        btf = blob.btf()
        assert btf["pair"].id == record and btf["pair"].members["b"].offset == 4
        assert btf["wide"].values["LOW"] == -1 and btf["narrow"].values["LESS"] == -1


def test_pointers_of_32_bits() -> None:
    blob = Blob()
    blob.integer("long unsigned int", 4, 0)
    pointer = blob.add(Kind.PTR, last=0)
    assert blob.btf().size_of(pointer) == 4


def test_split_btf_goes_on_where_its_base_ends() -> None:
    first = Blob()
    number = first.integer()
    first.record("shared", 4, [("base", number, 0)])
    base = first.btf()
    second = Blob(base=base)
    pointer = second.add(Kind.PTR, last=2)
    own = second.record("own", 12, [("number", number, 0), ("pointer", pointer, 32)])
    again = second.record("shared", 4, [("again", number, 0)])
    borrowed = second.add(Kind.TYPEDEF, 1, number)  # its name is a string of the base: "int"
    split = second.btf()
    assert (split.first_id, own, len(split)) == (len(base), len(base) + 1, len(base) + 4)
    assert split["own"].members["pointer"].offset == 4
    assert split.type(split["own"].members["number"].type).name == "int"
    assert [found.id for found in split.find_all("shared")] == [2, again]
    assert split["typedef int"].id == borrowed and split["int"].id == borrowed
    assert "own" not in base and list(split.ids(Kind.STRUCT)) == [2, own, again]
    assert [found.id for found in split] == list(range(1, len(split)))
    with pytest.raises(ObjectError, match="differ in byte order"):
        Btf(Blob(">").bytes(), base)
    with pytest.raises(ObjectError, match="has no type"):
        base.type(own)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d[:20], "shorter than its header"),
        (lambda d: b"\0\0" + d[2:], "not BTF"),
        (lambda d: d[:2] + b"\2" + d[3:], "version 2"),
        (lambda d: d[:4] + b"\x08\0\0\0" + d[8:], "8 bytes"),
        (lambda d: d[:-1], "truncated"),
        (lambda d: d[:-1] + b"x", "does not end"),
        (lambda d: d[:12] + struct.pack("<I", 14) + d[16:], "multiple of 4"),
        (lambda d: d[:12] + struct.pack("<I", 20) + d[16:], "cut off"),
        (lambda d: d[:28] + struct.pack("<I", 31 << 24) + d[32:], "unknown kind 31"),
        (lambda d: d[:28] + struct.pack("<I", 4 << 24 | 0xFFFF) + d[32:], "cut off"),
    ],
)
def test_malformed(spoil: object, message: str) -> None:
    blob = Blob()
    blob.integer()
    blob.add(Kind.PTR, last=1)
    assert callable(spoil)
    with pytest.raises(ObjectError, match=message):
        Btf(spoil(blob.bytes()))


def test_references_outside() -> None:
    blob = Blob()
    blob.add(Kind.PTR, 1000, 77)
    blob.add(Kind.TYPEDEF, "loop", 2)
    blob.add(Kind.TYPEDEF, "out", 99)
    btf = blob.btf()
    with pytest.raises(ObjectError, match="no string at 1000"):
        btf.type(1)
    with pytest.raises(ObjectError, match="refers to itself"):
        btf.resolve(2)
    with pytest.raises(ObjectError, match="no type 99"):
        btf.size_of(3)
    with pytest.raises(ObjectError, match="no type -1"):
        btf.type(-1)


def test_records_in_themselves_end() -> None:
    blob = Blob()
    blob.record("self", 8, [("", 1, 0), ("x", 1, 0)])
    blob.record("a", 8, [("", 3, 0)])
    blob.record("", 8, [("", 2, 0), ("deep", 1, 0)])
    btf = blob.btf()
    assert btf["self"].members.names() == ["x", "x"]
    assert btf["a"].members["deep"].name == "deep"
    with pytest.raises(ObjectError, match="contains itself"):
        btf.align_of(1)


def test_the_nearest_of_many_names() -> None:
    blob = Blob()
    number = blob.integer()
    for i in range(3000):
        blob.add(Kind.TYPEDEF, f"type_{i}_t", number)
    proto = blob.proto(number)
    blob.add(Kind.FUNC, "vfs_unlink", proto)
    btf = blob.btf()
    with pytest.raises(UnknownNameError) as error:
        btf["vfs_unlinkk"]
    assert error.value.near == ("vfs_unlink",)
    assert "type_77_t" in btf.unknown("type_77_", Kind.TYPEDEF).near
    assert "vfs_unlink" not in btf.unknown("vfs_unlinkk", Kind.TYPEDEF).near
