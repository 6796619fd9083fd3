"""Text of one instruction, in the style of the Linux verifier's log: `r0 = *(u64 *)(r1 +8)`."""

from __future__ import annotations

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction

_SIZE = {op.B: "u8", op.H: "u16", op.W: "u32", op.DW: "u64"}
_SIGNED_SIZE = {op.B: "s8", op.H: "s16", op.W: "s32", op.DW: "s64"}
_ALU = {
    op.ADD: "+=", op.SUB: "-=", op.MUL: "*=", op.DIV: "/=", op.OR: "|=", op.AND: "&=", op.LSH: "<<=", op.RSH: ">>=",
    op.MOD: "%=", op.XOR: "^=", op.MOV: "=", op.ARSH: "s>>=",
}  # fmt: skip
_JUMP = {
    op.JEQ: "==", op.JGT: ">", op.JGE: ">=", op.JSET: "&", op.JNE: "!=", op.JSGT: "s>", op.JSGE: "s>=", op.JLT: "<",
    op.JLE: "<=", op.JSLT: "s<", op.JSLE: "s<=",
}  # fmt: skip
_ATOMIC = {op.ADD: ("+=", "add"), op.AND: ("&=", "and"), op.OR: ("|=", "or"), op.XOR: ("^=", "xor")}


def disassemble(insn: Instruction, following: Instruction | None = None, reference: str = "") -> str:
    """The text of `insn`.  For a 64-bit immediate load, `following` is its second slot, and `reference` what it loads
    when that is no number ("map[counts]")."""
    cls = insn.opcode & 0x07
    if cls in (op.ALU, op.ALU64):
        text = _alu(insn)
    elif cls in (op.JMP, op.JMP32):
        text = _jump(insn)
    elif cls == op.LD:
        text = _ld(insn, following, reference)
    else:
        text = _memory(insn)
    return text if text is not None else f"BUG_{insn.opcode:02x}"


def helper_name(number: int) -> str:
    """`bpf_map_lookup_elem#1`; a number that no helper has gives `unknown#N`."""
    try:
        name = Helper(number).name
    except ValueError:
        return f"unknown#{number}"
    return f"bpf_{name}#{number}"


def _alu(insn: Instruction) -> str | None:
    operation = insn.opcode & 0xF0
    letter = "r" if insn.opcode & 0x07 == op.ALU64 else "w"
    dst = f"{letter}{insn.dst}"
    if operation == op.END:
        if letter == "r":
            return f"r{insn.dst} = bswap{insn.imm} r{insn.dst}"
        return f"r{insn.dst} = {'be' if insn.opcode & op.X else 'le'}{insn.imm} r{insn.dst}"
    if operation == op.NEG:
        return f"{dst} = -{dst}"
    sign = _ALU.get(operation)
    if sign is None:
        return None
    if operation in (op.DIV, op.MOD) and insn.off == 1:
        sign = "s" + sign
    if not insn.opcode & op.X:
        return f"{dst} {sign} {insn.imm}"
    if operation == op.MOV and insn.off:
        if insn.off == 1:
            return f"{dst} = addr_space_cast({letter}{insn.src}, {insn.imm >> 16 & 0xFFFF}, {insn.imm & 0xFFFF})"
        return f"{dst} = (s{insn.off}){letter}{insn.src}"
    return f"{dst} {sign} {letter}{insn.src}"


def _jump(insn: Instruction) -> str | None:
    operation = insn.opcode & 0xF0
    wide = insn.opcode & 0x07 == op.JMP
    if operation == op.CALL:
        if insn.src == op.PSEUDO_CALL:
            return f"call pc{insn.imm:+d}"
        if insn.src == op.PSEUDO_KFUNC_CALL:
            return f"call kernel-function#{insn.imm}"
        return f"call {helper_name(insn.imm)}"
    if operation == op.EXIT:
        return "exit"
    if operation == op.JA:
        return f"goto pc{insn.off:+d}" if wide else f"gotol pc{insn.imm:+d}"
    if operation == op.JCOND:
        return f"may_goto pc{insn.off:+d}"
    sign = _JUMP.get(operation)
    if sign is None:
        return None
    letter = "r" if wide else "w"
    right = f"{letter}{insn.src}" if insn.opcode & op.X else f"{insn.imm & 0xFFFFFFFF:#x}"
    return f"if {letter}{insn.dst} {sign} {right} goto pc{insn.off:+d}"


def _ld(insn: Instruction, following: Instruction | None, reference: str) -> str | None:
    mode, size = insn.opcode & 0xE0, insn.opcode & 0x18
    if insn.opcode == op.LD_IMM64:
        if reference:
            return f"r{insn.dst} = {reference}"
        value = (following.imm & 0xFFFFFFFF) << 32 if following else 0
        return f"r{insn.dst} = {value | insn.imm & 0xFFFFFFFF:#x}"
    if mode == op.ABS:
        return f"r0 = *({_SIZE[size]} *)skb[{insn.imm}]"
    if mode == op.IND:
        return f"r0 = *({_SIZE[size]} *)skb[r{insn.src} + {insn.imm}]"
    return None


def _memory(insn: Instruction) -> str | None:
    cls, mode, size = insn.opcode & 0x07, insn.opcode & 0xE0, insn.opcode & 0x18
    place = f"*({_SIZE[size]} *)(r{insn.dst} {insn.off:+d})"
    if cls == op.LDX and mode in (op.MEM, op.MEMSX):
        names = _SIZE if mode == op.MEM else _SIGNED_SIZE
        return f"r{insn.dst} = *({names[size]} *)(r{insn.src} {insn.off:+d})"
    if cls == op.ST and mode == op.MEM:
        return f"{place} = {insn.imm}"
    if cls == op.STX and mode == op.MEM:
        return f"{place} = r{insn.src}"
    if cls == op.STX and mode == op.ATOMIC:
        return _atomic(insn, size)
    return None


def _atomic(insn: Instruction, size: int) -> str | None:
    place = f"({_SIZE[size]} *)(r{insn.dst} {insn.off:+d})"
    name = "atomic64" if size == op.DW else "atomic"
    plain = _ATOMIC.get(insn.imm & ~op.FETCH)
    if plain is not None:
        if insn.imm & op.FETCH:
            return f"r{insn.src} = {name}_fetch_{plain[1]}({place}, r{insn.src})"
        return f"lock *{place} {plain[0]} r{insn.src}"
    if insn.imm == op.XCHG:
        return f"r{insn.src} = {name}_xchg({place}, r{insn.src})"
    if insn.imm == op.CMPXCHG:
        return f"r0 = {name}_cmpxchg({place}, r0, r{insn.src})"
    if insn.imm == op.LOAD_ACQ:
        return f"r{insn.dst} = load_acquire(({_SIZE[size]} *)(r{insn.src} {insn.off:+d}))"
    if insn.imm == op.STORE_REL:
        return f"store_release({place}, r{insn.src})"
    return None
