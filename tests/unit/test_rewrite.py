"""Instructions put into a program leave every target where it was meant to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, decode, encode, exit_, jump, ld_imm64, mov, mov_imm
from stingless.asm.rewrite import insert, prepend
from stingless.obj.spec import (
    CoreRelocation,
    ExternRef,
    ExternSpec,
    FuncInfo,
    LineInfo,
    MapRef,
    Poison,
    ProgramSpec,
)

NOP = mov(1, 1)


def spec(code: list[Instruction], **more: object) -> ProgramSpec:
    return ProgramSpec("p", "", ProgramType.XDP, encode(code), **more)  # type: ignore[arg-type]


def test_a_jump_over_the_place_gets_longer_and_one_to_it_meets_what_is_new() -> None:
    code = [jump(op.JEQ, 1, 0, 2), jump(op.JEQ, 1, 1, 0), call(7), exit_()]
    assert decode(insert(spec(code), {2: [NOP, NOP]}).code) == [
        jump(op.JEQ, 1, 0, 4),
        jump(op.JEQ, 1, 1, 0),
        NOP,
        NOP,
        call(7),
        exit_(),
    ]


def test_a_jump_back() -> None:
    code = [mov_imm(0, 0), call(7), jump(op.JNE, 0, 0, -2), exit_()]
    assert decode(insert(spec(code), {1: [NOP]}).code)[3] == jump(op.JNE, 0, 0, -3)
    assert decode(insert(spec(code), {2: [NOP]}).code)[3] == jump(op.JNE, 0, 0, -3)


@pytest.mark.parametrize(
    "insn",
    [
        Instruction(op.JMP32 | op.JA, imm=1),  # gotol
        Instruction(op.JMP | op.CALL, src=op.PSEUDO_CALL, imm=1),
    ],
)
def test_targets_in_the_immediate(insn: Instruction) -> None:
    out = decode(insert(spec([insn, call(7), exit_()]), {1: [NOP] * 3}).code)
    assert out[0] == insn._replace(imm=4)


def test_the_address_of_a_function() -> None:
    """Its place is counted from behind the first slot of the load."""
    code = [*ld_imm64(2, 2, op.PSEUDO_FUNC), exit_(), mov_imm(0, 0), exit_()]
    out = decode(insert(spec(code), {2: [NOP], 0: [NOP]}).code)
    assert out[1].imm == 3
    assert out[2] == Instruction(0)
    assert out[1 + 1 + out[1].imm] == mov_imm(0, 0)


def test_helpers_and_ordinary_loads_stay() -> None:
    code = [call(1), *ld_imm64(1, 5), Instruction(op.JMP | op.CALL, src=op.PSEUDO_KFUNC_CALL, imm=1), exit_()]
    assert decode(insert(spec(code), {4: [NOP]}).code) == [*code[:4], NOP, exit_()]


def test_what_speaks_of_instructions_moves_along() -> None:
    code = [mov_imm(0, 0), *ld_imm64(1, 0, 1), exit_(), call(7), exit_()]
    before = spec(
        code,
        map_refs=(MapRef(1, "m"),),
        line_info=(LineInfo(0, 0, 0, 0), LineInfo(1, 0, 0, 0), LineInfo(4, 0, 0, 0)),
        func_info=(FuncInfo(0, 1), FuncInfo(4, 2)),
    )
    after = insert(before, {1: [NOP], 4: [NOP, NOP]})
    assert [r.insn for r in after.map_refs] == [2]
    assert [i.insn for i in after.line_info] == [0, 1, 5]
    assert [i.insn for i in after.func_info] == [0, 5]


def test_prologue() -> None:
    code = [mov_imm(0, 0), *ld_imm64(1, 0, 1), jump(op.JEQ, 0, 0, -4), exit_(), exit_()]
    before = spec(
        code,
        map_refs=(MapRef(1, "m"),),
        line_info=(LineInfo(0, 0, 0, 0), LineInfo(5, 0, 0, 0)),
        func_info=(FuncInfo(0, 1), FuncInfo(5, 2)),
    )
    after = prepend(before, [NOP, NOP])
    assert decode(after.code) == [NOP, NOP, *code]
    assert [r.insn for r in after.map_refs] == [3]
    assert [i.insn for i in after.line_info] == [0, 7]
    assert [i.insn for i in after.func_info] == [0, 7]


@pytest.mark.parametrize("place", [-1, 2, 4])
def test_places_that_are_no_instruction(place: int) -> None:
    with pytest.raises(ValueError, match="no instruction starts there"):
        insert(spec([mov_imm(0, 0), *ld_imm64(1, 0), exit_()]), {place: [NOP]})


def test_a_jump_that_gets_too_long() -> None:
    code = [jump(op.JEQ, 0, 0, 32767), *[NOP] * 32767, exit_()]
    with pytest.raises(ValueError, match="16 bits"):
        insert(spec(code), {5: [NOP]})


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Instruction], dict[int, list[Instruction]]]:
    """Single-slot instructions with jumps anywhere, and what to put in where."""
    n = draw(st.integers(1, 30))
    places = st.integers(0, n - 1)
    code = []
    for i in range(n):
        target = draw(places) - i - 1
        code.append(
            draw(
                st.sampled_from(
                    [
                        NOP,
                        jump(op.JNE, 1, 2, target),
                        Instruction(op.JMP | op.JA, off=target),
                        Instruction(op.JMP32 | op.JA, imm=target),
                        Instruction(op.JMP32 | op.JLE | op.X, 3, 4, target),
                        Instruction(op.JMP | op.CALL, src=1, imm=target),
                    ]
                )
            )
        )
    return code, draw(st.dictionaries(places, st.lists(st.just(mov(9, 9)), min_size=1, max_size=4), max_size=6))


@given(programs())
def test_every_target_is_kept(case: tuple[list[Instruction], dict[int, list[Instruction]]]) -> None:
    code, before = case
    out = decode(insert(spec(code), before).code)
    # Where each instruction went, counted independently: the new ones are marked by r9.
    places = [i for i, insn in enumerate(out) if insn != mov(9, 9)]
    assert len(places) == len(code)
    for i, insn in enumerate(code):
        if insn == NOP:
            continue
        distance = insn.imm if insn.opcode in (op.JMP32 | op.JA, op.JMP | op.CALL) else insn.off
        moved = out[places[i]]
        new = moved.imm if insn.opcode in (op.JMP32 | op.JA, op.JMP | op.CALL) else moved.off
        target = i + 1 + distance
        assert places[i] + 1 + new == places[target] - len(before.get(target, []))


def test_what_a_kernel_fills_in_moves_along() -> None:
    code = [mov_imm(0, 0), *ld_imm64(1, 0), call(7), exit_()]
    before = spec(
        code,
        extern_refs=(ExternRef(1, ExternSpec("x", ".ksyms")),),
        core_relocations=(CoreRelocation(0, 1, "0:1", 0), CoreRelocation(3, 1, "0:2", 0)),
        poisons=(Poison(4, "not there"),),
    )

    def places(moved: ProgramSpec) -> list[int]:
        externs, core, poisons = moved.extern_refs, moved.core_relocations, moved.poisons
        return [*(e.insn for e in externs), *(c.insn for c in core), *(p.insn for p in poisons)]

    assert places(before) == [1, 0, 3, 4]
    assert places(insert(before, {0: [NOP], 3: [NOP, NOP]})) == [2, 1, 6, 7]
    assert places(prepend(before, [NOP] * 3)) == [4, 3, 6, 7]
    assert insert(before, {3: [NOP]}).core_relocations[1] == CoreRelocation(4, 1, "0:2", 0)
