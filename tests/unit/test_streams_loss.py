"""Counting of losses as a rewriting of programs: what it adds, and that nothing else changes."""

from __future__ import annotations

import errno

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, decode, encode, exit_, jump, ld_imm64, mov, mov_imm
from stingless.obj.loss import LOSS_MAP, SLOT, count_losses, rows, uncounted
from stingless.obj.spec import LineInfo, MapRef, MapSpec, ObjectSpec, ProgramSpec

RINGS = {name: MapSpec(name, MapType.RINGBUF, 0, 0, 4096) for name in ("b", "a")}


def object_of(code: list[Instruction], *refs: MapRef) -> ObjectSpec:
    program = ProgramSpec("p", "raw_tp", ProgramType.RAW_TRACEPOINT, encode(code), map_refs=refs)
    return ObjectSpec({**RINGS, "h": MapSpec("h", MapType.HASH, 4, 4, 1)}, {"p": program})


def counted_rows(spec: ObjectSpec) -> list[str]:
    """Which counter each call got."""
    names = rows(spec.maps)
    refs = [ref for ref in spec.programs["p"].map_refs if ref.map == LOSS_MAP]
    width = spec.maps[LOSS_MAP].value_size // len(names)
    return [names[(ref.offset or 0) // width] for ref in refs]


@pytest.mark.parametrize(
    ("helper", "failed"),
    [
        (Helper.ringbuf_reserve, 0),
        (Helper.ringbuf_output, -errno.EAGAIN),
        (Helper.ringbuf_reserve_dynptr, -errno.EINVAL),
    ],
)
def test_each_call_is_followed_by_its_counter(helper: Helper, failed: int) -> None:
    spec = object_of([*ld_imm64(1, 0, op.PSEUDO_MAP_FD), call(helper), mov_imm(0, 0), exit_()], MapRef(0, "a"))
    counted = count_losses(spec, cpus=5)
    assert counted.maps[LOSS_MAP].value_size == 3 * 8 * SLOT
    code = decode(counted.programs["p"].code)
    assert code[3] == jump(op.JNE, 0, failed, 9)
    assert code[12] == mov_imm(0, failed)  # as the verifier and the program saw it
    assert code[13:] == [mov_imm(0, 0), exit_()]
    assert counted_rows(counted) == ["a"]
    assert code[counted.programs["p"].map_refs[1].insn].opcode == op.LD_IMM64
    assert count_losses(counted) is counted


def test_before_linux_6_4_the_record_stays_untested() -> None:
    code = [*ld_imm64(1, 0, op.PSEUDO_MAP_FD), call(Helper.ringbuf_reserve), mov_imm(0, 0), exit_()]
    counted = count_losses(object_of(code, MapRef(0, "a")), release=(6, 3, 9))
    made = decode(counted.programs["p"].code)
    assert made[3:6] == [mov(1, 0), Instruction(op.ALU64 | op.NEG, 1), jump(op.JNE, 1, 0, 4)]
    assert made[counted.programs["p"].map_refs[1].insn].opcode == op.LD_IMM64
    assert call(Helper.get_smp_processor_id) not in made
    assert made[10:] == [mov_imm(0, 0), exit_()]
    assert counted_rows(counted) == ["a"]


def test_the_map_is_found_through_registers_in_straight_lines_only() -> None:
    reserve = call(Helper.ringbuf_reserve)
    code = [
        *ld_imm64(6, 0, op.PSEUDO_MAP_FD),  # 0: b
        call(Helper.ktime_get_ns),  # 2
        mov(1, 6),  # 3
        reserve,  # 4: b, in a register that calls keep
        *ld_imm64(1, 0, op.PSEUDO_MAP_FD),  # 5: a
        jump(op.JEQ, 6, 0, 2),  # 7: to 10
        *ld_imm64(1, 0, op.PSEUDO_MAP_FD),  # 8: b
        reserve,  # 10: of either
        reserve,  # 11: R1 is nobody's after a call
        exit_(),
    ]
    spec = object_of(code, MapRef(0, "b"), MapRef(5, "a"), MapRef(8, "b"))
    assert counted_rows(count_losses(spec)) == ["b", "", ""]


def test_jumps_to_what_follows_the_call_pass_the_counter() -> None:
    code = [
        *ld_imm64(1, 0, op.PSEUDO_MAP_FD),
        jump(op.JEQ, 2, 0, 1),  # over the call
        call(Helper.ringbuf_reserve),
        mov_imm(0, 0),  # 4
        exit_(),
    ]
    made = decode(count_losses(object_of(code, MapRef(0, "a"))).programs["p"].code)
    assert made[2].off == 1 + 10  # the call and its counter
    assert made[2 + 1 + made[2].off] == mov_imm(0, 0)


def test_lines_stay_with_their_instructions() -> None:
    code = [*ld_imm64(1, 0, op.PSEUDO_MAP_FD), call(Helper.ringbuf_output), mov_imm(0, 0), exit_()]
    spec = object_of(code, MapRef(0, "a"))
    program = ProgramSpec(
        **{**vars(spec.programs["p"]), "line_info": (LineInfo(0, 0, 0, 1 << 10), LineInfo(3, 0, 0, 2 << 10))}
    )
    counted = count_losses(ObjectSpec(spec.maps, {"p": program})).programs["p"]
    assert [info.insn for info in counted.line_info] == [0, 13]


def test_nothing_to_count() -> None:
    plain = object_of([mov_imm(0, 0), exit_()])
    assert count_losses(plain) is plain
    no_rings = ObjectSpec({}, plain.programs)
    assert count_losses(no_rings) is no_rings


def test_a_jump_that_would_be_too_long_leaves_the_program() -> None:
    body = [*ld_imm64(1, 0, op.PSEUDO_MAP_FD), call(Helper.ringbuf_reserve)]
    filler = [mov_imm(0, 0)] * 32760
    spec = object_of([jump(op.JEQ, 1, 0, 32763), *body, *filler, exit_()], MapRef(1, "a"))
    assert count_losses(spec) is spec
    assert uncounted(spec.programs.values()) == tuple(spec.programs)
    counts = count_losses(object_of([*body, exit_()], MapRef(0, "a")))
    assert uncounted(counts.programs.values()) == ()
    assert uncounted(object_of([mov_imm(0, 0), exit_()]).programs.values()) == ()
