"""Text of instructions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless.asm import opcodes as op
from stingless.asm.disasm import disassemble, helper_name
from stingless.asm.instruction import (
    Instruction,
    call,
    decode,
    exit_,
    jump,
    ld_imm64,
    load,
    mov,
    mov_imm,
    store,
    store_imm,
)


@pytest.mark.parametrize(
    ("insn", "text"),
    [
        (mov(1, 10), "r1 = r10"),
        (mov_imm(0, -1), "r0 = -1"),
        (Instruction(op.ALU | op.MOV | op.K, 2, imm=7), "w2 = 7"),
        (Instruction(op.ALU | op.ADD | op.X, 2, 3), "w2 += w3"),
        (Instruction(op.ALU64 | op.ARSH | op.K, 2, imm=3), "r2 s>>= 3"),
        (Instruction(op.ALU64 | op.NEG, 2), "r2 = -r2"),
        (Instruction(op.ALU64 | op.MOV | op.X, 2, 3, 16), "r2 = (s16)r3"),
        (Instruction(op.ALU64 | op.DIV | op.X, 2, 3, 1), "r2 s/= r3"),
        (Instruction(op.ALU | op.MOD | op.K, 2, imm=9), "w2 %= 9"),
        (Instruction(op.ALU | op.END | op.X, 2, imm=16), "r2 = be16 r2"),
        (Instruction(op.ALU | op.END | op.K, 2, imm=32), "r2 = le32 r2"),
        (Instruction(op.ALU64 | op.END, 2, imm=64), "r2 = bswap64 r2"),
        (load(op.DW, 0, 1, 8), "r0 = *(u64 *)(r1 +8)"),
        (Instruction(op.LDX | op.MEMSX | op.B, 0, 1, -8), "r0 = *(s8 *)(r1 -8)"),
        (store(op.W, 10, -4, 1), "*(u32 *)(r10 -4) = r1"),
        (store_imm(op.H, 10, -2, 5), "*(u16 *)(r10 -2) = 5"),
        (Instruction(op.STX | op.ATOMIC | op.DW, 1, 2, 0, op.ADD), "lock *(u64 *)(r1 +0) += r2"),
        (
            Instruction(op.STX | op.ATOMIC | op.W, 1, 2, 4, op.ADD | op.FETCH),
            "r2 = atomic_fetch_add((u32 *)(r1 +4), r2)",
        ),
        (Instruction(op.STX | op.ATOMIC | op.DW, 1, 2, 0, op.XCHG), "r2 = atomic64_xchg((u64 *)(r1 +0), r2)"),
        (Instruction(op.STX | op.ATOMIC | op.DW, 1, 2, 0, op.CMPXCHG), "r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)"),
        (Instruction(op.STX | op.ATOMIC | op.DW, 1, 2, 0, op.LOAD_ACQ), "r1 = load_acquire((u64 *)(r2 +0))"),
        (jump(op.JEQ, 0, 0, 3), "if r0 == 0x0 goto pc+3"),
        (jump(op.JSGT, 0, -1, -3), "if r0 s> 0xffffffff goto pc-3"),
        (Instruction(op.JMP32 | op.JLT | op.X, 1, 2, 5), "if w1 < w2 goto pc+5"),
        (Instruction(op.JMP | op.JA, off=-2), "goto pc-2"),
        (Instruction(op.JMP32 | op.JA, imm=70000), "gotol pc+70000"),
        (Instruction(op.JMP | op.JCOND, off=2), "may_goto pc+2"),
        (call(1), "call bpf_map_lookup_elem#1"),
        (call(100000), "call unknown#100000"),
        (Instruction(op.JMP | op.CALL, src=op.PSEUDO_CALL, imm=5), "call pc+5"),
        (exit_(), "exit"),
        (Instruction(op.LD | op.ABS | op.H, imm=12), "r0 = *(u16 *)skb[12]"),
        (Instruction(op.LD | op.IND | op.B, src=7, imm=14), "r0 = *(u8 *)skb[r7 + 14]"),
        (Instruction(0xFF), "BUG_ff"),
    ],
)
def test_text(insn: Instruction, text: str) -> None:
    assert disassemble(insn) == text


def test_64_bit_immediates() -> None:
    first, second = ld_imm64(3, 0x1122334455667788)
    assert disassemble(first, second) == "r3 = 0x1122334455667788"
    assert disassemble(first, second, "map[counts]") == "r3 = map[counts]"


def test_helper_names() -> None:
    assert helper_name(14) == "bpf_get_current_pid_tgid#14"
    assert helper_name(-1) == "unknown#-1"


@given(st.binary(min_size=8, max_size=8))
def test_any_instruction_has_a_text(code: bytes) -> None:
    assert disassemble(decode(code)[0])
