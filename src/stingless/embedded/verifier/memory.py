"""Loads and stores."""

from __future__ import annotations

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier import map_rules, stack
from stingless.embedded.verifier.arithmetic import MAX_VARIABLE_OFFSET
from stingless.embedded.verifier.context_rule import DATA, DATA_END, FLOW_KEYS, FLOW_KEYS_BYTES, SCALAR_FIELD
from stingless.embedded.verifier.contexts import LOADS_ABSOLUTE, WRITES_PACKETS
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.scalar import sign_extend, signed_bits, unsigned_bits
from stingless.embedded.verifier.state import (
    CTX,
    MAP_VALUE,
    MEM,
    PACKET,
    PACKET_END,
    PACKET_META,
    PACKETS,
    SCALAR,
    STACK,
    UNINIT,
    UNKNOWN_REG,
    Reg,
    const_reg,
)
from stingless.embedded.verifier.text import bits_text
from stingless.obj.spec import MapSpec

_POINTERS = {
    "data": Reg(PACKET),
    "data_end": Reg(PACKET_END),
    "data_meta": Reg(PACKET_META),
    DATA: Reg(PACKET),
    DATA_END: Reg(PACKET_END),
    FLOW_KEYS: Reg(MEM, span=FLOW_KEYS_BYTES),
}


def execute_load(env: Env, insn: Instruction) -> None:
    size = op.SIZE_BYTES[insn.opcode & 0x18]
    reg = env.read(insn.src)
    value = access(env, reg, insn.src, insn.off, size)
    if insn.opcode & 0xE0 == op.MEMSX:
        if reg.kind is CTX and value.kind is not SCALAR:
            raise Rejected(f"invalid bpf_context access off={insn.off} size={size}: a pointer is not sign-extended")
        if value.kind is SCALAR:
            var = sign_extend(value.var, size * 8) if not value.var.mask else signed_bits(size * 8)
            value = Reg(SCALAR, var, marks=value.marks)
    env.regs[insn.dst] = value


def execute_store(env: Env, insn: Instruction) -> None:
    size = op.SIZE_BYTES[insn.opcode & 0x18]
    by_reg = insn.opcode & 0x07 == op.STX
    value = env.read(insn.src) if by_reg else const_reg(insn.imm)
    reg = env.read(insn.dst)
    access(env, reg, insn.dst, insn.off, size, value, insn.src if by_reg else -1)


def execute_atomic(env: Env, insn: Instruction) -> None:
    size = op.SIZE_BYTES[insn.opcode & 0x18]
    source, reg = env.read(insn.src), env.read(insn.dst)
    if insn.imm == op.CMPXCHG and env.read(0).kind is not SCALAR:
        raise Rejected("R0 leaks addr into mem")
    if source.kind is not SCALAR:
        raise Rejected(f"R{insn.src} leaks addr into mem")
    if reg.kind in (CTX, *PACKETS, PACKET_END):
        raise Rejected(f"BPF_ATOMIC stores into R{insn.dst} {reg.kind} is not allowed")
    _check_alignment(reg, insn.off, size, "")
    old = access(env, reg, insn.dst, insn.off, size)
    if old.kind is not SCALAR:
        raise Rejected(f"R{insn.dst} atomic operation on a spilled pointer is not allowed")
    unknown = Reg(SCALAR, unsigned_bits(size * 8))
    access(env, reg, insn.dst, insn.off, size, unknown)
    if insn.imm & op.FETCH:
        env.regs[0 if insn.imm == op.CMPXCHG else insn.src] = unknown


def execute_absolute(env: Env, insn: Instruction) -> None:
    """LD_ABS and LD_IND: a load from the packet of the socket buffer in R6, which ends the program when outside."""
    if env.spec.type not in LOADS_ABSOLUTE:
        raise malformed("BPF_LD_[ABS|IND] instructions not allowed for this program type")
    if len(env.state.frames) > 1:
        raise malformed("BPF_LD_[ABS|IND] in sub-programs is not supported yet by the embedded kernel")
    if env.state.refs:
        raise malformed("BPF_LD_[ABS|IND] would lead to reference leak")
    ctx = env.read(6)
    if ctx.kind is not CTX or ctx.off or ctx.var.mask or ctx.var.value:
        raise malformed("at the time of BPF_LD_ABS|IND R6 != pointer to skb")
    if insn.opcode & 0xE0 == op.IND and env.read(insn.src).kind is not SCALAR:
        raise Rejected(f"R{insn.src} leaks addr into a packet offset")
    env.regs[0] = UNKNOWN_REG
    env.regs[1:6] = [UNINIT] * 5


def access(env: Env, reg: Reg, number: int, off: int, size: int, value: Reg | None = None, source: int = -1) -> Reg:
    """Load `size` bytes at `reg` + `off`, or store `value` (register `source`) there.  Returns what is loaded."""
    kind, write = reg.kind, value is not None
    if kind is CTX:
        return _context(env, reg, number, off, size, value, source)
    env.take_role("memory")
    if kind is STACK:
        _check_alignment(reg, off, size, "stack ")
        if value is None:
            return stack.load(env, reg, number, off, size)
        stack.store(env, reg, number, off, size, value, source)
        return value
    if kind is MAP_VALUE:
        spec = env.program.maps[reg.map]
        _check_map_access(spec, off + reg.off, size, write)
    check_region(env, reg, number, off, size, write, False)
    if value is not None and value.kind is not SCALAR:
        raise Rejected(
            f"R{source} leaks addr into {'map' if kind is MAP_VALUE else 'packet' if kind in PACKETS else 'mem'}"
        )
    if kind is MAP_VALUE and value is None:
        known = _frozen_number(env.program.maps[reg.map], reg, off, size)
        if known is not None:
            return const_reg(known)
    return Reg(SCALAR, unsigned_bits(size * 8))


def check_region(env: Env, reg: Reg, number: int, off: int, size: int, write: bool, zero_size: bool) -> None:
    """`size` bytes at `reg` + `off` lie within a map value, ring buffer record or the packet."""
    kind = reg.kind
    if kind in PACKETS:
        if write and env.spec.type not in WRITES_PACKETS:
            raise Rejected("cannot write into packet")
        if reg.var.smin < 0:
            raise Rejected(_negative(number))
        _check_packet(reg, number, reg.off + off, size, zero_size)
        return
    if kind is MAP_VALUE:
        length = env.program.maps[reg.map].value_size
    elif kind is MEM:
        length = reg.span
    else:
        raise Rejected(f"R{number} invalid mem access '{kind}'")
    at = reg.off + off
    if reg.var.mask and reg.var.smin < 0 and reg.var.smin + at < 0:
        raise Rejected(_negative(number))
    low = at + reg.var.smin
    if low < 0 or low + size > length or (not size and not zero_size):
        detail = "" if not reg.var.mask else f"\nR{number} min value is outside of the allowed memory range"
        raise Rejected(_outside(env, reg, low, size, length) + detail)
    if reg.var.umax >= MAX_VARIABLE_OFFSET:
        raise Rejected(f"R{number} unbounded memory access, make sure to bounds check any such access")
    high = at + reg.var.umax
    if high + size > length:
        raise Rejected(
            _outside(env, reg, high, size, length) + f"\nR{number} max value is outside of the allowed memory range"
        )


def check_map_flags(spec: MapSpec, write: bool) -> None:
    """Programs may not write to read-only maps, nor read write-only ones."""
    _check_map_access(spec, 0, 0, write)


def _check_map_access(spec: MapSpec, off: int, size: int, write: bool) -> None:
    if write and (spec.flags & map_rules.RDONLY_PROG or spec.frozen):
        raise Rejected(f"write into map forbidden, value_size={spec.value_size} off={off} size={size}")
    if not write and spec.flags & map_rules.WRONLY_PROG:
        raise Rejected(f"read from map forbidden, value_size={spec.value_size} off={off} size={size}")


def _check_packet(reg: Reg, number: int, off: int, size: int, zero_size: bool) -> None:
    if off < 0 or off + size > reg.span or (not size and not zero_size):
        raise Rejected(
            f"invalid access to packet, off={off} size={size}, R{number}(id={reg.id},off={off},r={reg.span})\n"
            f"R{number} offset is outside of the packet"
        )


def _negative(number: int) -> str:
    return f"R{number} min value is negative, either use unsigned index or do a if (index >=0) check."


def _outside(env: Env, reg: Reg, off: int, size: int, length: int) -> str:
    if reg.kind is MAP_VALUE:
        return f"invalid access to map value, value_size={length} off={off} size={size}"
    return f"invalid access to memory, mem_size={length} off={off} size={size}"


def _check_alignment(reg: Reg, off: int, size: int, what: str) -> None:
    at = reg.off + off
    if (reg.var.value + at) % size or reg.var.mask & (size - 1):
        raise Rejected(f"misaligned {what}access off {bits_text(reg.var)}+{reg.off}+{off} size {size}")


def check_aligned(reg: Reg, size: int) -> None:
    _check_alignment(reg, 0, size, "")


def _context(env: Env, reg: Reg, number: int, off: int, size: int, value: Reg | None, source: int) -> Reg:
    if reg.off:
        raise Rejected(f"dereference of modified ctx ptr R{number} off={reg.off} disallowed")
    if reg.var.mask or reg.var.value:
        raise Rejected(f"variable ctx access var_off={bits_text(reg.var)} disallowed")
    if value is not None and value.kind is not SCALAR:
        raise Rejected(f"R{source} leaks addr into ctx")
    role = env.rule(off, size, value is not None, env.spec.attach_type) if off % size == 0 else None
    if role is None:
        raise Rejected(f"invalid bpf_context access off={off} size={size}")
    env.take_role(role if role != SCALAR_FIELD else "ctx")
    env.max_ctx_offset = max(env.max_ctx_offset, off + size)
    return _POINTERS.get(role) or Reg(SCALAR, unsigned_bits(size * 8))


def _frozen_number(spec: MapSpec, reg: Reg, off: int, size: int) -> int | None:
    """What is at a known place of a map that can change no more."""
    if not spec.frozen or not spec.flags & map_rules.RDONLY_PROG or spec.initial is None or reg.var.mask:
        return None
    at = reg.off + off + reg.var.smin
    return int.from_bytes(spec.initial.ljust(spec.value_size, b"\0")[at : at + size], "little")
