"""Functions of the program that helpers call, at once or later, and the steps of iterators."""

from __future__ import annotations

import errno

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType
from stingless.embedded.verifier import loops, objects, sections
from stingless.embedded.verifier.arguments import Call, node_offset
from stingless.embedded.verifier.checkpoint import Checkpoint, widen
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.kfuncs import Kfunc
from stingless.embedded.verifier.precision import rest_on
from stingless.embedded.verifier.rejection import Rejected, malformed, unsupported
from stingless.embedded.verifier.state import (
    ALLOC,
    BLOCK,
    BTF_PTR,
    DYNPTR_PTR,
    ITER_ACTIVE,
    ITER_DRAINED,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    NON_OWNING,
    RCU,
    RDONLY,
    SCALAR,
    STACK,
    TRUSTED,
    UNINIT,
    UNKNOWN_REG,
    ZERO_REG,
    Frame,
    Reg,
    State,
)

MAX_FRAMES = 8
_EACH = frozenset(
    {
        MapType.HASH, MapType.PERCPU_HASH, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH, MapType.ARRAY,
        MapType.PERCPU_ARRAY,
    }
)  # fmt: skip


def call_back(env: Env, call: Call) -> None:
    """The call goes on in two ways: into the function, after which the call is looked at again; and past it."""
    if call.helper == Helper.timer_set_callback or call.name == "bpf_wq_set_callback_impl":
        _later(env, call)
        return
    frame = env.state.frames[-1]
    if call.helper == Helper.loop:
        times = env.regs[1]
        if times.kind is not SCALAR:
            raise Rejected(f"R1 type={times.kind} expected=scalar")
        rest_on(times.marks)
        if frame.rounds >= times.var.umax:
            frame.rounds = 0
            return
    if len(env.state.frames) >= MAX_FRAMES:
        raise Rejected(f"the call stack of {len(env.state.frames)} frames is too deep", errno.E2BIG)
    inside = env.state.copy()
    caller = inside.frames[-1]
    caller.rounds += 1
    frame.rounds = 0
    inside.progress += 1
    regs = _arguments(env, call, caller.regs, len(inside.frames))
    env.called_back.setdefault(caller.subprog, set()).add(call.callback)
    inside.frames.append(Frame(regs, {}, call.callback, env.pc, call.name))
    env.push(inside, env.program.subprogs[call.callback])


def _arguments(env: Env, call: Call, caller: list[Reg], depth: int) -> list[Reg]:
    regs = [UNINIT] * 11
    regs[10] = Reg(STACK, frame=depth)
    if call.helper == Helper.loop:
        regs[1], regs[2] = UNKNOWN_REG, caller[3]
    elif call.helper == Helper.for_each_map_elem:
        spec = env.program.maps[call.map]
        if spec.type not in _EACH:
            raise malformed("callback function not allowed for map")
        regs[1:4] = _of_map(env, call.map, caller[1])
        regs[4] = caller[3]
    elif call.helper == Helper.find_vma:
        regs[1] = caller[1]
        regs[2] = Reg(BTF_PTR, btf=env.types.struct("vm_area_struct"))
        regs[3] = caller[4]
    elif call.name == "bpf_rbtree_add_impl":
        assert call.field is not None
        node = Reg(BTF_PTR, off=node_offset(env, call.field), btf=call.field.local, flags=ALLOC | NON_OWNING)
        regs[1] = regs[2] = node
    elif call.helper == Helper.user_ringbuf_drain:
        regs[1] = Reg(DYNPTR_PTR, span=objects.LOCAL, flags=RDONLY, id=env.new_id())
        regs[2] = caller[3]
    else:
        raise unsupported(f"a callback of {call.name} is")
    return regs


def _of_map(env: Env, number: int, map_ptr: Reg) -> list[Reg]:
    """The map, a key and its value."""
    from stingless.embedded.verifier.calls import map_value

    value = map_value(env, number, MAP_VALUE)
    key = Reg(MAP_KEY, map=number, span=env.program.maps[number].key_size)
    return [Reg(MAP_PTR, map=number, owner=map_ptr.owner), key, value]


def _later(env: Env, call: Call) -> None:
    """A timer calls it with the program's work done: from a state of its own."""
    assert call.field_reg is not None
    regs = [UNINIT] * 11
    regs[10] = Reg(STACK)
    regs[1:4] = _of_map(env, call.field_reg.map, call.field_reg)
    sleepable = call.name == "bpf_wq_set_callback_impl"
    start = State([Frame(regs, {}, call.callback, -1, "later")], {}, sleepable=sleepable)
    if call.callback in env.called_later:
        return  # it is followed, or will be, from that same state
    env.called_later.add(call.callback)
    point = env.point
    written = env.written
    env.point, env.written = Checkpoint(None, frozenset()), set()
    env.point.pending = 0
    env.push(start, env.program.subprogs[call.callback])
    env.point, env.written = point, written


def leave(env: Env, result: Reg) -> int:
    """A function that was called back returns."""
    frames = env.state.frames
    if result.kind is not SCALAR:
        raise Rejected("R0 not a scalar value" if result.kind != "?" else "R0 !read_ok")
    rest_on(result.marks)
    if frames[-1].callback == "later":
        from stingless.embedded.verifier.calls import check_nothing_held

        check_nothing_held(env, "BPF_EXIT instruction in callback")
        _check_range("At async callback return the register R0", result, 0, 0)
        return -1
    _check_range("At callback return the register R0", result, 0, 1)
    frame = frames.pop()
    depth = len(frames)
    env.written = {key for key in env.written if key[0] < depth}
    env.use(env.state)
    before = loops.passed(env, env.state, frame.return_to)
    if before is not None:
        widen(before, env.state)
    return frame.return_to


def _check_range(what: str, result: Reg, low: int, high: int) -> None:
    if not (low <= result.var.smin and result.var.smax <= high):
        raise malformed(f"{what} has smin={result.var.smin} smax={result.var.smax} should have been in [{low}, {high}]")


def iterator_step(env: Env, call: Call, kfunc: Kfunc) -> None:
    """bpf_iter_*_next(): there is another element, or the iterator is at its end."""
    assert call.iterator is not None
    number, base, first, name = call.iterator
    parameter = kfunc.returns.partition(":")[2]
    if first.span == ITER_ACTIVE:
        again = env.state.copy()
        element = _element(env, parameter, first)
        regs = again.frames[-1].regs
        loops.next_round(env, again)
        regs[0:6] = [element] + [UNINIT] * 5
        env.push(again, env.pc + 1)
    stack = env.state.frames[number].stack
    for index in range(objects.ITERATORS[name] // 8):
        slot = stack[base + 8 * index]
        assert type(slot) is Reg
        stack[base + 8 * index] = slot._replace(span=ITER_DRAINED)
    env.regs[0:6] = [ZERO_REG] + [UNINIT] * 5


def _element(env: Env, parameter: str, iterator: Reg) -> Reg:
    if parameter.isdigit():
        return Reg(BLOCK, span=int(parameter), ref=iterator.ref)
    flags = RCU if sections.in_rcu(env) else TRUSTED
    return Reg(BTF_PTR, btf=env.types.struct(parameter), flags=flags)
