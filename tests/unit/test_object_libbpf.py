"""The same objects opened by libbpf: the same maps and programs."""

from __future__ import annotations

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.obj.reader import read_object
from stingless.obj.spec import MapSpec
from tests.libbpf_oracle import OracleMap, libbpf, open_object
from tests.object_sources import EVERYTHING, HEAD, build

pytestmark = pytest.mark.skipif(libbpf() is None, reason="libbpf.so.1 is not installed")

# libbpf 1.1 does not know `.struct_ops.link`.
SOURCES = {
    "everything": EVERYTHING.replace(".struct_ops.link", ".struct_ops").replace("?.struct_ops", ".struct_ops"),
    "flags": HEAD
    + """
struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __uint(map_extra, 3); __uint(max_entries, 10);
    __uint(value_size, 8); } bloom SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(map_flags, BPF_F_MMAPABLE | BPF_F_NUMA_NODE); __uint(numa_node, 0);
    __uint(key_size, 4); __type(value, u64[3]); __uint(max_entries, 4); } flagged SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
typedef struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, int);
    __array(values, struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 7); __type(key, char[5]);
        __type(value, struct { int a; char b; }); }); } outer_t;
volatile outer_t outer SEC(".maps");
static int local; __hidden int unseen = 4; int shown SEC(".bss.shown");
const char text[] SEC(".rodata.text") = "text";
SEC("tc") int f(void *ctx) { return ++local + unseen + shown + text[local & 3]; }
SEC("?xdp.frags") int g(void *ctx) { return __builtin_strlen("abc"); }
""",
    "no types": "int seen = 1; static volatile int kept; const volatile int fixed = 2;"
    '__attribute__((section("xdp"))) int f(void *ctx) { return seen++ + kept++ + fixed; }',
}


def _facts(spec: MapSpec) -> OracleMap:
    content = spec.initial if spec.struct_ops is None else None
    inner = _facts(spec.inner) if spec.inner else None
    sizes = (int(spec.type), spec.key_size, spec.value_size, spec.max_entries)
    return OracleMap(*sizes, spec.flags, spec.extra, bool(spec.pinning), content, inner)


@pytest.mark.parametrize("name", SOURCES)
def test_as_libbpf(name: str) -> None:
    data = build(SOURCES[name], *(["-g0"] if name == "no types" else []))
    theirs = open_object(data)
    ours = read_object(data)
    assert theirs is not None
    maps = {n: m for n, m in theirs.maps.items() if m.type != MapType.STRUCT_OPS}
    assert {n: _facts(m) for n, m in ours.maps.items() if m.struct_ops is None} == maps
    assert {n for n, m in ours.maps.items() if m.struct_ops} == set(theirs.maps) - set(maps)
    # The attach type of a struct_ops program is the number of its member, which only the kernel's types tell.
    struct_ops = ProgramType.STRUCT_OPS
    programs = {
        n: (p.section, p.type, p.attach_type if p.type != struct_ops else 0) for n, p in theirs.programs.items()
    }
    assert {n: (p.section, p.type, p.attach_type or 0) for n, p in ours.programs.items()} == programs
