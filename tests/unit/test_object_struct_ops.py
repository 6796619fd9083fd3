"""Variables of `.struct_ops`, and the programs that they name."""

from __future__ import annotations

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.errors import ObjectError
from stingless.obj.spec import StructOpsSpec
from tests.object_sources import HEAD, everything, spec_of

OPS = HEAD + (
    "struct ops { int (*first)(int a); int number; char name[4]; int (*second)(void); int *data; };"
    'SEC("struct_ops/one") int one(int *ctx) { return 1; }'
    'int other; SEC("xdp") int packet(void *ctx) { return other; }'
)


def test_maps() -> None:
    maps = everything().maps
    ops, later = maps["ops"], maps["later"]
    assert (ops.type, ops.key_size, ops.value_size, ops.max_entries) == (MapType.STRUCT_OPS, 4, 24, 1)
    assert ops.struct_ops == StructOpsSpec("inner_ops", (("first", "one"),), link=True)
    assert later.struct_ops == StructOpsSpec("inner_ops", (("second", "two"),))
    assert (ops.flags, later.flags) == (1 << 13, 0)
    assert (ops.autocreate, later.autocreate) == (True, False)
    assert ops.initial == bytes(8) + (7).to_bytes(4, "little") + bytes(12)
    assert ops.btf is not None and ops.btf.type(ops.value_type).name == "inner_ops"


def test_programs() -> None:
    programs = everything().programs
    assert {n: (p.attach_target, p.autoload) for n, p in programs.items() if p.type is ProgramType.STRUCT_OPS} == {
        "one": ("inner_ops", True),
        "two": ("inner_ops", False),  # of a map that is not made by itself
        "idle": ("", False),  # of none
    }


def test_members_can_be_set_before_the_load() -> None:
    spec = everything().copy()
    ops = spec.variables["ops"].value
    assert ops.number == 7
    ops.number = 8
    spec.variables["ops"].value = ops
    assert spec.maps["ops"].initial == bytes(8) + (8).to_bytes(4, "little") + bytes(12)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("struct ops o = { .data = &other };", "o.data is initialised with an address"),
        ("struct ops o = { .first = (void *)&other };", "o.first is 'other', which is no program"),
        ("struct ops o = { .first = (void *)packet };", "'packet' implements a struct_ops but is in section 'xdp'"),
        ("struct { int a; } o = { 1 };", "'o' in .struct_ops is not of a struct with a name"),
    ],
)
def test_what_cannot_be(variable: str, message: str) -> None:
    with pytest.raises(ObjectError, match=message):
        spec_of(OPS + 'SEC(".struct_ops") ' + variable)


def test_it_needs_types() -> None:
    with pytest.raises(ObjectError, match="compile the object with -g"):
        spec_of(OPS + 'SEC(".struct_ops") struct ops o = { .first = (void *)one };', "-g0")
