"""Instructions and tables as text, in the form that bcc prints them."""

from __future__ import annotations

from typing import Any

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, decode

_BITS = {op.B: 8, op.H: 16, op.W: 32, op.DW: 64}
_ALU = {
    op.ADD: "+=", op.SUB: "-=", op.MUL: "*=", op.DIV: "/=", op.OR: "|=", op.AND: "&=", op.LSH: "<<=", op.RSH: ">>=",
    op.MOD: "%=", op.XOR: "^=", op.MOV: "=", op.ARSH: "s>>=",
}  # fmt: skip
_BITWISE = {op.OR, op.AND, op.XOR}  # their constants are written in hexadecimal
_JUMPS = {
    op.JEQ: "==", op.JGT: ">", op.JGE: ">=", op.JSET: "&", op.JNE: "!=", op.JSGT: "s>", op.JSGE: "s>=", op.JLT: "<",
    op.JLE: "<=", op.JSLT: "s<", op.JSLE: "s<=",
}  # fmt: skip
_ATOMIC = {op.ADD: "+=", op.OR: "|=", op.AND: "&=", op.XOR: "^="}


def disassemble_prog(func_name: Any, bpfstr: bytes) -> str:
    """A headline and a line for each instruction."""
    return "\n".join([f"Disassemble of BPF program {func_name}:", *disassemble_str(bpfstr)])


def disassemble_str(bpfstr: bytes) -> list[str]:
    """`   0: (b7) r0 = 1` for each instruction, and a line for the second half of those of 16 bytes."""
    lines = []
    second = False
    code = decode(bpfstr)
    for i, insn in enumerate(code):
        if second:
            lines.append(f"{i:4d}:      (64-bit upper word)")
            second = False
            continue
        following = code[i + 1] if i + 1 < len(code) else None
        lines.append(f"{i:4d}: ({insn.opcode:02x}) {_text(i, insn, following)}")
        second = insn.opcode == op.LD_IMM64 and following is not None
    return lines


def _text(i: int, insn: Instruction, following: Instruction | None) -> str:
    found = None
    match insn.opcode & 0x07:
        case op.ALU | op.ALU64:
            found = _alu(insn)
        case op.JMP | op.JMP32:
            found = _jump(i, insn)
        case op.LD:
            found = _ld(insn, following)
        case _:
            found = _memory(insn)
    return found or f"unknown <{insn.opcode:#x}>"


def _alu(insn: Instruction) -> str | None:
    operation, register = insn.opcode & 0xF0, insn.opcode & op.X
    dst = f"r{insn.dst}"
    if operation == op.NEG:
        return f"{dst} = ~ (u{64 if insn.opcode & 0x07 == op.ALU64 else 32}){dst}"  # bcc's sign for a negation
    if operation == op.END:
        return f"{dst} endian " + (f"r{insn.src}" if register else str(insn.imm))
    sign = _ALU.get(operation)
    if sign is None:
        return None
    if register:
        return f"{dst} {sign} r{insn.src}"
    return f"{dst} {sign} {insn.imm & 0xFFFFFFFF:#x}" if operation in _BITWISE else f"{dst} {sign} {insn.imm}"


def _jump(i: int, insn: Instruction) -> str | None:
    operation = insn.opcode & 0xF0
    if operation == op.EXIT:
        return "exit"
    if operation == op.CALL:
        return _call(insn)
    offset = insn.imm if insn.opcode == op.JMP32 | op.JA else insn.off
    place = f"{offset:+d} <{i + offset + 1}>"
    if operation == op.JA:
        return f"goto {place}"
    sign = _JUMPS.get(operation)
    if sign is None:
        return None
    other = f"r{insn.src}" if insn.opcode & op.X else insn.imm
    return f"if r{insn.dst} {sign} {other} goto pc{place}"


def _call(insn: Instruction) -> str:
    if insn.src == op.PSEUDO_CALL:
        return f"call {insn.imm:+d}"
    try:
        return f"call bpf_{Helper(insn.imm).name}#{insn.imm}"
    except ValueError:
        return f"call <unknown helper #{insn.imm}>"


def _ld(insn: Instruction, following: Instruction | None) -> str | None:
    if insn.opcode == op.LD_IMM64:
        high = following.imm if following is not None else 0
        if insn.src == op.PSEUDO_MAP_FD:
            return f"r{insn.dst} = <map at fd #{insn.imm}>"
        if insn.src == op.PSEUDO_MAP_VALUE:
            return f"r{insn.dst} = <value of map at fd #{insn.imm}> + {high}"
        return f"r{insn.dst} = {(high & 0xFFFFFFFF) << 32 | insn.imm & 0xFFFFFFFF:#x}"
    bits = _BITS[insn.opcode & 0x18]
    mode = insn.opcode & 0xE0
    if mode == op.ABS:
        return f"r0 = *(u{bits}*)skb[{insn.imm}]"
    if mode == op.IND:
        return f"r0 = *(u{bits}*)skb[r{insn.src} {insn.imm:+d}]"
    return None


def _memory(insn: Instruction) -> str | None:
    bits, mode = _BITS[insn.opcode & 0x18], insn.opcode & 0xE0
    match insn.opcode & 0x07, mode:
        case op.LDX, op.MEM:
            return f"r{insn.dst} = *(u{bits}*)(r{insn.src} {insn.off:+d})"
        case op.ST, op.MEM:
            return f"*(u{bits}*)(r{insn.dst} {insn.off:+d}) = {insn.imm}"
        case op.STX, op.MEM:
            return f"*(u{bits}*)(r{insn.dst} {insn.off:+d}) = r{insn.src}"
        case op.STX, op.ATOMIC:
            sign = _ATOMIC.get(insn.imm & 0xF0)
            return f"lock *(u{bits}*)(r{insn.dst} {insn.off:+d}) {sign or '+='} r{insn.src}"
    return None


def decode_map(map_name: Any, map_obj: Any, map_type: int, sizeinfo: bool = False) -> str:
    """The layout of a table's keys and values in C."""
    from stingless._sys.ctypes_layout import declaration
    from stingless.bcc.table import get_table_type_name

    kind = get_table_type_name(map_type)
    lines = [f"Layout of BPF map {map_name} (type {kind}, FD {map_obj.map_fd}, ID {map_obj.map_id}):"]
    for ctype, name in ((map_obj.Key, "key"), (map_obj.Leaf, "value")):
        if ctype is not None:
            lines += declaration(ctype, name, sizeinfo)
    return "\n".join(lines)
