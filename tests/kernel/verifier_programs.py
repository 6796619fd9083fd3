"""Random eBPF programs for differential tests: sensible ones, many of them accepted, then a little spoilt."""

from __future__ import annotations

import random
from collections.abc import Callable

from stingless._gen.helpers import Helper
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
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec

RDONLY_PROG = 1 << 7
MAPS = {
    "hash": MapSpec("hash", MapType.HASH, 8, 48, 16),
    "array": MapSpec("array", MapType.ARRAY, 4, 64, 4),
    "percpu": MapSpec("percpu", MapType.PERCPU_ARRAY, 4, 16, 2),
    "data": MapSpec("data", MapType.ARRAY, 4, 32, 1),
    "rodata": MapSpec(
        "rodata", MapType.ARRAY, 4, 24, 1, flags=RDONLY_PROG, initial=bytes(range(20)) + b"%d\0\0", frozen=True
    ),
    "events": MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 4),
    "ring": MapSpec("ring", MapType.RINGBUF, 0, 0, 4096),
    "progs": MapSpec("progs", MapType.PROG_ARRAY, 4, 4, 4),
    "queue": MapSpec("queue", MapType.QUEUE, 0, 16, 4),
}
TYPES = (
    ProgramType.SOCKET_FILTER,
    ProgramType.KPROBE,
    ProgramType.XDP,
    ProgramType.XDP,
    ProgramType.SCHED_CLS,
    ProgramType.TRACEPOINT,
    ProgramType.RAW_TRACEPOINT,
    ProgramType.PERF_EVENT,
    ProgramType.CGROUP_SKB,
)
_ALU = (
    op.ADD, op.SUB, op.MUL, op.DIV, op.OR, op.AND, op.LSH, op.RSH, op.MOD, op.XOR, op.ARSH, op.ADD, op.SUB, op.AND,
)  # fmt: skip
_JUMPS = (op.JEQ, op.JGT, op.JGE, op.JSET, op.JNE, op.JSGT, op.JSGE, op.JLT, op.JLE, op.JSLT, op.JSLE)
_NUMBERS = (
    0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 47, 48, 63, 64, 255, 4095, 65535, -1, -2, -8, -128, 0x7FFFFFFF, -0x80000000,
)  # fmt: skip
_SIZES = (op.B, op.H, op.W, op.DW)
_POINTER = {ProgramType.XDP: (0, 4, 8), ProgramType.SCHED_CLS: (76, 80, 140), ProgramType.CGROUP_SKB: (76, 80, 140)}


class Writer:
    """Writes one program.  `scalars` and `pointers` are what it believes the registers hold; it is sometimes wrong."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.type = rng.choice(TYPES)
        self.insns: list[Instruction] = []
        self.refs: list[MapRef] = []
        self.scalars: set[int] = set()
        self.stack: set[int] = set()
        self.ctx_saved = False
        self.depth = 0
        self.calls: list[int] = []

    def emit(self, *insns: Instruction) -> None:
        self.insns += insns

    def map(self, dst: int, name: str, offset: int | None = None) -> None:
        self.refs.append(MapRef(len(self.insns), name, offset))
        source = op.PSEUDO_MAP_FD if offset is None else op.PSEUDO_MAP_VALUE
        self.emit(*ld_imm64(dst, (offset or 0) << 32, source))

    def skip_over(self, jump_insn: Instruction, body: Callable[[], None]) -> None:
        """Emit a forward jump over what `body()` emits."""
        at = len(self.insns)
        self.emit(jump_insn)
        before, stack = self.scalars.copy(), self.stack.copy()
        body()
        self.insns[at] = jump_insn._replace(off=len(self.insns) - at - 1)
        self.scalars &= before
        self.stack &= stack

    def number(self) -> int:
        rng = self.rng
        return rng.choice(_NUMBERS) if rng.random() < 0.8 else rng.randrange(-(1 << 31), 1 << 31)

    def scalar(self) -> int:
        """A register that holds a number (made now if there is none)."""
        if not self.scalars or self.rng.random() < 0.15:
            self.new_scalar()
        return self.rng.choice(sorted(self.scalars))

    def free(self) -> int:
        return self.rng.choice((0, 1, 2, 3, 4, 5, 7, 8, 9))

    def after_call(self) -> None:
        self.scalars -= {0, 1, 2, 3, 4, 5}

    # What programs are made of.

    def new_scalar(self) -> None:
        rng = self.rng
        what = rng.randrange(6)
        dst = self.free()
        if what == 0:
            self.emit(mov_imm(dst, self.number()))
        elif what == 1:
            self.emit(*ld_imm64(dst, rng.choice((1 << 32, (1 << 63) - 1, 1 << 63, 0xFFFFFFFF, rng.getrandbits(64)))))
        elif what == 2 and self.ctx_saved:
            size, off = self.ctx_field()
            self.emit(load(size, dst, 6, off))
        elif what == 3:
            self.map(dst, "data", rng.choice((0, 8, 16, 24)))
            self.emit(load(rng.choice(_SIZES), dst, dst, 0))
        elif what == 4:
            self.map(dst, "rodata", rng.choice((0, 4, 8, 16)))
            self.emit(load(rng.choice(_SIZES), dst, dst, 0))
        else:
            self.emit(call(rng.choice((Helper.get_prandom_u32, Helper.ktime_get_ns, Helper.get_smp_processor_id))))
            self.after_call()
            dst = rng.choice((0, 7, 8, 9))
            if dst:
                self.emit(mov(dst, 0))
                self.scalars.add(0)
        self.scalars.add(dst)

    def ctx_field(self) -> tuple[int, int]:
        rng = self.rng
        if self.type in (ProgramType.XDP,):
            return op.W, rng.choice((12, 16))
        if self.type in (ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS, ProgramType.CGROUP_SKB):
            if rng.random() < 0.15:
                return rng.choice(_SIZES), rng.randrange(0, 196)
            return rng.choice((op.W, op.W, op.B, op.H)), rng.choice((0, 4, 8, 16, 36, 40, 48, 52, 68))
        if rng.random() < 0.15:
            return rng.choice(_SIZES), rng.randrange(0, 200)
        return op.DW, rng.choice((8, 16, 24, 64, 80, 88))

    def ctx_store(self) -> None:
        size, off = self.ctx_field()
        if self.ctx_saved:
            self.emit(store(size, 6, off, self.scalar()))

    def bound(self, reg: int, limit: int) -> None:
        """Bring `reg` below `limit`, in one of the ways that C does."""
        rng = self.rng
        what = rng.randrange(5)
        if what == 0:
            self.emit(Instruction(op.ALU64 | op.AND | op.K, reg, imm=limit - 1))
        elif what == 1:
            self.emit(Instruction(op.ALU | op.AND | op.K, reg, imm=limit - 1))
        elif what == 2:
            cls = rng.choice((op.JMP, op.JMP32))
            self.emit(Instruction(cls | op.JLT | op.K, reg, 0, 1, limit), mov_imm(reg, 0))
        elif what == 3:
            self.emit(jump(op.JSGT, reg, -1, 1), mov_imm(reg, 1), jump(op.JSLT, reg, limit, 1), mov_imm(reg, 0))
        else:
            self.emit(Instruction(op.ALU64 | op.RSH | op.K, reg, imm=60))

    def arithmetic(self) -> None:
        rng = self.rng
        dst = self.scalar()
        cls, operation = rng.choice((op.ALU, op.ALU64)), rng.choice(_ALU)
        bits = 32 if cls == op.ALU else 64
        what = rng.random()
        if what < 0.1:
            self.emit(Instruction(cls | op.MOV | op.X, self.free(), dst, rng.choice((0, 0, 8, 16, 32))))
            self.scalars.add(self.insns[-1].dst)
        elif what < 0.15:
            self.emit(Instruction(cls | op.NEG, dst))
        elif what < 0.2:
            self.emit(Instruction(cls | op.END | (0 if cls == op.ALU64 else op.X), dst, imm=rng.choice((16, 32, 64))))
        elif what < 0.5:
            self.emit(Instruction(cls | operation | op.X, dst, self.scalar()))
        else:
            imm = self.number()
            if operation in (op.LSH, op.RSH, op.ARSH):
                imm = rng.randrange(bits)
            elif operation in (op.DIV, op.MOD):
                imm = imm or 1
            self.emit(Instruction(cls | operation | op.K, dst, imm=imm))

    def branch(self) -> None:
        rng = self.rng
        cls, operation = rng.choice((op.JMP, op.JMP32)), rng.choice(_JUMPS)
        if rng.random() < 0.35:
            insn = Instruction(cls | operation | op.X, self.scalar(), self.scalar())
        else:
            insn = Instruction(cls | operation | op.K, self.scalar(), imm=self.number())
        self.skip_over(insn, lambda: self.block(rng.randrange(1, 4)))

    def diamond(self) -> None:
        """Both ways of a branch do something."""
        rng = self.rng
        insn = Instruction(op.JMP | rng.choice(_JUMPS) | op.K, self.scalar(), imm=self.number())
        at = len(self.insns)

        def first() -> None:
            self.block(rng.randrange(1, 3))
            self.emit(Instruction(op.JMP | op.JA))

        self.skip_over(insn, first)
        end = len(self.insns) - 1
        self.block(rng.randrange(1, 3))
        self.insns[end] = self.insns[end]._replace(off=len(self.insns) - end - 1)
        assert at < end

    def loop(self) -> None:
        rng = self.rng
        counter = rng.choice((7, 8, 9))
        self.emit(mov_imm(counter, 0))
        start = len(self.insns)
        self.scalars.discard(counter)
        before = self.scalars.copy()
        self.scalars -= {0, 1, 2, 3, 4, 5}
        self.block(rng.randrange(1, 4))
        self.scalars &= before
        self.emit(add_imm(counter, rng.choice((1, 1, 1, 2, 0) if rng.random() < 0.2 else (1,))))
        insn = Instruction(
            rng.choice((op.JMP, op.JMP32)) | rng.choice((op.JLT, op.JNE, op.JSLT)), counter, imm=rng.randrange(1, 9)
        )
        self.emit(insn._replace(off=start - len(self.insns) - 1))
        self.scalars.add(counter)

    def stack_store(self) -> None:
        rng = self.rng
        size = rng.choice((op.DW, op.DW, *_SIZES))
        width = op.SIZE_BYTES[size]
        off = -rng.randrange(1, 6 * 8 // width + 1) * width
        if rng.random() < 0.3:
            self.emit(store_imm(size, 10, off, self.number()))
        else:
            self.emit(store(size, 10, off, self.scalar()))
        if width == 8:
            self.stack.add(off)

    def stack_load(self) -> None:
        rng = self.rng
        dst = self.free()
        if self.stack and rng.random() < 0.9:
            base = rng.choice(sorted(self.stack))
            size = rng.choice((op.DW, op.DW, *_SIZES))
            width = op.SIZE_BYTES[size]
            self.emit(load(size, dst, 10, base + rng.randrange(8 // width) * width))
        else:
            self.emit(load(rng.choice(_SIZES), dst, 10, -8 * rng.randrange(1, 7)))
        self.scalars.add(dst)

    def stack_variable(self) -> None:
        rng = self.rng
        index, pointer = rng.choice((7, 8)), rng.choice((1, 2, 3))
        self.emit(call(Helper.get_prandom_u32))
        self.after_call()
        for off in (-8, -16, -24):
            self.emit(store_imm(op.DW, 10, off, rng.choice((0, 0, 5))))
            self.stack.add(off)
        self.emit(mov(index, 0))
        self.bound(index, rng.choice((8, 16, 16, 24, 32)))
        if rng.random() < 0.3:
            self.emit(Instruction(op.ALU64 | op.AND | op.K, index, imm=-8 if rng.random() < 0.5 else 24))
        self.emit(mov(pointer, 10), add_imm(pointer, -24), Instruction(op.ALU64 | op.ADD | op.X, pointer, index))
        size = rng.choice((op.B, op.B, op.W, op.DW))
        if rng.random() < 0.5:
            self.emit(load(size, 0, pointer, 0))
            self.scalars.add(0)
        else:
            self.emit(store(size, pointer, 0, index))
        self.scalars.add(index)
        self.scalars.discard(pointer)

    def lookup(self) -> None:
        rng = self.rng
        name = rng.choice(("hash", "array", "percpu"))
        spec = MAPS[name]
        key = -8 * rng.randrange(1, 5)
        if rng.random() < 0.95:
            self.emit(store_imm(op.DW, 10, key, rng.choice((0, 1, 3))))
            self.stack.add(key)
        self.emit(mov(2, 10), add_imm(2, key))
        self.map(1, name)
        self.emit(call(Helper.map_lookup_elem))
        self.after_call()
        pointer = rng.choice((0, 0, 7, 8, 9))
        if pointer:
            self.emit(mov(pointer, 0))
        if rng.random() < 0.2:
            self.emit(store(op.DW, 10, -40, pointer), load(op.DW, 0, 10, -40))
            self.stack.discard(-40)
        self.scalars.discard(pointer)
        self.scalars.discard(0)

        def body() -> None:
            self.use_value(pointer, spec.value_size)

        if rng.random() < 0.95:
            self.skip_over(jump(op.JEQ, rng.choice((0, pointer)), 0, 0), body)
        else:
            body()
        self.scalars -= {0, pointer}

    def use_value(self, pointer: int, length: int) -> None:
        rng = self.rng
        for _ in range(rng.randrange(1, 4)):
            what = rng.random()
            size = rng.choice(_SIZES)
            width = op.SIZE_BYTES[size]
            off = rng.randrange(0, length - width + 1) if rng.random() < 0.95 else rng.randrange(-8, length + 8)
            if what < 0.3:
                dst = rng.choice((1, 2, 3, 4))
                self.emit(load(size, dst, pointer, off))
                self.scalars.add(dst)
            elif what < 0.5:
                self.emit(store(size, pointer, off, self.scalar_not(pointer)))
            elif what < 0.6:
                atomic = rng.choice((op.ADD, op.OR, op.AND | op.FETCH, op.XCHG, op.CMPXCHG, op.ADD | op.FETCH))
                self.emit(mov_imm(0 if pointer else 1, 1))
                self.scalars.add(0 if pointer else 1)
                insn = Instruction(op.STX | op.ATOMIC | rng.choice((op.W, op.DW)), pointer, self.scalar_not(pointer))
                self.emit(insn._replace(off=off & ~7, imm=atomic))
            else:
                index = self.scalar_not(pointer)
                pieces = rng.choice((4, 8, 16, 32, 64))
                self.bound(index, pieces)
                if rng.random() < 0.4:
                    self.emit(Instruction(op.ALU64 | rng.choice((op.MUL, op.LSH)), index, imm=rng.choice((1, 2, 3))))
                if rng.random() < 0.2:
                    self.emit(Instruction(op.ALU | op.MOV | op.X, index, index))
                moved = rng.choice((1, 2, 3, 4))
                if moved != index:
                    self.emit(mov(moved, pointer))
                    if rng.random() < 0.2:
                        self.emit(add_imm(moved, rng.choice((4, 8, 16))))
                    operation = op.SUB if rng.random() < 0.1 else op.ADD
                    self.emit(Instruction(op.ALU64 | operation | op.X, moved, index))
                    self.emit(load(rng.choice(_SIZES), moved, moved, rng.choice((0, 0, 1, 8, -4))))
                    self.scalars.add(moved)

    def scalar_not(self, pointer: int) -> int:
        self.scalars.discard(pointer)
        known = sorted(self.scalars)
        if known and self.rng.random() < 0.9:
            return self.rng.choice(known)
        reg = self.rng.choice([r for r in (1, 2, 3, 4) if r != pointer])
        self.emit(mov_imm(reg, self.number()))
        self.scalars.add(reg)
        return reg

    def packet(self) -> None:
        rng = self.rng
        offsets = _POINTER.get(self.type)
        if not offsets or not self.ctx_saved:
            return self.arithmetic()
        data, end, cursor = rng.sample((1, 2, 3, 4, 5, 7, 8), 3)
        self.scalars -= {data, end, cursor}
        meta = rng.random() < 0.15
        self.emit(load(op.W, data, 6, offsets[2 if meta else 0]), load(op.W, end, 6, offsets[0 if meta else 1]))
        self.emit(mov(cursor, data))
        length = rng.choice((1, 2, 8, 14, 34))
        if rng.random() < 0.3 and self.scalars:
            index = self.scalar_not(cursor)
            if index not in (data, end):
                self.bound(index, rng.choice((16, 64)))
                self.emit(Instruction(op.ALU64 | op.ADD | op.X, cursor, index))
                self.emit(mov(data, cursor))
        self.emit(add_imm(cursor, length))
        style = rng.randrange(10)
        inverse = {op.JGT: (cursor, end), op.JGE: (cursor, end), op.JLT: (end, cursor), op.JLE: (end, cursor)}
        operation = rng.choice(tuple(inverse))
        left, right = inverse[operation]
        if style == 0:
            left, right = right, left

        def body() -> None:
            for _ in range(rng.randrange(1, 4)):
                size = rng.choice(_SIZES)
                width = op.SIZE_BYTES[size]
                off = rng.randrange(0, max(1, length - width + 1)) if rng.random() < 0.95 else rng.randrange(-2, 40)
                if rng.random() < 0.7:
                    dst = rng.choice((0, 9))
                    self.emit(load(size, dst, data, off))
                    self.scalars.add(dst)
                elif rng.random() < 0.5:
                    self.emit(load(size, 0, cursor, off - length))
                    self.scalars.add(0)
                else:
                    self.emit(store_imm(size, data, off, 1))
            if rng.random() < 0.1:
                self.emit(Instruction(op.ALU64 | op.SUB | op.X, end, data))
                self.scalars.add(end)

        self.skip_over(Instruction(op.JMP | operation | op.X, left, right), body)
        self.scalars -= {data, end, cursor}
        return None

    def helper(self) -> None:
        rng = self.rng
        what = rng.randrange(9)
        buffer = -8 * rng.randrange(2, 7)
        length = rng.choice((1, 4, 8, 16))
        if rng.random() < 0.6:
            for off in range(buffer, 0, 8):
                self.emit(store_imm(op.DW, 10, off, 0))
                self.stack.add(off)
        size_reg = (
            rng.choice(sorted(self.scalars & {7, 8, 9})) if self.scalars & {7, 8, 9} and rng.random() < 0.4 else None
        )
        if size_reg:
            self.bound(size_reg, rng.choice((8, 16)))
            if rng.random() < 0.5:
                self.emit(add_imm(size_reg, 1))

        def size(reg: int) -> Instruction:
            return mov(reg, size_reg) if size_reg else mov_imm(reg, length)

        if what == 0:
            self.emit(mov(1, 10), add_imm(1, buffer), size(2), call(Helper.get_current_comm))
        elif what == 1:
            reader = rng.choice((Helper.probe_read_kernel, Helper.probe_read_user_str))
            self.emit(mov(1, 10), add_imm(1, buffer), size(2), mov_imm(3, 0), call(reader))
        elif what == 2:
            self.emit(mov(1, 10), add_imm(1, buffer), size(2), call(Helper.trace_printk))
        elif what == 3 and self.ctx_saved:
            self.map(2, "events")
            self.emit(mov(1, 6), mov_imm(3, -1), mov(4, 10), add_imm(4, buffer), size(5))
            self.emit(call(Helper.perf_event_output))
        elif what == 4:
            self.map(1, rng.choice(("hash", "array", "hash", "data", "rodata")))
            self.emit(mov(2, 10), add_imm(2, buffer), mov(3, 10), add_imm(3, -64))
            for off in range(-64, -16, 8):
                if rng.random() < 0.97:
                    self.emit(store_imm(op.DW, 10, off, 0))
                    self.stack.add(off)
            self.emit(mov_imm(4, 0), call(Helper.map_update_elem))
        elif what == 5:
            self.map(1, "ring")
            self.emit(mov(2, 10), add_imm(2, buffer), size(3), mov_imm(4, 0), call(Helper.ringbuf_output))
        elif what == 6 and self.ctx_saved:
            self.emit(mov(1, 6), mov_imm(2, 0), mov(3, 10), add_imm(3, buffer), size(4), call(Helper.skb_load_bytes))
        elif what == 7:
            self.map(1, "queue")
            self.emit(mov(2, 10), add_imm(2, buffer))
            if rng.random() < 0.5:
                self.emit(call(rng.choice((Helper.map_pop_elem, Helper.map_peek_elem))))
            else:
                self.emit(mov_imm(3, 0), call(Helper.map_push_elem))
        elif what == 8 and self.ctx_saved:
            self.emit(mov(1, 6))
            self.map(2, "progs")
            self.emit(mov_imm(3, 1), call(Helper.tail_call))
        else:
            return
        self.after_call()
        if what != 8:
            self.scalars.add(0)

    def ring(self) -> None:
        rng = self.rng
        length = rng.choice((8, 16, 40))
        self.map(1, "ring")
        self.emit(mov_imm(2, length), mov_imm(3, 0), call(Helper.ringbuf_reserve))
        self.after_call()
        self.emit(mov(9, 0))
        self.scalars.discard(9)

        def body() -> None:
            if rng.random() < 0.7:
                self.use_value(9, length)
            if rng.random() < 0.3:
                self.arithmetic_safe()
            self.emit(mov(1, 9), mov_imm(2, 0))
            if rng.random() < 0.95:
                self.emit(call(rng.choice((Helper.ringbuf_submit, Helper.ringbuf_discard))))
                self.after_call()
            if rng.random() < 0.05:
                self.emit(load(op.DW, 1, 9, 0))

        self.skip_over(jump(op.JEQ, rng.choice((0, 9)), 0, 0), body)
        self.scalars -= {0, 9}

    def arithmetic_safe(self) -> None:
        self.scalars.discard(9)
        self.arithmetic()

    def pointers(self) -> None:
        """Arithmetic and comparisons on pointers of all kinds."""
        rng = self.rng
        source = rng.choice((10, 6))
        dst = rng.choice((1, 2, 3))
        self.emit(mov(dst, source))
        self.scalars.discard(dst)
        what = rng.randrange(5)
        if what == 0:
            self.emit(
                Instruction(rng.choice((op.ALU, op.ALU64)) | rng.choice(_ALU) | op.K, dst, imm=self.number() or 1)
            )
        elif what == 1:
            self.emit(Instruction(op.ALU64 | op.SUB | op.X, dst, source))
            self.scalars.add(dst)
        elif what == 2:
            self.skip_over(jump(rng.choice((op.JEQ, op.JNE, op.JGT)), dst, 0, 0), lambda: self.block(1))
        elif what == 3:
            self.emit(add_imm(dst, -8 * rng.randrange(1, 4)), store(op.DW, dst, 0, self.scalar_not(dst)))
        else:
            self.emit(Instruction(op.ALU64 | op.ADD | op.X, dst, self.scalar_not(dst)))
            if rng.random() < 0.5:
                self.emit(load(op.W, dst, dst, -8))
                self.scalars.add(dst)

    def absolute(self) -> None:
        rng = self.rng
        if self.type not in (ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS) or not self.ctx_saved:
            return self.arithmetic()
        size = rng.choice((op.B, op.H, op.W))
        if rng.random() < 0.5:
            self.emit(Instruction(op.LD | op.ABS | size, imm=rng.choice((0, 12, 23))))
        else:
            self.emit(Instruction(op.LD | op.IND | size, src=self.scalar(), imm=rng.choice((0, 14))))
        self.after_call()
        self.scalars.add(0)
        return None

    def subprogram(self) -> None:
        rng = self.rng
        kind = rng.randrange(3)
        self.emit(mov(1, 10), add_imm(1, -16), mov_imm(2, rng.randrange(4)))
        if kind == 1:
            self.emit(store_imm(op.DW, 10, -16, 1))
            self.stack.add(-16)
        self.calls.append(len(self.insns))
        self.emit(Instruction(op.JMP | op.CALL, src=op.PSEUDO_CALL, imm=kind))
        self.after_call()
        self.scalars.add(0)

    def block(self, count: int) -> None:
        rng = self.rng
        self.depth += 1
        for _ in range(count):
            simple = (
                self.arithmetic, self.arithmetic, self.stack_store, self.stack_load, self.new_scalar, self.pointers,
                self.lookup, self.packet, self.helper, self.ring, self.ctx_store, self.absolute, self.stack_variable,
            )  # fmt: skip
            nested = (self.branch, self.branch, self.diamond, self.loop)
            weights = [3, 3, 4, 4, 2, 0.5, 3, 3, 2, 1, 0.3, 0.5, 0.7, *([2, 2, 1.5, 0.7] if self.depth < 4 else [])]
            choices = simple + (nested if self.depth < 4 else ())
            step = rng.choices(choices, weights)[0]
            step()
            if self.depth == 1 and rng.random() < 0.06:
                self.subprogram()
        self.depth -= 1

    def program(self) -> ProgramSpec:
        rng = self.rng
        if rng.random() < 0.9:
            self.emit(mov(6, 1))
            self.ctx_saved = True
        self.block(rng.randrange(1, 10))
        if self.scalars and rng.random() < 0.3 and self.type != ProgramType.CGROUP_SKB:
            self.emit(mov(0, self.scalar()))
        else:
            self.emit(mov_imm(0, rng.randrange(2)))
        self.emit(exit_())
        self.write_subprograms()
        self.spoil()
        return ProgramSpec("random", "random", self.type, encode(self.insns), map_refs=tuple(self.refs))

    def write_subprograms(self) -> None:
        """Behind the program: a leaf that uses its arguments' number, one that writes through its pointer, one that
        reads through it."""
        wanted = sorted({self.insns[i].imm for i in self.calls})
        starts = {}
        for kind in wanted:
            starts[kind] = len(self.insns)
            if kind == 0:
                self.emit(mov(0, 2), Instruction(op.ALU64 | op.LSH, 0, imm=3), exit_())
            elif kind == 1:
                self.emit(load(op.DW, 0, 1, 0), store(op.DW, 10, -8, 0), load(op.W, 0, 10, -8), exit_())
            else:
                self.emit(mov_imm(0, 7), store(op.DW, 1, 0, 0), jump(op.JGT, 2, 1, 1), mov(0, 2), exit_())
        for i in self.calls:
            self.insns[i] = self.insns[i]._replace(imm=starts[self.insns[i].imm] - i - 1)

    def spoil(self) -> None:
        """Change an instruction or two, sometimes."""
        rng = self.rng
        if rng.random() > 0.35:
            return
        for _ in range(rng.randrange(1, 3)):
            i = rng.randrange(len(self.insns))
            insn = self.insns[i]
            if any(i in (ref.insn, ref.insn + 1) for ref in self.refs):
                continue
            what = rng.randrange(6)
            if what == 0:
                insn = insn._replace(imm=self.number())
            elif what == 1:
                insn = insn._replace(off=insn.off + rng.choice((-8, -4, -1, 1, 4, 8)))
            elif what == 2:
                insn = insn._replace(dst=rng.randrange(11))
            elif what == 3:
                insn = insn._replace(src=rng.randrange(11))
            elif what == 4:
                insn = insn._replace(opcode=insn.opcode ^ rng.choice((0x08, 0x10, 0x20, 0x01, 0x02, 0x40)))
            else:
                insn = mov(rng.randrange(10), rng.randrange(11))
            self.insns[i] = insn


def random_program(seed: int) -> ProgramSpec:
    return Writer(random.Random(seed)).program()


def branchy_program(seed: int) -> ProgramSpec:
    """Many ways that meet again with registers and stack slots of different content, which decide at the end what
    memory is accessed: a verifier that takes one state for another one accepts what it must not."""
    rng = random.Random(seed)
    writer = Writer(rng)
    writer.type = ProgramType.KPROBE
    emit = writer.emit
    emit(mov(6, 1), store(op.DW, 10, -48, 6))
    slots = (-8, -16, -24)
    for off in slots:
        emit(store_imm(op.DW, 10, off, rng.choice((0, 4))))
    for reg in (7, 8, 9):
        emit(mov_imm(reg, rng.choice((0, 1, 8))))

    def change() -> None:
        a, b = rng.choice((7, 8, 9)), rng.choice((7, 8, 9))
        slot = rng.choice(slots)
        what = rng.randrange(12)
        if what == 0:
            emit(mov_imm(a, rng.choice((0, 2, 8, 16, 60))))
        elif what == 1:
            emit(mov(a, b))
        elif what == 2:
            emit(add_imm(a, rng.choice((1, 4, -1))))
        elif what == 3:
            emit(Instruction(op.ALU64 | rng.choice((op.AND, op.OR, op.XOR, op.ADD)) | op.X, a, b))
        elif what == 4:
            emit(Instruction(op.ALU64 | op.AND | op.K, a, imm=rng.choice((3, 7, 31))))
        elif what == 5:
            emit(store(op.DW, 10, slot, a))
        elif what == 6:
            emit(load(op.DW, a, 10, slot))
        elif what == 7:
            emit(store_imm(rng.choice((op.B, op.W)), 10, slot, rng.choice((0, 0, 5))))
        elif what == 8:
            emit(load(rng.choice((op.B, op.W)), a, 10, slot + rng.choice((0, 0, 4))))
        elif what == 9:
            emit(load(op.B, a, 6, 0))
        elif what == 10:
            emit(Instruction(op.JMP | rng.choice(_JUMPS) | op.K, a, 0, 1, rng.choice((0, 2, 8, 60))))
            emit(mov_imm(b, rng.choice((0, 4))))
        else:
            emit(Instruction(rng.choice((op.JMP, op.JMP32)) | rng.choice(_JUMPS) | op.X, a, b, 1), mov_imm(a, 1))

    def changes() -> None:
        for _ in range(rng.randrange(1, 3)):
            change()

    for _ in range(rng.randrange(2, 9)):
        emit(load(op.DW, 3, 6, 8))
        at = len(writer.insns)
        emit(jump(op.JEQ, 3, 0, 0))
        changes()
        if rng.random() < 0.5:
            end = len(writer.insns)
            emit(Instruction(op.JMP | op.JA))
            writer.insns[at] = writer.insns[at]._replace(off=len(writer.insns) - at - 1)
            changes()
            writer.insns[end] = writer.insns[end]._replace(off=len(writer.insns) - end - 1)
        else:
            writer.insns[at] = writer.insns[at]._replace(off=len(writer.insns) - at - 1)
    emit(store_imm(op.DW, 10, -32, 0), mov(2, 10), add_imm(2, -32))
    writer.map(1, "array")
    emit(call(Helper.map_lookup_elem), jump(op.JNE, 0, 0, 2), mov_imm(0, 0), exit_())
    index = rng.choice((7, 8, 9, 0))
    if index == 0:
        index = 7
        emit(load(op.DW, 7, 10, rng.choice(slots)))
    if rng.random() < 0.3:
        emit(
            jump(rng.choice((op.JLT, op.JSLT)), rng.choice((7, 8, 9)), rng.choice((8, 30, 64)), 2),
            mov_imm(0, 0),
            exit_(),
        )
    emit(Instruction(op.ALU64 | op.ADD | op.X, 0, index), load(op.B, 0, 0, 0), exit_())
    return ProgramSpec("branchy", "branchy", writer.type, encode(writer.insns), map_refs=tuple(writer.refs))
