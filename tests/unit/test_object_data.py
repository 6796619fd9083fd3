"""Data sections and the variables in them."""

from __future__ import annotations

import pytest

from stingless._gen.uapi import MapType
from stingless.errors import ObjectError, UnknownNameError
from stingless.obj.source import with_source
from stingless.obj.spec import ObjectSpec
from tests.object_sources import EVERYTHING, HEAD, everything, spec_of

SOURCE = (
    HEAD
    + """
struct cfg { int level; char name[8]; struct { u8 low:3; u8 high:5; } bits; };
const volatile int pid = 3;
struct cfg cfg = {1, "one", {2, 3}};
u64 counts[4];
static volatile int kept;
int mine SEC(".data.mine") = 1;
enum color { RED, GREEN = 5 } color = GREEN;
SEC("xdp") int f(struct xdp_md *c) { kept++; return pid + cfg.level + counts[1] + mine + color; }
"""
)


def test_sections_are_maps() -> None:
    maps = spec_of(SOURCE).maps
    assert {n: (m.type, m.key_size, m.value_size, m.max_entries) for n, m in maps.items()} == {
        ".rodata": (MapType.ARRAY, 4, 4, 1),
        ".data": (MapType.ARRAY, 4, 20, 1),
        ".data.mine": (MapType.ARRAY, 4, 4, 1),
        ".bss": (MapType.ARRAY, 4, 40, 1),
    }
    assert maps[".rodata"].frozen and not maps[".data"].frozen
    assert maps[".bss"].initial == bytes(40)
    for spec in maps.values():
        assert spec.btf is not None and spec.btf.type(spec.value_type).name == spec.name


def test_only_sections_with_global_variables_can_be_mapped_into_memory() -> None:
    text = 'static volatile int a = 1; __hidden int b = 2; %s SEC("xdp") int f(void *ctx) { return a + b; }'
    mmapable = 1 << 10
    assert not spec_of(HEAD + text % "").maps[".data"].flags & mmapable
    assert spec_of(HEAD + text % "int c = 3;").maps[".data"].flags & mmapable


def test_values_before_the_load() -> None:
    spec = spec_of(SOURCE).copy()
    variables = spec.variables
    assert variables["pid"].value == 3 and variables["pid"].constant
    variables["pid"].value = -7
    assert spec.maps[".rodata"].initial == (-7).to_bytes(4, "little", signed=True)
    assert variables["counts"].value == [0] * 4 and variables["counts"].size == 32
    variables["counts"].value = [1, 2, 3, 1 << 63]
    assert variables["counts"].value == [1, 2, 3, 1 << 63]
    assert variables["kept"].value == 0
    cfg = variables["cfg"].value
    assert (cfg.level, cfg.name, cfg.bits.high) == (1, b"one", 3)
    cfg.bits.high = 31
    variables["cfg"].value = cfg
    assert (variables["cfg"].value.bits.high, variables["cfg"].value.bits.low) == (31, 2)
    assert variables["color"].value.name == "GREEN"
    assert variables["mine"].spec.map == ".data.mine"
    pid_type = variables["pid"].type
    assert pid_type is not None and pid_type.name == "int"
    assert "Variable('pid', -7, '.rodata', 4 bytes)" in repr(variables)
    assert spec_of(SOURCE).variables["pid"].value == 3, "a copy was changed, not the original"


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("pid", 1 << 40, ValueError, "pid: 1099511627776 does not fit in 32 bits signed"),
        ("pid", "7", TypeError, "pid: an integer is needed"),
        ("counts", [1], ValueError, "counts: the array has 4 elements, not 1"),
        ("cfg", {"bits": {"low": 8}}, ValueError, "cfg.bits.low: 8 does not fit"),
        ("cfg", {"levle": 8}, TypeError, "no field 'levle'"),
        ("pdi", 1, UnknownNameError, "no variable named 'pdi'; the nearest: pid"),
    ],
)
def test_wrong_values_name_the_variable(name: str, value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        spec_of(SOURCE).copy().variables[name].value = value


def test_without_types_they_are_bytes() -> None:
    text = "int seen = 1; const volatile short fixed = 2;"
    code = '__attribute__((section("xdp"))) int f(void *ctx) { return seen++ + fixed; }'
    spec = spec_of(text + code, "-g0")
    assert {v.name: (v.map, v.size, v.type) for v in spec.variable_specs.values()} == {
        "seen": (".data", 4, 0),
        "fixed": (".rodata", 2, 0),
    }
    spec.variables["fixed"].value = b"\x09\x00"
    assert spec.variables["fixed"].value == b"\x09\x00" and spec.variables["fixed"].type is None
    with pytest.raises(ValueError, match="fixed: 2 bytes are needed, not 3"):
        spec.variables["fixed"].value = b"123"


def test_static_variables_of_functions_have_names_of_their_own() -> None:
    text = HEAD + (
        'SEC("xdp") int f(void *ctx) { static volatile int n = 1; return n++; }'
        'SEC("xdp") int g(void *ctx) { static volatile int n = 2; return n++; }'
    )
    values = {name: variable.value for name, variable in spec_of(text).variables.items()}
    assert values == {"f.n": 1, "g.n": 2}


def test_a_struct_with_more_behind_it_is_bytes() -> None:
    text = HEAD + (
        'struct list { int n; int items[]; } list = {2, {7, 8}}; SEC("xdp") int f(void *ctx) { return list.n; }'
    )
    assert spec_of(text).variables["list"].value == b"".join(n.to_bytes(4, "little") for n in (2, 7, 8))


def test_variables_of_an_arena() -> None:
    text = HEAD + (
        "#define __arena __attribute__((address_space(1)))\n"
        "%s"
        'int __arena shared SEC(".addr_space.1") = 5; int __arena other SEC(".addr_space.1") = 6;'
        'SEC("syscall") int f(void *ctx) { return shared + other; }'
    )
    attributes = "__uint(type, BPF_MAP_TYPE_ARENA); __uint(map_flags, 1024); __uint(max_entries, 10);"
    arena = f'struct {{ {attributes} }} %s SEC(".maps");'
    spec = spec_of(text % (arena % "memory"))
    assert spec.maps["memory"].initial == (5).to_bytes(4, "little") + (6).to_bytes(4, "little")
    assert spec.variables["other"].value == 6
    refs = spec.programs["f"].map_refs
    assert [(r.map, r.offset) for r in refs if r.offset is not None] == [("memory", 0), ("memory", 4)]
    with pytest.raises(ObjectError, match="no map of the type BPF_MAP_TYPE_ARENA"):
        spec_of(text % "")
    with pytest.raises(ObjectError, match="one arena at most: 'a', 'b'"):
        spec_of(text % (arena % "a" + arena % "b"))


ADDRESSES = HEAD + (
    "static int a = 1, b = 2; static int *const volatile both[] = {&a, &b}; static volatile const int plain = 3;"
    'SEC("xdp") int f(struct xdp_md *ctx) { return %s; }'
)


def test_a_variable_beside_addresses_can_be_used() -> None:
    assert spec_of(ADDRESSES % "plain").programs["f"].map_refs
    with pytest.raises(ObjectError, match=r"'f' uses a variable in section '.*data.*' that holds addresses"):
        spec_of(ADDRESSES % "*both[ctx->rx_queue_index & 1]")


def test_source_lines_keep_types_of_variables_and_inner_maps() -> None:
    spec = with_source(everything(), "prog.c", EVERYTHING)

    def types(spec: ObjectSpec) -> set[int]:
        inner = [m.inner for m in spec.maps.values() if m.inner]
        maps = {id(map.btf) for map in (*spec.maps.values(), *inner)}
        return (
            maps
            | {id(each.btf) for each in spec.variable_specs.values()}
            | {id(program.btf) for program in spec.programs.values()}
        )

    assert types(spec) == {id(spec.btf)}
    assert spec.maps == everything().maps
    assert spec.variables["limit"].value == 7


def test_specs_print_what_is_not_the_default() -> None:
    maps = everything().maps
    assert repr(maps["first"]) == (
        "MapSpec(name='first', type=ARRAY, key_size=4, value_size=8, max_entries=3, "
        f"key_type={maps['first'].key_type}, value_type={maps['first'].value_type})"
    )
    assert repr(everything().programs["one"]) == (
        "ProgramSpec(name='one', section='struct_ops/one', type=STRUCT_OPS, attach_target='inner_ops', attach_to='one')"
    )
