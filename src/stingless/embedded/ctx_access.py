"""Contexts of packet programs.

Programs see `struct xdp_md` or `struct __sk_buff`, whose data pointers are 32 bits wide.  As Linux does, the loads of
these are rewritten when a program is loaded.  They become 64-bit loads of the real pointers, which `struct st_packet`
of the runtime has after the public fields.  Every other field is where the struct has it; of some, which are 16 bits in
the kernel, so much is stored (and of queue_mapping, unlike on Linux, also of numbers from 65535 on).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.embedded.verifier.context_rule import HALF_FIELD

_XDP: Final = {"data": 0, "data_end": 4, "data_meta": 8}
_SK_BUFF: Final = {"data": 76, "data_end": 80, "data_meta": 140}
_SIZE: Final = 0x18
_PRIVATE: Final = {"data": 192, "data_end": 200, "data_meta": 208}


def rewrite(code: bytearray, type: ProgramType, loads: Iterable[tuple[int, str]]) -> None:
    """Rewrite the packet pointer loads at the given (instruction, field)s, in place."""
    public = _XDP if type is ProgramType.XDP else _SK_BUFF
    for insn, field in loads:
        at = insn * 8
        if field == HALF_FIELD:
            code[at] = code[at] & ~_SIZE | op.H
            continue
        if field not in public:
            continue
        assert code[at] == op.LDX | op.MEM | op.W, f"instruction {insn} does not load a 32-bit word"
        offset = int.from_bytes(code[at + 2 : at + 4], "little", signed=True) - public[field] + _PRIVATE[field]
        code[at] = op.LDX | op.MEM | op.DW
        code[at + 2 : at + 4] = offset.to_bytes(2, "little", signed=True)
