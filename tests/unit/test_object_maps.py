"""Maps declared in `.maps` and in the old `maps`."""

from __future__ import annotations

import pytest

from stingless._gen.uapi import MapType
from stingless.errors import ObjectError
from stingless.obj.spec import MapSpec, Pinning
from tests.object_sources import HEAD, everything, spec_of


def declared(members: str, kind: str = "HASH", more: str = "") -> MapSpec:
    text = f'{HEAD}struct {{ __uint(type, BPF_MAP_TYPE_{kind}); {members} }} m SEC(".maps"){more};'
    return spec_of(text).maps["m"]


def test_attributes() -> None:
    spec = declared(
        "__uint(max_entries, 10); __uint(key_size, 8); __type(key, u64); __type(value, struct { int a; char b[3]; });"
        "__uint(map_flags, 5); __uint(numa_node, 1); __uint(pinning, 1); __ulong(map_extra, 1ull << 44);"
    )
    assert (spec.key_size, spec.value_size, spec.max_entries, spec.flags) == (8, 8, 10, 5)
    assert (spec.numa_node, spec.pinning, spec.extra) == (1, Pinning.BY_NAME, 1 << 44)
    assert spec.btf is not None
    assert [m.name for m in spec.btf.resolve(spec.value_type).members] == ["a", "b"]
    assert spec.btf.resolve(spec.key_type).size == 8
    assert declared("__ulong(map_extra, 7);").extra == 7
    assert declared("__uint(max_entries, 1);").numa_node is None


def test_maps_of_maps_and_initial_contents() -> None:
    maps = everything().maps
    inner = maps["outer"].inner
    assert inner is not None and inner.btf is not None
    assert (inner.name, inner.type, inner.max_entries, inner.value_size) == ("outer.inner", MapType.ARRAY, 3, 8)
    assert maps["outer"].contents == ((2, "first"),)
    assert maps["jumps"].contents == ((1, "tail"),)
    assert maps["jumps"].value_size == 4
    assert maps["counts"].pinning is Pinning.BY_NAME


def test_a_static_map_and_one_in_a_slot_through_its_section() -> None:
    text = (
        HEAD + "struct in { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int);"
        "__type(value, int); };"
        'static struct in a SEC(".maps"), b SEC(".maps");'
        "static struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 3); __type(key, int);"
        '__array(values, struct in); } o SEC(".maps") = { .values = { &a, 0, &b } };'
        'SEC("xdp") int f(void *ctx) { int k = 0;'
        "return !!bpf_map_lookup_elem(&b, &k) + !!bpf_map_lookup_elem(&o, &k); }"
    )
    spec = spec_of(text)
    assert spec.maps["o"].contents == ((0, "a"), (2, "b"))
    assert [r.map for r in spec.programs["f"].map_refs] == ["b", "o"]


@pytest.mark.parametrize(
    ("members", "kind", "more", "message"),
    [
        ("__uint(maximum, 1);", "HASH", "", "attribute 'maximum', which is not known; there are: type, max_entries"),
        ("int max_entries;", "HASH", "", r"'max_entries' is not of the form __uint\(max_entries"),
        ("int key;", "HASH", "", r"'key' is not of the form __type\(key"),
        ("int map_extra;", "HASH", "", "'map_extra' is of neither form"),
        ("__type(key, int); __uint(key_size, 8);", "HASH", "", "two values of key_size: 4 and 8"),
        ("struct absent *value;", "HASH", "", "no size .fwd absent"),
        ("__uint(pinning, 2);", "HASH", "", "pinning 2"),
        ("__array(values, int);", "HASH", "", "neither a map of maps nor a program array"),
        ("__array(values, int);", "ARRAY_OF_MAPS", "", "'m.inner' is not a struct but int"),
        ("__array(values, int);", "PROG_ARRAY", "", "a program array has functions"),
        ("int *values[3];", "PROG_ARRAY", "", r"__array\(values, type\)"),
        ("__array(values, struct { __uint(pinning, 1); __uint(type, 1); });", "ARRAY_OF_MAPS", "", "inner maps have"),
        (
            "__array(values, struct { __uint(type, 12); __array(values, struct { __uint(type, 1); }); });",
            "ARRAY_OF_MAPS",
            "",
            "one level only",
        ),
        ("__type(key, int);", "UNSPEC + 99", "", "no known type: 99"),
    ],
)
def test_wrong_declarations_are_named(members: str, kind: str, more: str, message: str) -> None:
    with pytest.raises(ObjectError, match=message):
        declared(members, kind, more)


def test_wrong_initialisers_are_named() -> None:
    text = (
        HEAD + "int data; int sub(void *ctx); struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(key_size, 4);"
        '__uint(max_entries, 2); __array(values, int (void *)); } m SEC(".maps") = { .values = { (void *)&NAME } };'
        "__noinline int sub(void *ctx) { return 1; }"
    )
    for name in ("data", "sub"):
        with pytest.raises(ObjectError, match=f"'m' is initialised with '{name}', which is not a program"):
            spec_of(text.replace("NAME", name))


LEGACY = """
struct map_def { unsigned type, key_size, value_size, max_entries, map_flags; } ;
struct longer { struct map_def def; unsigned id, pinning, inner_id, inner_idx; };
#define SEC(name) __attribute__((section(name), used))
"""


def test_the_old_section() -> None:
    text = (
        LEGACY + 'struct map_def a SEC("maps") = {1, 4, 8, 16, 1}; struct map_def b SEC("maps") = {2, 4, 4, 3, 0};'
        'struct ____btf_map_a { int key; long value; }; struct ____btf_map_a types SEC(".maps.a") = {};'
        "static long (*lookup)(void *, void *) = (void *)1;"
        'SEC("xdp") int f(void *ctx) { int k = 0; return !!lookup(&b, &k) + !!lookup(&a, &k); }'
    )
    spec = spec_of(text)
    assert spec.maps["b"] == MapSpec("b", MapType.ARRAY, 4, 4, 3)
    a = spec.maps["a"]
    assert (a.type, a.key_size, a.value_size, a.max_entries, a.flags) == (MapType.HASH, 4, 8, 16, 1)
    assert a.btf is not None and a.btf.size_of(a.value_type) == 8
    assert [r.map for r in spec.programs["f"].map_refs] == ["b", "a"]
    assert spec_of(text, "-g0").maps["a"].value_type == 0


def test_the_records_of_iproute2() -> None:
    text = (
        LEGACY + 'struct longer in SEC("maps") = {{1, 4, 4, 2, 0}, 7, 0, 0, 1};'
        'struct longer out SEC("maps") = {{12, 4, 4, 3, 0}, 8, 2, 7, 0};'
    )
    maps = spec_of(text).maps
    assert maps["out"].pinning is Pinning.BY_NAME
    assert maps["out"].inner == maps["in"] == MapSpec("in", MapType.HASH, 4, 4, 2)
    assert maps["out"].contents == ((1, "in"),)
    with pytest.raises(ObjectError, match="no map with the id 9"):
        spec_of(text.replace("2, 7, 0}", "2, 9, 0}"))


def test_wrong_old_records_are_named() -> None:
    more = LEGACY + 'struct { struct map_def def; int more; } m SEC("maps") = {{1, 4, 4, 1, 0}, %d};'
    assert spec_of(more % 0).maps["m"].max_entries == 1
    with pytest.raises(ObjectError, match="'m' has more than struct bpf_map_def holds"):
        spec_of(more % 1)
    with pytest.raises(ObjectError, match="'m' in section 'maps' takes 16 bytes"):
        spec_of(LEGACY + 'int m[4] SEC("maps") = {1, 4, 4, 1};')
    with pytest.raises(ObjectError, match="no known type: 77"):
        spec_of(LEGACY + 'struct map_def m SEC("maps") = {77, 4, 4, 1};')
