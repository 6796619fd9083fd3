"""Random programs that use most of the instruction set, the same for the same seed."""

from __future__ import annotations

import random

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, encode, exit_, ld_imm64, mov

INTERESTING = [0, 1, 2, 7, 31, 32, 63, 64, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
WIDE = [value << shift & (1 << 64) - 1 for value in INTERESTING for shift in (0, 16, 32)] + [(1 << 63) - 1, 1 << 63]
ALU_OPS = [op.ADD, op.SUB, op.MUL, op.DIV, op.OR, op.AND, op.LSH, op.RSH, op.MOD, op.XOR, op.ARSH, op.MOV]
JUMP_OPS = [op.JEQ, op.JGT, op.JGE, op.JSET, op.JNE, op.JSGT, op.JSGE, op.JLT, op.JLE, op.JSLT, op.JSLE]


def s32(rng: random.Random) -> int:
    value = rng.choice(INTERESTING) if rng.random() < 0.5 else rng.getrandbits(32)
    return value - (1 << 32) if value >= 1 << 31 else value


def arithmetic(rng: random.Random) -> Instruction:
    """One instruction on r0 to r5."""
    dst, src = rng.randrange(6), rng.randrange(6)
    cls = rng.choice([op.ALU, op.ALU64])
    kind = rng.random()
    if kind < 0.08:
        return Instruction(cls | op.NEG, dst)
    if kind < 0.16:
        width = rng.choice([16, 32, 64])
        opcode = rng.choice([op.ALU | op.END | op.K, op.ALU | op.END | op.X, op.ALU64 | op.END])
        return Instruction(opcode, dst, 0, 0, width)
    operation = rng.choice(ALU_OPS)
    if kind < 0.55:
        imm = s32(rng)
        if operation in (op.LSH, op.RSH, op.ARSH):
            imm = rng.randrange(32 if cls == op.ALU else 64)
        if operation in (op.DIV, op.MOD):
            return Instruction(cls | operation | op.K, dst, 0, rng.choice([0, 1]), imm or 1)
        return Instruction(cls | operation | op.K, dst, 0, 0, imm)
    off = 0
    if operation in (op.DIV, op.MOD):
        off = rng.choice([0, 1])
    elif operation == op.MOV:
        off = rng.choice([0, 8, 16] if cls == op.ALU else [0, 8, 16, 32])
    return Instruction(cls | operation | op.X, dst, src, off)


def stack_slot(rng: random.Random, base: int) -> list[Instruction]:
    """Store a register to the stack and load it, or a part of it, back."""
    src, dst = rng.randrange(6), rng.randrange(6)
    code = [Instruction(op.STX | op.MEM | op.DW, 10, src, base)]
    if rng.random() < 0.3:
        size = rng.choice([op.B, op.H, op.W, op.DW])
        part = op.SIZE_BYTES[size]
        code.append(Instruction(op.ST | op.MEM | size, 10, 0, base + rng.randrange(8 // part) * part, s32(rng)))
    size = rng.choice([op.B, op.H, op.W, op.DW])
    part = op.SIZE_BYTES[size]
    mode = op.MEM if size == op.DW else rng.choice([op.MEM, op.MEMSX])
    code.append(Instruction(op.LDX | mode | size, dst, 10, base + rng.randrange(8 // part) * part))
    return code


def atomic(rng: random.Random, base: int) -> list[Instruction]:
    src, dst = rng.randrange(6), rng.randrange(6)
    operation = rng.choice([op.ADD, op.OR, op.AND, op.XOR, op.ADD | 1, op.OR | 1, op.AND | 1, op.XOR | 1])
    if rng.random() < 0.4:
        operation = rng.choice([op.XCHG, op.CMPXCHG])
    return [
        Instruction(op.STX | op.MEM | op.DW, 10, rng.randrange(6), base),
        Instruction(op.STX | op.ATOMIC | rng.choice([op.W, op.DW]), 10, src, base, operation),
        Instruction(op.LDX | op.MEM | op.DW, dst, 10, base),
    ]


def random_program(seed: int) -> bytes:
    """Sets r0 to r5, computes with forward branches and stack slots, and returns a mix of all six registers."""
    rng = random.Random(seed)
    code = [insn for reg in range(6) for insn in ld_imm64(reg, rng.choice(WIDE + [rng.getrandbits(64)] * 20))]
    body: list[Instruction] = []
    # What is jumped over is always a whole group, so that no path reads an unset slot.
    for _ in range(rng.randrange(5, 40)):
        kind = rng.random()
        if kind < 0.6:
            group = [arithmetic(rng) for _ in range(rng.randrange(1, 4))]
        elif kind < 0.75:
            group = stack_slot(rng, -8 * rng.randrange(1, 64))
        else:
            group = atomic(rng, -8 * rng.randrange(1, 64))
        if rng.random() < 0.4:
            cls = rng.choice([op.JMP, op.JMP32])
            opcode = cls | rng.choice(JUMP_OPS) | rng.choice([op.K, op.X])
            dst, src = rng.randrange(6), rng.randrange(6) if opcode & op.X else 0
            body.append(Instruction(opcode, dst, src, len(group), 0 if opcode & op.X else s32(rng)))
        body += group
    mix = [insn for reg in range(1, 6) for insn in fold(reg)]
    # The result has 32 bits: the upper half is folded in.
    mix += [mov(1, 0), Instruction(op.ALU64 | op.RSH | op.K, 1, imm=32), Instruction(op.ALU64 | op.XOR | op.X, 0, 1)]
    return encode([*code, *body, *mix, exit_()])


def fold(reg: int) -> list[Instruction]:
    return [
        Instruction(op.ALU64 | op.MUL | op.K, 0, imm=0x01000193),
        Instruction(op.ALU64 | op.XOR | op.X, 0, reg),
    ]
