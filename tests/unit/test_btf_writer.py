"""BTF written and read back."""

from __future__ import annotations

import pytest

from stingless.btf.types import Btf, Kind, Member, Members, Type, Values
from stingless.btf.writer import BtfBuilder
from tests.core_shapes import types_of

SOURCE = """\
struct forward; union forward_union;
enum plain { A, B = 7 } e; enum negative { N = -3 } n; enum wide { W = 1ULL << 40 } w; enum deep { D = -1LL << 40 } d;
typedef const volatile int number;
struct node { struct node *restrict next; number value; unsigned low : 3, high : 13; double weight; char name[16];
              union { long a; struct { short b, c; }; }; struct forward *f; union forward_union *u; };
struct node first = { 0 };
int __attribute__((btf_decl_tag("marked"))) tagged;
int __attribute__((btf_type_tag("user"))) *user;
int visible(struct node *p, int (*call)(long, ...)) { return call(p->a); }
static __attribute__((noinline)) int hidden(int x __attribute__((btf_decl_tag("argument")))) { return x * tagged; }
int other(int x) { return hidden(x) + *user; }
"""


def builder_of(btf: Btf, order: str = "<") -> BtfBuilder:
    builder = BtfBuilder(order=order)
    for found in btf:
        builder.add(found)
    return builder


@pytest.mark.parametrize("order", "<>")
def test_all_kinds_come_back(order: str) -> None:
    btf = types_of(SOURCE)
    assert {t.kind for t in btf} == set(Kind) - {Kind.VOID}
    again = builder_of(btf, order).build()
    assert again.order == order
    assert list(again) == list(btf)


def test_copy_takes_what_a_type_refers_to_once() -> None:
    btf = types_of(SOURCE)
    builder = BtfBuilder()
    first = builder.copy(btf, btf["node"].id)
    assert builder.copy(btf, btf["node"].id) == first
    builder.copy(btf, btf["struct node"].id)
    made = builder.build()
    assert [t.name for t in made if t.kind == Kind.STRUCT] == ["node", ""]
    assert made.find("plain", Kind.ENUM) is None
    node, original = made["node"], btf["node"]
    assert node.members.names() == original.members.names()
    for name in original.members.names():
        ours, theirs = node.members[name], original.members[name]
        assert (ours.bit_offset, ours.bit_size) == (theirs.bit_offset, theirs.bit_size)
        assert made.size_of(ours.type) == btf.size_of(theirs.type)
    assert made.resolve(made.resolve(node.members["next"].type).type) == node


def test_copies_of_two_sources_are_kept_apart() -> None:
    one, two = types_of("struct a { int x; } v;"), types_of("struct b { int x; } v;")
    builder = BtfBuilder()
    ids = [builder.copy(one, one["a"].id), builder.copy(two, two["b"].id)]
    assert [builder.build().type(i).name for i in ids] == ["a", "b"]


def test_split_goes_on_from_its_base() -> None:
    base = types_of("struct base { int x; } v;")
    module = BtfBuilder(base)
    record = module.add(Type(0, Kind.STRUCT, "outer", 4, members=Members([Member("x", base["base"].id)])))
    module.copy(base, base["base"].id)
    assert record == len(base)
    split = module.build()
    assert len(split) == len(base) + 1
    assert split["outer"].members[0].type == base["base"].id
    assert b"outer" in split.strings()
    assert b"base" not in split.strings()
    assert split.strings().count(b"x") == 0


def test_strings_are_stored_once() -> None:
    builder = BtfBuilder()
    assert builder.string("name") == builder.string("name") != builder.string("other")
    assert builder.string("") == 0
    assert builder.to_bytes().count(b"name\0") == 1


def test_values_of_enums() -> None:
    builder = BtfBuilder()
    values = Values([("LOW", -(1 << 63)), ("ONE", 1)])
    signed = builder.add(Type(0, Kind.ENUM64, "e", 8, values=values, signed=True, flag=True))
    unsigned = builder.add(Type(0, Kind.ENUM64, "u", 8, values=Values([("HIGH", (1 << 64) - 1)])))
    made = builder.build()
    assert made.type(signed).values == values
    assert made.type(unsigned).values["HIGH"] == (1 << 64) - 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Type(0, Kind.ENUM, "e", 4, values=Values([("A", 1 << 32)])), "ENUM 'e' has a number"),
        (Type(0, Kind.ENUM64, "e", 8, values=Values([("A", 1 << 64)])), "enumerator 'A'"),
        (Type(0, Kind.ENUM, "e", 4, values=Values([("A", 0)] * 65536)), "65536 members"),
        (Type(0, Kind.STRUCT, "s", -1), "STRUCT 's' has a number"),
        (Type(0, Kind.STRUCT, "s", 4, members=Members([Member("a", 1, 1 << 24, 1)])), "member 'a' is at bit"),
        (Type(0, Kind.STRUCT, "s\0t", 4), "zero byte"),
    ],
)
def test_what_btf_cannot_hold(bad: Type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BtfBuilder().add(bad)
