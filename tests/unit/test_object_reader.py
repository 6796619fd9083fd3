"""ELF objects to specs: what clang makes is read right, and what is broken is refused with `ObjectError`."""

from __future__ import annotations

import contextlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless._gen.uapi import AttachType, MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.btf.types import Kind
from stingless.compile import c_to_ir, compile_object, ir_to_object
from stingless.errors import ObjectError
from stingless.obj.elf import parse_elf
from stingless.obj.reader import read_object
from stingless.obj.source import with_source

SOURCE = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct key { u32 pid; char name[12]; };
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 100);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct key);
    __type(value, u64);
} counts SEC(".maps");
static volatile int threshold = 5;
static volatile int zeroed;
const volatile int limit = 7;
static __noinline int twice(struct key *key) {
    u64 *value = bpf_map_lookup_elem(&counts, key);
    return value ? *value * limit : zeroed;
}
SEC("xdp") int packets(struct xdp_md *ctx) {
    struct key key = {ctx->ingress_ifindex, "x"};
    return twice(&key) > threshold ? XDP_PASS : XDP_DROP;
}
SEC("fentry/vfs_read") int on_read(void *ctx) { return 0; }
SEC("lsm/file_open") int on_open(void *ctx) { return 0; }
SEC("tracepoint/syscalls/sys_enter_openat") int on_openat(void *ctx) { return 0; }
char _license[] SEC("license") = "Dual BSD/GPL";
"""


@cache
def built() -> bytes:
    return compile_object(SOURCE, "prog.c")


def test_maps() -> None:
    maps = read_object(built()).maps
    counts = maps["counts"]
    assert (counts.type, counts.key_size, counts.value_size, counts.max_entries) == (MapType.HASH, 16, 8, 100)
    assert counts.flags == 1
    assert (maps[".rodata"].initial or b"")[:4] == (7).to_bytes(4, "little")  # the key's initialiser may follow
    assert maps[".rodata"].frozen and not maps[".data"].frozen
    assert maps[".data"].initial == (5).to_bytes(4, "little")
    assert maps[".bss"].initial == bytes(4)


def test_programs_know_their_kind() -> None:
    spec = read_object(built())
    kinds = {name: (p.type, p.attach_type, p.attach_target) for name, p in spec.programs.items()}
    assert kinds == {
        "packets": (ProgramType.XDP, AttachType.XDP, ""),
        "on_read": (ProgramType.TRACING, AttachType.TRACE_FENTRY, "vfs_read"),
        "on_open": (ProgramType.LSM, AttachType.LSM_MAC, "bpf_lsm_file_open"),
        "on_openat": (ProgramType.TRACEPOINT, None, ""),
    }
    assert spec.license == "Dual BSD/GPL"


def test_sub_program_is_appended_and_called() -> None:
    program = read_object(built()).programs["packets"]
    code = decode(program.code)
    calls = [(i, insn) for i, insn in enumerate(code) if insn.opcode == op.JMP | op.CALL and insn.src == op.PSEUDO_CALL]
    assert len(calls) == 1
    at, insn = calls[0]
    target = at + 1 + insn.imm
    assert [f.insn for f in program.func_info] == [0, target]
    assert {ref.map for ref in program.map_refs} == {"counts", ".rodata", ".data", ".bss"}
    for ref in program.map_refs:
        assert code[ref.insn].opcode == op.LD_IMM64
        assert code[ref.insn].src == (op.PSEUDO_MAP_FD if ref.offset is None else op.PSEUDO_MAP_VALUE)


def test_instructions_know_their_lines() -> None:
    spec = with_source(read_object(built()), "prog.c", SOURCE)
    program = spec.programs["packets"]
    lines = SOURCE.splitlines()
    seen = set()
    for insn in range(len(program.code) // 8):
        found = program.source_at(insn)
        assert found is not None
        file, line, text = found
        assert file == "prog.c"
        assert text == lines[line - 1].strip()
        seen.add(text)
    assert "u64 *value = bpf_map_lookup_elem(&counts, key);" in seen


def test_btf_sections_are_completed() -> None:
    btf = read_object(built()).btf
    assert btf is not None
    maps = btf.find(".maps", Kind.DATASEC)
    data = btf.find(".data", Kind.DATASEC)
    assert maps is not None and maps.size > 0
    assert data is not None and [m.size for m in data.members] == [4]


def test_specs_compare() -> None:
    assert read_object(built()) == read_object(built())


def test_same_object_through_ir() -> None:
    """C to IR to object is the same program as C to object."""
    by_hand = read_object(ir_to_object(c_to_ir(SOURCE, "prog.c")))
    assert by_hand.programs["packets"].code == read_object(built()).programs["packets"].code
    assert by_hand.maps == read_object(built()).maps


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an ELF object"),
        (b"#!/bin/sh\n", "not an ELF object"),
        (b"\x7fELF\x01\x01" + bytes(58), "32-bit"),
        (b"\x7fELF\x02\x02" + bytes(58), "big-endian"),
        (b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00" + bytes(44), "machine 62"),
        (b"\x7fELF\x02\x01", "truncated"),
    ],
)
def test_wrong_files_are_named(data: bytes, message: str) -> None:
    with pytest.raises(ObjectError, match=message):
        read_object(data)


def test_undefined_function_is_named() -> None:
    text = 'int absent(int);\n__attribute__((section("xdp"))) int f(void *ctx) { return absent(1); }'
    with pytest.raises(ObjectError, match=r"'f' uses 'absent', which the object does not define"):
        read_object(compile_object(text))


def test_maps_need_btf() -> None:
    text = 'struct { int (*type)[1]; } m __attribute__((section(".maps")));'
    with pytest.raises(ObjectError, match="compile it with -g"):
        read_object(compile_object(text, cflags=["-g0"]))


@given(cut=st.integers(0, 100_000))
@settings(max_examples=150, deadline=None)
def test_truncated_objects(cut: int) -> None:
    data = built()
    with contextlib.suppress(ObjectError):
        read_object(data[: cut % len(data)])


@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=12))
@settings(max_examples=400, deadline=None)
def test_corrupt_objects(changes: list[tuple[int, int]]) -> None:
    data = bytearray(built())
    for at, value in changes:
        data[at % len(data)] = value
    with contextlib.suppress(ObjectError):
        read_object(bytes(data))


@given(
    section=st.sampled_from([".BTF", ".BTF.ext", ".symtab", ".maps", "xdp", ".relxdp"]),
    changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6),
)
@settings(max_examples=600, deadline=None)
def test_corrupt_sections(section: str, changes: list[tuple[int, int]]) -> None:
    """The same, aimed at the tables that are parsed."""
    data = bytearray(built())
    found = parse_elf(built()).section(section)
    assert found is not None
    start = data.find(found.data)
    for at, value in changes:
        data[start + at % len(found.data)] = value
    with contextlib.suppress(ObjectError):
        read_object(bytes(data))


def test_addresses_in_data_are_not_lost_silently() -> None:
    text = (
        "#include <bpf/bpf_helpers.h>\n#include <linux/bpf.h>\n"
        "static int a = 1, b = 2; static int *const volatile both[] = {&a, &b};"
        'SEC("xdp") int f(struct xdp_md *ctx) { return *both[ctx->rx_queue_index & 1]; }'
    )
    with pytest.raises(ObjectError, match=r"holds addresses"):
        read_object(compile_object(text))
