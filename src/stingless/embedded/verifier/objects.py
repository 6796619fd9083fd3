"""What programs keep on their stack that is no number or pointer: dynptrs, iterators, saved interrupt flags."""

from __future__ import annotations

from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.state import (
    DYNPTR,
    DYNPTR_PTR,
    INVALID,
    ITER,
    ITER_ACTIVE,
    LOCK_IRQ,
    OBJECTS,
    STACK,
    UNINIT,
    Held,
    Reg,
    replace_all,
)

LOCAL, RINGBUF, SKB, XDP, SKB_META, FILE = range(1, 7)
DYNPTR_TYPES = {"local": LOCAL, "ringbuf": RINGBUF, "skb": SKB, "xdp": XDP, "skb_meta": SKB_META, "file": FILE}
ITERATORS = {
    "num": 8, "task": 24, "task_vma": 8, "css": 24, "css_task": 8, "bits": 16, "kmem_cache": 8, "dmabuf": 8,
    "scx_dsq": 48,
}  # bytes  # fmt: skip
_NUMBER = {name: number for number, name in enumerate(ITERATORS)}


def place(reg: Reg, number: int, size: int, what: str) -> tuple[int, int]:
    """(frame, lowest offset) of `size` aligned bytes of the stack."""
    if reg.kind is not STACK:
        raise malformed(f"arg#{number - 1} expected pointer to {what} on stack")
    if reg.var.mask:
        raise malformed(f"{what} has to be at a constant offset")
    off = reg.off + reg.var.smin
    if off % 8:
        raise malformed(f"cannot pass in {what} at an offset={off}")
    if off < -512 or off + size > 0:
        raise malformed(f"cannot pass in {what} at an offset={off}")
    return reg.frame, off


def destroy_overwritten(env: Env, frame: int, base: int) -> None:
    """Slot `base` is about to be written: what was kept there is no more.  A dynptr of a record that must be given back
    cannot be overwritten; the loss of an iterator shows at the end, as a reference that was not given back."""
    stack = env.state.frames[frame].stack
    slot = stack.get(base)
    if type(slot) is not Reg or slot.kind not in OBJECTS:
        return
    if slot.kind is DYNPTR:
        if slot.ref and sum(1 for each in _dynptrs(env) if each.ref == slot.ref and not each.off) < 2:
            raise malformed("cannot overwrite referenced dynptr")
        first = base - slot.off * 8
        for each in (first, first + 8):
            stack[each] = INVALID * 8
        _invalidate_slices(env, slot.id)
        return
    stack[base] = "m" * 8


def _dynptrs(env: Env) -> list[Reg]:
    return [
        slot for frame in env.state.frames for slot in frame.stack.values() if type(slot) is Reg and slot.kind is DYNPTR
    ]


def _invalidate_slices(env: Env, dynptr: int) -> None:
    replace_all(env.state, lambda r: r.owner == dynptr and r.kind not in OBJECTS, lambda r: UNINIT)


def new_dynptr(env: Env, reg: Reg, number: int, type_: int, ref: int, flags: int) -> None:
    frame, base = place(reg, number, 16, "dynptr")
    env.need_stack(frame, base)
    for each in (base, base + 8):
        destroy_overwritten(env, frame, each)
    made = Reg(DYNPTR, span=type_, id=env.new_id(), ref=ref, flags=flags)
    stack = env.state.frames[frame].stack
    for index in (0, 1):
        stack[base + 8 * index] = made._replace(off=index)
        env.slot_written(frame, base + 8 * index)


def dynptr(env: Env, reg: Reg, number: int) -> Reg:
    """The dynptr that an argument is: its first slot."""
    if reg.kind is DYNPTR_PTR:
        if reg.off or reg.var.mask or reg.var.value:
            raise malformed(f"R{number} must have zero offset when passed to a helper that takes a dynptr")
        return reg
    frame, base = place(reg, number, 16, "dynptr")
    stack = env.state.frames[frame].stack
    first, second = stack.get(base), stack.get(base + 8)
    env.slot_read(frame, base)
    env.slot_read(frame, base + 8)
    if (
        type(first) is not Reg or type(second) is not Reg or first.kind is not DYNPTR or second.kind is not DYNPTR
        or first.off or not second.off or first.id != second.id
    ):  # fmt: skip
        raise malformed(f"Expected an initialized dynptr as arg #{number - 1}")
    return first


def release_dynptr(env: Env, ref: int) -> None:
    """A ring buffer's record is given back: all dynptrs of it, and what was taken from them, are no more."""
    env.state.refs.pop(ref, None)
    gone = {each.id for each in _dynptrs(env) if each.ref == ref}
    for frame in env.state.frames:
        for base, slot in frame.stack.items():
            if type(slot) is Reg and slot.kind is DYNPTR and slot.ref == ref:
                frame.stack[base] = INVALID * 8
    replace_all(env.state, lambda r: r.kind not in OBJECTS and (r.owner in gone or r.ref == ref), lambda r: UNINIT)


def new_iterator(env: Env, reg: Reg, number: int, name: str, ref: int, flags: int = 0) -> None:
    size = ITERATORS[name]
    frame, base = place(reg, number, size, f"bpf_iter_{name}")
    env.need_stack(frame, base)
    stack = env.state.frames[frame].stack
    for index in range(size // 8):
        slot = stack.get(base + 8 * index)
        if type(slot) is Reg and slot.kind in OBJECTS:
            raise malformed(f"expected uninitialized bpf_iter_{name} as arg #{number - 1}")
    made = Reg(ITER, span=ITER_ACTIVE, map=_NUMBER[name], ref=ref, id=ref, flags=flags)
    for index in range(size // 8):
        stack[base + 8 * index] = made._replace(off=index)
        env.slot_written(frame, base + 8 * index)


def iterator(env: Env, reg: Reg, number: int, name: str) -> tuple[int, int, Reg]:
    """(frame, offset, first slot) of an iterator that was made."""
    size = ITERATORS[name]
    frame, base = place(reg, number, size, f"bpf_iter_{name}")
    stack = env.state.frames[frame].stack
    first = stack.get(base)
    for index in range(size // 8):
        slot = stack.get(base + 8 * index)
        env.slot_read(frame, base + 8 * index)
        if (
            type(slot) is not Reg or slot.kind is not ITER or slot.map != _NUMBER[name] or slot.off != index
            or type(first) is not Reg or slot.id != first.id
        ):  # fmt: skip
            raise malformed(f"expected an initialized bpf_iter_{name} as arg #{number - 1}")
    assert type(first) is Reg
    return frame, base, first


def end_iterator(env: Env, reg: Reg, number: int, name: str) -> None:
    frame, base, first = iterator(env, reg, number, name)
    env.state.refs.pop(first.ref, None)
    stack = env.state.frames[frame].stack
    for index in range(ITERATORS[name] // 8):
        stack[base + 8 * index] = INVALID * 8
        env.slot_written(frame, base + 8 * index)
    replace_all(env.state, lambda r: r.ref == first.ref and r.kind not in OBJECTS, lambda r: UNINIT)


def save_irq(env: Env, reg: Reg, number: int) -> None:
    frame, base = place(reg, number, 8, "an irq flag")
    slot = env.state.frames[frame].stack.get(base)
    if type(slot) is Reg and slot.kind in OBJECTS:
        raise malformed(f"expected uninitialized irq flag as arg#{number - 1}")
    env.need_stack(frame, base)
    ref = env.new_id()
    env.state.refs[ref] = env.pc
    held = env.state.held
    env.state.held = Held(held.lock, held.rcu, held.preempt, (*held.irqs, ref))
    env.state.frames[frame].stack[base] = Reg(LOCK_IRQ, ref=ref)
    env.slot_written(frame, base)


def restore_irq(env: Env, reg: Reg, number: int) -> None:
    frame, base = place(reg, number, 8, "an irq flag")
    slot = env.state.frames[frame].stack.get(base)
    env.slot_read(frame, base)
    if type(slot) is not Reg or slot.kind is not LOCK_IRQ:
        raise malformed(f"expected an initialized irq flag as arg#{number - 1}")
    held = env.state.held
    if not held.irqs or held.irqs[-1] != slot.ref:
        raise Rejected("cannot restore irq state out of order")
    env.state.held = Held(held.lock, held.rcu, held.preempt, held.irqs[:-1])
    env.state.refs.pop(slot.ref, None)
    env.state.frames[frame].stack[base] = INVALID * 8
    env.slot_written(frame, base)


def check_no_object(slot: object, off: int, size: int) -> None:
    """A slot that is read or filled as if it held a number."""
    if type(slot) is Reg and slot.kind in OBJECTS:
        raise Rejected(f"invalid read from stack off {off}+0 size {size}")
