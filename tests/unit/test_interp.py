"""The interpreter, instruction by instruction, against a model in Python of what RFC 9669 says."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from stingless._sys import runtime, runtime_maps
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, encode, exit_, ld_imm64, load, mov, mov_imm, store

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
VALUES = [
    0,
    1,
    2,
    3,
    31,
    63,
    0x7F,
    0x80,
    0xFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    M32,
    1 << 32,
    0x123456789ABCDEF0,
]
VALUES += [(1 << 63) - 1, 1 << 63, M64 - 1, M64]
IMMS = [0, 1, -1, 2, 7, 31, 63, 0x7FFFFFFF, -0x80000000, -3, 0x1234]


def execute(code: list[Instruction], ctx: bytes = b"") -> int:
    retval, _, _ = runtime.Program(encode(code), 0, runtime.Ring(0), []).run_context(ctx)
    return retval


def binary(opcode: int, a: int, b: int, off: int = 0) -> int:
    """What `a OP b` leaves in the destination: b in a register, or an immediate."""
    if opcode & op.X:
        code = [*ld_imm64(1, a), *ld_imm64(2, b), Instruction(opcode, 1, 2, off), mov(0, 1), exit_()]
    else:
        code = [*ld_imm64(1, a), Instruction(opcode, 1, 0, off, b), mov(0, 1), exit_()]
    return execute(code)


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def truncated(a: int, b: int) -> tuple[int, int]:
    """Quotient and remainder of C: towards zero, the remainder has the sign of the dividend."""
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - quotient * b


MODEL: dict[int, Callable[[int, int, int], int]] = {
    op.ADD: lambda a, b, _: a + b,
    op.SUB: lambda a, b, _: a - b,
    op.MUL: lambda a, b, _: a * b,
    op.DIV: lambda a, b, _: a // b if b else 0,
    op.MOD: lambda a, b, _: a % b if b else a,
    op.OR: lambda a, b, _: a | b,
    op.AND: lambda a, b, _: a & b,
    op.XOR: lambda a, b, _: a ^ b,
    op.MOV: lambda a, b, _: b,
    op.LSH: lambda a, b, bits: a << (b % bits),
    op.RSH: lambda a, b, bits: a >> (b % bits),
    op.ARSH: lambda a, b, bits: signed(a, bits) >> (b % bits),
}


@pytest.mark.parametrize("operation", MODEL)
@pytest.mark.parametrize("cls", [op.ALU, op.ALU64])
def test_arithmetic(cls: int, operation: int) -> None:
    bits = 64 if cls == op.ALU64 else 32
    mask = (1 << bits) - 1
    for a in VALUES:
        for b in VALUES:
            expected = MODEL[operation](a & mask, b & mask, bits) & mask
            assert binary(cls | operation | op.X, a, b) == expected, (hex(a), hex(b))
        for imm in IMMS:
            expected = MODEL[operation](a & mask, imm & mask, bits) & mask
            assert binary(cls | operation | op.K, a, imm) == expected, (hex(a), imm)


@pytest.mark.parametrize("cls", [op.ALU, op.ALU64])
def test_signed_division(cls: int) -> None:
    bits = 64 if cls == op.ALU64 else 32
    mask = (1 << bits) - 1
    for a in VALUES:
        for b in VALUES:
            x, y = signed(a, bits), signed(b, bits)
            quotient, remainder = truncated(x, y) if y else (0, x)
            assert binary(cls | op.DIV | op.X, a, b, off=1) == quotient & mask, (hex(a), hex(b))
            assert binary(cls | op.MOD | op.X, a, b, off=1) == remainder & mask, (hex(a), hex(b))


@pytest.mark.parametrize(
    ("cls", "from_bits"), [(op.ALU, 8), (op.ALU, 16), (op.ALU64, 8), (op.ALU64, 16), (op.ALU64, 32)]
)
def test_sign_extending_moves(cls: int, from_bits: int) -> None:
    mask = M64 if cls == op.ALU64 else M32
    for value in VALUES:
        assert binary(cls | op.MOV | op.X, 0, value, off=from_bits) == signed(value, from_bits) & mask


@pytest.mark.parametrize("value", VALUES)
def test_negation(value: int) -> None:
    assert binary(op.ALU64 | op.NEG, value, 0) == -value & M64
    assert binary(op.ALU | op.NEG, value, 0) == -value & M32


@pytest.mark.parametrize("width", [16, 32, 64])
def test_byte_order(width: int) -> None:
    for value in VALUES:
        low = value & (1 << width) - 1
        swapped = int.from_bytes(low.to_bytes(width // 8, "little"), "big")
        assert binary(op.ALU | op.END | op.K, value, width) == low
        assert binary(op.ALU64 | op.END | op.K, value, width) == swapped
        to_big = [*ld_imm64(1, value), Instruction(op.ALU | op.END | op.X, 1, 0, 0, width), mov(0, 1), exit_()]
        assert execute(to_big) == swapped


CONDITIONS: dict[int, Callable[[int, int, int], bool]] = {
    op.JEQ: lambda a, b, _: a == b,
    op.JNE: lambda a, b, _: a != b,
    op.JGT: lambda a, b, _: a > b,
    op.JGE: lambda a, b, _: a >= b,
    op.JLT: lambda a, b, _: a < b,
    op.JLE: lambda a, b, _: a <= b,
    op.JSET: lambda a, b, _: bool(a & b),
    op.JSGT: lambda a, b, bits: signed(a, bits) > signed(b, bits),
    op.JSGE: lambda a, b, bits: signed(a, bits) >= signed(b, bits),
    op.JSLT: lambda a, b, bits: signed(a, bits) < signed(b, bits),
    op.JSLE: lambda a, b, bits: signed(a, bits) <= signed(b, bits),
}


@pytest.mark.parametrize("operation", CONDITIONS)
@pytest.mark.parametrize("cls", [op.JMP, op.JMP32])
def test_jumps(cls: int, operation: int) -> None:
    bits = 64 if cls == op.JMP else 32
    mask = (1 << bits) - 1

    def taken(opcode: int, a: int, b: int) -> bool:
        setup = [*ld_imm64(1, a), *(ld_imm64(2, b) if opcode & op.X else [])]
        jump = Instruction(opcode, 1, 2 if opcode & op.X else 0, 1, 0 if opcode & op.X else b)
        return execute([*setup, mov_imm(0, 1), jump, mov_imm(0, 0), exit_()]) == 1

    for a in VALUES:
        for b in VALUES:
            assert taken(cls | operation | op.X, a, b) == CONDITIONS[operation](a & mask, b & mask, bits)
        for imm in IMMS:
            assert taken(cls | operation | op.K, a, imm) == CONDITIONS[operation](a & mask, imm & mask, bits)


def test_jump_always_near_and_far() -> None:
    near = [mov_imm(0, 1), Instruction(op.JMP | op.JA, off=1), mov_imm(0, 2), exit_()]
    far = [mov_imm(0, 1), Instruction(op.JMP32 | op.JA, imm=70000), *[mov_imm(0, 2)] * 70000, exit_()]
    assert execute(near) == 1
    assert execute(far) == 1


@pytest.mark.parametrize("size", [op.B, op.H, op.W, op.DW])
def test_loads_and_stores(size: int) -> None:
    width = op.SIZE_BYTES[size]
    memory = bytes(range(0xF0, 0x100)) + bytes(range(16))
    for offset in (0, 3, 8, 15):
        expected = int.from_bytes(memory[offset : offset + width], "little")
        assert execute([load(size, 0, 1, offset), exit_()], memory) == expected
        if size != op.DW:
            extend = Instruction(op.LDX | op.MEMSX | size, 0, 1, offset)
            assert execute([extend, exit_()], memory) == signed(expected, width * 8) & M64
    mask = (1 << width * 8) - 1
    for value in VALUES:
        code = [
            *ld_imm64(1, value),
            mov_imm(2, -1),
            store(op.DW, 10, -8, 2),
            store(size, 10, -8, 1),
            load(op.DW, 0, 10, -8),
        ]
        assert execute([*code, exit_()]) == M64 ^ mask ^ (value & mask)
    for imm in IMMS:
        code = [mov_imm(2, 0), store(op.DW, 10, -8, 2), Instruction(op.ST | op.MEM | size, 10, 0, -8, imm)]
        assert execute([*code, load(op.DW, 0, 10, -8), exit_()]) == imm & mask


@pytest.mark.parametrize("size", [op.W, op.DW])
@pytest.mark.parametrize("operation", [op.ADD, op.OR, op.AND, op.XOR])
def test_atomics(size: int, operation: int) -> None:
    mask = (1 << op.SIZE_BYTES[size] * 8) - 1
    for a in VALUES[::3]:
        for b in VALUES[::2]:
            for fetch in (0, op.FETCH):
                code = [*ld_imm64(1, a), *ld_imm64(2, b), store(op.DW, 10, -8, 1)]
                code.append(Instruction(op.STX | op.ATOMIC | size, 10, 2, -8, operation | fetch))
                after = a & ~mask | MODEL[operation](a & mask, b & mask, 64) & mask
                assert execute([*code, load(op.DW, 0, 10, -8), exit_()]) == after
                assert execute([*code, mov(0, 2), exit_()]) == (a & mask if fetch else b)


@pytest.mark.parametrize("size", [op.W, op.DW])
def test_exchange(size: int) -> None:
    mask = (1 << op.SIZE_BYTES[size] * 8) - 1
    old, new = 0x1111222233334444, 0x5555666677778888
    setup = [*ld_imm64(1, old), *ld_imm64(2, new), store(op.DW, 10, -8, 1)]
    swap = Instruction(op.STX | op.ATOMIC | size, 10, 2, -8, op.XCHG)
    assert execute([*setup, swap, mov(0, 2), exit_()]) == old & mask
    assert execute([*setup, swap, load(op.DW, 0, 10, -8), exit_()]) == old & ~mask | new & mask
    compare = Instruction(op.STX | op.ATOMIC | size, 10, 2, -8, op.CMPXCHG)
    for expected, wins in ((old, True), (old ^ 1, False)):
        assert execute([*setup, *ld_imm64(0, expected), compare, exit_()]) == old & mask
        after = old & ~mask | new & mask if wins else old
        assert execute([*setup, *ld_imm64(0, expected), compare, load(op.DW, 0, 10, -8), exit_()]) == after


@pytest.mark.parametrize("size", [op.B, op.H, op.W, op.DW])
def test_load_acquire_and_store_release(size: int) -> None:
    mask = (1 << op.SIZE_BYTES[size] * 8) - 1
    value, filler = 0x1122334455667788, 0xAAAAAAAAAAAAAAAA
    setup = [*ld_imm64(1, value), *ld_imm64(2, filler), store(op.DW, 10, -8, 2)]
    release = Instruction(op.STX | op.ATOMIC | size, 10, 1, -8, op.STORE_REL)
    acquire = Instruction(op.STX | op.ATOMIC | size, 0, 10, -8, op.LOAD_ACQ)
    assert execute([*setup, release, load(op.DW, 0, 10, -8), exit_()]) == filler & ~mask | value & mask
    assert execute([*setup, acquire, exit_()]) == filler & mask


def test_wide_immediate() -> None:
    for value in VALUES:
        assert execute([*ld_imm64(0, value), exit_()]) == value


def test_calls_have_frames_of_their_own() -> None:
    """The callee's frame is not the caller's, and r6 to r9 come back."""
    main = [
        *(mov_imm(reg, reg) for reg in range(6, 10)),
        store(op.DW, 10, -8, 6),
        mov_imm(1, 100),
        Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, 7),
        *(Instruction(op.ALU64 | op.ADD | op.X, 0, reg) for reg in range(6, 10)),
        load(op.DW, 1, 10, -8),
        Instruction(op.ALU64 | op.ADD | op.X, 0, 1),
        exit_(),
    ]
    callee = [*(mov_imm(reg, 1000) for reg in range(6, 10)), store(op.DW, 10, -8, 6), mov(0, 1), exit_()]
    assert execute(main + callee) == 100 + 6 + 7 + 8 + 9 + 6


def test_recursion_ends_at_eight_frames() -> None:
    with pytest.raises(RuntimeError, match="8 call frames"):
        execute([Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, -1), exit_()])


def test_endless_loop_is_cut() -> None:
    with pytest.raises(RuntimeError, match="budget"):
        execute([Instruction(op.JMP | op.JA, off=-1), exit_()])


@pytest.mark.parametrize("opcode", [0x00, 0x0D, 0xE6, 0xFF])
def test_unknown_opcode(opcode: int) -> None:
    with pytest.raises(RuntimeError, match="unknown opcode"):
        execute([Instruction(opcode), exit_()])


@pytest.mark.parametrize("helper", [0, 9999, -1])
def test_unknown_helper(helper: int) -> None:
    with pytest.raises(RuntimeError, match="unknown helper"):
        execute([call(helper), exit_()])


def function_address(dst: int, distance: int) -> list[Instruction]:
    """The address of the function `distance` instructions after this load."""
    low, high = ld_imm64(dst, 0, op.PSEUDO_FUNC)
    return [low._replace(imm=distance - 1), high]


def test_loop_helper() -> None:
    """bpf_loop() hands the index and a context to the callback, until that returns 1."""
    main = [
        mov_imm(6, 0),
        store(op.DW, 10, -8, 6),
        mov_imm(1, 100),
        *function_address(2, 9),
        mov(3, 10),
        Instruction(op.ALU64 | op.ADD | op.K, 3, imm=-8),
        mov_imm(4, 0),
        call(181),
        load(op.DW, 1, 10, -8),
        Instruction(op.ALU64 | op.MUL | op.K, 0, imm=1000),
        Instruction(op.ALU64 | op.ADD | op.X, 0, 1),
        exit_(),
    ]
    main[3:5] = function_address(2, len(main) - 3)
    callback = [
        load(op.DW, 3, 2, 0),
        Instruction(op.ALU64 | op.ADD | op.X, 3, 1),
        store(op.DW, 2, 0, 3),
        mov_imm(0, 0),
        Instruction(op.JMP | op.JLT | op.K, 1, 0, 1, 9),
        mov_imm(0, 1),
        exit_(),
    ]
    assert execute(main + callback) == 10 * 1000 + sum(range(10))


def test_context_is_passed_and_written_back() -> None:
    program = runtime.Program(
        encode([mov_imm(2, 7), store(op.W, 1, 4, 2), load(op.W, 0, 1, 0), exit_()]), 0, runtime.Ring(0), []
    )
    retval, after, _ = program.run_context(struct.pack("<2I", 5, 6))
    assert (retval, struct.unpack("<2I", after)) == (5, (5, 7))


def test_tail_calls_stop_after_33() -> None:
    """A program that calls itself runs 34 times."""
    counts = runtime_maps.Map(2, 4, 8, 1)
    table = runtime_maps.Map(3, 4, 8, 2)
    code = [
        *ld_imm64(6, counts.memory),
        load(op.DW, 0, 6, 0),
        Instruction(op.ALU64 | op.ADD | op.K, 0, imm=1),
        store(op.DW, 6, 0, 0),
        *ld_imm64(2, table.address),
        mov_imm(3, 1),
        call(12),
        load(op.DW, 0, 6, 0),
        exit_(),
    ]
    program = runtime.Program(encode(code), 0, runtime.Ring(0), [counts, table])
    assert program.run_context(b"")[0] == 1  # nothing there yet
    table.set_program(1, program)
    counts.set(bytes(4), bytes(8), 0)
    assert program.run_context(b"")[0] == 34
    table.set_program(1, None)
    assert program.run_context(b"")[0] == 35
