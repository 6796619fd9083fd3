"""The arguments of a call of a helper or kfunc: what each register must be, and what it tells of the result."""

from __future__ import annotations

from collections.abc import Callable

from stingless._gen.helpers import Helper as H
from stingless._gen.uapi import MapType
from stingless.asm.disasm import helper_name
from stingless.embedded.verifier import fields as f
from stingless.embedded.verifier import helper_kinds as k
from stingless.embedded.verifier import map_rules, memory, objects, stack
from stingless.embedded.verifier.arithmetic import MAX_VARIABLE_OFFSET
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.precision import rest_on
from stingless.embedded.verifier.rejection import Rejected, malformed, unsupported
from stingless.embedded.verifier.state import (
    ALLOC,
    BLOCK,
    BTF_PTR,
    BTF_PTR_OR_NULL,
    CTX,
    DYNPTR_PTR,
    FUNC,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MEM,
    NON_OWNING,
    PACKETS,
    PERCPU,
    RCU,
    RDONLY,
    SCALAR,
    SOCK,
    SOCK_COMMON,
    SOCKETS,
    STACK,
    TCP_SOCK,
    TRUSTED,
    UNINIT,
    UNTRUSTED,
    Reg,
    is_zero,
)
from stingless.obj.spec import MapSpec

_MEMORY = (STACK, *PACKETS, MAP_VALUE, MEM, BLOCK, MAP_KEY)
_EXPECTED_MEMORY = "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"
_FIELDS = {
    k.LOCK: f.LOCK, k.RES_LOCK: f.RES_LOCK, k.TIMER: f.TIMER, k.WORKQUEUE: f.WORKQUEUE, k.LIST_HEAD: f.LIST_HEAD,
    k.RB_ROOT: f.RB_ROOT, k.LIST_NODE: f.LIST_NODE, k.RB_NODE: f.RB_NODE,
}  # fmt: skip
# Kinds that are another one, with a parameter.
_SAME = {
    k.TASK: (k.BTF, "task_struct"), k.CGROUP: (k.BTF, "cgroup"), k.INODE: (k.BTF, "inode"), k.FILE: (k.BTF, "file"),
    k.PATH: (k.BTF, "path"), k.BPRM: (k.BTF, "linux_binprm"), k.SEQ: (k.BTF, "seq_file"), k.SK_BUFF: (k.BTF, "sk_buff"),
    k.XDP_BUFF: (k.BTF, "xdp_buff"), k.TCP_SOCK: (k.BTF, "tcp_sock"), k.IN_20: (k.IN_FIXED, "20"),
    k.IN_40: (k.IN_FIXED, "40"), k.OUT_LONG: (k.OUT_FIXED, "8"),
}  # fmt: skip
# Helpers whose kernel pointer may be NULL, which they look for themselves.
_NULL_ALLOWED = frozenset(
    {
        H.task_storage_get, H.task_storage_delete, H.cgrp_storage_get, H.cgrp_storage_delete, H.inode_storage_get,
        H.inode_storage_delete, H.sk_storage_get, H.sk_storage_delete,
    }
)  # fmt: skip
_SOCKET_STRUCTS = ("sock_common", "sock", "tcp_sock", "inet_sock", "tcp6_sock", "udp6_sock", "unix_sock", "socket")


class Call:
    """What the arguments of one call tell: the map, sizes, memory to be written."""

    __slots__ = (
        "alloc", "arguments", "callback", "dynptr", "field", "field_reg", "first", "helper", "iterator", "kept",
        "local_type", "map", "name", "new_dynptr", "new_iterator", "out", "owned", "percpu", "reads_packet",
        "released", "size_max", "text",
    )  # fmt: skip

    def __init__(self, name: str, arguments: tuple[str, ...], reads_packet: bool, helper: int = 0) -> None:
        self.name = name
        self.helper = helper  # 0: a kfunc
        self.arguments = arguments
        self.reads_packet = reads_packet
        self.local_type = 0
        self.kept = 0  # the reference of an object that a list or a tree takes over
        self.map = -1
        self.alloc = -1
        self.size_max = 0
        self.released = 0  # the reference that is given back
        self.text = b""
        self.out: list[tuple[Reg, int, int]] = []  # register, bytes certainly and at most written
        self.callback = -1
        self.dynptr = UNINIT
        self.new_dynptr: tuple[Reg, int, str] | None = None
        self.iterator: tuple[int, int, Reg, str] | None = None
        self.new_iterator: tuple[Reg, int, str] | None = None
        self.field: f.Field | None = None
        self.field_reg = UNINIT
        self.owned = UNINIT
        self.percpu = UNINIT
        self.first = UNINIT


def check(env: Env, call: Call, number: int, wanted: str) -> None:
    if wanted == k.IGNORED:
        return
    reg = env.read(number)
    if number == 1:
        call.first = reg
    if wanted == k.ANY:
        return
    kind, _, parameter = wanted.partition(":")
    kind, parameter = _SAME.get(kind, (kind, parameter))
    check = _CHECKS.get(kind)
    if check is None:
        raise unsupported(f"an argument of kind {wanted!r} is")
    check(env, call, number, reg, parameter)


def _expect(number: int, reg: Reg, kinds: tuple[str, ...], words: str) -> None:
    if reg.kind not in kinds:
        raise Rejected(f"R{number} type={reg.kind} expected={words}")


def _no_offset(number: int, reg: Reg) -> None:
    if reg.off or reg.var.mask or reg.var.value:
        raise malformed(f"R{number} must have zero offset when passed to release func or trusted arg to kfunc")


def _scalar(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, (SCALAR,), "scalar")


def _const(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, (SCALAR,), "scalar")
    if reg.var.mask:
        raise malformed(f"R{number} is not a known constant")
    rest_on(reg.marks)


def _ctx(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, (CTX,), "ctx")
    if reg.off or reg.var.mask or reg.var.value:
        raise Rejected(f"dereference of modified ctx ptr R{number} off={reg.off} disallowed")


def _map(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, (MAP_PTR,), "map_ptr")
    # Of an inner map there can be many: its look-ups are not followed this far.
    if call.field is not None and (call.field_reg.map != reg.map or reg.owner):
        raise malformed(f"{call.field.kind} pointer in R1 doesn't match map pointer in R2")
    call.map = reg.map
    spec = env.program.maps[reg.map]
    if call.helper:
        check_map_type(spec, call.helper)


def _key(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)
    size = env.program.maps[call.map].key_size
    check_memory(env, call, reg, number, size, size, False)


def _value(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)
    size = env.program.maps[call.map].value_size
    check_memory(env, call, reg, number, size, size, False)


def _value_or_null(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if not is_zero(reg):
        _value(env, call, number, reg, parameter)


def _out_value(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    spec = env.program.maps[call.map]
    # Of a bloom filter, what is looked for is read.
    if spec.type == MapType.BLOOM_FILTER:
        _value(env, call, number, reg, parameter)
        return
    _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)
    check_memory(env, call, reg, number, spec.value_size, spec.value_size, True)


def _sized(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    rest_on(reg.marks)
    if is_btf_memory(reg):
        return
    _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)  # which and how far, the size says


def is_btf_memory(reg: Reg) -> bool:
    return reg.kind == BTF_PTR and bool(reg.flags & (TRUSTED | RCU | ALLOC))


def _sized_or_null(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if not is_zero(reg):
        _sized(env, call, number, reg, parameter)


def _size(env: Env, call: Call, number: int, size: Reg, parameter: str, zero: bool = False) -> None:
    """The size argument `number` of the memory argument before it."""
    if size.kind is not SCALAR:
        raise Rejected(f"R{number} type={size.kind} expected=scalar")
    if size.var.smin < 0:
        raise Rejected(f"R{number} min value is negative, either use unsigned or 'var &= const'")
    if size.var.umin == 0 and not zero and call.helper:
        raise Rejected(f"R{number} invalid zero-sized read: u64=[{size.var.umin},{size.var.umax}]")
    if size.var.umax >= MAX_VARIABLE_OFFSET:
        raise Rejected(f"R{number} unbounded memory access, use 'var &= const' or 'if (var < const)'")
    rest_on(size.marks)
    call.size_max = size.var.umax
    reg = env.regs[number - 1]
    if is_zero(reg):
        if size.var.umax and call.arguments[number - 2] != k.BUFFER_OR_NULL:
            raise Rejected(f"R{number - 1} type=scalar expected=fp")
        return
    kind = call.arguments[number - 2]
    if kind == k.IN_OUT:
        check_memory(env, call, reg, number - 1, size.var.umin, size.var.umax, False)
    write = kind in (k.OUT, k.OUT_OR_NULL, k.IN_OUT, k.BUFFER_OR_NULL)
    check_memory(env, call, reg, number - 1, size.var.umin, size.var.umax, write)


def _size_or_zero(env: Env, call: Call, number: int, size: Reg, parameter: str) -> None:
    _size(env, call, number, size, parameter, True)


def _fixed(env: Env, call: Call, number: int, reg: Reg, parameter: str, write: bool, read: bool) -> None:
    size = int(parameter)
    _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)
    if write and size in (4, 8):
        memory.check_aligned(reg, size)
    if read:
        check_memory(env, call, reg, number, size, size, False)
    if write:
        check_memory(env, call, reg, number, size, size, True)


def _in_fixed(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _fixed(env, call, number, reg, parameter, False, True)


def _out_fixed(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _fixed(env, call, number, reg, parameter, True, False)


def _inout_int(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _fixed(env, call, number, reg, "4", True, True)


def _alloc(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if reg.kind is not SCALAR or reg.var.mask:
        raise Rejected(f"R{number} is not a known constant'")
    rest_on(reg.marks)
    if reg.var.value >= MAX_VARIABLE_OFFSET:
        raise Rejected(f"R{number} unbounded memory access, use 'var &= const' or 'if (var < const)'")
    call.alloc = reg.var.value


def _record(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, (MEM,), "ringbuf_mem")
    if reg.off or reg.var.mask or reg.var.value:
        raise Rejected(f"R{number} must have zero offset when passed to release func")
    if not reg.ref:
        raise Rejected(f"R{number} must be referenced when passed to release function")
    call.released = reg.ref


def _text(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    call.text = constant_text(env, reg, number)


def _callback(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _expect(number, reg, (FUNC,), "func")
    call.callback = reg.map


def _callback_ctx(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if not is_zero(reg):
        _expect(number, reg, (STACK,), "fp")


def _field(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    kind = _FIELDS[call.arguments[number - 1]]
    call.field = special_field(env, reg, number, (kind,))
    call.field_reg = reg


def special_field(env: Env, reg: Reg, number: int, kinds: tuple[str, ...]) -> f.Field:
    """The special field that `reg` points to exactly."""
    if reg.kind is MAP_VALUE:
        fields = env.fields.of_map(reg.map)
        if not fields and env.program.maps[reg.map].btf is None:
            raise malformed(f"map '{env.program.maps[reg.map].name}' has to have BTF in order to use {kinds[0]}")
    elif reg.kind is BTF_PTR and reg.flags & ALLOC and env.types.local is not None:
        fields = env.fields.of_struct(env.types.local, reg.btf)
    else:
        raise malformed(f"R{number} is neither a map value nor an allocated object: it has no {kinds[0]}")
    if reg.var.mask:
        raise malformed(f"R{number} doesn't have constant offset. {kinds[0]} has to be at the constant offset")
    at = reg.off + reg.var.smin
    found = next((field for field in fields if field.offset == at and field.kind in kinds), None)
    if found is None:
        raise malformed(f"off {at} doesn't point to 'struct {kinds[0]}'")
    return found


def _head(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    """A list's head or a tree's root, whose lock, which is in the same value or object, is held."""
    _field(env, call, number, reg, parameter)
    if env.state.held.lock != lock_of(reg):
        raise malformed("held lock and object are not in the same allocation")


def lock_of(reg: Reg) -> tuple[str, int, int]:
    """What tells one spin lock from another: where the value or object is that it is in."""
    return reg.kind, reg.btf if reg.kind is BTF_PTR else reg.map, reg.owner or reg.ref


def _node(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    """The node by which an object is in a list or a tree: of an object that the program owns, which it gives away; or,
    to take it out, of one that it has seen there."""
    field = call.field
    assert field is not None
    if reg.kind is not BTF_PTR or not reg.flags & ALLOC or reg.var.mask:
        raise malformed(f"arg#{number - 1} expected pointer to allocated object")
    if reg.btf != field.local or reg.off + reg.var.smin != node_offset(env, field):
        raise malformed(f"arg#{number - 1} expected node {field.node} in struct {field.target}")
    if call.name == "bpf_rbtree_remove":
        if not reg.flags & NON_OWNING:
            raise malformed("rbtree_remove node input must be non-owning ref")
        return
    if not reg.ref or reg.flags & NON_OWNING:
        raise malformed(f"arg#{number - 1} expected pointer to allocated object that is owned")
    call.kept = reg.ref


def node_offset(env: Env, field: f.Field) -> int:
    """Where the node is in the objects that a list or a tree contains."""
    local = env.types.local
    if local is None or not field.local:
        raise malformed(f"{field.kind} does not say what it contains")
    member = local.type(field.local).members.get(field.node)
    if member is None:
        raise malformed(f"struct {field.target} has no member {field.node}")
    return member.bit_offset // 8


def _kptr(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    call.field = special_field(env, reg, number, (f.KPTR, f.PERCPU_KPTR))
    call.field_reg = reg


def _owned(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    assert call.field is not None
    if is_zero(reg):
        return
    _expect(number, reg, (BTF_PTR,), "ptr_")
    _no_offset(number, reg)
    if not reg.ref:
        raise malformed(f"R{number} must be referenced when passed to release function")
    if reg.flags & NON_OWNING:
        raise malformed(f"R{number} is a non-owning reference")
    if not same_target(env, call.field, reg):
        raise malformed(f"invalid kptr access, R{number} expected=ptr_{call.field.target}")
    call.released = reg.ref
    call.owned = reg


def same_target(env: Env, field: f.Field, reg: Reg) -> bool:
    """A pointer of the type that a field keeps."""
    if reg.flags & ALLOC:
        return env.types.local is not None and reg.btf == field.local
    return reg.btf == env.types.struct(field.target)


def _sock_common(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if call.helper in _NULL_ALLOWED or call.helper == H.sk_assign:
        if is_zero(reg):
            return
        reg = reg._replace(kind=BTF_PTR) if reg.kind == BTF_PTR_OR_NULL else reg
    if reg.kind not in SOCKETS:
        _socket_struct(env, number, reg)
    if call.helper == H.sk_release:
        _no_offset(number, reg)
        if not reg.ref:
            raise malformed(f"R{number} must be referenced when passed to release function")
        call.released = reg.ref


def _socket_struct(env: Env, number: int, reg: Reg) -> None:
    if reg.kind is BTF_PTR and not reg.flags & (ALLOC | UNTRUSTED) and not reg.var.mask:
        at = reg.off + reg.var.smin
        if any(env.types.is_a(reg.btf, env.types.struct(name), at) for name in ("sock_common", "sock")):
            return
    raise Rejected(f"R{number} type={reg.kind} expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_")


def _sock(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if reg.kind in (SOCK, TCP_SOCK, SOCK_COMMON):
        return
    _socket_struct(env, number, reg)


def _btf(env: Env, call: Call, number: int, reg: Reg, parameter: str, release: bool = False) -> None:
    wanted = env.types.struct(parameter)
    if call.helper in _NULL_ALLOWED:
        if is_zero(reg):
            return
        reg = reg._replace(kind=BTF_PTR) if reg.kind == BTF_PTR_OR_NULL else reg
    if reg.kind in SOCKETS and parameter in _SOCKET_STRUCTS and not release:
        return
    if reg.kind is CTX and parameter in ("sk_buff", "xdp_buff"):
        raise Rejected(f"R{number} type=ctx expected=ptr_{parameter}")
    words = f"ptr_{parameter}, trusted_ptr_{parameter}, rcu_ptr_{parameter}"
    if reg.kind == BTF_PTR_OR_NULL:
        raise Rejected(f"Possibly NULL pointer passed to {'helper' if call.helper else 'trusted'} arg{number - 1}")
    _expect(number, reg, (BTF_PTR,), words)
    if reg.flags & ALLOC:
        raise Rejected(f"R{number} is an object of the program's, expected={words}")
    if reg.var.mask:
        raise Rejected(f"variable {parameter} access var_off disallowed")
    if not env.types.is_a(reg.btf, wanted, reg.off + reg.var.smin):
        raise Rejected(f"R{number} is of type {env.types.name(reg.btf)} but {parameter} is expected")
    if reg.flags & UNTRUSTED:
        raise Rejected(f"R{number} type=untrusted_ptr_ expected={words}")
    if not call.helper and not reg.ref and not reg.flags & (TRUSTED | RCU):
        raise malformed(f"R{number} must be referenced or trusted")
    if release:
        _no_offset(number, reg)
        if not reg.ref:
            raise malformed(f"R{number} must be referenced when passed to release function")
        call.released = reg.ref


def _btf_or_null(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if not is_zero(reg):
        _btf(env, call, number, reg._replace(kind=BTF_PTR) if reg.kind == BTF_PTR_OR_NULL else reg, parameter)


def _btf_release(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _btf(env, call, number, reg, parameter, True)


def _percpu(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if reg.kind != BTF_PTR or not reg.flags & PERCPU:
        raise Rejected(f"R{number} type={reg.kind} expected=percpu_ptr_")
    call.percpu = reg


def _allocated(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if reg.kind != BTF_PTR or not reg.flags & ALLOC:
        raise malformed(f"arg#{number - 1} expected pointer to allocated object")
    if call.arguments[number - 1] == k.ALLOCATED_RELEASED:
        _no_offset(number, reg)
        if not reg.ref or reg.flags & NON_OWNING:
            raise malformed(f"arg#{number - 1} expected pointer to allocated object that is owned")
        call.released = reg.ref
    call.owned = reg


def _dynptr(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    call.dynptr = objects.dynptr(env, reg, number)


def _dynptr_write(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    call.dynptr = objects.dynptr(env, reg, number)
    if call.dynptr.flags & RDONLY and not call.helper:
        raise malformed("cannot pass pointer to const bpf_dynptr, the helper mutates it")


def _local_type(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    _const(env, call, number, reg, parameter)
    call.local_type = reg.var.value & 0xFFFFFFFF


def _iter_end(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    objects.end_iterator(env, reg, number, parameter)


def _new_irq(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    objects.save_irq(env, reg, number)


def _end_irq(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    objects.restore_irq(env, reg, number)


def _dynptr_new(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if reg.kind is DYNPTR_PTR:
        raise malformed("Dynptr has to be an uninitialized dynptr")
    objects.place(reg, number, 16, "dynptr")
    call.new_dynptr = (reg, number, parameter or ("ringbuf" if call.helper == H.ringbuf_reserve_dynptr else "local"))


def _dynptr_release(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    if reg.kind is DYNPTR_PTR:
        raise malformed("cannot pass pointer to const bpf_dynptr, the helper mutates it")
    call.dynptr = objects.dynptr(env, reg, number)
    if call.dynptr.span != objects.RINGBUF:
        raise malformed(f"Expected a dynptr of type ringbuf as arg #{number - 1}")
    if not call.dynptr.ref:
        raise malformed(f"R{number} must be referenced when passed to release function")


def _iter(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    call.iterator = (*objects.iterator(env, reg, number, parameter), parameter)


def _iter_new(env: Env, call: Call, number: int, reg: Reg, parameter: str) -> None:
    objects.place(reg, number, objects.ITERATORS[parameter], f"bpf_iter_{parameter}")
    call.new_iterator = (reg, number, parameter)


def check_memory(env: Env, call: Call, reg: Reg, number: int, least: int, most: int, write: bool) -> None:
    """A helper reads, or writes, `least` to `most` bytes at `reg`."""
    if reg.kind is STACK:
        low, high = stack.bounds(reg, number, 0, most, " indirect access to")
        if not write:
            stack.check_initialised(env, reg, number, low, high - low + most, indirect=True)
        else:
            stack.check_no_objects(env, reg.frame, low, high - low + most)
    elif reg.kind == BTF_PTR:
        if write and not reg.flags & ALLOC:
            raise Rejected("only read is supported")
        memory.check_btf_range(env, reg, number, most)
    else:
        if reg.kind in PACKETS and not call.reads_packet:
            raise Rejected("helper access to the packet is not allowed")
        if reg.kind is MAP_VALUE:
            memory.check_map_flags(env.program.maps[reg.map], write)
        if write and reg.flags & RDONLY:
            raise Rejected(f"R{number} cannot write into rdonly_{reg.kind}")
        memory.check_region(env, reg, number, 0, most, write, True)
    if write:
        call.out.append((reg, least, most))


def check_map_type(spec: MapSpec, helper: int) -> None:
    allowed = map_rules.ALLOWED.get(spec.type)
    if allowed is None:
        raise unsupported(f"map type {MapType(spec.type).name} is")
    if helper not in allowed and helper not in map_rules.ANY_MAP:
        raise malformed(f"cannot pass map_type {int(spec.type)} into func {helper_name(helper)}")
    if helper in map_rules.WRITERS and (spec.flags & map_rules.RDONLY_PROG or spec.frozen):
        raise Rejected("write into map forbidden")


def constant_text(env: Env, reg: Reg, number: int) -> bytes:
    """A string that cannot change, with its NUL: `reg` points into a frozen map of one entry."""
    _expect(number, reg, (MAP_VALUE,), "map_value")
    spec = env.program.maps[reg.map]
    if not spec.frozen or not spec.flags & map_rules.RDONLY_PROG or spec.initial is None or spec.type != MapType.ARRAY:
        raise Rejected(f"R{number} does not point to a readonly map'")
    if reg.var.mask:
        raise Rejected(f"R{number} is not a constant address'")
    at = reg.off + reg.var.smin
    if not 0 <= at < spec.value_size:
        raise Rejected(f"invalid access to map value, value_size={spec.value_size} off={at} size=1")
    text, nul, _ = spec.initial.ljust(spec.value_size, b"\0")[at : spec.value_size].partition(b"\0")
    if not nul:
        raise malformed("string is not zero-terminated")
    return text


_CHECKS: dict[str, Callable[[Env, Call, int, Reg, str], None]] = {
    k.SCALAR: _scalar, k.CONST: _const, k.CTX: _ctx, k.MAP: _map, k.KEY: _key, k.VALUE: _value,
    k.OUT_VALUE: _out_value, k.VALUE_OR_NULL: _value_or_null, k.IN: _sized, k.IN_OUT: _sized,
    k.IN_OR_NULL: _sized_or_null, k.OUT: _sized, k.OUT_OR_NULL: _sized_or_null, k.BUFFER_OR_NULL: _sized_or_null,
    k.SIZE: _size, k.SIZE_OR_ZERO: _size_or_zero, k.IN_FIXED: _in_fixed, k.OUT_FIXED: _out_fixed,
    k.IN_OUT_INT: _inout_int, k.ALLOC: _alloc, k.RECORD: _record, k.TEXT: _text, k.FUNCTION: _callback,
    k.CALLBACK_CTX: _callback_ctx, k.LIST_HEAD: _head, k.RB_ROOT: _head, k.LIST_NODE: _node, k.RB_NODE: _node,
    k.LOCK: _field, k.RES_LOCK: _field, k.TIMER: _field, k.WORKQUEUE: _field,
    k.KPTR: _kptr, k.OBJECT: _owned, k.SOCK_COMMON: _sock_common, k.SOCKET: _sock, k.BTF: _btf,
    k.BTF_OR_NULL: _btf_or_null, k.RELEASED: _btf_release, k.PERCPU: _percpu, k.ALLOCATED: _allocated,
    k.ALLOCATED_RELEASED: _allocated, k.LOCAL_TYPE: _local_type, k.DYNPTR: _dynptr, k.DYNPTR_WRITE: _dynptr_write,
    k.NEW_DYNPTR: _dynptr_new, k.NEW_DYNPTR_OF: _dynptr_new, k.RECORD_DYNPTR: _dynptr_release, k.ITER: _iter,
    k.NEW_ITER: _iter_new, k.END_ITER: _iter_end, k.NEW_IRQ: _new_irq, k.END_IRQ: _end_irq,
}  # fmt: skip
