"""Arithmetic on scalars: bounds and bits of a result from those of the operands."""

from __future__ import annotations

from stingless.asm import opcodes as op
from stingless.embedded.verifier import tnum
from stingless.embedded.verifier.scalar import (
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    U32,
    U64,
    UNKNOWN,
    Scalar,
    const,
    low32,
    make,
)

Bounds = tuple[int, int, int, int]  # signed low and high, unsigned low and high

_TNUM = {op.ADD: tnum.add, op.SUB: tnum.sub, op.MUL: tnum.mul, op.AND: tnum.and_, op.OR: tnum.or_, op.XOR: tnum.xor}


def alu(operation: int, a: Scalar, b: Scalar, is64: bool) -> Scalar:
    """`a OP b` of 64 bits, or of 32 bits zero-extended.  Operations whose result Linux does not track give UNKNOWN."""
    if operation in (op.LSH, op.RSH, op.ARSH):
        bits = 64 if is64 else 32
        if (b.mask if is64 else b.mask & U32) or b.umax >= bits:
            return UNKNOWN
        return _shift(operation, a, b.u32min, is64)
    track = _TNUM.get(operation)
    if track is None:
        return UNKNOWN
    v, m = track(a.value, a.mask, b.value, b.mask)
    if not m:
        return const(v if is64 else v & U32)
    s32min, s32max, u32min, u32max = _bounds(
        operation,
        (a.s32min, a.s32max, a.u32min, a.u32max),
        (b.s32min, b.s32max, b.u32min, b.u32max),
        v & U32,
        (v | m) & U32,
        32,
    )
    if not is64:
        return make(v & U32, m & U32, 0, U32, 0, U32, s32min, s32max, u32min, u32max)
    smin, smax, umin, umax = _bounds(
        operation, (a.smin, a.smax, a.umin, a.umax), (b.smin, b.smax, b.umin, b.umax), v, v | m, 64
    )
    return make(v, m, smin, smax, umin, umax, s32min, s32max, u32min, u32max)


def _bounds(operation: int, a: Bounds, b: Bounds, low: int, high: int, bits: int) -> Bounds:
    """Bounds of a result; `low` and `high` are the smallest and largest value that its bits allow."""
    smin1, smax1, umin1, umax1 = a
    smin2, smax2, umin2, umax2 = b
    s_low, s_high, u_high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1, (1 << bits) - 1
    smin, smax, umin, umax = s_low, s_high, 0, u_high
    if operation == op.ADD:
        if smin1 + smin2 >= s_low and smax1 + smax2 <= s_high:
            smin, smax = smin1 + smin2, smax1 + smax2
        if umax1 + umax2 <= u_high:
            umin, umax = umin1 + umin2, umax1 + umax2
        return smin, smax, umin, umax
    if operation == op.SUB:
        if smin1 - smax2 >= s_low and smax1 - smin2 <= s_high:
            smin, smax = smin1 - smax2, smax1 - smin2
        if umin1 >= umax2:
            umin, umax = umin1 - umax2, umax1 - umin2
        return smin, smax, umin, umax
    if operation == op.MUL:
        half = 1 << (bits // 2)
        if smin1 < 0 or smin2 < 0 or umax1 >= half or umax2 >= half:
            return smin, smax, umin, umax
        umin, umax = umin1 * umin2, umax1 * umax2
        return (umin, umax, umin, umax) if umax <= s_high else (s_low, s_high, umin, umax)
    if operation == op.AND:
        umin, umax = low, min(umax1, umax2)
    elif operation == op.OR:
        umin, umax = max(umin1, umin2), high
    else:
        umin, umax = low, high
    if smin1 >= 0 and smin2 >= 0:
        smin, smax = umin, min(umax, s_high)
    return smin, smax, umin, umax


def _shift(operation: int, a: Scalar, n: int, is64: bool) -> Scalar:
    if not is64:
        a = low32(a)
    bits = 64 if is64 else 32
    full = (1 << bits) - 1
    v, m = a.value, a.mask
    if operation == op.LSH:
        umin, umax = (a.umin << n, a.umax << n) if a.umax << n <= full else (0, full)
        smin, smax = S64_MIN, S64_MAX
        if is64 and n == 32:
            # The first half of the idiom that sign-extends 32 bits.
            smin = a.s32min << 32 if a.s32min >= 0 else smin
            smax = a.s32max << 32 if a.s32max >= 0 else smax
        v, m = v << n & full, m << n & full
        return make(v, m, smin, smax, umin, umax, S32_MIN, S32_MAX, 0, U32)
    if operation == op.RSH:
        return make(v >> n, m >> n, S64_MIN, S64_MAX, a.umin >> n, a.umax >> n, S32_MIN, S32_MAX, 0, U32)
    v, m = tnum.arsh(v, m, n, bits)
    if is64:
        return make(v, m, a.smin >> n, a.smax >> n, 0, U64, S32_MIN, S32_MAX, 0, U32)
    return make(v, m, 0, U32, 0, U32, a.s32min >> n, a.s32max >> n, 0, U32)
