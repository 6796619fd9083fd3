"""Put instructions into a program, and keep everything that speaks of an instruction's place right.

Pure.  Places are indexes of 8-byte slots, as in the verifier's log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode, encode
from stingless.obj.spec import ProgramSpec

_GOTOL = op.JMP32 | op.JA


def insert(spec: ProgramSpec, before: Mapping[int, Sequence[Instruction]]) -> ProgramSpec:
    """The program with `before[i]` put in front of its instruction `i`.

    A jump, call or line that leads to `i` leads to what was put in front of it.  Raises `ValueError` when a place is
    not the start of an instruction, or a jump would get longer than its 16 bits.
    """
    code = decode(spec.code)
    wide = {i for i, insn in enumerate(code) if insn.opcode == op.LD_IMM64}
    for i in before:
        if not 0 <= i < len(code) or i - 1 in wide:
            raise ValueError(f"nothing can be put in front of slot {i} of {spec.name!r}: no instruction starts there")
    # start[i]: the new place of what was put in front of i; place[i]: of instruction i itself.
    added = [len(before.get(i, ())) for i in range(len(code))]
    shifts = [0, *accumulate(added)]
    start = [i + shifts[i] for i in range(len(code) + 1)]
    place = [i + shifts[i + 1] for i in range(len(code))]

    out: list[Instruction] = []
    i = 0
    while i < len(code):
        out += before.get(i, ())
        out.append(_moved(code[i], i, start, place))
        if i in wide:
            out.append(code[i + 1])
            i += 1
        i += 1
    return replace(
        spec,
        code=encode(out),
        map_refs=tuple(replace(ref, insn=place[ref.insn]) for ref in spec.map_refs),
        line_info=tuple(replace(info, insn=start[info.insn]) for info in spec.line_info),
        func_info=tuple(replace(info, insn=start[info.insn]) for info in spec.func_info),
    )


def prepend(spec: ProgramSpec, prologue: Sequence[Instruction]) -> ProgramSpec:
    """The program with `prologue` run once before it.  Jumps back to its first instruction do not run it again.  The
    first line and the first function begin with the prologue."""
    n = len(prologue)
    return replace(
        spec,
        code=encode(prologue) + spec.code,
        map_refs=tuple(replace(ref, insn=ref.insn + n) for ref in spec.map_refs),
        line_info=tuple(replace(info, insn=info.insn + n if info.insn else 0) for info in spec.line_info),
        func_info=tuple(replace(info, insn=info.insn + n if info.insn else 0) for info in spec.func_info),
    )


def _moved(insn: Instruction, i: int, start: list[int], place: list[int]) -> Instruction:
    """Instruction `i` with its relative target set for the new places."""
    here = place[i]
    operation = insn.opcode & 0xF0
    if insn.opcode == _GOTOL or (insn.opcode == op.JMP | op.CALL and insn.src == op.PSEUDO_CALL):
        return insn._replace(imm=start[i + 1 + insn.imm] - here - 1)
    if insn.opcode == op.LD_IMM64 and insn.src == op.PSEUDO_FUNC:
        return insn._replace(imm=start[i + 1 + insn.imm] - here - 1)
    if insn.cls in (op.JMP, op.JMP32) and operation not in (op.CALL, op.EXIT):
        off = start[i + 1 + insn.off] - here - 1
        if not -(1 << 15) <= off < 1 << 15:
            raise ValueError(
                f"the jump at instruction {i} would have to reach {off} instructions, more than 16 bits hold"
            )
        return insn._replace(off=off)
    return insn
