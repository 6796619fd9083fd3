"""The verifier's state: registers, stack slots, call frames.

Registers and slots are immutable, so that a state copies by copying short lists and dicts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stingless.embedded.verifier.precision import Marks
from stingless.embedded.verifier.scalar import UNKNOWN, ZERO, Scalar, const

# Kinds of registers, by the names that Linux's log gives them.
NOT_INIT = "?"
SCALAR = "scalar"
CTX = "ctx"
STACK = "fp"
MAP_PTR = "map_ptr"
MAP_VALUE = "map_value"
MAP_VALUE_OR_NULL = "map_value_or_null"
PACKET = "pkt"
PACKET_META = "pkt_meta"
PACKET_END = "pkt_end"
MEM = "ringbuf_mem"
MEM_OR_NULL = "ringbuf_mem_or_null"

OR_NULL = {MAP_VALUE_OR_NULL: MAP_VALUE, MEM_OR_NULL: MEM}
PACKETS = (PACKET, PACKET_META)

# Bytes of a stack slot that holds no register.
INVALID, MISC, ZERO_BYTE = "?", "m", "0"


class Reg(NamedTuple):
    """One register.

    A pointer points `off` + `var` bytes from its base: `off` is a number, `var` what is known of the variable part.
    Of a scalar, `var` is the number itself.
    `id`: scalars of one id are equal; pointers of one id come from one lookup (or one variable packet offset).
    `map` is an index into the program's maps; `frame` the frame of a stack pointer; `ref` the reference to release;
    `span` the bytes that can be accessed from the base: proven so far for packets, in all for ring buffer memory.
    `marks`: the numbers at earlier checkpoints that this scalar was computed from.
    """

    kind: str
    var: Scalar = ZERO
    off: int = 0
    id: int = 0
    map: int = -1
    frame: int = 0
    ref: int = 0
    span: int = 0
    marks: Marks = ()


UNINIT = Reg(NOT_INIT)
UNKNOWN_REG = Reg(SCALAR, UNKNOWN)
ZERO_REG = Reg(SCALAR, ZERO)

Slot = Reg | str  # a spilled register, or 8 characters: what each byte holds, the lowest address first


def const_reg(value: int) -> Reg:
    return Reg(SCALAR, const(value))


def is_zero(reg: Reg) -> bool:
    return reg.kind is SCALAR and not reg.var.mask and not reg.var.value


class Frame:
    """A call frame: registers, stack slots by their offset (multiples of 8 below 0), where to return to."""

    __slots__ = ("regs", "return_to", "stack", "subprog")

    def __init__(self, regs: list[Reg], stack: dict[int, Slot], subprog: int, return_to: int) -> None:
        self.regs = regs
        self.stack = stack
        self.subprog = subprog
        self.return_to = return_to

    def copy(self) -> Frame:
        return Frame(self.regs.copy(), self.stack.copy(), self.subprog, self.return_to)


class State:
    """All frames (the running one last), and the references held: their ids and where they were taken."""

    __slots__ = ("frames", "refs")

    def __init__(self, frames: list[Frame], refs: dict[int, int]) -> None:
        self.frames = frames
        self.refs = refs

    def copy(self) -> State:
        return State([frame.copy() for frame in self.frames], self.refs.copy() if self.refs else {})


def initial() -> State:
    regs = [UNINIT] * 11
    regs[1] = Reg(CTX)
    regs[10] = Reg(STACK)
    return State([Frame(regs, {}, 0, -1)], {})


def replace_all(state: State, wanted: Callable[[Reg], bool], change: Callable[[Reg], Reg]) -> None:
    """Change every register, spilled ones too, that is `wanted`."""
    for frame in state.frames:
        regs = frame.regs
        for i, reg in enumerate(regs):
            if wanted(reg):
                regs[i] = change(reg)
        for base, slot in frame.stack.items():
            if type(slot) is Reg and wanted(slot):
                frame.stack[base] = change(slot)
