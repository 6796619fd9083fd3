"""Follow every path of a program, with what is known of registers and stack."""

from __future__ import annotations

import errno
from collections.abc import Callable

from stingless.asm import opcodes as op
from stingless.asm.opcodes import MAX_STACK
from stingless.embedded.verifier import arithmetic, branches, btf_access, calls, loops, memory
from stingless.embedded.verifier.checkpoint import (
    Checkpoint,
    clean,
    come_back,
    covers,
    exact_key,
    inherit,
    mark,
    settle,
)
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.rejection import Rejected, malformed
from stingless.embedded.verifier.state import FUNC, MAP_PTR, MAP_VALUE, Reg
from stingless.embedded.verifier.structure import calls as calls_of

MAX_PROCESSED = 1_000_000

# Every how many visits of a loop's head, after the first ones, its state is kept to be compared with.
_KEEP_ALL, _KEEP_EVERY = 64, 16
_MAX_POINTS = 48


class Explorer:
    """The walk over the paths.  `trace`, when given, is called before each instruction and at each change of path."""

    def __init__(self, env: Env, trace: Callable[[int, int], None] | None = None) -> None:
        self._env = env
        self._trace = trace
        self.processed = 0
        self._open: dict[int, dict[object, Checkpoint]] = {pc: {} for pc in env.program.loop_heads}
        self._closed: dict[int, list[Checkpoint]] = {pc: [] for pc in env.program.targets}
        self._visits = dict.fromkeys(env.program.loop_heads, 0)
        self._turns: dict[int, list[Checkpoint]] = env.turns

    def run(self) -> None:
        """Raises `Rejected`; `env.pc` is then the refused instruction."""
        env = self._env
        closed, trace = self._closed, self._trace
        came_from = -1
        while True:
            pc = env.pc
            self.processed += 1
            if self.processed > MAX_PROCESSED:
                raise Rejected(f"BPF program is too large. Processed {self.processed} insn", errno.E2BIG)
            if pc in closed and self._known(pc):
                pc = -1
            else:
                if trace is not None:
                    trace(pc, came_from)
                    came_from = -1
                pc = self._step(pc)
            if pc < 0:
                self._end_path()
                if not env.work:
                    return
                state, pc, env.point, env.written, came_from = env.work.pop()
                env.use(state)
            env.pc = pc

    def _step(self, pc: int) -> int:
        """Follow one instruction: returns the next one, or -1 at the end of the path."""
        env = self._env
        insn = env.insns[pc]
        opcode = insn.opcode
        cls = opcode & 0x07
        if cls in (op.ALU64, op.ALU):
            arithmetic.execute(env, insn)
            return pc + 1
        if cls == op.LDX:
            memory.execute_load(env, insn)
            return pc + 1
        if cls in (op.JMP, op.JMP32):
            operation = opcode & 0xF0
            if operation == op.CALL:
                if insn.src == op.PSEUDO_CALL:
                    return calls.call_subprogram(env, insn)
                if insn.src == op.PSEUDO_KFUNC_CALL:
                    calls.call_kfunc(env, insn)
                else:
                    calls.call_helper(env, insn)
                return pc + 1
            if operation == op.EXIT:
                return calls.leave(env)
            if operation == op.JA:
                return pc + 1 + (insn.off if cls == op.JMP else insn.imm)
            if operation == op.JCOND:
                return loops.may_goto(env, insn)
            return branches.execute(env, insn)
        if cls == op.STX and opcode & 0xE0 == op.ATOMIC:
            if insn.imm == op.LOAD_ACQ:
                memory.execute_load(env, insn)
            elif insn.imm == op.STORE_REL:
                memory.execute_store(env, insn)
            else:
                memory.execute_atomic(env, insn)
            return pc + 1
        if cls in (op.ST, op.STX):
            memory.execute_store(env, insn)
            return pc + 1
        if opcode == op.LD_IMM64:
            load = env.program.map_loads.get(pc)
            if insn.src == op.PSEUDO_FUNC:
                env.regs[insn.dst] = Reg(FUNC, map=env.program.functions[pc])
            elif insn.src == op.PSEUDO_BTF_ID:
                env.regs[insn.dst] = btf_access.variable(env, insn, env.insns[pc + 1])
            elif load is None:
                arithmetic.load_constant(env, insn, env.insns[pc + 1].imm)
            elif load[1] is None:
                env.regs[insn.dst] = Reg(MAP_PTR, map=load[0])
            else:
                env.regs[insn.dst] = Reg(MAP_VALUE, map=load[0], off=load[1])
            return pc + 2
        memory.execute_absolute(env, insn)
        return pc + 1

    def _known(self, pc: int) -> bool:
        """Whether all that can follow from here was followed before; if not, remember the state."""
        env = self._env
        state = env.state
        in_callers = [env.live[frame.return_to] & ~1 for frame in state.frames[1:]]
        clean(state, env.live[pc], in_callers)
        points = self._closed[pc]
        for i in range(len(points) - 1, -1, -1):
            point = points[i]
            waits = point.loop is not None and point.waits_for is not None
            if covers(point, state, waits):
                point.hits += 1
                if waits:
                    come_back(point, state, env.point, frozenset(env.written))
                inherit(point, state, env.slot_read)
                return True
            point.misses += 1
            if point.misses > 3 * point.hits + 32:
                del points[i]
        turns = self._turns.get(pc)
        if turns is not None:
            for point in reversed(turns):
                if point.state is not None and point.state.progress != state.progress and covers(point, state, True):
                    come_back(point, state, env.point, frozenset(env.written))
                    return True
        key = None
        if pc in self._open:
            key = exact_key(state)
            if key in self._open[pc]:
                raise malformed(f"infinite loop detected at insn {pc}")
            self._visits[pc] += 1
            if self._visits[pc] > _KEEP_ALL and self._visits[pc] % _KEEP_EVERY:
                return False
        mark(state)
        point = Checkpoint(env.point, frozenset(env.written), state.copy(), pc, key)
        if key is not None:
            self._open[pc][key] = point
        if turns is not None:
            turns.append(point)
        env.point = point
        env.written = set()
        return False

    def _end_path(self) -> None:
        """The current path ended: close the checkpoints that it was the last continuation of."""
        point: Checkpoint | None = self._env.point
        while point is not None:
            point.pending -= 1
            if point.pending:
                return
            if point.pc >= 0:
                if point.key is not None:
                    del self._open[point.pc][point.key]
                if point.pc in self._turns:
                    self._turns[point.pc].remove(point)
                settle(point)
                points = self._closed[point.pc]
                points.append(point)
                if len(points) > _MAX_POINTS:
                    del points[0]
            point = point.parent


def stack_depth(env: Env) -> int:
    """Bytes of stack of the deepest chain of calls.  Raises `Rejected` when that is too much."""
    program = env.program
    callees = [
        {callee for _, callee in called} | env.called_back.get(number, set())
        for number, called in enumerate(calls_of(program.insns, program.subprogs, program.owner))
    ]
    total: dict[int, int] = {}
    chain: dict[int, int] = {}

    def depth(number: int) -> int:
        if number not in total:
            own = -(-max(env.depths[number], 1) // 32) * 32
            total[number] = own + max((depth(callee) for callee in callees[number]), default=0)
        return total[number]

    def frames(number: int) -> int:
        if number not in chain:
            chain[number] = 1 + max((frames(callee) for callee in callees[number]), default=0)
        return chain[number]

    deepest = 0
    for root in (0, *sorted(env.called_later)):
        if frames(root) > calls.MAX_FRAMES:
            raise Rejected(f"the call stack of {frames(root)} frames is too deep !", errno.E2BIG)
        deepest = max(deepest, depth(root))
        if deepest > MAX_STACK:
            raise Rejected(f"combined stack size of {max(chain.values())} calls is {deepest}. Too large")
    return deepest
