"""Loads, stores and helper accesses on the stack."""

from __future__ import annotations

from stingless.asm.opcodes import MAX_STACK
from stingless.embedded.verifier import objects
from stingless.embedded.verifier.arithmetic import MAX_VARIABLE_OFFSET
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.precision import rest_on
from stingless.embedded.verifier.rejection import Rejected
from stingless.embedded.verifier.scalar import truncate, unsigned_bits
from stingless.embedded.verifier.state import (
    INVALID,
    MISC,
    OBJECTS,
    SCALAR,
    STACK,
    ZERO_BYTE,
    ZERO_REG,
    Reg,
    Slot,
    is_zero,
)


def bounds(reg: Reg, number: int, off: int, size: int, what: str) -> tuple[int, int]:
    """The lowest and the highest offset that `reg` + `off` can have.  `what` is " read from", " write to", ..."""
    if reg.var.mask and (reg.var.smax >= MAX_VARIABLE_OFFSET or reg.var.smin <= -MAX_VARIABLE_OFFSET):
        raise Rejected(f"invalid unbounded variable-offset{what} stack R{number}")
    low, high = reg.off + off + reg.var.smin, reg.off + off + reg.var.smax
    if low < -MAX_STACK or high + size > 0:
        if not reg.var.mask:
            raise Rejected(f"invalid{what} stack R{number} off={low} size={size}")
        raise Rejected(f"invalid variable-offset{what} stack R{number} min_off={low} max_off={high} size={size}")
    return low, high


def load(env: Env, reg: Reg, number: int, off: int, size: int) -> Reg:
    low, high = bounds(reg, number, off, size, " read from")
    stack = env.state.frames[reg.frame].stack
    if low != high:
        check_initialised(env, reg, number, low, high - low + size)
        return Reg(SCALAR, unsigned_bits(size * 8))
    base = low & ~7
    slot = stack.get(base, INVALID * 8)
    env.slot_read(reg.frame, base)
    if isinstance(slot, Reg):
        objects.check_no_object(slot, low, size)
        if slot.span and slot.kind is SCALAR:  # a number of fewer bytes
            return _narrow(env, slot, low - base, size)
        if size == 8:
            return slot
        if slot.kind is not SCALAR:
            raise Rejected("invalid size of register fill")
        if is_zero(slot):
            return slot
        if low == base:
            return Reg(SCALAR, truncate(slot.var, size), marks=slot.marks)
        return Reg(SCALAR, unsigned_bits(size * 8))
    content = slot[low - base : low - base + size]
    if INVALID in content:
        if not env.privileged:
            raise Rejected(f"invalid read from stack off {low}+{content.index(INVALID)} size {size}")
        env.uninitialised = True
    return ZERO_REG if content == ZERO_BYTE * size else Reg(SCALAR, unsigned_bits(size * 8))


def store(env: Env, reg: Reg, number: int, off: int, size: int, value: Reg, source: int) -> None:
    """Store `value`, which is register `source` (-1: none)."""
    low, high = bounds(reg, number, off, size, " write to")
    env.need_stack(reg.frame, low)
    if low != high:
        if value.kind is not SCALAR:
            raise Rejected(f"R{source} is a pointer, which cannot be spilled at a variable offset of the stack")
        overwrite(env, reg.frame, low, high - low + size, certain=0)
        return
    stack = env.state.frames[reg.frame].stack
    base = low & ~7
    objects.destroy_overwritten(env, reg.frame, base)
    if size < 8:
        if value.kind is not SCALAR:
            raise Rejected("invalid size of register spill")
        if low == base and env.privileged and not is_zero(value):
            _spill_narrow(env, reg.frame, base, size, value, source)
            return
        mark = MISC
        if is_zero(value):
            mark = ZERO_BYTE
            rest_on(value.marks)
        _set_bytes(env, reg.frame, base, low - base, size, mark)
        return
    if value.kind is STACK and reg.frame != len(env.state.frames) - 1:
        raise Rejected("cannot spill pointers to stack into stack frame of the caller")
    if source >= 0 and value.kind is SCALAR and value.var.mask and not value.id:
        value = env.regs[source] = value._replace(id=env.new_id())
    stack[base] = value
    env.slot_written(reg.frame, base)


def _narrow(env: Env, slot: Reg, at: int, size: int) -> Reg:
    """A load from a slot whose low bytes hold a number; what is above them, is not known."""
    if at + size > slot.span:
        env.uninitialised = True
    elif not at and size == slot.span:
        return slot._replace(span=0)
    elif not at:
        return Reg(SCALAR, truncate(slot.var, size), marks=slot.marks)
    return Reg(SCALAR, unsigned_bits(size * 8))


def _spill_narrow(env: Env, frame: int, base: int, size: int, value: Reg, source: int) -> None:
    """The low `size` bytes of a number at the start of a slot.  The bytes above them count as written: a privileged
    loader may read them anyway."""
    fits = value.var.umax < 1 << 8 * size
    if fits and source >= 0 and value.var.mask and not value.id:
        value = env.regs[source] = value._replace(id=env.new_id())
    var = value.var if fits else truncate(value.var, size)
    spilled = Reg(SCALAR, var, id=value.id if fits else 0, span=size, marks=value.marks)
    env.slot_read(frame, base)  # what is above stays as it was
    env.state.frames[frame].stack[base] = spilled


def check_initialised(env: Env, reg: Reg, number: int, low: int, size: int, indirect: bool = False) -> None:
    """All bytes low..low+size are initialised and none belongs to a pointer."""
    stack = env.state.frames[reg.frame].stack
    word = "indirect " if indirect else ""
    for base in range(low & ~7, low + size, 8):
        slot = stack.get(base, INVALID * 8)
        env.slot_read(reg.frame, base)
        if isinstance(slot, Reg):
            objects.check_no_object(slot, low, size)
            if slot.kind is not SCALAR and not env.privileged:
                raise Rejected(f"R{number} leaks addr: the stack at off {base} holds a pointer ({slot.kind})")
            continue
        first, last = max(low - base, 0), min(low + size - base, 8)
        at = slot.find(INVALID, first, last)
        if at >= 0 and env.privileged:
            env.uninitialised = True
        elif at >= 0:
            raise Rejected(f"invalid {word}read from stack R{number} off {low}+{base + at - low} size {size}")


def overwrite(env: Env, frame: int, low: int, size: int, certain: int) -> None:
    """Unknown bytes are written to the first `certain` of `size` bytes, and perhaps to the others."""
    for base in range(low & ~7, low + size, 8):
        objects.destroy_overwritten(env, frame, base)
    for base in range(low & ~7, low + size, 8):
        first, last = max(low - base, 0), min(low + size - base, 8)
        sure = min(max(low + certain - base, first), last)
        if sure > first:
            _set_bytes(env, frame, base, first, sure - first, MISC)
        if last > sure:
            stack = env.state.frames[frame].stack
            old = stack.get(base)
            if old is None:
                continue
            env.slot_read(frame, base)
            content = as_bytes(old)
            stack[base] = content[:sure] + content[sure:last].replace(ZERO_BYTE, MISC) + content[last:]


def check_no_objects(env: Env, frame: int, low: int, size: int) -> None:
    """A helper writes there: no dynptr, iterator or saved interrupt flags may be there."""
    stack = env.state.frames[frame].stack
    for base in range(low & ~7, low + size, 8):
        slot = stack.get(base)
        if type(slot) is Reg and slot.kind in OBJECTS:
            raise Rejected(f"potential write to {slot.kind} at off={base} disallowed")


def as_bytes(slot: Slot) -> str:
    return MISC * 8 if isinstance(slot, Reg) else slot


def _set_bytes(env: Env, frame: int, base: int, at: int, size: int, mark: str) -> None:
    stack = env.state.frames[frame].stack
    if size == 8:
        stack[base] = mark * 8
        env.slot_written(frame, base)
        return
    content = as_bytes(stack.get(base, INVALID * 8))
    stack[base] = content[:at] + mark * size + content[at + size :]
