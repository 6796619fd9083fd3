"""The verifier's state: registers, stack slots, call frames.

Registers and slots are immutable, so that a state copies by copying short lists and dicts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
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
BLOCK = "mem"  # other memory of a known size: a dynptr's slice, a buffer of a kfunc, an argument of a global function
BLOCK_OR_NULL = "mem_or_null"
MAP_PTR_OR_NULL = "map_ptr_or_null"  # an inner map that was looked up
MAP_KEY = "map_key"
FUNC = "func"  # `map` is the sub-program
SOCK = "sock"
SOCK_OR_NULL = "sock_or_null"
SOCK_COMMON = "sock_common"
SOCK_COMMON_OR_NULL = "sock_common_or_null"
TCP_SOCK = "tcp_sock"
TCP_SOCK_OR_NULL = "tcp_sock_or_null"
XDP_SOCK = "xdp_sock"
XDP_SOCK_OR_NULL = "xdp_sock_or_null"
BTF_PTR = "ptr_"  # to a struct of the kernel (`btf`: its id), or of the program's own when `flags` has ALLOC
BTF_PTR_OR_NULL = "ptr_or_null_"
DYNPTR_PTR = "dynptr_ptr"  # the dynptr that a callback gets; `span`: its type
# What slots of the stack hold that are no registers.
DYNPTR = "dynptr"  # `off`: first or second slot, `span`: its type, `id`: which dynptr, `ref`: what is to be released
ITER = "iter"  # `off`: which slot, `span`: ITER_ACTIVE or ITER_DRAINED, `map`: which kind, `ref`: its reference
LOCK_IRQ = "irq"  # saved interrupt flags; `ref`: their reference

ITER_ACTIVE, ITER_DRAINED = 1, 2

OR_NULL = {
    MAP_VALUE_OR_NULL: MAP_VALUE,
    MEM_OR_NULL: MEM,
    BLOCK_OR_NULL: BLOCK,
    MAP_PTR_OR_NULL: MAP_PTR,
    SOCK_OR_NULL: SOCK,
    SOCK_COMMON_OR_NULL: SOCK_COMMON,
    TCP_SOCK_OR_NULL: TCP_SOCK,
    XDP_SOCK_OR_NULL: XDP_SOCK,
    BTF_PTR_OR_NULL: BTF_PTR,
}
PACKETS = (PACKET, PACKET_META)
SOCKETS = (SOCK, SOCK_COMMON, TCP_SOCK)
OBJECTS = (DYNPTR, ITER, LOCK_IRQ)

# Of pointers to structs: how far they may be trusted, and whose they are.
TRUSTED, RCU, UNTRUSTED, RDONLY, ALLOC, NON_OWNING, PERCPU = 1, 2, 4, 8, 16, 32, 64

# Bytes of a stack slot that holds no register.
INVALID, MISC, ZERO_BYTE = "?", "m", "0"


class Reg(NamedTuple):
    """One register.

    A pointer points `off` + `var` bytes from its base: `off` is a number, `var` what is known of the variable part.
    Of a scalar, `var` is the number itself.
    `id`: scalars of one id are equal; pointers of one id come from one lookup (or one variable packet offset).
    `map` is an index into the program's maps; `frame` the frame of a stack pointer; `ref` the reference to release;
    `span` the bytes that can be accessed from the base: proven so far for packets, in all for memory of a known size.
    `marks`: the numbers at earlier checkpoints that this scalar was computed from.
    `btf`: the type of what is pointed to; `flags`: TRUSTED, RCU, ...; `owner`: the dynptr that a slice is of, or the
    lookup (its `uid`) that a map's or a map value's pointer comes from: of two lookups, locks and timers differ.
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
    btf: int = 0
    flags: int = 0
    owner: int = 0


UNINIT = Reg(NOT_INIT)
UNKNOWN_REG = Reg(SCALAR, UNKNOWN)
ZERO_REG = Reg(SCALAR, ZERO)

Slot = Reg | str  # a spilled register, or 8 characters: what each byte holds, the lowest address first


_new = tuple.__new__


def scalar(var: Scalar, marks: Marks = (), id: int = 0, span: int = 0) -> Reg:
    """`Reg(SCALAR, var, id=id, span=span, marks=marks)`, in half the time."""
    return _new(Reg, (SCALAR, var, 0, id, -1, 0, 0, span, marks, 0, 0, 0))


@lru_cache(maxsize=4096)
def const_reg(value: int) -> Reg:
    return Reg(SCALAR, const(value))


def is_zero(reg: Reg) -> bool:
    return reg.kind is SCALAR and not reg.var.mask and not reg.var.value


class Frame:
    """A call frame: registers, stack slots by their offset (multiples of 8 below 0), where to return to (-1: it is the
    last one).  `callback`: what called it, where that is a helper; `rounds`: how often this call was followed."""

    __slots__ = ("callback", "regs", "return_to", "rounds", "stack", "subprog")

    def __init__(
        self, regs: list[Reg], stack: dict[int, Slot], subprog: int, return_to: int, callback: str = "", rounds: int = 0
    ) -> None:
        self.regs = regs
        self.stack = stack
        self.subprog = subprog
        self.return_to = return_to
        self.callback = callback
        self.rounds = rounds

    def copy(self) -> Frame:
        return Frame(self.regs.copy(), self.stack.copy(), self.subprog, self.return_to, self.callback, self.rounds)


class Held:
    """What a path holds that it must let go of.  `lock`: a spin lock, as (kind of pointer, map or type, id of the
    lookup); `rcu`, `preempt`: how many read sections and sections without preemption it is in; `irqs`: references of
    saved interrupt flags, the innermost last.  Immutable: changed by `with_`."""

    __slots__ = ("irqs", "lock", "preempt", "rcu")

    def __init__(
        self, lock: tuple[str, int, int] | None = None, rcu: int = 0, preempt: int = 0, irqs: tuple[int, ...] = ()
    ) -> None:
        self.lock = lock
        self.rcu = rcu
        self.preempt = preempt
        self.irqs = irqs

    @property
    def atomic(self) -> bool:
        return bool(self.lock or self.rcu or self.preempt or self.irqs)


NOTHING_HELD = Held()


class State:
    """All frames (the running one last), and the references held: their ids and where they were taken.  `progress`
    counts what brings a loop nearer to its end (an iterator's step, may_goto, a callback's next call)."""

    __slots__ = ("frames", "held", "progress", "refs", "sleepable")

    def __init__(
        self, frames: list[Frame], refs: dict[int, int], held: Held = NOTHING_HELD, progress: int = 0,
        sleepable: bool = False,
    ) -> None:  # fmt: skip
        self.frames = frames
        self.refs = refs
        self.held = held
        self.progress = progress
        self.sleepable = sleepable

    def copy(self) -> State:
        refs = self.refs.copy() if self.refs else {}
        return State([frame.copy() for frame in self.frames], refs, self.held, self.progress, self.sleepable)


def initial(sleepable: bool = False) -> State:
    regs = [UNINIT] * 11
    regs[1] = Reg(CTX)
    regs[10] = Reg(STACK)
    return State([Frame(regs, {}, 0, -1)], {}, sleepable=sleepable)


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
