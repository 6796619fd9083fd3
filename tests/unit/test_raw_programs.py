"""Raw instructions on memory, checked runs of loaded programs, and records of runs."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import (
    Instruction,
    add_imm,
    call,
    encode,
    exit_,
    jump,
    ld_imm64,
    load,
    mov,
    mov_imm,
    store,
    store_imm,
)
from stingless.cli import main
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.vm import Vm
from stingless.errors import LoadError
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec

# sum of the bytes of the memory
SUM = [
    mov_imm(0, 0),
    jump(op.JEQ, 2, 0, 5),
    load(op.B, 3, 1, 0),
    Instruction(op.ALU64 | op.ADD | op.X, 0, 3),
    add_imm(1, 1),
    add_imm(2, -1),
    Instruction(op.JMP | op.JA, off=-6),
    exit_(),
]


def test_memory_and_its_size_are_given() -> None:
    vm = Vm(SUM)
    assert [vm.run(each).r0 for each in (b"", b"\1\2\3", bytes(range(256)))] == [0, 6, 255 * 128]
    memory = bytearray(16)
    result = Vm([store_imm(op.W, 1, 4, 77), mov_imm(0, 1), exit_()]).run(memory)
    assert result.fault is None
    assert bytes(memory) == result.memory == bytes(4) + struct.pack("<I", 77) + bytes(8)


@pytest.mark.parametrize("size", [op.B, op.H, op.W, op.DW])
@pytest.mark.parametrize("kind", ["load", "store", "immediate", "add"])
def test_every_access_is_checked(kind: str, size: int) -> None:
    """At both ends of the memory and of the stack: the last access inside, and the first outside."""
    width = op.SIZE_BYTES[size]
    for base, first, last in ((1, 0, 24 - width), (10, -512, -width)):
        for offset, allowed in ((first, True), (first - 1, False), (last, True), (last + 1, False), (5000, False)):
            access = {
                "load": load(size, 3, base, offset),
                "store": store(size, base, offset, 4),
                "immediate": store_imm(size, base, offset, 1),
                "add": Instruction(op.STX | op.ATOMIC | size, base, 4, offset, op.ADD),
            }[kind]
            if kind == "add" and size not in (op.W, op.DW):
                continue
            fault = Vm([mov_imm(4, 3), access, mov_imm(0, 0), exit_()]).run(bytes(24)).fault
            assert (fault is None) == allowed, (base, offset)
            if fault is not None:
                assert fault.insn == 1
                assert fault.address is not None
                assert ("write" in fault.reason) == (kind != "load")


def test_python_functions_as_helpers() -> None:
    calls = []

    def helper(a: int, b: int, c: int, d: int, e: int) -> int:
        calls.append((a, b, c, d, e))
        return -1

    code = [mov_imm(reg, reg * 10) for reg in range(1, 6)] + [call(300), exit_()]
    assert Vm(code, {300: helper}).run().r0 == (1 << 64) - 1
    assert calls == [(10, 20, 30, 40, 50)]
    fault = Vm([call(2), exit_()], {1: helper}).run().fault
    assert fault is not None and "helper" in fault.reason

    def fails(*_: int) -> int:
        raise ZeroDivisionError("of mine")

    vm = Vm([call(0), Instruction(op.JMP | op.JA, off=-2), exit_()][:2] + [exit_()][:0], {0: fails})
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="of mine"):
            vm.run()


def test_an_endless_loop_is_stopped() -> None:
    fault = Vm([Instruction(op.JMP | op.JA, off=-1)], budget=1000).run().fault
    assert fault is not None and "budget" in fault.reason
    assert Vm(SUM, budget=3 + 6 * 9).run(bytes(9)).fault is None
    assert Vm(SUM, budget=2 + 6 * 9).run(bytes(9)).fault is not None


@pytest.mark.parametrize(
    ("code", "insn"),
    [
        ([mov_imm(0, 0), Instruction(0xFF), exit_()], 1),
        ([mov_imm(11, 0), exit_()], 0),
        ([mov_imm(0, 0), Instruction(op.JMP | op.JA, off=5), exit_()], 1),
        ([mov_imm(0, 0), jump(op.JEQ, 0, 0, -3), exit_()], 1),
        ([ld_imm64(0, 5)[0]], 0),
        ([*ld_imm64(0, 5), jump(op.JEQ, 0, 0, -2), exit_()], 2),
        ([mov_imm(0, 0), Instruction(op.ALU64 | op.MOV | op.X, 1, 0, 7), exit_()], 1),
        ([mov_imm(0, 0), Instruction(op.ALU64 | op.DIV, 0, 0, 0, 0), exit_()], 1),
        ([mov_imm(0, 0), Instruction(op.ALU64 | op.LSH, 0, 0, 0, 64), exit_()], 1),
        ([mov_imm(0, 0), Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, 9), exit_()], 1),
        ([mov_imm(0, 0)], 0),
        ([store_imm(op.DW, 10, -8, 1)._replace(src=3), exit_()], 0),
        ([Instruction(op.STX | op.ATOMIC | op.DW, 10, 0, -8, 0x77), exit_()], 0),
    ],
)
def test_malformed_code_is_refused_with_the_instruction(code: list[Instruction], insn: int) -> None:
    with pytest.raises(LoadError, match=rf"instruction {insn}:"):
        Vm(code)


def test_random_bytes_never_crash() -> None:
    """Whatever passes the check of form runs to an end, a fault or the budget."""
    rng = random.Random(5)
    opcodes = [
        op.ALU64 | op.ADD,
        op.ALU64 | op.MOV | op.X,
        op.ALU | op.MUL | op.X,
        op.ALU64 | op.DIV | op.X,
        op.LDX | op.MEM,
    ]
    opcodes += [
        op.STX | op.MEM | op.DW,
        op.ST | op.MEM | op.B,
        op.JMP | op.JEQ,
        op.JMP32 | op.JSGT | op.X,
        op.JMP | op.JA,
    ]
    ran = 0
    for _ in range(3000):
        code = []
        for _ in range(rng.randrange(1, 8)):
            opcode = rng.choice(opcodes)
            cls = opcode & 7
            src = rng.randrange(11) if opcode & op.X or cls in (op.LDX, op.STX) else 0
            has_off = cls in (op.LDX, op.STX, op.ST, op.JMP, op.JMP32)
            has_imm = not (opcode & op.X) and cls not in (op.LDX, op.STX) and opcode != op.JMP | op.JA
            far = rng.randrange(-20, 20) if cls in (op.LDX, op.STX, op.ST) else rng.randrange(-4, 4)
            code.append(
                Instruction(
                    opcode,
                    0 if opcode == op.JMP | op.JA else rng.randrange(11),
                    src,
                    far if has_off else 0,
                    rng.randrange(-50, 50) if has_imm else 0,
                )
            )
        try:
            vm = Vm([*code, exit_()], budget=2000)
        except LoadError:
            continue
        ran += 1
        vm.run(bytes(16))
    assert ran > 300


def test_records_of_a_raw_run() -> None:
    result, steps = Vm(SUM).trace(b"\5\7")
    assert result.r0 == 12
    assert steps["insn"].tolist() == [0, *range(1, 7), *range(1, 7), 1, 7]
    assert steps["registers"][-1][0] == 12
    assert steps["registers"][2][2] == 2
    assert len(Vm(SUM).trace(bytes(100), limit=10)[1]) == 10


def filters(code: list[Instruction], *refs: MapRef) -> ProgramSpec:
    return ProgramSpec("p", "socket", ProgramType.SOCKET_FILTER, encode(code), map_refs=refs)


def test_records_of_a_loaded_program() -> None:
    """With its calls, and what a tail call went to; the program itself is not watched afterwards."""
    inner = [mov_imm(0, 5), exit_()]
    with EmbeddedKernel(engine="interpreter") as kernel:
        jumps = kernel.create_map(MapSpec("jumps", MapType.PROG_ARRAY, 4, 4, 1))
        code = [mov(6, 1), Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, 7), mov(1, 6)]
        code += [*ld_imm64(2, 0, op.PSEUDO_MAP_FD), mov_imm(3, 0), call(12), mov_imm(0, 3), exit_()]
        first = kernel.load_program(filters(code + inner, MapRef(3, "jumps")), {"jumps": jumps})
        second = kernel.load_program(filters([load(op.W, 0, 1, 0), exit_()]), {})
        jumps.update(bytes(4), struct.pack("<I", second.fd))
        result, steps = first.trace(bytes(60))
        assert result.retval == first.run(bytes(60)).retval == 46
        assert steps["insn"].tolist() == [0, 1, 9, 10, 2, 3, 5, 6, 0, 1]
        assert steps["depth"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
        assert len(np.unique(steps["program"])) == 2
        assert first.engine == "interpreter"


def test_checked_programs_run_as_others_do() -> None:
    """Stack, context, packet and map values are theirs."""
    code = [
        mov(6, 1),
        store_imm(op.W, 10, -4, 0),
        load(op.W, 7, 6, 76),
        load(op.W, 8, 6, 80),
        mov(2, 7),
        add_imm(2, 14),
        Instruction(op.JMP | op.JGT | op.X, 2, 8, 3),
        load(op.B, 9, 7, 3),
        store(op.B, 7, 4, 9),
        Instruction(op.JMP | op.JA, off=1),
        mov_imm(9, 0),
        mov(2, 10),
        add_imm(2, -4),
        *ld_imm64(1, 0, op.PSEUDO_MAP_FD),
        call(1),
        jump(op.JEQ, 0, 0, 2),
        Instruction(op.STX | op.ATOMIC | op.DW, 0, 9, 0, op.ADD),
        load(op.DW, 9, 0, 0),
        mov(0, 9),
        exit_(),
    ]
    spec = ProgramSpec("p", "tc", ProgramType.SCHED_CLS, encode(code), map_refs=(MapRef(13, "m"),))
    packet = bytes(range(60))
    results = {}
    for engine in ("checked", "interpreter", "jit"):
        with EmbeddedKernel(engine=engine) as kernel:
            made = kernel.create_map(MapSpec("m", MapType.HASH, 4, 8, 4))
            made.update(bytes(4), struct.pack("<Q", 100))
            program = kernel.load_program(spec, {"m": made})
            ran = program.run(packet, repeat=2)
            results[engine] = ran.retval, ran.data, made.lookup(bytes(4))
            assert (program.engine == "checked") == (engine == "checked")
    assert results["checked"] == results["interpreter"] == results["jit"]
    assert results["checked"][0] == 106


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, memory, output = tmp_path / "code", tmp_path / "memory", tmp_path / "output"
    code.write_bytes(encode(SUM))
    memory.write_bytes(b"\1\2\3")
    assert main(["raw", str(code), "-m", str(memory), "-o", str(output)]) == 0
    assert capsys.readouterr().out == "0x6\n"
    assert output.read_bytes() == b"\1\2\3"
    code.write_text(encode(SUM).hex(" ", 8))
    assert main(["raw", str(code), "-m", str(memory), "--trace", "--limit", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2].split()[0] == "2:"
    assert main(["raw", str(code), "--disassemble"]) == 0
    assert "exit" in capsys.readouterr().out
    code.write_bytes(encode([load(op.DW, 0, 1, 0), exit_()]))
    assert main(["raw", str(code), "-m", str(memory)]) == 1
    assert "instruction 0: a read" in capsys.readouterr().err
    code.write_bytes(encode([Instruction(0xFF), exit_()]))
    assert main(["raw", str(code)]) == 2
    assert "instruction 0" in capsys.readouterr().err
