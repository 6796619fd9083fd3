"""Machine code against the interpreter: the same results, instruction by instruction, and while it is swapped in."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys
import threading

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless._sys import runtime
from stingless._sys.runtime_maps import Map
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
from stingless.cpus import possible_cpus
from stingless.embedded.jit.tiers import Tiers
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import UnknownNameError
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec
from tests.random_programs import random_program

M64 = (1 << 64) - 1
VALUES = [
    0,
    1,
    2,
    7,
    31,
    32,
    63,
    64,
    0x7F,
    0x80,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 32,
    0x123456789ABCDEF0,
]
VALUES += [(1 << 63) - 1, 1 << 63, M64 - 1, M64]
IMMS = [1, -1, 2, 7, 0x7FFFFFFF, -0x80000000, 0x1234]
ALU = [op.ADD, op.SUB, op.MUL, op.DIV, op.OR, op.AND, op.LSH, op.RSH, op.MOD, op.XOR, op.ARSH, op.MOV]
JUMPS = [op.JEQ, op.JGT, op.JGE, op.JSET, op.JNE, op.JSGT, op.JSGE, op.JLT, op.JLE, op.JSLT, op.JSLE]


def both(code: list[Instruction], level: int = 2, maps: list[Map] | None = None) -> list[runtime.Program]:
    """The program for the interpreter, and the same with machine code."""
    made = [runtime.Program(encode(code), 0, runtime.Ring(0), maps or []) for _ in range(2)]
    Tiers(made[1]).compile(level)
    return made


def cases(opcodes: list[tuple[int, int, int]]) -> list[Instruction]:
    """For each (opcode, off, imm): what it makes of the two numbers in the context, stored behind them."""
    code = [mov(6, 1)]
    for number, (opcode, off, imm) in enumerate(opcodes):
        code += [load(op.DW, 1, 6, 0), load(op.DW, 2, 6, 8)]
        code += [Instruction(opcode, 1, 2 if opcode & op.X else 0, off, imm), store(op.DW, 6, 16 + 8 * number, 1)]
    return [*code, mov_imm(0, 0), exit_()]


def compare(code: list[Instruction], results: int, level: int) -> None:
    interpreted, compiled = both(code, level)
    for a, b in itertools.product(VALUES, VALUES):
        ctx = struct.pack("<2Q", a, b) + bytes(8 * results)
        assert compiled.run_context(ctx)[:2] == interpreted.run_context(ctx)[:2], (hex(a), hex(b))


@pytest.mark.parametrize("level", [0, 2])
def test_arithmetic_with_registers(level: int) -> None:
    opcodes = [(cls | each | op.X, 0, 0) for cls in (op.ALU, op.ALU64) for each in ALU]
    opcodes += [(cls | each | op.X, 1, 0) for cls in (op.ALU, op.ALU64) for each in (op.DIV, op.MOD)]
    opcodes += [(op.ALU | op.MOV | op.X, bits, 0) for bits in (8, 16)]
    opcodes += [(op.ALU64 | op.MOV | op.X, bits, 0) for bits in (8, 16, 32)]
    compare(cases(opcodes), len(opcodes), level)


def test_arithmetic_with_constants() -> None:
    opcodes = [(cls | each, 0, imm) for cls in (op.ALU, op.ALU64) for each in ALU for imm in IMMS]
    opcodes += [(cls | each, 1, imm) for cls in (op.ALU, op.ALU64) for each in (op.DIV, op.MOD) for imm in IMMS]
    opcodes += [(cls | op.NEG, 0, 0) for cls in (op.ALU, op.ALU64)]
    opcodes += [(op.ALU | op.END | op.K, 0, bits) for bits in (16, 32, 64)]
    opcodes += [(op.ALU64 | op.END, 0, bits) for bits in (16, 32, 64)]
    compare(cases(opcodes), len(opcodes), 2)


@pytest.mark.parametrize("level", [0, 2])
def test_conditions(level: int) -> None:
    code = [mov(6, 1)]
    number = 0
    for cls, condition, imm in itertools.product((op.JMP, op.JMP32), JUMPS, (None, *IMMS[:4])):
        jumps = Instruction(cls | condition | (op.X if imm is None else op.K), 1, 0 if imm else 2, 1, imm or 0)
        code += [load(op.DW, 1, 6, 0), load(op.DW, 2, 6, 8), mov_imm(3, 1), jumps, mov_imm(3, 0)]
        code.append(store(op.DW, 6, 16 + 8 * number, 3))
        number += 1
    compare([*code, mov_imm(0, 0), exit_()], number, level)


@pytest.mark.parametrize("level", [0, 2])
def test_memory_and_atomics(level: int) -> None:
    code = [mov(6, 1)]
    number = 0

    def keep(reg: int) -> None:
        nonlocal number
        code.append(store(op.DW, 6, 16 + 8 * number, reg))
        number += 1

    for size, base in itertools.product((op.B, op.H, op.W, op.DW), (10, 7)):
        # through the frame pointer, and through one that is not known to be of the frame
        code += [mov(7, 10), load(op.DW, 1, 6, 0), load(op.DW, 2, 6, 8), load(op.DW, 8, 6, 0)]
        code += [store(op.DW, 10, -16, 8), load(op.DW, 7, 10, -16), mov(7, 10)] if base == 7 else []
        code += [store(op.DW, base, -8, 1), store(size, base, -8, 2), load(op.DW, 3, base, -8)]
        keep(3)
        code.append(load(size, 3, base, -8))
        keep(3)
        if size != op.DW:
            code.append(Instruction(op.LDX | op.MEMSX | size, 3, base, -8))
            keep(3)
        code += [store_imm(size, base, -8, -3), load(op.DW, 3, base, -8)]
        keep(3)
        code += [Instruction(op.STX | op.ATOMIC | size, base, 2, -8, op.STORE_REL)]
        code += [Instruction(op.STX | op.ATOMIC | size, 3, base, -8, op.LOAD_ACQ)]
        keep(3)
        if size not in (op.W, op.DW):
            continue
        for operation in (op.ADD, op.OR, op.AND, op.XOR, op.ADD | 1, op.OR | 1, op.AND | 1, op.XOR | 1, op.XCHG):
            code += [store(op.DW, base, -8, 1), mov(4, 2)]
            code += [Instruction(op.STX | op.ATOMIC | size, base, 4, -8, operation), load(op.DW, 3, base, -8)]
            keep(3)
            keep(4)
        for expected in (1, 2):
            code += [store(op.DW, base, -8, 1), mov(0, expected)]
            code += [Instruction(op.STX | op.ATOMIC | size, base, 2, -8, op.CMPXCHG), load(op.DW, 3, base, -8)]
            keep(3)
            keep(0)
    compare([*code, mov_imm(0, 0), exit_()], number, level)


def same(code: list[Instruction], maps: list[Map] | None = None, ctx: bytes = b"") -> int:
    """What the program returns, interpreted and as machine code of both levels."""
    interpreted, quick = both(code, 0, maps)
    good = both(code, 2, maps)[1]
    expected = interpreted.run_context(ctx)[:2]
    assert quick.run_context(ctx)[:2] == expected
    assert good.run_context(ctx)[:2] == expected
    return expected[0]


def test_a_stack_that_is_read_before_it_is_written_is_zeros() -> None:
    """Each frame anew: that of a second call does not have what the first left."""
    main = [load(op.DW, 6, 10, -512), callee(4), Instruction(op.ALU64 | op.ADD | op.X, 6, 0), callee(2)]
    main += [Instruction(op.ALU64 | op.ADD | op.X, 0, 6), exit_()]
    inner = [load(op.DW, 0, 10, -64), store_imm(op.DW, 10, -64, 9), exit_()]
    code = encode(main + inner)
    made = [runtime.Program(code, 0, runtime.Ring(0), []) for _ in range(3)]
    for each in made:
        each.zero_stack = True
    for each, level in zip(made[1:], (0, 2), strict=True):
        Tiers(each).compile(level)
    assert [each.run_context(b"")[0] for each in made] == [0, 0, 0]


def callee(distance: int) -> Instruction:
    return Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, distance)


def test_functions() -> None:
    """Frames of their own, R6 to R9 kept, memory of the caller's frame written by the callee."""
    main = [
        mov_imm(6, 6),
        store_imm(op.DW, 10, -8, 5),
        mov_imm(1, 100),
        mov(2, 10),
        add_imm(2, -8),
        callee(4),
        load(op.DW, 1, 10, -8),
        Instruction(op.ALU64 | op.ADD | op.X, 0, 1),
        Instruction(op.ALU64 | op.ADD | op.X, 0, 6),
        exit_(),
    ]
    inner = [mov_imm(6, 1000), store(op.DW, 10, -8, 6), store_imm(op.DW, 2, 0, 30), mov(0, 1), exit_()]
    assert same(main + inner) == 136


def loops(known: bool) -> list[Instruction]:
    """bpf_loop(100, callback, &sum, 0), the callback's address known when code is made, or not."""
    hide = [store(op.DW, 10, -16, 2), load(op.DW, 2, 10, -16)] if not known else []
    head = [store_imm(op.DW, 10, -8, 0), mov_imm(1, 100)]
    tail = [mov(3, 10), add_imm(3, -8), mov_imm(4, 0), call(181), load(op.DW, 1, 10, -8)]
    tail += [Instruction(op.ALU64 | op.MUL | op.K, 0, imm=100000), Instruction(op.ALU64 | op.ADD | op.X, 0, 1), exit_()]
    low, high = ld_imm64(2, 0, op.PSEUDO_FUNC)
    main = [*head, low._replace(imm=1 + len(hide) + len(tail)), high, *hide, *tail]
    callback = [
        load(op.DW, 3, 2, 0),
        Instruction(op.ALU64 | op.ADD | op.X, 3, 1),
        store(op.DW, 2, 0, 3),
        mov_imm(0, 0),
        jump(op.JLT, 1, 60, 1),
        mov_imm(0, 1),
        exit_(),
    ]
    return main + callback


@pytest.mark.parametrize("known", [True, False])
def test_callbacks(known: bool) -> None:
    assert same(loops(known)) == 61 * 100000 + sum(range(61))


@pytest.mark.parametrize(("count", "flags", "result"), [(0, 0, 0), ((1 << 23) + 1, 0, -7 & 0xFFFFFFFF), (1, 1, -22)])
def test_loop_limits(count: int, flags: int, result: int) -> None:
    low, high = ld_imm64(2, 0, op.PSEUDO_FUNC)
    main = [mov_imm(1, count), low._replace(imm=5), high, mov_imm(3, 0), mov_imm(4, flags), call(181), exit_()]
    assert same([*main, mov_imm(0, 0), exit_()]) == result & M64


def test_call_by_register() -> None:
    low, high = ld_imm64(6, 0, op.PSEUDO_FUNC)
    main = [low._replace(imm=5), high, mov_imm(1, 20), Instruction(op.JMP | op.CALL | op.X, 6), add_imm(0, 2), exit_()]
    assert same([*main, mov(0, 1), Instruction(op.ALU64 | op.ADD | op.X, 0, 1), exit_()]) == 42


def test_may_goto_ends_a_loop() -> None:
    code = [mov_imm(0, 0), Instruction(op.JMP | op.JCOND, off=2), add_imm(0, 1), Instruction(op.JMP | op.JA, off=-3)]
    assert same([*code, exit_()]) == 8 << 20


def test_a_load_that_faults_is_zero() -> None:
    code = [*ld_imm64(1, 0xFFFF880012345678), mov_imm(0, 7), Instruction(op.LDX | 0x20 | op.DW, 0, 1, 8), exit_()]
    assert same(code) == 0


@pytest.mark.parametrize(
    ("type", "key_size"),
    [
        (MapType.ARRAY, 4),
        (MapType.PERCPU_ARRAY, 4),
        (MapType.HASH, 4),
        (MapType.HASH, 6),
        (MapType.HASH, 8),
        (MapType.HASH, 24),
        (MapType.LRU_HASH, 4),
        (MapType.PERCPU_HASH, 8),
        (MapType.LRU_PERCPU_HASH, 24),
    ],
)
def test_inlined_lookups(type: MapType, key_size: int) -> None:
    """Of keys that are there and that are not; what the program writes is seen by both engines and by user space."""
    is_array = type in (MapType.ARRAY, MapType.PERCPU_ARRAY)
    code = [mov(6, 1), store_imm(op.DW, 10, -24, 0), store_imm(op.DW, 10, -16, 0), store_imm(op.DW, 10, -8, 0)]
    code += [load(op.W, 1, 6, 8), store(op.W, 10, -24, 1), mov(2, 10), add_imm(2, -24)]
    code += [*ld_imm64(1, 0, op.PSEUDO_MAP_FD), call(1), jump(op.JNE, 0, 0, 2), mov_imm(0, -1), exit_()]
    code += [load(op.DW, 1, 0, 0), add_imm(1, 5), store(op.DW, 0, 0, 1), mov(0, 1), exit_()]
    spec = ProgramSpec("p", "tc", ProgramType.SCHED_CLS, encode(code), map_refs=(MapRef(8, "m"),))
    with EmbeddedKernel(engine="interpreter") as kernel:
        made = kernel.create_map(MapSpec("m", type, key_size, 8, 64))
        interpreted, compiled = (kernel.load_program(spec, {"m": made}) for _ in range(2))
        assert compiled.compile()
        copies = possible_cpus() if "PERCPU" in type.name else 1
        for key in range(0, 40, 2):
            value = struct.pack("<Q", key * 100)
            made.update(key.to_bytes(key_size, "little"), value * copies)
        for key in [*range(50), 63, 64, 1 << 31, (1 << 32) - 1]:
            ctx = bytes(8) + struct.pack("<I", key)
            results = [each.run(bytes(60), ctx).retval for each in (interpreted, compiled, interpreted, compiled)]
            there = key < 64 if is_array else key < 40 and key % 2 == 0
            assert [each == 0xFFFFFFFF for each in results] == [not there] * 4
            if there and copies == 1:
                first = key * 100 if key < 40 and key % 2 == 0 else 0
                assert results == [first + 5, first + 10, first + 15, first + 20]
                assert made.lookup(key.to_bytes(key_size, "little")) == struct.pack("<Q", first + 20)


def test_random_programs_agree() -> None:
    for seed in range(12):
        interpreted, quick = both_bytes(random_program(seed), 0)
        compiled = both_bytes(random_program(seed), 2)[1]
        results = {each.run_context(b"")[0] for each in (interpreted, quick, compiled)}
        assert len(results) == 1, seed


def both_bytes(code: bytes, level: int) -> tuple[runtime.Program, runtime.Program]:
    made = [runtime.Program(code, 0, runtime.Ring(0), []) for _ in range(2)]
    Tiers(made[1]).compile(level)
    return made[0], made[1]


def socket_filter(code: list[Instruction], *refs: MapRef) -> ProgramSpec:
    return ProgramSpec("filter", "socket", ProgramType.SOCKET_FILTER, encode(code), map_refs=refs)


@pytest.mark.parametrize("engines", list(itertools.product(["interpreter", "jit"], repeat=2)))
def test_tail_calls_between_engines(engines: tuple[str, str]) -> None:
    array = MapSpec("jumps", MapType.PROG_ARRAY, 4, 4, 4)
    with EmbeddedKernel(engine="interpreter") as kernel:
        jumps = kernel.create_map(array)
        code = [*ld_imm64(2, 0, op.PSEUDO_MAP_FD), mov_imm(3, 1), call(12), mov_imm(0, 11), exit_()]
        first = kernel.load_program(socket_filter(code, MapRef(0, "jumps")), {"jumps": jumps})
        second = kernel.load_program(socket_filter([load(op.W, 0, 1, 0), exit_()]), {})
        for program, engine in zip((first, second), engines, strict=True):
            assert engine == "interpreter" or program.compile()
        assert first.run(bytes(60)).retval == 11
        jumps.update(struct.pack("<I", 1), struct.pack("<I", second.fd))
        assert first.run(bytes(60)).retval == 60 - 14


def test_an_endless_chain_of_tail_calls_ends() -> None:
    with EmbeddedKernel(engine="jit") as kernel:
        jumps = kernel.create_map(MapSpec("jumps", MapType.PROG_ARRAY, 4, 4, 1))
        count = kernel.create_map(MapSpec("count", MapType.ARRAY, 4, 8, 1))
        code = [mov(6, 1), *ld_imm64(7, 0, op.PSEUDO_MAP_VALUE), load(op.DW, 1, 7, 0), add_imm(1, 1)]
        code += [store(op.DW, 7, 0, 1), mov(1, 6), *ld_imm64(2, 0, op.PSEUDO_MAP_FD), mov_imm(3, 0), call(12)]
        refs = MapRef(1, "count", 0), MapRef(7, "jumps")
        program = kernel.load_program(
            socket_filter([*code, mov_imm(0, 3), exit_()], *refs), {"jumps": jumps, "count": count}
        )
        jumps.update(bytes(4), struct.pack("<I", program.fd))
        assert program.run(bytes(60)).retval == 3
        assert count.lookup(bytes(4)) == struct.pack("<Q", 34)


def test_a_program_that_runs_often_gets_machine_code() -> None:
    with EmbeddedKernel(engine="auto") as kernel:
        program = kernel.load_program(socket_filter([load(op.W, 0, 1, 0), exit_()]), {})
        assert program.engine == "interpreter"
        assert program.info.jited == b""
        results = {program.run(bytes(60), repeat=50).retval for _ in range(10)}
        assert program.compile(timeout=60)
        assert program.engine == "jit-O2"
        assert results | {program.run(bytes(60)).retval} == {46}
        assert program.info.jited


def test_code_is_swapped_while_threads_run() -> None:
    with EmbeddedKernel(engine="interpreter") as kernel:
        counters = kernel.create_map(MapSpec("counters", MapType.ARRAY, 4, 8, 1))
        code = [
            *ld_imm64(1, 0, op.PSEUDO_MAP_VALUE),
            mov_imm(2, 1),
            Instruction(op.STX | op.ATOMIC | op.DW, 1, 2, 0, op.ADD),
        ]
        spec = socket_filter([*code, mov_imm(0, 1), exit_()], MapRef(0, "counters", 0))
        program = kernel.load_program(spec, {"counters": counters})
        rounds = 60
        results: list[int] = []

        def work() -> None:
            results.extend(program.run(bytes(60), repeat=500).retval for _ in range(rounds))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for each in threads:
            each.start()
        assert program.compile(timeout=60)
        for each in threads:
            each.join()
        assert set(results) == {1}
        assert counters.lookup(bytes(4)) == struct.pack("<Q", 2 * rounds * 500)


def test_engines_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="interpreter"):
        EmbeddedKernel(engine="interpeter")  # type: ignore[arg-type]
    monkeypatch.setenv("STINGLESS_ENGINE", "jit")
    with EmbeddedKernel() as kernel:
        assert kernel.load_program(socket_filter([mov_imm(0, 1), exit_()]), {}).engine == "jit-O2"


def test_without_llvmlite_programs_are_interpreted() -> None:
    script = """
import sys
sys.modules["llvmlite"] = None
from stingless._gen.uapi import ProgramType
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import NotSupportedError
from stingless.obj.spec import ProgramSpec
spec = ProgramSpec("p", "socket", ProgramType.SOCKET_FILTER, encode([mov_imm(0, 5), exit_()]))
with EmbeddedKernel() as kernel:
    program = kernel.load_program(spec, {})
    for _ in range(10):
        assert program.run(bytes(60), repeat=100).retval == 5
    assert not program.compile(timeout=60)
    assert program.engine == "interpreter"
with EmbeddedKernel(engine="jit") as kernel:
    try:
        kernel.load_program(spec, {})
    except NotSupportedError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install llvmlite" in done.stdout
    assert not done.stderr
