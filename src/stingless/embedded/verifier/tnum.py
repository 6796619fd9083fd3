"""Tristate numbers: what is known of each bit of a 64-bit value.

A tnum is the pair (value, mask): bits set in `mask` are unknown, the others are as in `value`; `value & mask` is 0.
"""

from __future__ import annotations

Tnum = tuple[int, int]

U64 = (1 << 64) - 1


def add(av: int, am: int, bv: int, bm: int) -> Tnum:
    # A bit of the sum is unknown where an operand's bit is, or where the carry into it can differ: compare the sum of
    # the smallest values with the sum of the largest.
    low = av + bv
    mask = ((low + am + bm) ^ low | am | bm) & U64
    return low & ~mask & U64, mask


def sub(av: int, am: int, bv: int, bm: int) -> Tnum:
    difference = av - bv
    mask = ((difference + am) ^ (difference - bm) | am | bm) & U64
    return difference & ~mask & U64, mask


def and_(av: int, am: int, bv: int, bm: int) -> Tnum:
    value = av & bv
    return value, (av | am) & (bv | bm) & ~value


def or_(av: int, am: int, bv: int, bm: int) -> Tnum:
    value = av | bv
    return value, (am | bm) & ~value


def xor(av: int, am: int, bv: int, bm: int) -> Tnum:
    mask = am | bm
    return (av ^ bv) & ~mask, mask


def mul(av: int, am: int, bv: int, bm: int) -> Tnum:
    """Long multiplication: add up the shifted uncertainty of each bit of a."""
    value = av * bv & U64
    acc_value, acc_mask = 0, 0
    while av or am:
        if av & 1:
            acc_value, acc_mask = add(acc_value, acc_mask, 0, bm)
        elif am & 1:
            acc_value, acc_mask = add(acc_value, acc_mask, 0, bv | bm)
        av, am = av >> 1, am >> 1
        bv, bm = bv << 1 & U64, bm << 1 & U64
    return add(value, 0, acc_value, acc_mask)


def arsh(v: int, m: int, shift: int, bits: int) -> Tnum:
    """Arithmetic shift right of a number of `bits` bits; both fields are shifted with their own sign."""
    full = (1 << bits) - 1
    sign = 1 << (bits - 1)
    v = ((v ^ sign) - sign) >> shift & full
    m = ((m ^ sign) - sign) >> shift & full
    return v & ~m, m


def from_range(low: int, high: int) -> Tnum:
    """The tnum of the unsigned range low..high: the bits above the highest one that differs are known."""
    bits = (low ^ high).bit_length()
    if bits > 63:
        return 0, U64
    mask = (1 << bits) - 1
    return low & ~mask, mask


def intersect(av: int, am: int, bv: int, bm: int) -> Tnum:
    mask = am & bm
    return (av | bv) & ~mask, mask


def contains(av: int, am: int, bv: int, bm: int) -> bool:
    """Every value of b is a value of a."""
    return not bm & ~am and av == bv & ~am
