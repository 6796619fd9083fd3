"""Conditional jumps: which way they can go, and what each way tells of the compared registers."""

from __future__ import annotations

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier import tnum
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.precision import Marks, merge, rest_on
from stingless.embedded.verifier.scalar import U32, U64, UNKNOWN, Scalar, make
from stingless.embedded.verifier.state import (
    ALLOC,
    BLOCK,
    BTF_PTR,
    MAP_KEY,
    MAP_PTR,
    MAP_VALUE,
    MEM,
    NON_OWNING,
    OR_NULL,
    PACKET,
    PACKET_END,
    PACKET_META,
    SCALAR,
    SOCKETS,
    TRUSTED,
    ZERO_REG,
    Reg,
    State,
    const_reg,
    is_zero,
    replace_all,
)

_NOT_SET = -1  # the opposite of JSET, which no instruction has
_OPPOSITE = {
    op.JEQ: op.JNE, op.JNE: op.JEQ, op.JGT: op.JLE, op.JLE: op.JGT, op.JGE: op.JLT, op.JLT: op.JGE, op.JSGT: op.JSLE,
    op.JSLE: op.JSGT, op.JSGE: op.JSLT, op.JSLT: op.JSGE, op.JSET: _NOT_SET,
}  # fmt: skip
_SWAPPED = {op.JGT: op.JLT, op.JLT: op.JGT, op.JGE: op.JLE, op.JLE: op.JGE, op.JSGT: op.JSLT, op.JSLT: op.JSGT,
            op.JSGE: op.JSLE, op.JSLE: op.JSGE}  # fmt: skip
_NEVER_NULL = frozenset({MAP_VALUE, MAP_KEY, MAP_PTR, MEM, BLOCK, *SOCKETS})
_MAX_PACKET = 0xFFFF


def execute(env: Env, insn: Instruction) -> int:
    """Follow the conditional jump `insn`: returns where to go on, and leaves the other way, if possible, for later."""
    operation, wide = insn.opcode & 0xF0, insn.opcode & 0x07 == op.JMP
    by_reg = bool(insn.opcode & op.X)
    right = env.read(insn.src) if by_reg else const_reg(insn.imm)
    left = env.read(insn.dst)
    here, there = env.pc + 1, env.pc + 1 + insn.off
    taken = _outcome(operation, left, right, wide)
    if taken is not None:
        rest_on(left.marks)
        rest_on(right.marks)
        return there if taken else here
    other = env.state.copy()
    if left.kind is SCALAR and right.kind is SCALAR:
        if not (by_reg and insn.dst == insn.src):
            number = insn.src if by_reg else -1
            _learn(other, operation, insn.dst, number, left, right, wide)
            _learn(env.state, _OPPOSITE[operation], insn.dst, number, left, right, wide)
    elif wide:
        if left.kind in OR_NULL and not by_reg and is_zero(right) and operation in (op.JEQ, op.JNE):
            null, valid = (other, env.state) if operation == op.JEQ else (env.state, other)
            _resolve_null(null, left, True)
            _resolve_null(valid, left, False)
        elif by_reg:
            _packet_range(operation, left, right, other, env.state)
    env.push(other, there)
    return here


def _is_never_null(reg: Reg) -> bool:
    if reg.kind is BTF_PTR:
        return bool(reg.ref or reg.flags & (TRUSTED | ALLOC | NON_OWNING))
    return reg.kind in _NEVER_NULL


def _outcome(operation: int, left: Reg, right: Reg, wide: bool) -> bool | None:
    """Whether the jump is taken, if that is certain."""
    if left.kind is not SCALAR or right.kind is not SCALAR:
        if wide and _is_never_null(left) and is_zero(right) and operation in (op.JEQ, op.JNE):
            return operation == op.JNE
        return None
    a, b = left.var, right.var
    if operation in (op.JEQ, op.JNE):
        equal = _equal(a, b, wide)
        return None if equal is None else equal == (operation == op.JEQ)
    if operation == op.JSET:
        low = U64 if wide else U32
        if b.mask & low:
            return None
        if a.value & b.value & low:
            return True
        return False if not (a.value | a.mask) & b.value & low else None
    if operation in (op.JLT, op.JLE, op.JSLT, op.JSLE):
        return _outcome(_SWAPPED[operation], right, left, wide)
    signed = operation in (op.JSGT, op.JSGE)
    if wide:
        amin, amax, bmin, bmax = (a.smin, a.smax, b.smin, b.smax) if signed else (a.umin, a.umax, b.umin, b.umax)
    else:
        amin, amax, bmin, bmax = (
            (a.s32min, a.s32max, b.s32min, b.s32max) if signed else (a.u32min, a.u32max, b.u32min, b.u32max)
        )
    if operation in (op.JGT, op.JSGT):
        return True if amin > bmax else False if amax <= bmin else None
    return True if amin >= bmax else False if amax < bmin else None


def _equal(a: Scalar, b: Scalar, wide: bool) -> bool | None:
    if wide:
        if not a.mask and not b.mask:
            return a.value == b.value
        if a.umin > b.umax or a.umax < b.umin or a.smin > b.smax or a.smax < b.smin:
            return False
        return None
    if not a.mask & U32 and not b.mask & U32:
        return a.value & U32 == b.value & U32
    if a.u32min > b.u32max or a.u32max < b.u32min or a.s32min > b.s32max or a.s32max < b.s32min:
        return False
    return None


def _learn(state: State, operation: int, dst: int, src: int, left: Reg, right: Reg, wide: bool) -> None:
    """In `state`, `left OP right` holds."""
    a, b = refine(operation, left.var, right.var, wide)
    marks = merge(left.marks, right.marks)
    if src >= 0:
        _set(state, src, b, marks)
    _set(state, dst, a, marks)


def _set(state: State, number: int, var: Scalar, marks: Marks) -> None:
    reg = state.frames[-1].regs[number]
    if var is reg.var:
        return
    state.frames[-1].regs[number] = reg._replace(var=var, marks=merge(reg.marks, marks))
    if reg.id:
        same = reg.id
        replace_all(
            state,
            lambda r: r.id == same and r.kind is SCALAR,
            lambda r: r._replace(var=var, marks=merge(r.marks, marks)),
        )


def refine(operation: int, a: Scalar, b: Scalar, wide: bool) -> tuple[Scalar, Scalar]:
    """What is known of `a` and `b` when `a OP b` holds."""
    if operation in (op.JGT, op.JGE, op.JSGT, op.JSGE):
        b, a = refine(_SWAPPED[operation], b, a, wide)
        return a, b
    if operation == op.JEQ:
        both = _intersection(a, b, wide)
        if wide:
            return both, both
        return _with_low(a, both), _with_low(b, both)
    if operation == op.JNE:
        if not (b.mask if wide else b.mask & U32):
            return _without(a, b, wide), b
        if not (a.mask if wide else a.mask & U32):
            return a, _without(b, a, wide)
        return a, b
    if operation in (op.JSET, _NOT_SET):
        return _bits(operation, a, b, wide), b
    less = 1 if operation in (op.JLT, op.JSLT) else 0
    if operation in (op.JLT, op.JLE):
        if wide:
            return (
                _with(a, umax=min(a.umax, b.umax - less)),
                _with(b, umin=max(b.umin, a.umin + less)),
            )
        return _with(a, u32max=min(a.u32max, b.u32max - less)), _with(b, u32min=max(b.u32min, a.u32min + less))
    if wide:
        return _with(a, smax=min(a.smax, b.smax - less)), _with(b, smin=max(b.smin, a.smin + less))
    return _with(a, s32max=min(a.s32max, b.s32max - less)), _with(b, s32min=max(b.s32min, a.s32min + less))


def _with(
    a: Scalar, *, smin: int | None = None, smax: int | None = None, umin: int | None = None, umax: int | None = None,
    s32min: int | None = None, s32max: int | None = None, u32min: int | None = None, u32max: int | None = None,
) -> Scalar:  # fmt: skip
    new = (
        a.value, a.mask,
        a.smin if smin is None else smin, a.smax if smax is None else smax,
        a.umin if umin is None else umin, a.umax if umax is None else umax,
        a.s32min if s32min is None else s32min, a.s32max if s32max is None else s32max,
        a.u32min if u32min is None else u32min, a.u32max if u32max is None else u32max,
    )  # fmt: skip
    return a if new == a else make(*new)


def _intersection(a: Scalar, b: Scalar, wide: bool) -> Scalar:
    """The numbers in both; when not `wide`, only the low halves are meant."""
    low = U64 if wide else U32
    if (a.value ^ b.value) & ~(a.mask | b.mask) & low:
        return UNKNOWN
    v, m = tnum.intersect(a.value & low, a.mask & low, b.value & low, b.mask & low)
    if not wide:
        m |= U64 & ~U32
        umin, umax, smin, smax = UNKNOWN.umin, UNKNOWN.umax, UNKNOWN.smin, UNKNOWN.smax
    else:
        umin, umax, smin, smax = max(a.umin, b.umin), min(a.umax, b.umax), max(a.smin, b.smin), min(a.smax, b.smax)
    return make(
        v, m, smin, smax, umin, umax, max(a.s32min, b.s32min), min(a.s32max, b.s32max),
        max(a.u32min, b.u32min), min(a.u32max, b.u32max),
    )  # fmt: skip


def _with_low(a: Scalar, low: Scalar) -> Scalar:
    """`a` with the low half's facts of `low`."""
    return make(
        a.value & ~U32 | low.value & U32, a.mask & ~U32 | low.mask & U32, a.smin, a.smax, a.umin, a.umax,
        low.s32min, low.s32max, low.u32min, low.u32max,
    )  # fmt: skip


def _without(a: Scalar, number: Scalar, wide: bool) -> Scalar:
    """`a` is not `number`: it matters where that is a bound."""
    if wide:
        value, signed = number.value, number.smin
        return _with(
            a,
            umin=a.umin + (a.umin == value),
            umax=a.umax - (a.umax == value),
            smin=a.smin + (a.smin == signed),
            smax=a.smax - (a.smax == signed),
        )
    value, signed = number.u32min, number.s32min
    return _with(
        a,
        u32min=a.u32min + (a.u32min == value),
        u32max=a.u32max - (a.u32max == value),
        s32min=a.s32min + (a.s32min == signed),
        s32max=a.s32max - (a.s32max == signed),
    )


def _bits(operation: int, a: Scalar, b: Scalar, wide: bool) -> Scalar:
    """What `a & number` being zero or not tells of a's bits."""
    low = U64 if wide else U32
    if b.mask & low:
        return a
    bits = b.value & low
    if operation == op.JSET:
        if bits.bit_count() != 1 or a.value & bits or not a.mask & bits:
            return a
        v, m = a.value | bits, a.mask & ~bits
    else:
        if a.value & bits:
            return UNKNOWN
        v, m = a.value, a.mask & ~bits
    return make(v, m, *a[2:])


def _resolve_null(state: State, pointer: Reg, null: bool) -> None:
    """All pointers from the same lookup are NULL, or none is."""
    kind, same = OR_NULL[pointer.kind], pointer.id
    if null:
        state.refs.pop(pointer.ref, None)
    replace_all(
        state,
        lambda r: r.id == same and r.kind in OR_NULL,
        lambda r: ZERO_REG if null else r._replace(kind=kind, id=0),
    )


# For `left OP right` with a packet pointer on the left and the end on the right: (the branch where the pointer is known
# to be inside, whether it is before the end and not at most at it).
_INSIDE = {op.JGT: (False, False), op.JGE: (False, True), op.JLT: (True, True), op.JLE: (True, False)}


def _packet_range(operation: int, left: Reg, right: Reg, taken: State, not_taken: State) -> None:
    """A comparison with the packet's end (for metadata: its start) tells how many bytes can be accessed."""
    if operation not in _INSIDE:
        return
    if _bounds(right, left):
        left, right, operation = right, left, _SWAPPED[operation]
    elif not _bounds(left, right):
        return
    if_taken, before = _INSIDE[operation]
    state = taken if if_taken else not_taken
    if left.off < 0 or (left.off == 0 and before):
        return
    if left.var.umax > _MAX_PACKET or left.var.umax + left.off > _MAX_PACKET:
        return
    span, kind, same = left.off + before, left.kind, left.id
    replace_all(
        state,
        lambda r: r.kind is kind and r.id == same and r.span < span,
        lambda r: r._replace(span=span),
    )


def _bounds(pointer: Reg, end: Reg) -> bool:
    if pointer.kind is PACKET:
        return end.kind is PACKET_END
    # Metadata ends where the packet, as loaded from the context, starts.
    return pointer.kind is PACKET_META and end.kind is PACKET and not end.off and not end.id and not end.var.mask
