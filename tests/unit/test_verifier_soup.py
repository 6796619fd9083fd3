"""Whatever the instructions are, the verifier gives a result or a `VerifierError`, and soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, encode, exit_, mov_imm
from stingless.embedded.verifier.contexts import RULES
from stingless.embedded.verifier.result import VerifierResult
from stingless.embedded.verifier.verify import verify
from stingless.errors import VerifierError
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec

MAPS = {
    "hash": MapSpec("hash", MapType.HASH, 8, 16, 16),
    "data": MapSpec("data", MapType.ARRAY, 4, 32, 1),
    "ring": MapSpec("ring", MapType.RINGBUF, 0, 0, 4096),
}
HELPERS = frozenset(int(h) for h in Helper if h)
TYPES = st.sampled_from(sorted(RULES))


@pytest.fixture(autouse=True)
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stingless.embedded.verifier.explore.MAX_PROCESSED", 20_000)


def check(spec: ProgramSpec) -> None:
    start = time.monotonic()
    try:
        assert isinstance(verify(spec, MAPS, HELPERS), VerifierResult)
    except VerifierError as error:
        assert error.log
        assert error.summary
    assert time.monotonic() - start < 30


@given(
    TYPES,
    st.binary(max_size=256),
    st.lists(st.tuples(st.integers(-1, 40), st.sampled_from([*MAPS, "none"])), max_size=2),
)
@settings(max_examples=200, deadline=None)
def test_random_bytes(type: ProgramType, code: bytes, refs: list[tuple[int, str]]) -> None:
    check(ProgramSpec("soup", "soup", type, code, map_refs=tuple(MapRef(i, name) for i, name in refs)))


REGISTERS = st.integers(0, 10)
SMALL = st.sampled_from([0, 1, 2, 3, 4, 7, 8, 16, 31, 63, 64, 255, -1, -8, 0x7FFFFFFF, -(1 << 31)])
OFFSETS = st.sampled_from([0, 4, 8, 76, 80, -4, -8, -16, -24, -1, -512])
SIZES = st.sampled_from([op.B, op.H, op.W, op.DW])
ALU_OPS = st.sampled_from([*range(0x00, 0xE0, 0x10)])
JUMP_OPS = st.sampled_from(
    [op.JEQ, op.JGT, op.JGE, op.JSET, op.JNE, op.JSGT, op.JSGE, op.JLT, op.JLE, op.JSLT, op.JSLE]
)


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    """An instruction whose reserved fields are zero, mostly."""
    dst, src = draw(REGISTERS), draw(REGISTERS)
    kind = draw(st.integers(0, 9))
    if kind <= 2:
        cls, by_reg = draw(st.sampled_from([op.ALU, op.ALU64])), draw(st.booleans())
        opcode = cls | draw(ALU_OPS) | (op.X if by_reg else op.K)
        return Instruction(opcode, dst, src if by_reg else 0, 0, 0 if by_reg else draw(SMALL))
    if kind <= 4:
        cls, by_reg = draw(st.sampled_from([op.JMP, op.JMP32])), draw(st.booleans())
        opcode = cls | draw(JUMP_OPS) | (op.X if by_reg else op.K)
        off = draw(st.integers(-6, 8))
        return Instruction(opcode, dst, src if by_reg else 0, off, 0 if by_reg else draw(SMALL))
    if kind == 5:
        return Instruction(op.LDX | op.MEM | draw(SIZES), dst, src, draw(OFFSETS))
    if kind == 6:
        return Instruction(op.STX | op.MEM | draw(SIZES), draw(st.sampled_from([10, dst])), src, draw(OFFSETS))
    if kind == 7:
        return Instruction(
            op.ST | op.MEM | draw(SIZES), draw(st.sampled_from([10, dst])), 0, draw(OFFSETS), draw(SMALL)
        )
    if kind == 8:
        return Instruction(op.JMP | op.CALL, imm=draw(st.sampled_from(sorted(HELPERS))))
    atomic = draw(st.sampled_from([0, 1, 0x40, 0x51, op.XCHG, op.CMPXCHG]))
    return Instruction(op.STX | op.ATOMIC | draw(st.sampled_from([op.W, op.DW])), dst, src, draw(OFFSETS), atomic)


@given(TYPES, st.lists(instructions(), max_size=40), st.sampled_from([None, *MAPS]))
@settings(max_examples=300, deadline=None)
def test_random_instructions(type: ProgramType, body: list[Instruction], map_name: str | None) -> None:
    start = [Instruction(op.ALU64 | op.MOV | op.X, 6, 1)]
    refs: tuple[MapRef, ...] = ()
    if map_name is not None:
        start += [Instruction(op.LD_IMM64, 1, op.PSEUDO_MAP_FD), Instruction(0)]
        refs = (MapRef(1, map_name),)
    code = encode([*start, *[mov_imm(i, i) for i in (0, 2, 3, 4, 5, 7, 8, 9)], *body, exit_()])
    check(ProgramSpec("soup", "soup", type, code, map_refs=refs))
