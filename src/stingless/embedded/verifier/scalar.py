"""What the verifier knows of a number: its bits (a tnum) and its bounds, signed and unsigned, of 64 and of the low 32
bits.

Scalars are immutable.  `make()` lets the facts sharpen one another; every operation here may only lose knowledge, and
never knows more than Linux does, so that what is accepted on this knowledge Linux accepts too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from stingless.embedded.verifier import tnum

U64 = (1 << 64) - 1
U32 = (1 << 32) - 1
S64_MIN, S64_MAX = -(1 << 63), (1 << 63) - 1
S32_MIN, S32_MAX = -(1 << 31), (1 << 31) - 1
HIGH = U64 & ~U32


class Scalar(NamedTuple):
    value: int
    mask: int
    smin: int
    smax: int
    umin: int
    umax: int
    s32min: int
    s32max: int
    u32min: int
    u32max: int


UNKNOWN = Scalar(0, U64, S64_MIN, S64_MAX, 0, U64, S32_MIN, S32_MAX, 0, U32)


def s64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def s32(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


@lru_cache(maxsize=4096)
def const(value: int) -> Scalar:
    """The number `value` (any integer; taken modulo 2^64)."""
    value &= U64
    signed, low = s64(value), value & U32
    signed_low = s32(low)
    return Scalar(value, 0, signed, signed, value, value, signed_low, signed_low, low, low)


ZERO = const(0)


@lru_cache(maxsize=64)
def unsigned_bits(bits: int) -> Scalar:
    """An unknown number of `bits` bits, zero-extended."""
    if bits == 64:
        return UNKNOWN
    high = (1 << bits) - 1
    return make(0, high, 0, high, 0, high, S32_MIN, S32_MAX, 0, high if bits < 32 else U32)


@lru_cache(maxsize=64)
def signed_bits(bits: int) -> Scalar:
    """An unknown number of `bits` bits, sign-extended to 64."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return make(0, U64, low, high, 0, U64, low, high, 0, U32)


@lru_cache(maxsize=1 << 14)
def make(
    v: int, m: int, smin: int, smax: int, umin: int, umax: int, s32min: int, s32max: int, u32min: int, u32max: int
) -> Scalar:
    """A scalar of these facts, each sharpened by the others.  Facts that contradict one another give UNKNOWN."""
    for last in (False, True):
        # Bits to bounds.
        if m != U64:
            lo, hi = v, v | m
            if lo > umin:
                umin = lo
            if hi < umax:
                umax = hi
            smin = max(smin, s64(v | (m & 1 << 63)))
            smax = min(smax, s64(v | (m & S64_MAX)))
            lo, hi = v & U32, (v | m) & U32
            if lo > u32min:
                u32min = lo
            if hi < u32max:
                u32max = hi
            s32min = max(s32min, s32(lo | (m & 1 << 31)))
            s32max = min(s32max, s32(lo | (m & S32_MAX)))
        if last:
            break
        for _ in range(2):
            # 64-bit bounds to 32-bit bounds, where the upper halves agree.
            if umin >> 32 == umax >> 32:
                lo, hi = umin & U32, umax & U32
                u32min, u32max = max(u32min, lo), min(u32max, hi)
                if s32(lo) <= s32(hi):
                    s32min, s32max = max(s32min, s32(lo)), min(s32max, s32(hi))
            if smin >> 32 == smax >> 32:
                lo, hi = smin & U32, smax & U32
                if lo <= hi:
                    u32min, u32max = max(u32min, lo), min(u32max, hi)
                if s32(lo) <= s32(hi):
                    s32min, s32max = max(s32min, s32(lo)), min(s32max, s32(hi))
            # Unsigned to signed and back, where the range does not cross the sign's border.
            if s32(u32min) <= s32(u32max):
                s32min, s32max = max(s32min, s32(u32min)), min(s32max, s32(u32max))
            if s32min & U32 <= s32max & U32:
                u32min, u32max = max(u32min, s32min & U32), min(u32max, s32max & U32)
            if s64(umin) <= s64(umax):
                smin, smax = max(smin, s64(umin)), min(smax, s64(umax))
            if smin & U64 <= smax & U64:
                umin, umax = max(umin, smin & U64), min(umax, smax & U64)
            # 32-bit bounds to 64-bit bounds.
            umin = max(umin, umin & HIGH | u32min)
            umax = min(umax, umax & HIGH | u32max)
            smin = max(smin, (smin >> 32 << 32) + u32min)
            smax = min(smax, (smax >> 32 << 32) + u32max)
            if s32min >= 0 and smin >= S32_MIN and smax <= S32_MAX:
                smin, smax = max(smin, s32min), min(smax, s32max)
                umin, umax = max(umin, s32min), min(umax, s32max)
            if umin > umax or smin > smax or u32min > u32max or s32min > s32max:
                return UNKNOWN
        # Bounds to bits.
        rv, rm = tnum.from_range(umin, umax)
        if (v ^ rv) & ~(m | rm) & U64:
            return UNKNOWN
        v, m = tnum.intersect(v, m, rv, rm)
        rv, rm = tnum.from_range(u32min, u32max)
        if (v ^ rv) & ~(m | rm) & U32:
            return UNKNOWN
        lv, lm = tnum.intersect(v & U32, m & U32, rv, rm)
        v, m = v & HIGH | lv, m & HIGH | lm
    if umin > umax or smin > smax or u32min > u32max or s32min > s32max:
        return UNKNOWN
    return Scalar(v, m, smin, smax, umin, umax, s32min, s32max, u32min, u32max)


def low32(a: Scalar) -> Scalar:
    """The low 32 bits, zero-extended (what a 32-bit operation leaves)."""
    if not a.mask & U32:
        return const(a.value & U32)
    return make(a.value & U32, a.mask & U32, 0, U32, a.u32min, a.u32max, a.s32min, a.s32max, a.u32min, a.u32max)


def truncate(a: Scalar, size: int) -> Scalar:
    """The low `size` bytes, zero-extended."""
    if size == 8:
        return a
    if size == 4:
        return low32(a)
    full = (1 << size * 8) - 1
    if not a.mask & full:
        return const(a.value & full)
    umin, umax = 0, full
    if a.umin & ~full == a.umax & ~full:
        umin, umax = a.umin & full, a.umax & full
    return make(a.value & full, a.mask & full, umin, umax, umin, umax, S32_MIN, S32_MAX, umin, umax)


def sign_extend(a: Scalar, bits: int) -> Scalar:
    """The low `bits` bits, sign-extended to 64."""
    if not a.mask & ((1 << bits) - 1):
        low = a.value & ((1 << bits) - 1)
        return const(low - (1 << bits) if low >> (bits - 1) else low)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if low <= a.smin and a.smax <= high:
        return a
    return signed_bits(bits)


def within(outer: Scalar, inner: Scalar) -> bool:
    """Every number of `inner` is one of `outer`."""
    return outer is inner or (
        outer.umin <= inner.umin
        and outer.umax >= inner.umax
        and outer.smin <= inner.smin
        and outer.smax >= inner.smax
        and outer.u32min <= inner.u32min
        and outer.u32max >= inner.u32max
        and outer.s32min <= inner.s32min
        and outer.s32max >= inner.s32max
        and tnum.contains(outer.value, outer.mask, inner.value, inner.mask)
    )
