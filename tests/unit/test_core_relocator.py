"""CO-RE over whole programs: what is poisoned and said, modules, ambiguity, and malformed relocations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, decode, encode, ld_imm64, load
from stingless.btf.core import Relocator, relocate
from stingless.btf.core_access import RelocationKind
from stingless.btf.core_names import essential_name
from stingless.btf.core_patch import POISON
from stingless.btf.types import Btf
from stingless.btf.writer import BtfBuilder
from stingless.errors import NotSupportedError, ObjectError
from stingless.obj.reader import read_object
from stingless.obj.spec import CoreRelocation, ProgramSpec
from tests.core_shapes import Shape, types_of

LOCAL = types_of(
    "struct k___old { int a; unsigned b[4]; struct { int d; } c; } v; enum e { E } e; typedef int number; number n;"
)
ROOT = LOCAL["k___old"].id


def program(code: bytes, *relocations: tuple[int, str, int], root: int = ROOT) -> ProgramSpec:
    """`relocations`: (instruction, access, kind)."""
    records = tuple(CoreRelocation(insn, root, access, kind) for insn, access, kind in relocations)
    spec = next(iter(read_object(Shape("", "", "", "1", 1).object()).programs.values()))
    return replace(spec, code=code, core_relocations=records)


def patched(spec: ProgramSpec, target: str) -> list[Instruction]:
    done = relocate(spec, LOCAL, types_of(target))
    assert not done.poisons
    assert not done.core_relocations
    return decode(done.code)


LOAD = encode([load(op.W, 0, 1, 4)])


@pytest.mark.parametrize(
    ("name", "essential"),
    [
        ("task_struct", "task_struct"),
        ("task_struct___old", "task_struct"),
        ("a___b___c", "a___b"),
        ("___a", "___a"),
        ("a___", "a___"),
        ("a____b", "a____b"),
        ("a_____", "a_____"),
        ("____x___y", "____x"),
        ("", ""),
    ],
)
def test_essential_name(name: str, essential: str) -> None:
    assert essential_name(name) == essential


def test_all_relocations_of_a_program() -> None:
    code = encode([load(op.W, 0, 1, 4), Instruction(op.ALU64 | op.MOV | op.K, 2, imm=20), *ld_imm64(3, 4)])
    spec = program(code, (0, "0:1:0", 0), (1, "0:2:0", 0), (2, "0:0", 1))
    insns = patched(spec, "struct k { long pad; int a; unsigned b[9]; struct { long x; int d; } c; } v;")
    assert insns[0] == load(op.W, 0, 1, 12)
    assert insns[1].imm == 48 + 8
    assert insns[2:] == ld_imm64(3, 4)


def test_relocation_without_relocations_is_the_same_program() -> None:
    spec = program(LOAD)
    assert relocate(spec, LOCAL, None) is spec


def test_signed_loads_change_size() -> None:
    spec = program(encode([Instruction(op.LDX | op.MEMSX | op.W, 0, 1, 0)]), (0, "0:0", 0))
    assert patched(spec, "struct k { int pad; short a; } v;")[0].opcode == op.LDX | op.MEMSX | op.H
    assert patched(spec, "struct k { int pad; long a; } v;")[0].opcode == op.LDX | op.MEM | op.DW
    assert relocate(spec, LOCAL, types_of("struct k { unsigned short a; } v;")).poisons


def test_poison_says_what_was_looked_at() -> None:
    code = encode(ld_imm64(1, 0)) + LOAD
    spec = program(code, (0, "0:2:0", 0), (2, "0:1:1", 0))
    target = types_of("struct k { int a; struct { int e; } c; unsigned b; } v; ")
    done = relocate(spec, LOCAL, target)
    assert decode(done.code) == [call(POISON)] * 3
    first, second = done.poisons
    assert (first.insn, second.insn) == (0, 2)
    assert "struct k___old.c.d" in first.message
    assert f"[{ROOT}]" in first.message
    assert f"struct k [{target['k'].id}]" in first.message
    assert "no member 'd'" in first.message
    assert "struct k___old.b[1]" in second.message
    assert "member 'b' is unsigned int, not unsigned int[4]" in second.message


def test_poison_says_that_there_is_no_such_type() -> None:
    (poison,) = relocate(program(LOAD, (0, "0:1:0", 0)), LOCAL, types_of("int v;")).poisons
    assert "no type of the name 'k'" in poison.message


def test_poison_of_what_does_not_fit_names_the_access() -> None:
    (poison,) = relocate(
        program(LOAD, (0, "0:1:0", 0)), LOCAL, types_of("struct k { char x[99999]; unsigned b[4]; } v;")
    ).poisons
    assert "struct k___old.b[0]" in poison.message
    assert "offset 100000" in poison.message


def test_candidates_that_disagree() -> None:
    target = types_of("struct k { unsigned b[4]; } v; struct k___2 { int pad; unsigned b[4]; } w;")
    with pytest.raises(ObjectError, match=r"ambiguous: struct k \[\d+\] gives 0, struct k___2 \[\d+\] gives 4"):
        relocate(program(LOAD, (0, "0:1:0", 0)), LOCAL, target)
    exists = encode([Instruction(op.ALU64 | op.MOV | op.K, 2, imm=1)])
    relocate(program(exists, (0, "0:1:0", RelocationKind.FIELD_EXISTS)), LOCAL, target)


def module(base: Btf, text: str) -> Btf:
    types = types_of(text)
    builder = BtfBuilder(base)
    for found in types:
        if found.name == "k":
            builder.copy(types, found.id)
    return builder.build()


def test_modules_are_read_when_the_kernel_lacks_the_type() -> None:
    reads = []

    def modules(base: Btf) -> Mapping[str, Btf]:
        reads.append(base)
        return {
            "one": module(base, "struct x { int a; } v;"),
            "two": module(base, "struct k { long pad; unsigned b[4]; } v;"),
        }

    spec = program(LOAD, (0, "0:1:0", 0))
    kernel = types_of("struct k { int pad[5]; unsigned b[4]; } v;")
    assert decode(Relocator(LOCAL, kernel, lambda: modules(kernel)).relocate(spec).code)[0].off == 20
    assert not reads
    without = types_of("int v;")
    relocator = Relocator(LOCAL, without, lambda: modules(without))
    assert decode(relocator.relocate(spec).code)[0].off == 8
    assert decode(relocator.relocate(program(LOAD, (0, "0:1:0", 0))).code)[0].off == 8
    assert len(reads) == 1
    (poison,) = relocator.relocate(program(LOAD, (0, "0:2:0", 0))).poisons
    assert "of module two" in poison.message


def test_a_kernel_without_btf() -> None:
    with pytest.raises(NotSupportedError, match="BTF"):
        relocate(program(LOAD, (0, "0:1:0", 0)), LOCAL, None)
    local_id = encode([Instruction(op.ALU64 | op.MOV | op.K, 2, imm=0)])
    done = relocate(program(local_id, (0, "0", RelocationKind.TYPE_ID_LOCAL)), LOCAL, None)
    assert decode(done.code)[0].imm == ROOT


MOV = Instruction(op.ALU64 | op.MOV | op.K, 2, imm=4)


@pytest.mark.parametrize(
    ("insns", "relocation", "message"),
    [
        ([MOV], (0, "0:9", 0), "has 3 members"),
        ([MOV], (0, "0:0:0", 0), "leads into int"),
        ([MOV], (0, "0:1:4", 0), "outside of an array of 4"),
        ([MOV], (0, "", 0), "not a list of indexes"),
        ([MOV], (0, "0:-1", 0), "not a list of indexes"),
        ([MOV], (0, "0:4294967295:0", 0), "has 3 members"),
        ([MOV], (0, ":".join("0" * 65), 0), "more than 64"),
        ([MOV], (0, "0:1", 99), "kind 99"),
        ([MOV], (0, "0:1", 8), "whole type"),
        ([MOV], (0, "0", 11), "no enumerator"),
        ([MOV], (1, "0:1:0", 0), "instruction 1 of 1"),
        ([MOV], (0, "0:2:0", 0), "has 4, but its CO-RE relocation stands for 20"),
        ([Instruction(op.ALU64 | op.MOV | op.X, 2, 1)], (0, "0:0", 0), "takes no constant"),
        ([call(1)], (0, "0:1:0", 0), "none that CO-RE can change"),
        ([ld_imm64(1, 4)[0]], (0, "0:1:0", 0), "cut off"),
    ],
)
def test_malformed(insns: list[Instruction], relocation: tuple[int, str, int], message: str) -> None:
    target = types_of("struct k { int a; unsigned b[4]; struct { int d; } c; } v;")
    with pytest.raises(ObjectError, match=message):
        relocate(program(encode(insns), relocation), LOCAL, target)
