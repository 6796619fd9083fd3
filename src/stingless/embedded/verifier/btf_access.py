"""Pointers to structs of the kernel: what programs get as arguments, what a load through one gives.

A load through a pointer that the kernel does not vouch for may fault: the runtime does it as a checked load, which
gives zero then (`VerifierResult.checked_loads`).
"""

from __future__ import annotations

from stingless._gen.uapi import AttachType, ProgramType
from stingless.asm.instruction import Instruction
from stingless.btf.kinds import ENUMS, RECORDS, Kind, Type
from stingless.btf.types import Btf
from stingless.embedded.verifier import fields as f
from stingless.embedded.verifier.arguments import Call
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.scalar import U32, U64, make, unsigned_bits
from stingless.embedded.verifier.state import (
    ALLOC,
    BLOCK,
    BLOCK_OR_NULL,
    BTF_PTR,
    BTF_PTR_OR_NULL,
    PERCPU,
    RCU,
    RDONLY,
    SCALAR,
    TRUSTED,
    UNKNOWN_REG,
    UNTRUSTED,
    Reg,
)
from stingless.embedded.verifier.types import pointee

_MAX_ARGS = 12
_BUFFER = 1 << 16  # bytes of a key or value that an iterator gives: how many there are is checked when it is attached
BY_BTF = frozenset({ProgramType.TRACING, ProgramType.LSM, ProgramType.STRUCT_OPS, ProgramType.NETFILTER})
# Fields whose pointer is as good as the pointer to their struct, and those that are valid within an RCU section.
_SAFE = {
    "bpf_iter_meta": ("seq",), "bpf_iter__task": ("meta", "task"), "linux_binprm": ("file",), "file": ("f_inode",),
    "dentry": ("d_inode",), "socket": ("sk",),
}  # fmt: skip
_SAFE_RCU = {
    "task_struct": ("cpus_ptr", "css_set", "cgroups", "real_parent", "group_leader"), "cgroup": ("kn",),
    "css_set": ("dfl_cgrp",),
}  # fmt: skip
_SAFE_RCU_OR_NULL = {
    "mm_struct": ("exe_file",),
    "sk_buff": ("sk",),
    "request_sock": ("sk",),
    "vm_area_struct": ("vm_mm", "vm_file"),
}
_LSM_BOOL = frozenset({"inode_xattr_skipcap", "xfrm_state_pol_flow_match"})
_LSM_NO_TRUST = frozenset({"task_free", "inode_free_security", "sk_free_security"})


def function(env: Env) -> tuple[Btf, Type, bool] | None:
    """The prototype of what a program is attached to, and whether its first parameter is not passed."""
    btf = env.types.kernel
    if btf is None:
        return None
    if env.spec.type is ProgramType.STRUCT_OPS:
        return _member_function(env, btf)
    name = env.spec.attach_target.rpartition(":")[2]
    attach = env.spec.attach_type
    prefix, kind = "", Kind.FUNC
    if attach is AttachType.TRACE_RAW_TP:
        prefix, kind = "btf_trace_", Kind.TYPEDEF
    elif attach in (AttachType.LSM_MAC, AttachType.LSM_CGROUP):
        prefix = "bpf_lsm_"
    elif attach is AttachType.TRACE_ITER:
        prefix = "bpf_iter_"
    found = btf.find(name if prefix and name.startswith(prefix) else prefix + name, kind)
    if found is None:
        return None
    if kind is Kind.TYPEDEF:
        to = pointee(btf, found.type)
        return (btf, to[0], True) if to is not None and to[0].kind is Kind.FUNC_PROTO else None
    return btf, btf.type(found.type), False


def _member_function(env: Env, btf: Btf) -> tuple[Btf, Type, bool] | None:
    """The prototype of the member that a STRUCT_OPS program implements."""
    spec = env.spec
    if not spec.attach_btf_id or spec.attach_module or spec.attach_member < 0:
        return None
    to = pointee(btf, btf.type(spec.attach_btf_id).members[spec.attach_member].type)
    return (btf, to[0], False) if to is not None and to[0].kind is Kind.FUNC_PROTO else None


def context_load(env: Env, off: int, size: int) -> Reg:
    """An argument of what the program is attached to."""
    if off < 0 or off % 8 or off % size or off >= 8 * _MAX_ARGS:
        raise Rejected(f"invalid bpf_context access off={off} size={size}")
    number = off // 8
    if env.spec.type is ProgramType.NETFILTER:
        if size != 8 or number > 1:
            raise Rejected(f"invalid bpf_context access off={off} size={size}")
        return Reg(BTF_PTR, btf=env.types.struct(("nf_hook_state", "sk_buff")[number]), flags=TRUSTED)
    known = function(env)
    if known is None:
        name = env.spec.attach_target or env.spec.name
        raise Rejected(f"func '{name}': there is no BTF that says what its arguments are", insn=env.pc)
    btf, prototype, skip = known
    parameters = [each.type for each in prototype.members]
    if skip:
        parameters = parameters[1:]
    attach = env.spec.attach_type
    is_exit = attach in (AttachType.TRACE_FEXIT, AttachType.MODIFY_RETURN, AttachType.LSM_CGROUP)
    if number < len(parameters):
        type_id = parameters[number]
    elif number == len(parameters) and (is_exit or (attach is AttachType.LSM_MAC and prototype.type)):
        if not prototype.type:
            raise Rejected(f"func '{env.spec.attach_target}' doesn't have {number + 1}-th argument")
        type_id = prototype.type
        allowed = return_range(env) if env.spec.type is ProgramType.LSM else None
        if allowed is not None:
            low, high = allowed
            return Reg(SCALAR, make(0, U64, low, high, 0, U64, low, high, 0, U32))
    else:
        raise Rejected(f"func '{env.spec.attach_target}' doesn't have {number + 1}-th argument")
    env.max_ctx_offset = max(env.max_ctx_offset, off + size)
    to = pointee(btf, type_id)
    if to is None:
        resolved = btf.resolve(type_id)
        if resolved.kind is Kind.INT or resolved.kind in ENUMS:
            return UNKNOWN_REG if size == 8 else Reg(SCALAR, unsigned_bits(size * 8))
        raise Rejected(f"func '{env.spec.attach_target}' arg{number} type {resolved.kind.name} is not a struct")
    target = to[0]
    if size != 8:
        raise Rejected(f"invalid bpf_context access off={off} size={size}")
    if target.kind not in RECORDS:
        if attach is AttachType.TRACE_ITER and target.kind is Kind.VOID:  # a key or a value of a map
            return Reg(BLOCK_OR_NULL, id=env.new_id(), span=_BUFFER, flags=0 if number > 2 else RDONLY)
        return UNKNOWN_REG
    lsm = env.spec.type is ProgramType.LSM and env.spec.attach_target not in _LSM_NO_TRUST
    struct_ops = env.spec.type is ProgramType.STRUCT_OPS
    trusted = lsm or struct_ops or attach in (AttachType.TRACE_RAW_TP, AttachType.TRACE_ITER)
    flags = TRUSTED if trusted else 0
    made = Reg(BTF_PTR, btf=target.id, flags=flags)
    if attach is AttachType.TRACE_ITER and number > 0 and not (target.name == "bpf_map" and len(parameters) > 2):
        return made._replace(kind=BTF_PTR_OR_NULL, id=env.new_id())
    return made


def returns_nothing(env: Env) -> bool:
    """What the program returns is not looked at: R0 need not be set."""
    hook = env.spec.type is ProgramType.LSM and env.spec.attach_type is AttachType.LSM_MAC
    if not hook and env.spec.type is not ProgramType.STRUCT_OPS:
        return False
    known = function(env)
    return known is not None and not known[1].type


def return_range(env: Env) -> tuple[int, int] | None:
    attach = env.spec.attach_type
    if env.spec.type is ProgramType.NETFILTER:
        return 0, 1
    if env.spec.type is ProgramType.TRACING:
        if attach in (AttachType.TRACE_FENTRY, AttachType.TRACE_FEXIT):
            return 0, 0
        return (0, 1) if attach is AttachType.TRACE_ITER else None
    if env.spec.type is ProgramType.LSM:
        if attach is AttachType.LSM_CGROUP:
            return 0, 1
        return (0, 1) if env.spec.attach_target in _LSM_BOOL else (-4095, 0)
    return None


def load(env: Env, reg: Reg, number: int, off: int, size: int) -> Reg:
    """A load of `size` bytes at `reg` + `off`, where `reg` points to a struct."""
    if reg.var.mask or reg.var.value:
        if reg.var.mask:
            raise Rejected(f"R{number} is ptr_{_name(env, reg)} invalid variable offset: off={reg.off}")
        off += reg.var.smin
    at = reg.off + off
    if at < 0:
        raise Rejected(f"R{number} is ptr_{_name(env, reg)} invalid negative access: off={at}")
    if reg.flags & ALLOC:
        return _own(env, reg, number, at, size, None)
    if reg.flags & PERCPU:
        raise Rejected(f"R{number} is ptr_{_name(env, reg)} access percpu memory: off={at}")
    btf = env.types.kernel
    if btf is None or reg.btf <= 0:
        raise Rejected(f"R{number} is ptr_{_name(env, reg)}, of whose members there is no BTF here")
    env.take_role("checked")
    return _walk(env, btf, reg, btf.type(reg.btf), at, size)


def _name(env: Env, reg: Reg) -> str:
    return env.types.name(reg.btf, bool(reg.flags & ALLOC))


def _walk(env: Env, btf: Btf, reg: Reg, struct: Type, at: int, size: int) -> Reg:
    """What is at `at` of `struct`: a number, or a pointer to another struct."""
    unknown = UNKNOWN_REG if size == 8 else Reg(SCALAR, unsigned_bits(size * 8))
    outer = struct
    union = False
    for _ in range(32):
        if struct.kind is Kind.UNION and len(struct.members) != 1:
            union = True
        if struct.kind not in RECORDS:
            return unknown
        members = struct.members
        if struct.size and at + size > struct.size:
            last = members[-1] if members else None
            flexible = btf.resolve(last.type) if last is not None else None
            if last is None or flexible is None or flexible.kind is not Kind.ARRAY or flexible.length:
                raise Rejected(f"access beyond struct {struct.name} at off {at} size {size}")
            element, _count = btf.element(flexible.type)
            start = last.bit_offset // 8
            if at < start or not element.size:
                raise Rejected(f"access beyond struct {struct.name} at off {at} size {size}")
            if element.kind not in RECORDS:
                return unknown
            struct, at = element, (at - start) % element.size
            continue
        found = None
        for member in members:
            start = member.bit_offset // 8
            if member.bit_size:
                if start <= at < start + 8 and at * 8 < member.bit_offset + member.bit_size <= (at + size) * 8 + 7:
                    return unknown
                continue
            length = btf.size_of(member.type)
            if start <= at < start + length:
                found = member
                if struct.kind is Kind.STRUCT or at + size <= start + length:
                    break
        if found is None:
            # Padding, or bits that no member has by itself: Linux refuses only what is beyond the struct.
            if any(member.bit_size for member in members):
                return unknown
            raise Rejected(f"struct {struct.name} doesn't have field at offset {at}")
        start = found.bit_offset // 8
        element, count = btf.element(found.type)
        to = pointee(btf, found.type)
        if to is not None:
            if at != start or size != 8:
                if struct.kind is Kind.STRUCT:
                    raise Rejected(
                        f"cannot access ptr member {found.name} with moff {start} in struct {struct.name} "
                        f"with off {at} size {size}"
                    )
                return unknown
            return _pointer(env, reg, outer, found.name, to, union)
        if element.kind in RECORDS and element.size:
            end = start + element.size * count
            if at + size > end and struct.kind is Kind.STRUCT:
                raise Rejected(f"access beyond the end of member {found.name} in struct {struct.name}")
            struct, at = element, (at - start) % element.size
            continue
        if element.kind is Kind.PTR:
            inner = _element_pointee(btf, found.type)
            if inner is not None and size == 8 and not (at - start) % 8:
                return _pointer(env, reg, outer, found.name, inner, union)
            return unknown
        length = btf.size_of(found.type)
        if at + size > start + length and struct.kind is Kind.STRUCT:
            raise Rejected(f"access beyond the end of member {found.name} in struct {struct.name}")
        return unknown
    return unknown


def _element_pointee(btf: Btf, type_id: int) -> tuple[Type, frozenset[str]] | None:
    for _ in range(8):
        resolved = btf.resolve(type_id)
        if resolved.kind is not Kind.ARRAY:
            return pointee(btf, type_id)
        type_id = resolved.type
    return None


def _pointer(env: Env, reg: Reg, struct: Type, member: str, to: tuple[Type, frozenset[str]], union: bool) -> Reg:
    from stingless.embedded.verifier import sections

    target, tags = to
    if target.kind not in RECORDS or "user" in tags:
        return UNKNOWN_REG
    made = Reg(BTF_PTR, btf=target.id)
    if "percpu" in tags:
        return made._replace(flags=PERCPU)
    if reg.flags & UNTRUSTED or union:
        return made._replace(flags=UNTRUSTED)
    if not reg.flags & (TRUSTED | RCU):
        return made
    name = struct.name
    if reg.flags & TRUSTED and member in _SAFE.get(name, ()):
        return made._replace(flags=TRUSTED)
    if sections.in_rcu(env):
        if member in _SAFE_RCU.get(name, ()):
            return made._replace(flags=RCU)
        if "rcu" in tags or member in _SAFE_RCU_OR_NULL.get(name, ()):
            return made._replace(kind=BTF_PTR_OR_NULL, flags=RCU, id=env.new_id())
    return made


def store(env: Env, reg: Reg, number: int, off: int, size: int, value: Reg) -> None:
    if reg.flags & ALLOC and not reg.var.mask:
        _own(env, reg, number, reg.off + off + reg.var.smin, size, value)
        return
    raise Rejected("only read is supported")


def _own(env: Env, reg: Reg, number: int, at: int, size: int, value: Reg | None) -> Reg:
    """An object that the program made: `value` is stored (None: it is a load)."""
    local = env.types.local
    if local is None:
        raise Rejected("the program has no BTF")
    struct = local.type(reg.btf)
    if at < 0 or at + size > struct.size:
        raise Rejected(f"access beyond struct {struct.name} at off {at} size {size}")
    env.take_role("memory")
    field = f.overlapping(env.fields.of_struct(local, reg.btf), at, at + size)
    if field is not None:
        raise Rejected(f"direct access to {field.kind} is disallowed")
    if value is not None:
        return value
    return UNKNOWN_REG if size == 8 else Reg(SCALAR, unsigned_bits(size * 8))


def variable(env: Env, insn: Instruction, second: Instruction) -> Reg:
    """A variable of the kernel, or one of its functions' addresses: a 64-bit load of a BTF id."""
    btf = env.types.kernel
    if btf is None or second.imm:
        raise malformed("kernel variables (ksyms) need the kernel's BTF")
    type_ = btf.type(insn.imm)
    if type_.kind is Kind.FUNC:
        return UNKNOWN_REG
    if type_.kind is not Kind.VAR:
        raise malformed(f"pseudo btf_id {insn.imm} in ldimm64 isn't KIND_VAR or KIND_FUNC.")
    percpu = any(
        btf.type(id_).name == ".data..percpu" and any(member.type == type_.id for member in btf.type(id_).members)
        for id_ in btf.ids(Kind.DATASEC)
    )
    resolved = btf.resolve(type_.type)
    if percpu:
        return Reg(BTF_PTR, btf=_struct_or_type(btf, type_.type), flags=PERCPU, span=btf.size_of(type_.type))
    if resolved.kind in RECORDS:
        return Reg(BTF_PTR, btf=resolved.id)
    return Reg(BLOCK, span=btf.size_of(type_.type), flags=RDONLY)


def _struct_or_type(btf: Btf, type_id: int) -> int:
    return btf.resolve(type_id).id


def percpu_memory(env: Env, reg: Reg, or_null: bool) -> Reg:
    """What a per-CPU variable is on one CPU."""
    btf = env.types.kernel
    assert btf is not None
    type_ = btf.type(reg.btf)
    ident = env.new_id() if or_null else 0
    if type_.kind in RECORDS:
        return Reg(BTF_PTR_OR_NULL if or_null else BTF_PTR, id=ident, btf=reg.btf)
    return Reg(BLOCK_OR_NULL if or_null else BLOCK, id=ident, span=reg.span or btf.size_of(reg.btf), flags=RDONLY)


_CONTEXT_STRUCTS = {
    ProgramType.XDP: "xdp_buff", ProgramType.SCHED_CLS: "sk_buff", ProgramType.SCHED_ACT: "sk_buff",
    ProgramType.SOCKET_FILTER: "sk_buff", ProgramType.CGROUP_SKB: "sk_buff", ProgramType.KPROBE: "pt_regs",
    ProgramType.PERF_EVENT: "bpf_perf_event_data_kern",
}  # fmt: skip


def cast(env: Env, call: Call, parameter: str) -> Reg:
    """bpf_cast_to_kern_ctx() and bpf_rdonly_cast()."""
    if not parameter:
        struct = _CONTEXT_STRUCTS.get(env.spec.type)
        if struct is None:
            raise malformed("bpf_cast_to_kern_ctx: the context of this program type is not followed")
        return Reg(BTF_PTR, btf=env.types.struct(struct), flags=TRUSTED)
    btf = env.types.kernel
    if btf is None:
        raise malformed("bpf_rdonly_cast needs the kernel's BTF")
    if call.local_type == 0:
        return Reg(BLOCK, span=0, flags=RDONLY | UNTRUSTED)
    type_ = btf.type(call.local_type)
    if type_.kind is not Kind.STRUCT:
        raise malformed("kfunc bpf_rdonly_cast type ID argument must be of a struct or void")
    return Reg(BTF_PTR, btf=type_.id, flags=UNTRUSTED)
