"""What the verifier computes of numbers holds for every number: checked with concrete ones."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from stingless.asm import opcodes as op
from stingless.embedded.verifier import tnum
from stingless.embedded.verifier.branches import refine
from stingless.embedded.verifier.scalar import (
    U32,
    U64,
    UNKNOWN,
    Scalar,
    const,
    low32,
    make,
    s32,
    s64,
    sign_extend,
    truncate,
    within,
)
from stingless.embedded.verifier.scalar_alu import alu

EDGES = [0, 1, 7, 8, 255, 256, 0x7FFFFFFF, 0x80000000, U32, 1 << 32, (1 << 63) - 1, 1 << 63, U64 - 1, U64]
NUMBERS = st.one_of(st.sampled_from(EDGES), st.integers(0, U64), st.integers(0, 300))


def holds(a: Scalar, x: int) -> bool:
    low = x & U32
    return (
        x & ~a.mask & U64 == a.value
        and a.umin <= x <= a.umax
        and a.smin <= s64(x) <= a.smax
        and a.u32min <= low <= a.u32max
        and a.s32min <= s32(low) <= a.s32max
    )


@st.composite
def scalars(draw: st.DrawFn) -> tuple[Scalar, int]:
    """A scalar and one of its numbers."""
    x = draw(NUMBERS)
    how = draw(st.integers(0, 6))
    if how == 0:
        return const(x), x
    mask = draw(NUMBERS) if how in (1, 5) else U64
    fields = list(UNKNOWN)
    fields[0], fields[1] = x & ~mask & U64, mask
    other = draw(NUMBERS)
    if how in (2, 5):
        fields[4], fields[5] = min(x, other), max(x, other)
    if how in (3, 5):
        fields[2], fields[3] = min(s64(x), s64(other)), max(s64(x), s64(other))
    if how in (4, 6):
        low, other_low = x & U32, other & U32
        fields[8], fields[9] = min(low, other_low), max(low, other_low)
    if how == 6:
        low, other_low = s32(x & U32), s32(draw(NUMBERS) & U32)
        fields[6], fields[7] = min(low, other_low), max(low, other_low)
    return make(*fields), x


@given(scalars())
def test_make_keeps_every_number(pair: tuple[Scalar, int]) -> None:
    a, x = pair
    assert holds(a, x)
    assert not a.value & a.mask
    for size in (1, 2, 4, 8):
        assert holds(truncate(a, size), x & (1 << size * 8) - 1)
    for bits in (8, 16, 32):
        low = x & (1 << bits) - 1
        assert holds(sign_extend(a, bits), (low - (1 << bits) if low >> (bits - 1) else low) & U64)


OPERATIONS: dict[int, Callable[[int, int, int], int]] = {
    op.ADD: lambda x, y, bits: x + y,
    op.SUB: lambda x, y, bits: x - y,
    op.MUL: lambda x, y, bits: x * y,
    op.AND: lambda x, y, bits: x & y,
    op.OR: lambda x, y, bits: x | y,
    op.XOR: lambda x, y, bits: x ^ y,
    op.DIV: lambda x, y, bits: x // y if y else 0,
    op.MOD: lambda x, y, bits: x % y if y else x,
    op.LSH: lambda x, y, bits: x << y % bits,
    op.RSH: lambda x, y, bits: x >> y % bits,
    op.ARSH: lambda x, y, bits: (s64(x) if bits == 64 else s32(x)) >> y % bits,
}


@given(st.sampled_from(sorted(OPERATIONS)), scalars(), scalars(), st.booleans())
@settings(max_examples=800)
def test_arithmetic_holds(operation: int, left: tuple[Scalar, int], right: tuple[Scalar, int], wide: bool) -> None:
    (a, x), (b, y) = left, right
    if not wide:
        x, y = x & U32, y & U32
    result = OPERATIONS[operation](x, y, 64 if wide else 32) & (U64 if wide else U32)
    assert holds(alu(operation, a, b, wide), result)


@given(scalars(), st.integers(0, 63), st.sampled_from([op.LSH, op.RSH, op.ARSH]), st.booleans())
@settings(max_examples=400)
def test_shifts_by_a_constant_hold(pair: tuple[Scalar, int], count: int, operation: int, wide: bool) -> None:
    a, x = pair
    bits = 64 if wide else 32
    count %= bits
    result = OPERATIONS[operation](x & (1 << bits) - 1, count, bits) & (1 << bits) - 1
    assert holds(alu(operation, a, const(count), wide), result)


COMPARISONS: dict[int, Callable[[int, int, int, int], bool]] = {
    op.JEQ: lambda x, y, sx, sy: x == y,
    op.JNE: lambda x, y, sx, sy: x != y,
    op.JGT: lambda x, y, sx, sy: x > y,
    op.JGE: lambda x, y, sx, sy: x >= y,
    op.JLT: lambda x, y, sx, sy: x < y,
    op.JLE: lambda x, y, sx, sy: x <= y,
    op.JSGT: lambda x, y, sx, sy: sx > sy,
    op.JSGE: lambda x, y, sx, sy: sx >= sy,
    op.JSLT: lambda x, y, sx, sy: sx < sy,
    op.JSLE: lambda x, y, sx, sy: sx <= sy,
    op.JSET: lambda x, y, sx, sy: bool(x & y),
    -1: lambda x, y, sx, sy: not x & y,
}


@given(st.sampled_from(sorted(COMPARISONS)), scalars(), scalars(), st.booleans())
@settings(max_examples=1000)
def test_comparisons_teach_what_holds(
    operation: int, left: tuple[Scalar, int], right: tuple[Scalar, int], wide: bool
) -> None:
    (a, x), (b, y) = left, right
    if wide:
        true = COMPARISONS[operation](x, y, s64(x), s64(y))
    else:
        true = COMPARISONS[operation](x & U32, y & U32, s32(x & U32), s32(y & U32))
    if true:
        new_a, new_b = refine(operation, a, b, wide)
        assert holds(new_a, x)
        assert holds(new_b, y)


@given(scalars(), scalars())
def test_within_means_every_number(outer: tuple[Scalar, int], inner: tuple[Scalar, int]) -> None:
    if within(outer[0], inner[0]):
        assert holds(outer[0], inner[1])


@given(st.lists(NUMBERS, min_size=4, max_size=4))
def test_bits(numbers: list[int]) -> None:
    a, am, b, bm = numbers
    av, bv = a & ~am & U64, b & ~bm & U64
    for combine, number in (
        (tnum.add, a + b),
        (tnum.sub, a - b),
        (tnum.mul, a * b),
        (tnum.and_, a & b),
        (tnum.or_, a | b),
    ):
        v, m = combine(av, am, bv, bm)
        assert number & U64 & ~m == v


def test_known_values() -> None:
    assert low32(const(U64)) == const(U32)
    byte = truncate(UNKNOWN, 1)
    assert (byte.umin, byte.umax, byte.smin, byte.smax, byte.mask) == (0, 255, 0, 255, 255)
    assert alu(op.ADD, byte, const(1), True).umax == 256
    assert refine(op.JLT, UNKNOWN, const(10), True)[0].umax == 9
