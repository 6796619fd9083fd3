"""Put instructions into a program, and keep everything that speaks of an instruction's place right.

Pure.  Places are indexes of 8-byte slots, as in the verifier's log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TypedDict

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode, encode
from stingless.frozen import replace
from stingless.obj.spec import CoreRelocation, ExternRef, LineInfo, MapRef, Poison, ProgramSpec

_GOTOL = op.JMP32 | op.JA
_NOTHING: Mapping[int, Sequence[Instruction]] = {}


def insert(
    spec: ProgramSpec,
    before: Mapping[int, Sequence[Instruction]],
    after: Mapping[int, Sequence[Instruction]] = _NOTHING,
) -> ProgramSpec:
    """The program with `before[i]` put in front of its instruction `i`, and `after[i]` behind it.

    A jump, call or line that leads to `i` leads to what was put in front of it; one that leads to the next instruction
    passes what was put behind `i`, which must not be a 64-bit load.  Raises `ValueError` when a place is
    not the start of an instruction, or a jump would get longer than its 16 bits.
    """
    code = decode(spec.code)
    wide = {i for i, insn in enumerate(code) if insn.opcode == op.LD_IMM64}
    for i in before:
        if not 0 <= i < len(code) or i - 1 in wide:
            raise ValueError(f"nothing can be put in front of slot {i} of {spec.name!r}: no instruction starts there")
    # start[i]: the new place of what was put in front of i; place[i]: of instruction i itself.
    added = [0] * (len(code) + 1)
    for put in (before, after):
        for i, instructions in put.items():
            added[i + 1] += len(instructions)
    start = [i + shift for i, shift in enumerate(accumulate(added))]
    place = start[:-1]
    for i, instructions in before.items():
        place[i] += len(instructions)

    slots = bytearray(spec.code)
    for i, insn in enumerate(code):
        if (moved := _moved(insn, i, start, place)) is not insn:
            slots[8 * i : 8 * i + 8] = moved.encode()
    out: list[bytes | bytearray] = []
    done = 0
    for i in sorted({*before, *after}):
        out += [slots[8 * done : 8 * i], encode(before.get(i, ())), slots[8 * i : 8 * i + 8], encode(after.get(i, ()))]
        done = i + 1
    out.append(slots[8 * done :])
    return replace(
        spec,
        code=b"".join(out),
        line_info=tuple(LineInfo(start[i.insn], i.file_off, i.line_off, i.line_col) for i in spec.line_info),
        func_info=tuple(replace(info, insn=start[info.insn]) for info in spec.func_info),
        **_moved_references(spec, place.__getitem__),
    )


def prepend(spec: ProgramSpec, prologue: Sequence[Instruction]) -> ProgramSpec:
    """The program with `prologue` run once before it.  Jumps back to its first instruction do not run it again.  The
    first line and the first function begin with the prologue."""
    n = len(prologue)
    return replace(
        spec,
        code=encode(prologue) + spec.code,
        line_info=tuple(replace(info, insn=info.insn + n if info.insn else 0) for info in spec.line_info),
        func_info=tuple(replace(info, insn=info.insn + n if info.insn else 0) for info in spec.func_info),
        **_moved_references(spec, n.__add__),
    )


class _References(TypedDict):
    map_refs: tuple[MapRef, ...]
    extern_refs: tuple[ExternRef, ...]
    core_relocations: tuple[CoreRelocation, ...]
    poisons: tuple[Poison, ...]


def _moved_references(spec: ProgramSpec, place: Callable[[int], int]) -> _References:
    """What speaks of one instruction itself, at its new place."""
    return {
        "map_refs": tuple(replace(ref, insn=place(ref.insn)) for ref in spec.map_refs),
        "extern_refs": tuple(replace(ref, insn=place(ref.insn)) for ref in spec.extern_refs),
        "core_relocations": tuple(replace(each, insn=place(each.insn)) for each in spec.core_relocations),
        "poisons": tuple(replace(each, insn=place(each.insn)) for each in spec.poisons),
    }


def _moved(insn: Instruction, i: int, start: list[int], place: list[int]) -> Instruction:
    """Instruction `i` with its relative target set for the new places."""
    if insn.opcode & 7 not in (op.JMP, op.JMP32) and insn.opcode != op.LD_IMM64:
        return insn  # as most are
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
