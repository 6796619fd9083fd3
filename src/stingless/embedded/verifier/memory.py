"""Loads and stores."""

from __future__ import annotations

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier import btf_access, map_rules, stack
from stingless.embedded.verifier import fields as f
from stingless.embedded.verifier.arithmetic import MAX_VARIABLE_OFFSET
from stingless.embedded.verifier.context_rule import DATA, DATA_END, FLOW_KEYS, FLOW_KEYS_BYTES, SCALAR_FIELD
from stingless.embedded.verifier.contexts import LOADS_ABSOLUTE, WRITES_PACKETS
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.scalar import sign_extend, signed_bits, unsigned_bits
from stingless.embedded.verifier.sockets import socket_load
from stingless.embedded.verifier.state import (
    ALLOC,
    BLOCK,
    BTF_PTR,
    BTF_PTR_OR_NULL,
    CTX,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MEM,
    PACKET,
    PACKET_END,
    PACKET_META,
    PACKETS,
    RCU,
    RDONLY,
    SCALAR,
    SOCK,
    SOCK_COMMON,
    SOCK_COMMON_OR_NULL,
    SOCK_OR_NULL,
    SOCKETS,
    STACK,
    TRUSTED,
    UNINIT,
    UNKNOWN_REG,
    UNTRUSTED,
    Reg,
    const_reg,
    is_zero,
)
from stingless.embedded.verifier.text import bits_text
from stingless.obj.spec import MapSpec

# What a field of the context is, by its role.
_POINTERS = {
    "data": Reg(PACKET),
    "data_end": Reg(PACKET_END),
    "data_meta": Reg(PACKET_META),
    DATA: Reg(PACKET),
    DATA_END: Reg(PACKET_END),
    FLOW_KEYS: Reg(MEM, span=FLOW_KEYS_BYTES),
    "sock": Reg(SOCK),
    "sock_common": Reg(SOCK_COMMON),
    "sock_common_or_null": Reg(SOCK_COMMON_OR_NULL),
    "sock_or_null": Reg(SOCK_OR_NULL),
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
    if insn.imm == op.CMPXCHG and env.read(0).kind is not SCALAR and not env.privileged:
        raise Rejected("R0 leaks addr into mem")
    if source.kind is not SCALAR and not env.privileged:
        raise Rejected(f"R{insn.src} leaks addr into mem")
    if reg.kind in (CTX, *PACKETS, PACKET_END, *SOCKETS, MAP_PTR) or (reg.kind is BTF_PTR and not reg.flags & ALLOC):
        raise Rejected(f"BPF_ATOMIC stores into R{insn.dst} {reg.kind} is not allowed")
    _check_alignment(reg, insn.off, size, "")
    old = access(env, reg, insn.dst, insn.off, size)
    if old.kind is not SCALAR:
        raise Rejected(f"R{insn.dst} atomic operation on a spilled pointer is not allowed")
    unknown = Reg(SCALAR, unsigned_bits(size * 8))
    if insn.imm & op.FETCH:
        # What was there is loaded first: into the register with the address, it may be.
        env.regs[0 if insn.imm == op.CMPXCHG else insn.src] = unknown
    access(env, env.read(insn.dst), insn.dst, insn.off, size, unknown)


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
    if kind is BTF_PTR:
        if value is None:
            return btf_access.load(env, reg, number, off, size)
        btf_access.store(env, reg, number, off, size, value)
        return value
    if kind in SOCKETS or kind == "xdp_sock":
        if value is not None:
            raise Rejected(f"R{number} cannot write into {kind}")
        env.take_role("socket")
        return socket_load(reg, number, off, size)
    if kind is MAP_PTR:
        return _map_struct(env, reg, number, off, size, value)
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
        if (field := _special(env, reg, off, size)) is not None:
            return _pointer_field(env, reg, number, off, size, field, value)
    elif kind is BLOCK and write and reg.flags & RDONLY:
        raise Rejected(f"R{number} cannot write into rdonly_mem")
    elif kind is BLOCK and reg.flags & UNTRUSTED:
        env.take_role("checked")
        return Reg(SCALAR, unsigned_bits(size * 8))
    elif kind is MAP_KEY and write:
        raise Rejected(f"write to change key R{number} not allowed")
    check_region(env, reg, number, off, size, write, False)
    if value is not None and value.kind is not SCALAR and not env.privileged:
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
    elif kind in (MEM, BLOCK, MAP_KEY):
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
    if kind is MAP_VALUE and (fields := env.fields.of_map(reg.map)):
        field = f.overlapping(fields, low, high + size)
        if field is not None and field.kind not in (f.KPTR_UNTRUSTED, f.UPTR):
            raise Rejected(
                f"{field.kind} cannot be accessed {'indirectly by helper' if zero_size else 'directly by load/store'}"
            )


def _special(env: Env, reg: Reg, off: int, size: int) -> f.Field | None:
    """A pointer that a map value keeps, where a load or a store touches it."""
    fields = env.fields.of_map(reg.map)
    if not fields:
        return None
    low, high = reg.off + off + reg.var.smin, reg.off + off + reg.var.smax + size
    field = f.overlapping(fields, low, high)
    return field if field is not None and field.kind in f.POINTERS else None


def _pointer_field(env: Env, reg: Reg, number: int, off: int, size: int, field: f.Field, value: Reg | None) -> Reg:
    """A load of a pointer that a map value keeps, or a store to it."""
    if reg.var.mask:
        raise Rejected("kptr access cannot have variable offset")
    if size != 8 or reg.off + off + reg.var.smin != field.offset:
        raise Rejected(f"kptr access misaligned expected={field.offset} off={reg.off + off + reg.var.smin}")
    env.take_role("memory")
    target = env.types.struct(field.target)
    if value is not None:
        if is_zero(value):
            if field.kind in (f.KPTR, f.PERCPU_KPTR, f.UPTR):
                raise Rejected("store to referenced kptr disallowed")
            return value
        if field.kind != f.KPTR_UNTRUSTED:
            raise Rejected("store to referenced kptr disallowed")
        if value.kind is not BTF_PTR or value.flags & ALLOC or value.btf != target:
            raise Rejected(f"invalid kptr access, R{number} expected=ptr_{field.target}")
        return value
    from stingless.embedded.verifier import sections

    flags = UNTRUSTED
    local = target <= 0
    if field.kind == f.UPTR:
        return Reg("mem_or_null", id=env.new_id(), span=env.types.local.size_of(field.local) if env.types.local else 0)
    if field.kind == f.KPTR and sections.in_rcu(env) and (local or field.target in _RCU_KPTRS):
        flags = RCU
    if local:
        return Reg(BTF_PTR_OR_NULL, id=env.new_id(), btf=field.local, flags=flags | ALLOC)
    return Reg(BTF_PTR_OR_NULL, id=env.new_id(), btf=target, flags=flags)


_RCU_KPTRS = frozenset({"task_struct", "cgroup", "bpf_cpumask", "cpumask", "prog_test_ref_kfunc", "bpf_crypto_ctx"})


def _map_struct(env: Env, reg: Reg, number: int, off: int, size: int, value: Reg | None) -> Reg:
    """A member of struct bpf_map, through a pointer to a map."""
    if value is not None:
        raise Rejected("only read from bpf_map is supported")
    btf = env.types.kernel
    if btf is None:
        raise Rejected("bpf_map access not supported without CONFIG_DEBUG_INFO_BTF")
    if reg.off + off < 0:
        raise Rejected(f"R{number} is bpf_map invalid negative access: off={off}")
    return btf_access.load(env, Reg(BTF_PTR, btf=env.types.struct("bpf_map"), off=reg.off), number, off, size)


def check_btf_range(env: Env, reg: Reg, number: int, size: int) -> None:
    """A helper reads `size` bytes of a struct."""
    if reg.var.mask:
        raise Rejected(f"R{number} is ptr_ invalid variable offset")
    btf = env.types.local if reg.flags & ALLOC else env.types.kernel
    at = reg.off + reg.var.smin
    if btf is None or reg.btf <= 0 or at < 0 or at + size > btf.type(reg.btf).size:
        raise Rejected(f"R{number} invalid access to struct at off {at} size {size}")
    if not reg.flags & (ALLOC | TRUSTED | RCU):
        raise Rejected(f"R{number} type=ptr_ expected=fp, pkt, map_value, mem")
    if reg.flags & ALLOC and f.overlapping(env.fields.of_struct(btf, reg.btf), at, at + size) is not None:
        raise Rejected("a special field cannot be accessed indirectly by helper")


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
    if env.spec.type in btf_access.BY_BTF:
        if reg.off or reg.var.mask or reg.var.value:
            raise Rejected(f"dereference of modified ctx ptr R{number} off={reg.off} disallowed")
        if value is not None:
            raise Rejected(f"invalid bpf_context access off={off} size={size}")
        env.take_role("ctx")
        return btf_access.context_load(env, off, size)
    if reg.off:
        raise Rejected(f"dereference of modified ctx ptr R{number} off={reg.off} disallowed")
    if reg.var.mask or reg.var.value:
        raise Rejected(f"variable ctx access var_off={bits_text(reg.var)} disallowed")
    if value is not None and value.kind is not SCALAR and not env.privileged:
        raise Rejected(f"R{source} leaks addr into ctx")
    assert env.rule is not None
    role = env.rule(off, size, value is not None, env.spec.attach_type) if off % size == 0 else None
    if role is None:
        raise Rejected(f"invalid bpf_context access off={off} size={size}")
    env.take_role(role if role != SCALAR_FIELD else "ctx")
    env.max_ctx_offset = max(env.max_ctx_offset, off + size)
    pointer = _POINTERS.get(role)
    if pointer is None:
        return Reg(SCALAR, unsigned_bits(size * 8))
    return pointer._replace(id=env.new_id()) if pointer.kind.endswith("_or_null") else pointer


def _frozen_number(spec: MapSpec, reg: Reg, off: int, size: int) -> int | None:
    """What is at a known place of a map that can change no more."""
    if not spec.frozen or not spec.flags & map_rules.RDONLY_PROG or spec.initial is None or reg.var.mask:
        return None
    at = reg.off + off + reg.var.smin
    return int.from_bytes(spec.initial.ljust(spec.value_size, b"\0")[at : at + size], "little")
