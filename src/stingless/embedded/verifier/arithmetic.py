"""Arithmetic and logic instructions."""

from __future__ import annotations

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.precision import Marks, merge, rest_on
from stingless.embedded.verifier.rejection import Rejected
from stingless.embedded.verifier.scalar import S64_MIN, UNKNOWN, Scalar, const, low32, s64, sign_extend, unsigned_bits
from stingless.embedded.verifier.scalar_alu import alu
from stingless.embedded.verifier.state import (
    MAP_PTR,
    NOT_INIT,
    OR_NULL,
    PACKET_END,
    PACKETS,
    SCALAR,
    SOCKETS,
    STACK,
    UNKNOWN_REG,
    XDP_SOCK,
    Reg,
    const_reg,
)

MAX_VARIABLE_OFFSET = 1 << 29
_LOW_HALF = Reg(SCALAR, unsigned_bits(32))  # of an address

_SIGN = {
    op.ADD: "+=", op.SUB: "-=", op.MUL: "*=", op.DIV: "/=", op.OR: "|=", op.AND: "&=", op.LSH: "<<=", op.RSH: ">>=",
    op.MOD: "%=", op.XOR: "^=", op.ARSH: "s>>=",
}  # fmt: skip


def execute(env: Env, insn: Instruction) -> None:
    operation, is64 = insn.opcode & 0xF0, insn.opcode & 0x07 == op.ALU64
    dst = insn.dst
    if operation == op.MOV:
        env.regs[dst] = _move_reg(env, insn, is64) if insn.opcode & op.X else const_reg(_imm(insn, is64))
        return
    if operation in (op.END, op.NEG):
        if env.read(dst).kind is not SCALAR and not env.privileged:
            raise Rejected(f"R{dst} pointer arithmetic prohibited")
        env.regs[dst] = UNKNOWN_REG
        return
    right = env.read(insn.src) if insn.opcode & op.X else const_reg(_imm(insn, is64))
    left = env.read(dst)
    if left.kind is SCALAR and right.kind is SCALAR:
        result = alu(operation, left.var, right.var, is64)
        # Nothing rests on what is not known at all.
        env.regs[dst] = UNKNOWN_REG if result is UNKNOWN else _scalar(result, merge(left.marks, right.marks))
    else:
        env.regs[dst] = _pointer(env, insn, operation, is64, left, right)


def _scalar(var: Scalar, marks: Marks) -> Reg:
    return Reg(SCALAR, var, marks=marks)


def _imm(insn: Instruction, is64: bool) -> int:
    return insn.imm if is64 else insn.imm & 0xFFFFFFFF


def _move_reg(env: Env, insn: Instruction, is64: bool) -> Reg:
    src = env.read(insn.src)
    if src.kind is not SCALAR:
        if not is64 and env.privileged:
            return _LOW_HALF
        if not is64:
            raise Rejected(f"R{insn.src} partial copy of pointer")
        if insn.off:
            raise Rejected(f"R{insn.src} sign-extension part of pointer")
        return src
    if insn.off:
        extended = sign_extend(src.var, insn.off)
        return _scalar(extended if is64 else low32(extended), src.marks)
    if not is64 and src.var.umax > 0xFFFFFFFF:
        return _scalar(low32(src.var), src.marks)
    return share(env, insn.src)


def share(env: Env, number: int) -> Reg:
    """A copy of scalar register `number`, marked as equal to it: what is learnt of one holds for the other."""
    src = env.regs[number]
    if src.kind is SCALAR and src.var.mask and not src.id:
        src = env.regs[number] = src._replace(id=env.new_id())
    return src


def _pointer(env: Env, insn: Instruction, operation: int, is64: bool, left: Reg, right: Reg) -> Reg:
    """Arithmetic with at least one pointer."""
    dst = insn.dst
    if left.kind is not SCALAR and right.kind is not SCALAR:
        if operation == op.SUB and (is64 or env.privileged):
            return UNKNOWN_REG if is64 else _LOW_HALF  # a distance
        raise Rejected(f"R{dst} pointer {_SIGN[operation]} pointer prohibited")
    if not is64 and operation == op.SUB and env.privileged:
        return _LOW_HALF
    if not is64:
        raise Rejected(f"R{dst} 32-bit pointer arithmetic prohibited")
    pointer, scalar = (right, left) if left.kind is SCALAR else (left, right)
    kind = pointer.kind
    if operation in (op.AND, op.OR, op.XOR):
        raise Rejected(f"R{dst} bitwise operator {_SIGN[operation]} on pointer prohibited")
    if operation not in (op.ADD, op.SUB):
        raise Rejected(f"R{dst} pointer arithmetic with {_SIGN[operation]} operator prohibited")
    if kind in OR_NULL:
        raise Rejected(f"R{dst} pointer arithmetic on {kind} prohibited, null-check it first")
    if kind is MAP_PTR and operation == op.ADD and not scalar.var.mask and not scalar.var.value:
        return pointer
    if kind in (MAP_PTR, PACKET_END, NOT_INIT, XDP_SOCK, *SOCKETS):
        raise Rejected(f"R{dst} pointer arithmetic on {kind} prohibited")
    if operation == op.SUB and left.kind is SCALAR:
        raise Rejected(f"R{dst} tried to subtract pointer from scalar")
    if operation == op.SUB and kind is STACK:
        raise Rejected(f"R{dst} subtraction from stack pointer prohibited")
    rest_on(scalar.marks)
    _check_offset(kind, 0, scalar.var)
    if not scalar.var.mask:
        moved = pointer.off + (scalar.var.smin if operation == op.ADD else -scalar.var.smin)
        if abs(moved) < MAX_VARIABLE_OFFSET:
            result = pointer._replace(off=moved)
            _check_offset(kind, result.off, result.var)
            return result
    result = pointer._replace(var=alu(operation, pointer.var, scalar.var, True))
    if kind in PACKETS:
        # What was proven of the old pointer says nothing of the new one.
        result = result._replace(id=env.new_id(), span=0)
    _check_offset(kind, result.off, result.var)
    return result


def _check_offset(kind: str, off: int, var: Scalar) -> None:
    """Offsets so large that later sums could wrap around are refused at once."""
    if not var.mask and abs(s64(var.value)) >= MAX_VARIABLE_OFFSET:
        raise Rejected(f"math between {kind} pointer and {s64(var.value)} is not allowed")
    if abs(off) >= MAX_VARIABLE_OFFSET:
        raise Rejected(f"{kind} pointer offset {off} is not allowed")
    if var.smin == S64_MIN:
        raise Rejected(f"math between {kind} pointer and register with unbounded min value is not allowed")
    if abs(var.smin) >= MAX_VARIABLE_OFFSET:
        raise Rejected(f"value {var.smin} makes {kind} pointer be out of bounds")


def load_constant(env: Env, insn: Instruction, upper: int) -> None:
    """A 64-bit immediate that is a number."""
    env.regs[insn.dst] = Reg(SCALAR, const((upper & 0xFFFFFFFF) << 32 | insn.imm & 0xFFFFFFFF))
