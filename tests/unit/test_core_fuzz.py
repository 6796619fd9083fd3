"""CO-RE over hostile types and relocations: an answer, poison or `ObjectError`, in bounded time."""

from __future__ import annotations

import contextlib
import random
from datetime import timedelta
from functools import cache

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import encode, ld_imm64, load
from stingless.btf.core import Relocator
from stingless.btf.core_access import RelocationKind
from stingless.btf.minimal import minimal_btf
from stingless.btf.types import Btf, Kind, Member, Members, Type, Values
from stingless.btf.writer import BtfBuilder
from stingless.errors import ObjectError
from stingless.obj.spec import CoreRelocation, ObjectSpec, ProgramSpec
from tests.core_shapes import types_of

LIMITS = settings(deadline=timedelta(seconds=30), suppress_health_check=[HealthCheck.too_slow], max_examples=200)
COUNT = 12
U32 = st.one_of(st.integers(0, 8), st.integers(0, 0xFFFFFFFF))
ACCESS = st.one_of(
    st.lists(U32, max_size=5).map(lambda parts: ":".join(map(str, parts))),
    st.text("0123456789:-+ ", max_size=20),
    st.just("0" + ":0" * 70),
)


def graph(seed: int) -> Btf:
    """Types that refer to any others, or to none.  (Drawn one by one, they would take hypothesis seconds.)"""
    pick = random.Random(seed)
    names, kinds = ("", "", "a", "b", "b___x", "___"), [kind for kind in Kind if kind != Kind.VOID]

    def number(most: int) -> int:
        return pick.choice((pick.randint(0, 8), pick.randint(0, 64), pick.randint(0, most)))

    builder = BtfBuilder()
    for _ in range(COUNT):
        kind, count = pick.choice(kinds), pick.randint(0, 4)
        members = [
            Member(pick.choice(names), pick.randint(0, COUNT), number(0xFFFFFF), pick.choice((0, number(255))))
            for _ in range(count)
        ]
        values = [(pick.choice(names), number(0xFFFFFFFF)) for _ in range(count)]
        builder.add(
            Type(
                0,
                kind,
                pick.choice(names),
                number(0xFFFFFFFF),
                pick.randint(0, COUNT + (pick.random() < 0.02)),
                Members(members if kind in (Kind.STRUCT, Kind.UNION, Kind.FUNC_PROTO, Kind.DATASEC) else ()),
                Values(values if kind in (Kind.ENUM, Kind.ENUM64) else ()),
                number(0xFFFFFFFF),
                flag=pick.random() < 0.5,
                bits=32,
            )
        )
    return builder.build()


GRAPHS = st.builds(graph, st.integers(0, 1 << 32))
CODE = encode([load(op.W, 0, 1, 0), *ld_imm64(2, 0), load(op.B, 0, 1, 8)])


def relocate(local: Btf, target: Btf, relocations: list[CoreRelocation]) -> None:
    for relocation in relocations:
        spec = ProgramSpec("f", "socket", ProgramType.SOCKET_FILTER, CODE, core_relocations=(relocation,))
        with contextlib.suppress(ObjectError):
            done = Relocator(local, target).relocate(spec)
            assert len(done.code) == len(CODE)
        with contextlib.suppress(ObjectError):
            Btf(minimal_btf([ObjectSpec({}, {"f": spec}, btf=local)], target))


RELOCATIONS = st.lists(
    st.builds(CoreRelocation, st.integers(0, 4), st.integers(0, COUNT + 1), ACCESS, st.integers(0, 13)), max_size=4
)


@LIMITS
@given(GRAPHS, GRAPHS, RELOCATIONS)
def test_random_types(local: Btf, target: Btf, relocations: list[CoreRelocation]) -> None:
    relocate(local, target, relocations)


@cache
def real() -> Btf:
    return types_of(
        "struct k { int a : 3; union { long b; struct { short c[4]; }; }; struct k *next; enum e { X } e; } v;"
        "typedef int (*call)(struct k *, enum e); call c;"
    )


@LIMITS
@given(st.data(), RELOCATIONS)
def test_damaged_types(data: st.DataObject, relocations: list[CoreRelocation]) -> None:
    damaged = bytearray(real().data)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ObjectError):
        local = Btf(bytes(damaged))
        relocate(local, real(), relocations)
        relocate(real(), local, relocations)


@LIMITS
@example("0:4294967295:4294967295")
@given(ACCESS)
def test_access_strings(access: str) -> None:
    relocate(real(), real(), [CoreRelocation(0, real()["k"].id, access, kind) for kind in RelocationKind])


def wide(depth: int, leaf: Type, kind: Kind = Kind.STRUCT) -> Btf:
    """Each has the next one twice: 2 ** depth ways to the leaf."""
    builder = BtfBuilder()
    for i in range(depth):
        twice = Members([Member("", i + 2), Member("", i + 2, 64)])
        builder.add(Type(0, kind, "k" if i == 0 else "", 16, type=i + 2, members=twice))
    builder.add(leaf)
    return builder.build()


def ask_all(local: Btf, target: Btf, access: str) -> None:
    relocate(local, target, [CoreRelocation(0, 1, access if kind.of_field else "0", kind) for kind in RelocationKind])


def test_many_ways_take_bounded_time() -> None:
    """Were they all gone through, this would take years."""
    local = types_of("struct k { int missing; } v;")
    root = local["k"].id
    fields = [CoreRelocation(0, root, "0:0", kind) for kind in RelocationKind if kind.of_field]
    for depth in (20, 30, 1000):
        relocate(local, wide(depth, Type(0, Kind.INT, "int", 4)), fields)
        nested = wide(depth, Type(0, Kind.INT, "int", 4))
        ask_all(nested, nested, "0:0")
    prototypes = wide(30, Type(0, Kind.INT, "int", 4), Kind.FUNC_PROTO)
    ask_all(prototypes, prototypes, "0")


def test_types_that_contain_themselves() -> None:
    for kind in (Kind.STRUCT, Kind.PTR, Kind.ARRAY, Kind.TYPEDEF, Kind.CONST, Kind.FUNC_PROTO):
        builder = BtfBuilder()
        members = Members([Member("", 1), Member("a", 1)]) if kind in (Kind.STRUCT, Kind.FUNC_PROTO) else Members()
        builder.add(
            Type(0, kind, "k" if kind in (Kind.STRUCT, Kind.TYPEDEF) else "", 8, type=1, members=members, length=3)
        )
        btf = builder.build()
        for access in ("0", "0:0", "0:1", "0:1:1:1", "0" + ":0" * 63):
            ask_all(btf, btf, access)


def test_giant_arrays() -> None:
    builder = BtfBuilder()
    builder.add(Type(0, Kind.STRUCT, "k", 0xFFFFFFFF, members=Members([Member("a", 2, 0xFFFFFFFF)])))
    for i in range(60):
        builder.add(Type(0, Kind.ARRAY, "", type=i + 3, length=0xFFFFFFFF))
    builder.add(Type(0, Kind.INT, "int", 4))
    btf = builder.build()
    for access in ("0:0", "4294967295:0" + ":4294967294" * 60, "0:0" + ":4294967295" * 60):
        ask_all(btf, btf, access)
