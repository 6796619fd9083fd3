"""The shape of a program's functions, and what registers are known to hold at each instruction.

Two things are worth knowing: that a register is the frame pointer plus a constant (then LLVM sees plain accesses to a
local variable, which it can keep in registers), and that it is a constant (then a map is known when code is made).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction

FRAME, CONSTANT, FUNCTION = "frame", "constant", "function"
Known = tuple[str, int] | None
"""(FRAME, offset from R10), (CONSTANT, value) or (FUNCTION, first instruction); None: not known."""
State = tuple[Known, ...]


@dataclass
class Function:
    """Instructions `start` to `end`, exclusive.  `before` has the state before each of them; `leaders` begin
    blocks."""

    start: int
    end: int
    leaders: set[int] = field(default_factory=set)
    before: dict[int, State] = field(default_factory=dict)


def functions(insns: list[Instruction]) -> list[Function]:
    starts = {0}
    for i, insn in slots(insns, 0, len(insns)):
        if (target := called(i, insn)) is not None:
            starts.add(target)
    bounds = [*sorted(starts), len(insns)]
    found = [Function(start, end) for start, end in pairwise(bounds)]
    for function in found:
        _follow(insns, function)
    return found


def slots(insns: list[Instruction], start: int, end: int) -> Iterator[tuple[int, Instruction]]:
    """Instructions by their first slot."""
    i = start
    while i < end:
        yield i, insns[i]
        i += 2 if insns[i].opcode == op.LD_IMM64 else 1


def called(i: int, insn: Instruction) -> int | None:
    """The function of this program that instruction `i` calls or takes the address of."""
    calls = insn.opcode == op.JMP | op.CALL and insn.src == op.PSEUDO_CALL
    takes = insn.opcode == op.LD_IMM64 and insn.src == op.PSEUDO_FUNC
    return i + 1 + insn.imm if calls or takes else None


def target(i: int, insn: Instruction) -> int | None:
    """Where a jump goes when it is taken."""
    cls, operation = insn.opcode & 0x07, insn.opcode & 0xF0
    if cls == op.JMP32 and operation == op.JA:
        return i + 1 + insn.imm
    if cls in (op.JMP, op.JMP32) and operation not in (op.CALL, op.EXIT):
        return i + 1 + insn.off
    return None


def falls_through(insn: Instruction) -> bool:
    return insn.opcode not in (op.JMP | op.EXIT, op.JMP | op.JA, op.JMP32 | op.JA)


def _follow(insns: list[Instruction], function: Function) -> None:
    entry: State = (*[None] * 10, (FRAME, 0))
    function.leaders.add(function.start)
    for i, insn in slots(insns, function.start, function.end):
        if (taken := target(i, insn)) is not None:
            function.leaders |= {taken, i + 1}
    function.before[function.start] = entry
    todo = [function.start]
    while todo:
        i = todo.pop()
        state = function.before[i]
        while True:
            insn = insns[i]
            function.before[i] = state
            state = _after(i, insns, state)
            following = [] if not falls_through(insn) else [i + (2 if insn.opcode == op.LD_IMM64 else 1)]
            if (taken := target(i, insn)) is not None:
                following.append(taken)
            if len(following) == 1 and following[0] not in function.leaders:
                i = following[0]
                continue
            for each in following:
                known = function.before.get(each)
                if known is None:
                    function.before[each] = state
                    todo.append(each)
                    continue
                joined = tuple(a if a == b else None for a, b in zip(known, state, strict=True))
                if joined != known:
                    function.before[each] = joined
                    todo.append(each)
            break


def _after(i: int, insns: list[Instruction], state: State) -> State:
    """The state after an instruction."""
    insn = insns[i]
    cls = insn.opcode & 0x07
    if insn.opcode == op.LD_IMM64:
        callback = insn.src == op.PSEUDO_FUNC
        return _with(state, insn.dst, (FUNCTION, i + 1 + insn.imm) if callback else (CONSTANT, wide(insns, i)))
    if cls in (op.ALU, op.ALU64):
        value: Known = None
        held = state[insn.dst]
        if insn.opcode == op.ALU64 | op.MOV | op.X and insn.off == 0:
            value = state[insn.src]
        elif insn.opcode == op.ALU64 | op.ADD | op.K and held is not None and held[0] == FRAME:
            value = (FRAME, held[1] + insn.imm)
        return _with(state, insn.dst, value)
    if cls == op.LDX:
        return _with(state, insn.dst, None)
    if cls == op.STX and insn.opcode & 0xE0 == op.ATOMIC:
        if insn.imm == op.LOAD_ACQ:
            return _with(state, insn.dst, None)
        if insn.imm == op.CMPXCHG:
            return _with(state, 0, None)
        if insn.imm & op.FETCH:
            return _with(state, insn.src, None)
    if cls == op.LD or insn.opcode & 0xF7 == op.JMP | op.CALL:
        return (*[None] * 6, *state[6:])
    return state


def wide(insns: list[Instruction], i: int) -> int:
    """The constant that the 64-bit immediate load at `i` loads."""
    return insns[i].imm & 0xFFFFFFFF | (insns[i + 1].imm & 0xFFFFFFFF) << 32


def _with(state: State, reg: int, value: Known) -> State:
    return (*state[:reg], value, *state[reg + 1 :])
