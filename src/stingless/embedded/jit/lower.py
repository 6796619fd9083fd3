"""What each instruction is in LLVM IR.  The meaning is that of runtime/interp.c, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.jit import calls, flow

if TYPE_CHECKING:
    from stingless.embedded.jit.emit import FunctionText

_SIMPLE = {op.ADD: "add", op.SUB: "sub", op.MUL: "mul", op.OR: "or", op.AND: "and", op.XOR: "xor"}
_SHIFTS = {op.LSH: "shl", op.RSH: "lshr", op.ARSH: "ashr"}
_CONDITIONS = {
    op.JEQ: "eq", op.JNE: "ne", op.JGT: "ugt", op.JGE: "uge", op.JLT: "ult", op.JLE: "ule",
    op.JSGT: "sgt", op.JSGE: "sge", op.JSLT: "slt", op.JSLE: "sle",
}  # fmt: skip
_BITS = {op.B: 8, op.H: 16, op.W: 32, op.DW: 64}
_ATOMICS = {op.ADD: "add", op.OR: "or", op.AND: "and", op.XOR: "xor"}
_PROBE_MEM, _PROBE_MEMSX = 0x20, 0x40  # modes of rewritten loads, see interp.c


def lower(text: FunctionText, i: int, insn: Instruction) -> bool:
    """Write instruction `i`.  True when execution goes on with the next one in the same block."""
    cls = insn.opcode & 0x07
    if insn.opcode == op.LD_IMM64:
        if insn.src == op.PSEUDO_FUNC:
            # with the bit that tells machine code from instructions, ST_MACHINE
            tagged = f"getelementptr (i8, ptr @f{i + 1 + insn.imm}, i64 1)"
            text.set(insn.dst, f"ptrtoint (ptr {tagged} to i64)")
        else:
            text.set(insn.dst, str(flow.wide(text.insns, i)))
    elif cls in (op.ALU, op.ALU64):
        _arithmetic(text, i, insn, 64 if cls == op.ALU64 else 32)
    elif cls in (op.JMP, op.JMP32):
        return _jump(text, i, insn)
    elif cls == op.LD:
        calls.legacy_load(text, i, insn)
    elif cls == op.LDX:
        _load(text, i, insn)
    elif insn.opcode & 0xE0 == op.ATOMIC:
        _atomic(text, i, insn)
    else:
        bits = _BITS[insn.opcode & 0x18]
        at = text.pointer(i, insn.dst, insn.off)
        value = _narrow(text, text.get(i, insn.src), bits) if cls == op.STX else str(insn.imm & (1 << bits) - 1)
        text.do(f"store i{bits} {value}, ptr {at}, align 1")
    return True


def _narrow(text: FunctionText, value: str, bits: int) -> str:
    return value if bits == 64 else text.value(f"trunc i64 {value} to i{bits}")


def _widen(text: FunctionText, value: str, bits: int, how: str = "zext") -> str:
    return value if bits == 64 else text.value(f"{how} i{bits} {value} to i64")


def _operand(text: FunctionText, i: int, insn: Instruction, bits: int) -> str:
    if insn.opcode & op.X:
        return _narrow(text, text.get(i, insn.src), bits)
    return str(insn.imm & (1 << bits) - 1)


def _arithmetic(text: FunctionText, i: int, insn: Instruction, bits: int) -> None:
    operation, type = insn.opcode & 0xF0, f"i{bits}"
    if operation == op.END:
        _byte_order(text, i, insn)
        return
    if operation == op.MOV:
        if insn.opcode & op.X and insn.off:
            part = _narrow(text, text.get(i, insn.src), insn.off)
            result = part if insn.off == bits else text.value(f"sext i{insn.off} {part} to {type}")
        else:
            result = _operand(text, i, insn, bits)
        text.set(insn.dst, _widen(text, result, bits))
        return
    a = _narrow(text, text.get(i, insn.dst), bits)
    if operation == op.NEG:
        result = text.value(f"sub {type} 0, {a}")
    elif operation in _SIMPLE:
        result = text.value(f"{_SIMPLE[operation]} {type} {a}, {_operand(text, i, insn, bits)}")
    elif operation in _SHIFTS:
        by = _operand(text, i, insn, bits)
        by = text.value(f"and {type} {by}, {bits - 1}") if insn.opcode & op.X else str(insn.imm & bits - 1)
        result = text.value(f"{_SHIFTS[operation]} {type} {a}, {by}")
    elif operation in (op.DIV, op.MOD):
        result = _divide(text, type, operation, bool(insn.off), a, _operand(text, i, insn, bits))
    else:
        raise calls.cannot(i, f"unknown opcode {insn.opcode:#x}")
    text.set(insn.dst, _widen(text, result, bits))


def _divide(text: FunctionText, type: str, operation: int, signed: bool, a: str, b: str) -> str:
    """x / 0 is 0 and x % 0 is x; the least number by -1 is itself, with remainder 0."""
    name = ("s" if signed else "u") + ("div" if operation == op.DIV else "rem")
    zero = text.value(f"icmp eq {type} {b}, 0")
    by = text.value(f"select i1 {zero}, {type} 1, {type} {b}")
    if signed:
        minus = text.value(f"icmp eq {type} {b}, -1")
        by = text.value(f"select i1 {minus}, {type} 1, {type} {by}")
        negated = text.value(f"sub {type} 0, {a}") if operation == op.DIV else "0"
    result = text.value(f"{name} {type} {a}, {by}")
    if signed:
        result = text.value(f"select i1 {minus}, {type} {negated}, {type} {result}")
    return text.value(f"select i1 {zero}, {type} {'0' if operation == op.DIV else a}, {type} {result}")


def _byte_order(text: FunctionText, i: int, insn: Instruction) -> None:
    bits = insn.imm
    part = _narrow(text, text.get(i, insn.dst), bits)
    if insn.opcode != op.ALU | op.END | op.K:  # to big endian, or a swap
        part = text.value(f"call i{bits} @llvm.bswap.i{bits}(i{bits} {part})")
    text.set(insn.dst, _widen(text, part, bits))


def _load(text: FunctionText, i: int, insn: Instruction) -> None:
    mode, bits = insn.opcode & 0xE0, _BITS[insn.opcode & 0x18]
    if mode in (_PROBE_MEM, _PROBE_MEMSX):
        address = text.value(f"add i64 {text.get(i, insn.src)}, {insn.off}")
        found = text.call(text.around.functions["st_probe_load"], f"ptr %env, i64 {address}, i32 {bits // 8}")
        value = _narrow(text, found, bits)
    elif mode in (op.MEM, op.MEMSX):
        value = text.value(f"load i{bits}, ptr {text.pointer(i, insn.src, insn.off)}, align 1")
    else:
        raise calls.cannot(i, f"unknown opcode {insn.opcode:#x}")
    text.set(insn.dst, _widen(text, value, bits, "sext" if mode in (op.MEMSX, _PROBE_MEMSX) else "zext"))


def _atomic(text: FunctionText, i: int, insn: Instruction) -> None:
    bits, operation = _BITS[insn.opcode & 0x18], insn.imm
    type, align = f"i{bits}", bits // 8
    if operation == op.LOAD_ACQ:
        at = text.pointer(i, insn.src, insn.off)
        text.set(insn.dst, _widen(text, text.value(f"load atomic {type}, ptr {at} acquire, align {align}"), bits))
        return
    at = text.pointer(i, insn.dst, insn.off)
    value = _narrow(text, text.get(i, insn.src), bits)
    if operation == op.STORE_REL:
        text.do(f"store atomic {type} {value}, ptr {at} release, align {align}")
    elif operation == op.XCHG:
        old = text.value(f"atomicrmw xchg ptr {at}, {type} {value} seq_cst, align {align}")
        text.set(insn.src, _widen(text, old, bits))
    elif operation == op.CMPXCHG:
        expected = _narrow(text, text.get(i, 0), bits)
        pair = text.value(f"cmpxchg ptr {at}, {type} {expected}, {type} {value} seq_cst seq_cst, align {align}")
        text.set(0, _widen(text, text.value(f"extractvalue {{ {type}, i1 }} {pair}, 0"), bits))
    elif operation & ~op.FETCH in _ATOMICS:
        name = _ATOMICS[operation & ~op.FETCH]
        order = "seq_cst" if operation & op.FETCH else "monotonic"
        old = text.value(f"atomicrmw {name} ptr {at}, {type} {value} {order}, align {align}")
        if operation & op.FETCH:
            text.set(insn.src, _widen(text, old, bits))
    else:
        raise calls.cannot(i, f"unknown atomic operation {operation:#x}")


def _jump(text: FunctionText, i: int, insn: Instruction) -> bool:
    operation = insn.opcode & 0xF0
    if operation == op.CALL:
        return calls.call(text, i, insn)
    if operation == op.EXIT:
        text.do(f"ret i64 {text.get(i, 0)}")
        return False
    taken = flow.target(i, insn)
    if operation == op.JA:
        text.do(f"br label %L{taken}")
        return False
    if operation == op.JCOND:
        rounds = text.value("load i32, ptr %rounds")
        more = text.value(f"add i32 {rounds}, 1")
        met = text.value(f"icmp eq i32 {rounds}, {calls.MAY_GOTO}")
        kept = text.value(f"select i1 {met}, i32 {rounds}, i32 {more}")
        text.do(f"store i32 {kept}, ptr %rounds")
    else:
        bits = 64 if insn.opcode & 0x07 == op.JMP else 32
        a, b = _narrow(text, text.get(i, insn.dst), bits), _operand(text, i, insn, bits)
        if operation == op.JSET:
            met = text.value(f"icmp ne i{bits} {text.value(f'and i{bits} {a}, {b}')}, 0")
        elif operation in _CONDITIONS:
            met = text.value(f"icmp {_CONDITIONS[operation]} i{bits} {a}, {b}")
        else:
            raise calls.cannot(i, f"unknown opcode {insn.opcode:#x}")
    text.do(f"br i1 {met}, label %L{taken}, label %L{i + 1}")
    return False
