"""What an object wants of the kernel: `__kconfig` and `__ksym`."""

from __future__ import annotations

import pytest

from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.btf.types import Kind
from stingless.errors import ObjectError
from stingless.obj.spec import ExternSpec
from tests.object_sources import HEAD, everything, spec_of


def test_kconfig() -> None:
    spec = everything()
    externs = {e.name: (e.offset, e.size, e.weak) for e in spec.externs.values() if e.section == ".kconfig"}
    assert externs == {
        "LINUX_KERNEL_VERSION": (0, 4, False),
        "CONFIG_BPF": (4, 1, True),
        "CONFIG_NAME": (5, 10, True),
    }
    map = spec.maps[".kconfig"]
    assert (map.value_size, map.initial, map.frozen, map.flags) == (15, bytes(15), True, 1 << 7 | 1 << 10)
    program = spec.programs["asks"]
    assert {r.offset for r in program.map_refs if r.map == ".kconfig"} == {0, 4, 5}
    code = decode(program.code)
    assert {code[r.insn].src for r in program.map_refs} == {op.PSEUDO_MAP_VALUE}


def test_ksyms() -> None:
    spec = everything()
    btf = spec.btf
    assert btf is not None
    found = {e.name: e for e in spec.externs.values() if e.section == ".ksyms"}
    assert found["bpf_link_fops"] == ExternSpec("bpf_link_fops", ".ksyms")
    typed = found["typed_ksym"]
    assert (btf.type(typed.type).name, typed.weak, typed.function) == ("int", True, False)
    kfunc = found["some_kfunc"]
    assert btf.type(kfunc.type).kind is Kind.FUNC_PROTO and kfunc.function and not kfunc.weak
    assert found["weak_kfunc"].weak
    program = spec.programs["asks"]
    code = decode(program.code)
    seen = {(r.extern.name, code[r.insn].opcode, code[r.insn].src) for r in program.extern_refs}
    assert seen == {
        ("weak_kfunc", op.LD_IMM64, 0),
        ("weak_kfunc", op.JMP | op.CALL, op.PSEUDO_KFUNC_CALL),
        ("some_kfunc", op.JMP | op.CALL, op.PSEUDO_KFUNC_CALL),
        ("bpf_link_fops", op.LD_IMM64, 0),
        ("typed_ksym", op.LD_IMM64, 0),
    }


def test_the_kernel_gets_definitions() -> None:
    """It takes neither external functions nor variables without a place."""
    btf = everything().btf
    assert btf is not None
    for type_id in btf.ids(Kind.FUNC):
        assert btf.type(type_id).linkage in (0, 1)
    for name in (".kconfig", ".ksyms"):
        section = btf.find(name, Kind.DATASEC)
        assert section is not None
        end = 0
        for member in section.members:
            variable = btf.type(member.type)
            assert (variable.kind, variable.linkage) == (Kind.VAR, 1)
            assert member.offset >= end and btf.size_of(variable.type) <= member.size
            end = member.offset + member.size
        assert end == section.size
    kfunc = btf.find("some_kfunc", Kind.FUNC)
    assert kfunc is not None
    assert all(p.name for p in btf.type(kfunc.type).members)


def test_wrong_uses_are_named() -> None:
    with pytest.raises(ObjectError, match="'f' uses 'absent', which the object does not define"):
        spec_of(HEAD + 'extern int absent; SEC("xdp") int f(void *ctx) { return absent; }')
    with pytest.raises(ObjectError, match=r"'empty' of \.kconfig has 0 bytes"):
        spec_of(HEAD + 'extern struct {} empty __kconfig; SEC("xdp") int f(void *ctx) { return (long)&empty; }')
    with pytest.raises(ObjectError, match=r"'fn' of section \.kconfig is a func, which cannot be there"):
        spec_of(HEAD + 'extern int fn(void) __kconfig; SEC("xdp") int f(void *ctx) { return fn(); }')
