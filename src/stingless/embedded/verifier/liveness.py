"""Which registers are read later: a register that is not need not agree for two states to be the same."""

from __future__ import annotations

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier.helpers import argument_count
from stingless.embedded.verifier.kfuncs import argument_count as kfunc_argument_count
from stingless.embedded.verifier.structure import Structure, successors

_CALLER_SAVED = 0b111111


def live_registers(program: Structure) -> list[int]:
    """Of each instruction, the registers (bit n: Rn) that it or what follows it may read.  R10 is left out."""
    insns = program.insns
    count = len(insns)
    effects = [_reads_and_writes(program, i, insn) for i, insn in enumerate(insns)]
    following = [tuple(successors(i, insn)) if insn.opcode else () for i, insn in enumerate(insns)]
    live = [0] * count
    changed = True
    while changed:
        changed = False
        for i in range(count - 1, -1, -1):
            reads, writes = effects[i]
            after = 0
            for target in following[i]:
                after |= live[target]
            now = reads | after & ~writes
            if now != live[i]:
                live[i] = now
                changed = True
    return live


def _reads_and_writes(program: Structure, i: int, insn: Instruction) -> tuple[int, int]:
    cls, operation, mode = insn.opcode & 0x07, insn.opcode & 0xF0, insn.opcode & 0xE0
    dst, src = 1 << insn.dst, 1 << insn.src
    if cls in (op.ALU, op.ALU64):
        reads = src if insn.opcode & op.X and operation != op.END else 0
        return (reads if operation == op.MOV else reads | dst), dst
    if cls in (op.JMP, op.JMP32):
        if operation == op.CALL:
            if insn.src == op.PSEUDO_KFUNC_CALL:
                name = program.kfuncs.get(i)
                arguments = kfunc_argument_count(name) if name else 5
            else:
                arguments = 5 if insn.src else argument_count(insn.imm)
            return (1 << (arguments + 1)) - 2, _CALLER_SAVED
        if operation == op.EXIT:
            return 1, 0
        if operation in (op.JA, op.JCOND):
            return 0, 0
        return dst | (src if insn.opcode & op.X else 0), 0
    if cls == op.LD:
        if mode == op.IMM:
            return 0, dst
        return 1 << 6 | (src if mode == op.IND else 0), _CALLER_SAVED
    if cls == op.LDX:
        return src, dst
    if cls == op.ST:
        return dst, 0
    if mode == op.ATOMIC and insn.imm == op.LOAD_ACQ:
        return src, dst
    return dst | src | (1 if mode == op.ATOMIC else 0), 0
