"""Calls of helpers, kfuncs and sub-programs, and returns from them."""

from __future__ import annotations

import errno

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm.disasm import helper_name
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier import arguments, btf_access, callbacks, map_rules, objects, sections, stack
from stingless.embedded.verifier import fields as f
from stingless.embedded.verifier import helper_kinds as k
from stingless.embedded.verifier import helpers as h
from stingless.embedded.verifier.arguments import Call
from stingless.embedded.verifier.contexts import return_range
from stingless.embedded.verifier.env import SLEEPABLE, Env
from stingless.embedded.verifier.precision import rest_on
from stingless.embedded.verifier.printf import check_format
from stingless.embedded.verifier.rejection import Rejected, malformed, unsupported
from stingless.embedded.verifier.scalar import S32_MAX, U32, U64, make
from stingless.embedded.verifier.state import (
    ALLOC,
    BLOCK,
    BLOCK_OR_NULL,
    BTF_PTR,
    BTF_PTR_OR_NULL,
    DYNPTR,
    MAP_PTR_OR_NULL,
    MAP_VALUE,
    MAP_VALUE_OR_NULL,
    MEM_OR_NULL,
    NON_OWNING,
    NOT_INIT,
    OBJECTS,
    PACKET_END,
    PACKETS,
    PERCPU,
    RCU,
    RDONLY,
    SCALAR,
    SOCK_COMMON_OR_NULL,
    SOCK_OR_NULL,
    STACK,
    TCP_SOCK_OR_NULL,
    TRUSTED,
    UNINIT,
    UNKNOWN_REG,
    Frame,
    Reg,
    is_zero,
    replace_all,
)

MAX_FRAMES = 8
_MAX_ERRNO = 4095
_SOCKET_FIRST = (Helper.get_socket_cookie, Helper.setsockopt, Helper.getsockopt)
_MAX_REFERENCES = 64
# Fields of a value of which two look-ups are to be told apart.
_TOLD_APART = (f.LOCK, f.RES_LOCK, f.TIMER, f.WORKQUEUE, f.LIST_HEAD, f.RB_ROOT)


def call_helper(env: Env, insn: Instruction) -> None:
    number = insn.imm
    signature = h.SIGNATURES.get(number)
    if signature is None:
        raise malformed(f"unknown func {helper_name(number)}")
    if signature.types is not None and env.spec.type not in signature.types:
        raise malformed(f"program of this type cannot use helper {helper_name(number)}")
    if signature.gpl and env.spec.license not in h.GPL_COMPATIBLE:
        raise malformed("cannot call GPL-restricted function from non-GPL compatible program")
    if signature.sleeps:
        if not (env.spec.flags & SLEEPABLE or env.spec.type is ProgramType.SYSCALL):
            raise malformed("helper call might sleep in a non-sleepable prog")
        sections.check_may_sleep(env, helper_name(number))
    if env.embedded:
        _check_implemented(env, signature, number)
    sections.check_helper(env, number)
    if number == Helper.tail_call:
        _check_tail_call(env)
    wanted_arguments = signature.arguments
    if env.spec.type in btf_access.BY_BTF and number in _SOCKET_FIRST:
        wanted_arguments = (k.SOCK_COMMON, *wanted_arguments[1:])  # these programs have no context of a socket
    call = Call(helper_name(number), wanted_arguments, signature.reads_packet, number)
    for position, wanted in enumerate(wanted_arguments, 1):
        arguments.check(env, call, position, wanted)
    if number == Helper.snprintf:
        check_format(call.text, env.regs[5])
    elif number == Helper.dynptr_from_mem and env.regs[1].kind is not MAP_VALUE:
        raise Rejected(f"Unsupported reg type {env.regs[1].kind} for bpf_dynptr_from_mem data")
    elif number in (Helper.spin_lock, Helper.spin_unlock):
        sections.lock(env, call, number == Helper.spin_lock)
    if call.callback >= 0:
        callbacks.call_back(env, call)
    _written(env, call)
    result = _result(env, signature.returns, call)
    _finish(env, call, result, signature.moves_packet)
    if number == Helper.dynptr_write and call.dynptr.span in (objects.SKB, objects.XDP):
        _forget_packet(env)


def _check_implemented(env: Env, signature: k.Signature, number: int) -> None:
    """Linux may allow the call; the embedded kernel need not."""
    if signature.kernel_only:
        raise Rejected(
            f"helper {helper_name(number)} is meaningful only in a kernel: {signature.kernel_only}", errno.EOPNOTSUPP
        )
    if number not in env.helpers:
        raise malformed(f"unknown func {helper_name(number)}")


def call_kfunc(env: Env, insn: Instruction) -> None:
    from stingless.embedded.verifier.kfuncs import KFUNCS

    name = env.program.kfuncs.get(env.pc)
    kfunc = KFUNCS.get(name) if name is not None else None
    if name is None or kfunc is None:
        shown = name or f"#{insn.imm}"
        raise malformed(f"calling kernel function {shown} is not allowed")
    if kfunc.types is not None and env.spec.type not in kfunc.types:
        raise Rejected(f"calling kernel function {name} is not allowed")
    env.kfunc_calls[env.pc] = name
    if env.spec.license not in h.GPL_COMPATIBLE:
        raise malformed("cannot call kernel function from non-GPL compatible program")
    if kfunc.sleeps:
        if not (env.spec.flags & SLEEPABLE or env.spec.type is ProgramType.SYSCALL):
            raise Rejected(f"program must be sleepable to call sleepable kfunc {name}")
        sections.check_may_sleep(env, name)
    if kfunc.rcu and not sections.in_rcu(env):
        raise Rejected(f"kernel func {name} requires RCU critical section protection")
    sections.check_kfunc(env, name)
    call = Call(name, kfunc.arguments, False)
    for position, wanted in enumerate(kfunc.arguments, 1):
        arguments.check(env, call, position, wanted)
    if sections.kfunc(env, name):
        _finish(env, call, UNINIT, False)
        return
    if call.callback >= 0:
        callbacks.call_back(env, call)
    if call.iterator is not None:
        callbacks.iterator_step(env, call, kfunc)
        return
    _written(env, call)
    _finish(env, call, _result(env, kfunc.returns, call, kfunc.acquires), kfunc.moves_packet)


def _written(env: Env, call: Call) -> None:
    """What the call writes to memory and makes on the stack."""
    for reg, certain, most in call.out:
        if reg.kind is STACK:
            low = reg.off + reg.var.smin
            env.need_stack(reg.frame, low)
            stack.overwrite(env, reg.frame, low, most + reg.var.smax - reg.var.smin, 0 if reg.var.mask else certain)
    if call.new_dynptr is not None:
        reg, number, type_ = call.new_dynptr
        if type_ == "clone":
            made = call.dynptr
            objects.new_dynptr(env, reg, number, made.span, made.ref, made.flags)
        else:
            ref = acquire(env) if type_ == "ringbuf" else 0
            packet_type = type_ == "skb" and env.spec.type not in (ProgramType.SCHED_CLS, ProgramType.SCHED_ACT)
            objects.new_dynptr(env, reg, number, objects.DYNPTR_TYPES[type_], ref, RDONLY if packet_type else 0)
    if call.new_iterator is not None:
        reg, number, name = call.new_iterator
        objects.new_iterator(env, reg, number, name, acquire(env))


def acquire(env: Env) -> int:
    """A reference that the program must give back."""
    if len(env.state.refs) >= _MAX_REFERENCES:
        raise unsupported(f"more than {_MAX_REFERENCES} references held at once are")
    reference = env.new_id()
    env.state.refs[reference] = env.pc
    return reference


def _finish(env: Env, call: Call, result: Reg, moves_packet: bool) -> None:
    """What a call leaves: nothing in R1-R5, nothing of what was given back."""
    if call.kept:
        replace_all(env.state, lambda r: r.ref == call.kept, lambda r: r._replace(ref=0, flags=r.flags | NON_OWNING))
        env.state.refs.pop(call.kept, None)
    if call.helper in (Helper.ringbuf_submit_dynptr, Helper.ringbuf_discard_dynptr):
        objects.release_dynptr(env, call.dynptr.ref)
    if call.released and call.helper != Helper.kptr_xchg:
        release(env, call.released)
    elif call.released:
        _give_away(env, call.released)
    env.regs[0:6] = [UNINIT] * 6
    if moves_packet:
        _forget_packet(env)
    env.regs[0] = result


def release(env: Env, reference: int) -> None:
    env.state.refs.pop(reference, None)
    replace_all(env.state, lambda r: r.ref == reference and r.kind not in OBJECTS, lambda r: UNINIT)


def _give_away(env: Env, reference: int) -> None:
    """An object was put into a map: within an RCU section it may still be read."""
    env.state.refs.pop(reference, None)
    in_rcu = sections.in_rcu(env)

    def after(reg: Reg) -> Reg:
        if in_rcu and reg.kind is BTF_PTR and not reg.flags & ALLOC:
            return reg._replace(ref=0, flags=RCU)
        return UNINIT

    replace_all(env.state, lambda r: r.ref == reference and r.kind not in OBJECTS, after)


def _forget_packet(env: Env) -> None:
    """Pointers into the packet, and slices of it, are void."""
    slices = {
        slot.id
        for frame in env.state.frames
        for slot in frame.stack.values()
        if type(slot) is Reg and slot.kind is DYNPTR and slot.span in (objects.SKB, objects.XDP, objects.SKB_META)
    }
    replace_all(env.state, lambda r: r.kind in PACKETS or r.kind is PACKET_END, lambda r: UNKNOWN_REG)
    if slices:
        replace_all(env.state, lambda r: r.owner in slices and r.kind not in OBJECTS, lambda r: UNINIT)


def _check_tail_call(env: Env) -> None:
    if env.state.refs:
        raise malformed("tail_call would lead to reference leak")
    sections.check_none(env, "tail_call")
    if len(env.state.frames) > 1 and env.embedded:
        raise unsupported("bpf_tail_call in a sub-program is")


def map_value(env: Env, number: int, kind: str = MAP_VALUE_OR_NULL) -> Reg:
    """What a lookup in map `number` gives."""
    spec = env.program.maps[number]
    ident = env.new_id() if kind is MAP_VALUE_OR_NULL else 0
    if spec.type in map_rules.MAPS_OF_MAPS:
        inner = env.program.inner.get(number)
        if inner is None:
            raise malformed(f"map {spec.name!r} does not say what maps it is of")
        return Reg(MAP_PTR_OR_NULL, map=inner, id=ident, owner=env.new_id())
    if spec.type in map_rules.SOCKET_MAPS:
        return Reg(SOCK_OR_NULL, id=ident, ref=acquire(env))
    if spec.type == MapType.XSKMAP:
        return Reg("xdp_sock_or_null", id=ident)
    apart = any(field.kind in _TOLD_APART for field in env.fields.of_map(number))
    return Reg(kind, map=number, id=ident, owner=env.new_id() if apart else 0)


def _result(env: Env, returns: str, call: Call, acquires: bool = False) -> Reg:
    kind, _, parameter = returns.partition(":")
    if kind == k.NUMBER:
        return UNKNOWN_REG
    if kind == k.NOTHING:
        return UNINIT
    if kind == k.MAP_VALUE:
        return map_value(env, call.map)
    if kind == k.STORAGE:
        return map_value(env, call.map, MAP_VALUE)
    if kind == k.LENGTH:
        most = min(call.size_max, S32_MAX)
        return Reg(SCALAR, make(0, U64, -_MAX_ERRNO, most, 0, U64, -_MAX_ERRNO, most, 0, U32))
    if kind == k.RESERVED:
        reference = acquire(env)
        return Reg(MEM_OR_NULL, id=reference, ref=reference, span=call.alloc)
    if kind in (k.A_SOCKET, k.A_SOCK_COMMON):
        reference = acquire(env)
        return Reg(SOCK_OR_NULL if kind == k.A_SOCKET else SOCK_COMMON_OR_NULL, id=reference, ref=reference)
    if kind in (k.ITS_SOCKET, k.ITS_TCP_SOCK):
        socket = SOCK_OR_NULL if kind == k.ITS_SOCKET else TCP_SOCK_OR_NULL
        listener = call.helper == Helper.get_listener_sock
        return Reg(socket, id=env.new_id(), ref=0 if listener else call.first.ref)
    if kind == k.KERNEL_SOCK:
        struct = _KERNEL_SOCKS[Helper(call.helper)]
        return Reg(BTF_PTR_OR_NULL, id=env.new_id(), ref=call.first.ref, btf=env.types.struct(struct))
    if kind == k.A_TASK:
        return Reg(BTF_PTR, btf=env.types.struct("task_struct"), flags=TRUSTED)
    if kind == k.PT_REGS:
        return Reg(BTF_PTR, btf=env.types.struct("pt_regs"))
    if kind == k.DATA:
        dynptr = call.dynptr
        return Reg(BLOCK_OR_NULL, id=env.new_id(), ref=dynptr.ref, span=call.alloc, owner=dynptr.id)
    if kind == k.SLICE:
        return _slice(env, call)
    if kind == k.AN_OBJECT:
        return _exchanged(env, call)
    if kind in (k.PERCPU_MEMORY, k.PERCPU_MEMORY_OR_NULL):
        return btf_access.percpu_memory(env, call.percpu, kind == k.PERCPU_MEMORY_OR_NULL)
    if kind in (k.BTF_RESULT, k.BTF_OR_NULL_RESULT):
        reference = acquire(env) if acquires else 0
        flags = TRUSTED if reference else RCU if sections.in_rcu(env) else TRUSTED
        made = Reg(BTF_PTR, ref=reference, btf=env.types.struct(parameter), flags=flags)
        return made if kind == k.BTF_RESULT else made._replace(kind=BTF_PTR_OR_NULL, id=reference or env.new_id())
    if kind == k.ELEMENT:
        return Reg(BLOCK, span=int(parameter))
    if kind == k.NEW_OBJECT:
        reference = acquire(env)
        if env.types.local is None or env.types.local.size_of(call.local_type) <= 0:
            raise malformed("bpf_obj_new type ID argument must be of a struct")
        return Reg(BTF_PTR_OR_NULL, id=reference, ref=reference, btf=call.local_type, flags=ALLOC)
    if kind == k.SAME_OBJECT:
        reference = acquire(env)
        return Reg(BTF_PTR_OR_NULL, id=reference, ref=reference, btf=call.owned.btf, flags=ALLOC)
    if kind in (k.LIST_ITEM, k.RB_ITEM, k.RB_ITEM_SEEN):
        field = call.field
        assert field is not None
        reference = acquire(env) if kind != k.RB_ITEM_SEEN else 0
        flags = ALLOC if reference else ALLOC | NON_OWNING
        offset = arguments.node_offset(env, field)
        made = Reg(BTF_PTR_OR_NULL, off=offset, id=reference or env.new_id(), ref=reference, btf=field.local)
        return made._replace(flags=flags)
    if kind == k.CAST:
        return btf_access.cast(env, call, parameter)
    raise unsupported(f"{call.name}: what it returns, {returns!r}, is")


_KERNEL_SOCKS = {
    Helper.skc_to_tcp6_sock: "tcp6_sock", Helper.skc_to_tcp_sock: "tcp_sock",
    Helper.skc_to_tcp_timewait_sock: "tcp_timewait_sock", Helper.skc_to_tcp_request_sock: "tcp_request_sock",
    Helper.skc_to_udp6_sock: "udp6_sock", Helper.skc_to_unix_sock: "unix_sock", Helper.skc_to_mptcp_sock: "mptcp_sock",
    Helper.sock_from_file: "socket",
}  # fmt: skip


def _slice(env: Env, call: Call) -> Reg:
    """Of a dynptr, or the buffer that was given for when the bytes are not in one piece."""
    size = call.alloc
    buffer = env.regs[3]
    if not is_zero(buffer):
        arguments.check_memory(env, call, buffer, 3, size, size, True)
        _written(env, call)
        call.out.clear()
    writable = call.name.endswith("_rdwr")
    if writable and call.dynptr.flags & RDONLY:
        raise malformed("the prog does not allow writes to packet data")
    flags = 0 if writable else RDONLY
    return Reg(BLOCK_OR_NULL, id=env.new_id(), ref=call.dynptr.ref, span=size, owner=call.dynptr.id, flags=flags)


def _exchanged(env: Env, call: Call) -> Reg:
    """What bpf_kptr_xchg() takes out of the field."""
    field = call.field
    assert field is not None
    reference = acquire(env)
    kernel = env.types.kernel
    of_kernel = kernel is not None and field.target and env.types.struct(field.target) > 0
    flags = (TRUSTED if of_kernel else ALLOC) | (PERCPU if field.kind == f.PERCPU_KPTR else 0)
    target = env.types.struct(field.target) if of_kernel else field.local
    return Reg(BTF_PTR_OR_NULL, id=reference, ref=reference, btf=target, flags=flags)


def call_subprogram(env: Env, insn: Instruction) -> int:
    """Enter a sub-program: returns its first instruction."""
    frames = env.state.frames
    if len(frames) >= MAX_FRAMES:
        raise Rejected(f"the call stack of {len(frames)} frames is too deep", errno.E2BIG)
    target = env.pc + 1 + insn.imm
    regs = [UNINIT] * 11
    regs[1:6] = env.regs[1:6]
    regs[10] = Reg(STACK, frame=len(frames))
    env.regs[0:6] = [UNINIT] * 6
    frames.append(Frame(regs, {}, env.program.owner[target], env.pc + 1))
    env.use(env.state)
    return target


def leave(env: Env) -> int:
    """An exit instruction: returns where to go on in the caller, or -1 at the end of the program."""
    frames = env.state.frames
    result = env.regs[0]
    if frames[-1].callback:
        return callbacks.leave(env, result)
    if len(frames) > 1:
        if result.kind is STACK:
            raise Rejected("cannot return stack pointer to the caller")
        frame = frames.pop()
        depth = len(frames)
        env.written = {key for key in env.written if key[0] < depth}
        env.use(env.state)
        env.regs[0] = result
        return frame.return_to
    check_nothing_held(env, "BPF_EXIT instruction in main prog")
    if btf_access.returns_nothing(env):
        return -1
    if result.kind is NOT_INIT:
        raise Rejected("R0 !read_ok")
    if result.kind is not SCALAR and not env.privileged:
        raise Rejected("R0 leaks addr as return value")
    allowed = btf_access.return_range(env) or return_range(env.spec.type, env.spec.attach_type)
    if allowed:
        if result.kind is not SCALAR:
            raise malformed(f"At program exit the register R0 is not a known value ({result.kind})")
        rest_on(result.marks)
    if allowed and not (allowed[0] <= result.var.s32min and result.var.s32max <= allowed[1]):
        raise malformed(
            f"At program exit the register R0 has smin={result.var.smin} smax={result.var.smax} "
            f"should have been in [{allowed[0]}, {allowed[1]}]"
        )
    return -1


def check_nothing_held(env: Env, where: str) -> None:
    sections.check_none(env, where)
    for reference, insn in env.state.refs.items():
        raise malformed(f"Unreleased reference id={reference} alloc_insn={insn}\n{where} would lead to reference leak")
