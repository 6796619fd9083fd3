"""Structs that hypothesis makes, compiled by clang with values in them: what is read from clang's bytes are the values,
and what is written are clang's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stingless.btf.dtypes import bits
from stingless.btf.records import Record, RecordCodec, UnionRecord
from stingless.btf.values import codec
from stingless.compile import compile_object
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec, VariableSpec

_INTS = [
    ("char", 8, True),
    ("unsigned char", 8, False),
    ("short", 16, True),
    ("unsigned short", 16, False),
    ("int", 32, True),
    ("unsigned int", 32, False),
    ("long long", 64, True),
    ("unsigned long long", 64, False),
]
_COLORS = {"RED": 0, "GREEN": 5, "BLUE": 1 << 20}
_HEAD = "enum color { RED, GREEN = 5, BLUE = 1048576 };\n"


@dataclass(frozen=True)
class Member:
    """`declared` has %s where the name goes; `initial` is C, `value` Python."""

    declared: str
    initial: str
    value: Any


def _number(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low = -(1 << bits - 1) if signed else 0
    return st.integers(low, low + (1 << bits) - 1)


def _c(value: int, bits: int = 64, signed: bool = True) -> str:
    if value == -(1 << 63):
        return "(-9223372036854775807LL - 1)"
    return f"{value}{'' if signed else 'U'}LL"


@st.composite
def scalar(draw: st.DrawFn) -> Member:
    name, bits, signed = draw(st.sampled_from(_INTS))
    value = draw(_number(bits, signed))
    return Member(f"{name} %s", _c(value, bits, signed), value)


@st.composite
def bit_field(draw: st.DrawFn) -> Member:
    name, bits, signed = draw(st.sampled_from([each for each in _INTS if each[0] != "char"]))
    width = draw(st.integers(1, bits))
    value = draw(_number(width, signed))
    return Member(f"{name} %s : {width}", _c(value, width, signed), value)


@st.composite
def special(draw: st.DrawFn) -> Member:
    kind = draw(st.sampled_from(["bool", "enum", "float", "double", "pointer", "text", "flags"]))
    if kind == "bool":
        yes = draw(st.booleans())
        return Member("_Bool %s", str(int(yes)), yes)
    if kind == "flags":
        yes = draw(st.booleans())
        return Member("_Bool %s : 1", str(int(yes)), yes)
    if kind == "enum":
        value = draw(st.sampled_from(sorted(_COLORS.values())))
        return Member("enum color %s", f"(enum color){value}", value)
    if kind == "pointer":
        address = draw(_number(64, False))
        return Member("void *%s", f"(void *){_c(address, 64, False)}", address)
    if kind == "text":
        text = draw(st.text(st.sampled_from("abcxyz"), max_size=7))
        return Member(f"char %s[{draw(st.integers(max(len(text), 1), 9))}]", f'"{text}"', text.encode())
    number = draw(st.integers(-(1 << 20), 1 << 20)) / 8
    return Member(f"{kind} %s", repr(number), number)


@st.composite
def array(draw: st.DrawFn) -> Member:
    name, bits, signed = draw(st.sampled_from(_INTS[1:]))
    if draw(st.booleans()):
        values = draw(st.lists(_number(bits, signed), min_size=1, max_size=4))
        return Member(f"{name} %s[{len(values)}]", "{" + ", ".join(_c(v, bits, signed) for v in values) + "}", values)
    width = draw(st.integers(1, 3))
    rows = draw(st.lists(st.lists(_number(bits, signed), min_size=width, max_size=width), min_size=1, max_size=3))
    text = ", ".join("{" + ", ".join(_c(v, bits, signed) for v in row) + "}" for row in rows)
    return Member(f"{name} %s[{len(rows)}][{width}]", "{" + text + "}", rows)


@st.composite
def record(draw: st.DrawFn, depth: int = 2) -> Member:
    """A struct; the value is a dict."""
    inside = [scalar(), scalar(), bit_field(), bit_field(), special(), array()]
    if depth:
        inside += [record(depth - 1), union(depth - 1)]
    members = draw(st.lists(st.one_of(inside), min_size=1, max_size=7))
    lines, initials, values = [], [], {}
    for number, member in enumerate(members):
        name = f"m{number}"
        lines.append(f"{member.declared % name};")
        initials.append(f".{name} = {member.initial}")
        values[name] = member.value
    if depth and draw(st.booleans()):  # anonymous members
        inner = draw(scalar())
        kind = draw(st.sampled_from(["struct", "union"]))
        other = "unsigned char other; short later;" if kind == "struct" else "unsigned char other[3];"
        lines.append(f"{kind} {{ {inner.declared % 'inside'}; {other} }};")
        initials.append(f".inside = {inner.initial}")
        values["inside"] = inner.value
    packed = draw(st.sampled_from(["", "", " __attribute__((packed))", " __attribute__((packed, aligned(4)))"]))
    return Member(f"struct {{ {' '.join(lines)} }}{packed} %s", "{" + ", ".join(initials) + "}", values)


@st.composite
def union(draw: st.DrawFn, depth: int = 0) -> Member:
    members = draw(st.lists(st.one_of([scalar(), array(), special()]), min_size=1, max_size=3))
    lines = [f"{member.declared % f'u{number}'};" for number, member in enumerate(members)]
    value = {"u0": members[0].value}
    return Member(f"union {{ {' '.join(lines)} }} %s", f"{{.u0 = {members[0].initial}}}", value)


def plain(value: Any, like: Any) -> Any:
    """A value with its records as dicts of the fields that `like` has."""
    if isinstance(value, Record):
        return {name: plain(getattr(value, name), each) for name, each in like.items()}
    return value


def check(spec: ObjectSpec, variable: VariableSpec, expected: Any) -> None:
    assert variable.btf is not None
    made = codec(variable.btf, variable.type)
    data = (spec.maps[variable.map].initial or bytes(variable.offset + variable.size))[variable.offset :][
        : variable.size
    ]
    assert made.size == variable.size == made.dtype.itemsize
    value = made.decode(data)
    assert plain(value, expected) == expected
    assert made.encode(value) == data
    assert made.encode(expected) == data  # from a dict: padding is zero in both
    assert made.decode_many(data * 3, 3) == [value] * 3 and made.encode_many([value] * 3) == data * 3
    assert isinstance(made, RecordCodec)
    check_numpy(made, data, value)


def check_numpy(made: RecordCodec, data: bytes, value: Any) -> None:
    import numpy as np

    row = np.frombuffer(data, made.dtype)
    for field in made.fields:
        there = getattr(value, field.name)
        if field.bit_size:
            assert bits(row, made, field.name)[0] == there
        elif field.codec.size and not isinstance(there, Record):
            found = row[field.name][0].tolist()
            assert (found.partition(b"\0")[0] if isinstance(found, bytes) else found) == there


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
@given(st.lists(st.one_of(record(), record(), union()), min_size=1, max_size=8))
def test_values_are_clangs(made: list[Member]) -> None:
    text = _HEAD
    for number, each in enumerate(made):
        text += f'{each.declared % f"v{number}"} __attribute__((section(".data"))) = {each.initial};\n'
    spec = read_object(compile_object(text, cflags=["-w"]))
    for number, each in enumerate(made):
        check(spec, spec.variable_specs[f"v{number}"], each.value)


@pytest.fixture(scope="module")
def flexible() -> ObjectSpec:
    return read_object(
        compile_object(
            """
            struct tail { unsigned short n; char text[]; }; struct tail tail = {7};
            struct none {}; struct empty { struct none a; int b; struct none c[5]; }; struct empty empty = {.b = 3};
            typedef unsigned char mac[6]; struct addresses { mac from, to; } addresses = {{1, 2}, {3}};
            struct wide { unsigned __int128 x; __int128 y; } wide = {(unsigned __int128)1 << 100, -5};
            struct words { int class, __state, __class__, from; } words = {1, 2, 3, 4};
            """,
            cflags=["-w"],
        )
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("tail", "tail(n=7, text=b'')"),
        ("empty", "empty(a=none(), b=3, c=[])"),
        ("addresses", "addresses(from_=[1, 2, 0, 0, 0, 0], to=[3, 0, 0, 0, 0, 0])"),
        ("wide", f"wide(x={1 << 100}, y=-5)"),
        ("words", "words(class_=1, __state=2, __class___=3, from_=4)"),
    ],
)
def test_unusual_members(flexible: ObjectSpec, name: str, shown: str) -> None:
    variable = flexible.variable_specs[name]
    assert variable.btf is not None
    made = codec(variable.btf, variable.type)
    data = (flexible.maps[variable.map].initial or b"")[variable.offset :][: variable.size]
    value = made.decode(data)
    assert repr(value) == shown
    assert made.encode(value) == data
    assert made.dtype.itemsize == made.size


def test_union_view_is_not_a_record_of_its_own(flexible: ObjectSpec) -> None:
    spec = read_object(compile_object("union u { struct { short low, high; } pair; int whole; } u = {{1, 2}};"))
    variable = spec.variable_specs["u"]
    assert variable.btf is not None
    value = codec(variable.btf, variable.type).decode((spec.maps[".data"].initial or b"")[variable.offset :])
    assert isinstance(value, UnionRecord) and value.whole == 0x20001  # type: ignore[attr-defined]
    value.pair.low = 9  # type: ignore[attr-defined]
    assert value.whole == 0x20009  # type: ignore[attr-defined]
