"""One instruction: decode, encode, and small builders."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from stingless.asm import opcodes as op

_FORMAT = struct.Struct("<BBhi")
_BIG = struct.Struct(">BBhi")


class Instruction(NamedTuple):
    """One 8-byte slot.  A 64-bit immediate load takes two: the second has opcode 0 and the upper half in `imm`."""

    opcode: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0

    @property
    def cls(self) -> int:
        return self.opcode & 0x07

    def encode(self) -> bytes:
        imm = self.imm if -(1 << 31) <= self.imm < 1 << 31 else (self.imm & 0xFFFFFFFF) - (1 << 32)
        return _FORMAT.pack(self.opcode, self.src << 4 | self.dst, self.off, imm)


def decode(code: bytes) -> list[Instruction]:
    """The slots of `code`.  Raises `ValueError` when the length is not a multiple of 8."""
    if len(code) % 8:
        raise ValueError(f"eBPF code is {len(code)} bytes long, not a multiple of 8")
    return [Instruction(o, regs & 15, regs >> 4, off, imm) for o, regs, off, imm in _FORMAT.iter_unpack(code)]


def decode_big(code: bytes) -> list[Instruction]:
    """The slots of code for a big-endian machine, where the registers' nibbles are the other way round as well."""
    if len(code) % 8:
        raise ValueError(f"eBPF code is {len(code)} bytes long, not a multiple of 8")
    return [Instruction(o, regs >> 4, regs & 15, off, imm) for o, regs, off, imm in _BIG.iter_unpack(code)]


def encode(instructions: Iterable[Instruction]) -> bytes:
    return b"".join(insn.encode() for insn in instructions)


def ld_imm64(dst: int, value: int, src: int = 0) -> list[Instruction]:
    low = value & 0xFFFFFFFF
    high = value >> 32 & 0xFFFFFFFF
    return [Instruction(op.LD_IMM64, dst, src, 0, low), Instruction(0, 0, 0, 0, high)]


def mov(dst: int, src: int) -> Instruction:
    return Instruction(op.ALU64 | op.MOV | op.X, dst, src)


def mov_imm(dst: int, imm: int) -> Instruction:
    return Instruction(op.ALU64 | op.MOV | op.K, dst, 0, 0, imm)


def add_imm(dst: int, imm: int) -> Instruction:
    return Instruction(op.ALU64 | op.ADD | op.K, dst, 0, 0, imm)


def load(size: int, dst: int, src: int, off: int) -> Instruction:
    """dst = *(size *)(src + off)"""
    return Instruction(op.LDX | op.MEM | size, dst, src, off)


def store(size: int, dst: int, off: int, src: int) -> Instruction:
    """*(size *)(dst + off) = src"""
    return Instruction(op.STX | op.MEM | size, dst, src, off)


def store_imm(size: int, dst: int, off: int, imm: int) -> Instruction:
    """*(size *)(dst + off) = imm"""
    return Instruction(op.ST | op.MEM | size, dst, 0, off, imm)


def jump(operation: int, dst: int, imm: int, off: int) -> Instruction:
    """if dst OP imm goto +off"""
    return Instruction(op.JMP | operation | op.K, dst, 0, off, imm)


def call(helper: int) -> Instruction:
    return Instruction(op.JMP | op.CALL, imm=helper)


def exit_() -> Instruction:
    return Instruction(op.JMP | op.EXIT)
