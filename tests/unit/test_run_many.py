"""Many packets in one call, and prepared runs: what `run()` gives, packet by packet."""

from __future__ import annotations

import struct

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import (
    Instruction,
    add_imm,
    call,
    encode,
    exit_,
    ld_imm64,
    load,
    mov,
    mov_imm,
    store_imm,
)
from stingless.embedded.kernel import EmbeddedKernel, Engine
from stingless.errors import LoadError, NotSupportedError
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec

# Counts; the verdict is the packet's length; a byte becomes 0xEE, and XDP gives up 4 bytes at the packet's start.
COUNT = [*ld_imm64(1, 0, op.PSEUDO_MAP_VALUE), mov_imm(2, 1), Instruction(op.STX | op.ATOMIC | op.DW, 1, 2, 0, op.ADD)]


def xdp() -> ProgramSpec:
    code = [mov(6, 1), *COUNT, load(op.W, 7, 6, 0), load(op.W, 8, 6, 4), mov(2, 7), add_imm(2, 14), mov_imm(0, 0)]
    code += [Instruction(op.JMP | op.JGT | op.X, 2, 8, 1), store_imm(op.B, 7, 5, 0xEE)]
    code += [
        mov(9, 8),
        Instruction(op.ALU64 | op.SUB | op.X, 9, 7),
        mov(1, 6),
        mov_imm(2, 4),
        call(44),
        mov(0, 9),
        exit_(),
    ]
    return ProgramSpec("x", "xdp", ProgramType.XDP, encode(code), map_refs=(MapRef(1, "count", 0),))


def skb(type: ProgramType) -> ProgramSpec:
    code = [mov(6, 1), *COUNT, load(op.W, 0, 6, 0), exit_()]
    return ProgramSpec("s", "s", type, encode(code), map_refs=(MapRef(1, "count", 0),))


PACKETS = [bytes(range(14 + size)) + bytes(60) for size in range(0, 100, 7)]


@pytest.mark.parametrize("engine", ["interpreter", "jit", "checked"])
@pytest.mark.parametrize(
    "spec", [xdp(), skb(ProgramType.SCHED_CLS), skb(ProgramType.SOCKET_FILTER)], ids=lambda s: s.type.name
)
def test_the_same_as_one_by_one(spec: ProgramSpec, engine: Engine) -> None:
    with EmbeddedKernel(engine=engine) as kernel:
        count = kernel.create_map(MapSpec("count", MapType.ARRAY, 4, 8, 1))
        program = kernel.load_program(spec, {"count": count})
        single = [program.run(packet) for packet in PACKETS]
        many = program.run_many(PACKETS)
        assert many.retvals.tolist() == [each.retval for each in single]
        if spec.type is not ProgramType.SOCKET_FILTER:  # whose run() gives the link header back as zeros
            assert many.packets() == [each.data for each in single]
        else:
            assert [each[14:] for each in many.packets()] == [each.data[14:] for each in single]
        assert program.run_many(PACKETS, keep=False).retvals.tolist() == many.retvals.tolist()
        assert not program.run_many(PACKETS, keep=False).data
        run = program.prepare(PACKETS[3])
        assert [run() for _ in range(5)] == [single[3].retval] * 5
        assert count.lookup(bytes(4)) == struct.pack("<Q", 4 * len(PACKETS) + 5)


def test_each_packet_runs_once_however_large_the_results() -> None:
    with EmbeddedKernel(engine="interpreter") as kernel:
        count = kernel.create_map(MapSpec("count", MapType.ARRAY, 4, 8, 1))
        code = [mov(6, 1), *COUNT, mov(1, 6), mov_imm(2, 2000), call(65), exit_()]  # xdp_adjust_tail
        spec = ProgramSpec("x", "xdp", ProgramType.XDP, encode(code), map_refs=(MapRef(1, "count", 0),))
        program = kernel.load_program(spec, {"count": count})
        many = program.run_many([bytes(64)] * 500)
        assert many.packets() == [bytes(2064)] * 500
        assert count.lookup(bytes(4)) == struct.pack("<Q", 500)
        assert program.run_many([]).packets() == []


def test_what_cannot_be_run_is_refused() -> None:
    with EmbeddedKernel(engine="interpreter") as kernel:
        program = kernel.load_program(ProgramSpec("x", "xdp", ProgramType.XDP, encode([mov_imm(0, 1), exit_()])), {})
        for bad in (bytes(13), bytes(5000)):
            with pytest.raises(LoadError, match="bytes"):
                program.run_many([bytes(60), bad])
        code = encode([mov_imm(0, 0), exit_()])
        probe = kernel.load_program(ProgramSpec("k", "kprobe/x", ProgramType.KPROBE, code), {})
        with pytest.raises(NotSupportedError, match="KPROBE"):
            probe.prepare(bytes(60))
