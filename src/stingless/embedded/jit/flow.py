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
    """Instructions `start` to `end`, exclusive.  `before` has the state before each of them; `depth` how many bytes of
    its stack it may touch; `leaders` begin blocks."""

    start: int
    end: int
    leaders: set[int] = field(default_factory=set)
    before: dict[int, State] = field(default_factory=dict)
    depth: int = 0


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
    lowest, anywhere = 0, False
    while todo:
        i = todo.pop()
        state = function.before[i]
        while True:
            insn = insns[i]
            function.before[i] = state
            state, low = _after(i, insns, state)
            lowest = min(lowest, low)
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
                lost = [a or b for a, b, c in zip(known, state, joined, strict=True) if c is None and a != b]
                anywhere |= any(each is not None and each[0] == FRAME for each in lost)
                if joined != known:
                    function.before[each] = joined
                    todo.append(each)
            break
    function.depth = 512 if anywhere else min(512, -lowest)


def _after(i: int, insns: list[Instruction], state: State) -> tuple[State, int]:
    """The state after an instruction, and the lowest stack offset that it touches or makes."""
    insn = insns[i]
    cls, operation = insn.opcode & 0x07, insn.opcode & 0xF0
    dst = insn.dst
    value: Known = None
    if insn.opcode == op.LD_IMM64:
        if insn.src == op.PSEUDO_FUNC:
            value = (FUNCTION, i + 1 + insn.imm)
        else:
            value = (CONSTANT, wide(insns, i))
        return _with(state, dst, value), 0
    if cls in (op.ALU, op.ALU64):
        held = state[dst]
        low = 0
        if insn.opcode == op.ALU64 | op.MOV | op.X and insn.off == 0:
            value = state[insn.src]
        elif insn.opcode == op.ALU64 | op.ADD | op.K and held is not None and held[0] == FRAME:
            value = (FRAME, held[1] + insn.imm)
            low = held[1] + insn.imm
        elif held is not None and held[0] == FRAME:
            low = -512  # arithmetic with what is only known when it runs
        if cls == op.ALU64 and insn.opcode & op.X and operation != op.MOV:
            other = state[insn.src]
            if other is not None and other[0] == FRAME:
                low = -512
        return _with(state, dst, value), low
    if cls in (op.LDX, op.ST, op.STX):
        base = state[insn.src if cls == op.LDX else dst]
        low = base[1] + insn.off if base is not None and base[0] == FRAME else 0
        if cls == op.LDX:
            return _with(state, dst, None), low
        if insn.opcode & 0xE0 == op.ATOMIC:
            if insn.imm == op.LOAD_ACQ:
                base = state[insn.src]
                low = base[1] + insn.off if base is not None and base[0] == FRAME else 0
                return _with(state, dst, None), low
            if insn.imm == op.CMPXCHG:
                return _with(state, 0, None), low
            if insn.imm & op.FETCH:
                return _with(state, insn.src, None), low
        stored = state[insn.src] if cls == op.STX else None
        return state, -512 if stored is not None and stored[0] == FRAME else low
    if cls == op.LD or insn.opcode & 0xF7 == op.JMP | op.CALL:
        return (*[None] * 6, *state[6:]), 0
    return state, 0


def wide(insns: list[Instruction], i: int) -> int:
    """The constant that the 64-bit immediate load at `i` loads."""
    return insns[i].imm & 0xFFFFFFFF | (insns[i + 1].imm & 0xFFFFFFFF) << 32


def _with(state: State, reg: int, value: Known) -> State:
    return (*state[:reg], value, *state[reg + 1 :])
