"""The interpreter and the JIT against the real kernel: random programs must give the same result on all three."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, encode, exit_, mov, mov_imm
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import StinglessError
from stingless.linux.kernel import LinuxKernel
from stingless.obj.sections import BPF_F_SLEEPABLE
from stingless.obj.spec import ProgramSpec
from tests.random_programs import random_program

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root here")

FRAME = bytes(range(64))


@pytest.fixture(scope="module", params=["interpreter", "jit"])
def kernels(request: pytest.FixtureRequest) -> Iterator[tuple[LinuxKernel, EmbeddedKernel]]:
    with LinuxKernel() as linux, EmbeddedKernel(engine=request.param) as embedded:
        yield linux, embedded


def result_of(kernel: LinuxKernel | EmbeddedKernel, spec: ProgramSpec, data: bytes | None, ctx: bytes | None) -> object:
    program = kernel.load_program(spec, {})
    try:
        result = program.run(data, ctx)
        return result.retval, result.data, result.ctx
    finally:
        program.close()


@pytest.mark.parametrize("block", range(10))
def test_random_programs(kernels: tuple[LinuxKernel, EmbeddedKernel], block: int) -> None:
    compared = 0
    # making machine code takes much longer than all the rest
    step = 4 if kernels[1].engine == "jit" else 1
    for seed in range(block * 40, block * 40 + 40, step):
        spec = ProgramSpec("random", "socket", ProgramType.SOCKET_FILTER, random_program(seed))
        try:
            on_linux = result_of(kernels[0], spec, FRAME, None)
        except StinglessError:
            continue  # the real verifier found a branch dead and a register unset, or the like
        assert result_of(kernels[1], spec, FRAME, None) == on_linux, f"seed {seed}"
        compared += 1
    assert compared >= 20 // step


def load_store(kernels: tuple[LinuxKernel, EmbeddedKernel], code: list[Instruction], data: bytes) -> None:
    spec = ProgramSpec("legacy", "socket", ProgramType.SOCKET_FILTER, encode(code))
    assert result_of(kernels[1], spec, data, None) == result_of(kernels[0], spec, data, None)


@pytest.mark.parametrize("size", [op.B, op.H, op.W])
@pytest.mark.parametrize("offset", [0, 1, 17, 46, 49, 50, 4000, -0x100000, -0x100000 + 3, -0x200000 + 12, -0x1000])
@pytest.mark.parametrize("mode", [op.ABS, op.IND])
def test_legacy_packet_loads(kernels: tuple[LinuxKernel, EmbeddedKernel], size: int, offset: int, mode: int) -> None:
    """Inside, at the edge, outside, and relative to the network and link headers."""
    index = 2 if mode == op.IND else 0
    load = Instruction(op.LD | mode | size, 0, 7 if mode == op.IND else 0, 0, offset - index)
    load_store(kernels, [mov(6, 1), mov_imm(7, index), load, exit_()], FRAME)


def test_calls_preserve_registers(kernels: tuple[LinuxKernel, EmbeddedKernel]) -> None:
    """Four levels of calls, each with its own frame, r6 to r9 kept."""

    def function(depth: int) -> list[Instruction]:
        body = [
            mov(6, 1),
            mov_imm(7, 1000 + depth),
            Instruction(op.STX | op.MEM | op.DW, 10, 6, -8),
            mov(1, 6),
            Instruction(op.ALU64 | op.MUL | op.K, 1, imm=3),
        ]
        if depth < 3:
            body.append(Instruction(op.JMP | op.CALL, 0, 1, 0, 4))  # to the next function
        else:
            body.append(mov(0, 1))
        return [
            *body,
            Instruction(op.LDX | op.MEM | op.DW, 2, 10, -8),
            Instruction(op.ALU64 | op.ADD | op.X, 0, 2),
            Instruction(op.ALU64 | op.ADD | op.X, 0, 7),
            exit_(),
        ]

    code = [mov_imm(1, 5), Instruction(op.JMP | op.CALL, 0, 1, 0, 1), exit_()]
    for depth in range(4):
        code += function(depth)
    load_store(kernels, code, FRAME)


def test_long_jump(kernels: tuple[LinuxKernel, EmbeddedKernel]) -> None:
    code = [
        Instruction(op.LDX | op.MEM | op.W, 0, 1, 0),
        Instruction(op.JMP | op.JEQ | op.K, 0, 0, 1, 7),
        Instruction(op.JMP32 | op.JA, imm=1),
        mov_imm(0, 2),
        exit_(),
    ]
    load_store(kernels, code, FRAME)


@pytest.mark.parametrize("type", [ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS])
@pytest.mark.parametrize("offset", [0, 4, 8, 16, 20, 24, 28, 32, 36, 40, 44, 48, 64, 68])
def test_socket_buffer_fields(kernels: tuple[LinuxKernel, EmbeddedKernel], type: ProgramType, offset: int) -> None:
    code = [Instruction(op.LDX | op.MEM | op.W, 0, 1, offset), exit_()]
    frame = bytes(12) + b"\x08\x00" + bytes(46)
    spec = ProgramSpec("field", "tc", type, encode(code))
    assert result_of(kernels[1], spec, frame, None) == result_of(kernels[0], spec, frame, None)


def test_xdp_metadata_and_context(kernels: tuple[LinuxKernel, EmbeddedKernel]) -> None:
    """adjust_meta, adjust_head and adjust_tail, with the context and the packet compared afterwards."""
    code = [
        mov(6, 1),
        mov_imm(2, 4),
        Instruction(op.JMP | op.CALL, imm=54),  # xdp_adjust_meta: 8 bytes of metadata become 4
        mov(7, 0),
        mov(1, 6),
        mov_imm(2, 6),
        Instruction(op.JMP | op.CALL, imm=44),  # xdp_adjust_head
        Instruction(op.ALU64 | op.ADD | op.X, 7, 0),
        mov(1, 6),
        mov_imm(2, 20),
        Instruction(op.JMP | op.CALL, imm=65),  # xdp_adjust_tail
        Instruction(op.ALU64 | op.ADD | op.X, 7, 0),
        mov(0, 7),
        exit_(),
    ]
    data = bytes(range(100))
    spec = ProgramSpec("xdp", "xdp", ProgramType.XDP, encode(code))
    ctx = struct.pack("<6I", 8, len(data), 0, 1, 0, 0)
    assert result_of(kernels[1], spec, data, ctx) == result_of(kernels[0], spec, data, ctx)


@pytest.mark.parametrize("helper", [44, 54, 65])
@pytest.mark.parametrize(
    "delta", [-4000, -300, -256, -216, -212, -60, -46, -32, -4, -3, 0, 3, 4, 46, 47, 60, 3456, 4000]
)
def test_xdp_adjust_limits(kernels: tuple[LinuxKernel, EmbeddedKernel], helper: int, delta: int) -> None:
    code = [mov_imm(2, delta), Instruction(op.JMP | op.CALL, imm=helper), exit_()]
    spec = ProgramSpec("xdp", "xdp", ProgramType.XDP, encode(code))
    assert result_of(kernels[1], spec, FRAME, None) == result_of(kernels[0], spec, FRAME, None)


def test_raw_tracepoint_arguments(kernels: tuple[LinuxKernel, EmbeddedKernel]) -> None:
    code = [
        Instruction(op.LDX | op.MEM | op.DW, 0, 1, 8),
        Instruction(op.LDX | op.MEM | op.DW, 1, 1, 0),
        Instruction(op.ALU64 | op.SUB | op.X, 0, 1),
        exit_(),
    ]
    spec = ProgramSpec("raw", "raw_tp", ProgramType.RAW_TRACEPOINT, encode(code))
    ctx = struct.pack("<2Q", 40, 1000)
    assert result_of(kernels[1], spec, None, ctx) == result_of(kernels[0], spec, None, ctx)


@pytest.mark.parametrize("type", [ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS])
def test_socket_buffer_context_is_given_and_taken_back(
    kernels: tuple[LinuxKernel, EmbeddedKernel], type: ProgramType
) -> None:
    """mark, priority and cb go in and, changed, come out."""
    code = [
        Instruction(op.LDX | op.MEM | op.W, 0, 1, 48),
        Instruction(op.ALU64 | op.ADD | op.K, 0, imm=5),
        Instruction(op.STX | op.MEM | op.W, 1, 0, 52),
        exit_(),
    ]
    ctx = bytearray(192)
    struct.pack_into("<I", ctx, 48, 1000)
    spec = ProgramSpec("context", "tc", type, encode(code))
    frame = bytes(12) + b"\x08\x00" + bytes(46)
    linux, embedded = (result_of(kernel, spec, frame, bytes(ctx)) for kernel in kernels)
    assert isinstance(linux, tuple) and isinstance(embedded, tuple)
    assert embedded[:2] == linux[:2]
    assert embedded[2][48:68] == linux[2][48:68] == struct.pack("<5I", 1000, 1005, 0, 0, 0)


def test_syscall_program_writes_its_context(kernels: tuple[LinuxKernel, EmbeddedKernel]) -> None:
    code = [
        Instruction(op.LDX | op.MEM | op.W, 0, 1, 4),
        Instruction(op.ALU64 | op.MUL | op.K, 0, imm=3),
        Instruction(op.STX | op.MEM | op.W, 1, 0, 0),
        exit_(),
    ]
    spec = ProgramSpec("syscall", "syscall", ProgramType.SYSCALL, encode(code), flags=BPF_F_SLEEPABLE)
    ctx = struct.pack("<2I", 1, 14)
    linux, embedded = (result_of(kernel, spec, None, ctx) for kernel in kernels)
    assert embedded == linux == (42, b"", struct.pack("<2I", 42, 14))
