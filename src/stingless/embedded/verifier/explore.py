"""Follow every path of a program, with what is known of registers and stack."""

from __future__ import annotations

import errno
from collections.abc import Callable

from stingless.asm import opcodes as op
from stingless.asm.opcodes import MAX_STACK
from stingless.embedded.verifier import calls
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.rejection import Rejected
from stingless.embedded.verifier.steps import steps
from stingless.embedded.verifier.structure import calls as calls_of
from stingless.embedded.verifier.visited import Visited

MAX_PROCESSED = 1_000_000
_JUMPS = (op.JMP, op.JMP32)


class Explorer:
    """The walk over the paths.  `trace`, when given, is called before each instruction and at each change of path."""

    def __init__(self, env: Env, trace: Callable[[int, int], None] | None = None) -> None:
        self._env = env
        self._trace = trace
        self.visited = Visited(env)

    @property
    def processed(self) -> int:
        """Instructions followed, on all paths."""
        return self.visited.insns

    def run(self) -> None:
        """Raises `Rejected`; `env.pc` is then the refused instruction."""
        env, trace, visited = self._env, self._trace, self.visited
        insns, points, meets = env.insns, visited.points, visited.meets
        plain, jumping = steps(env)
        came_from = -1
        pc = env.pc
        while True:
            visited.insns += 1
            if visited.insns > MAX_PROCESSED:
                raise Rejected(f"BPF program is too large. Processed {visited.insns} insn", errno.E2BIG)
            if points[pc] and visited.known(pc):
                pc = -1
            else:
                if meets[pc]:
                    env.history += 1
                if trace is not None:
                    trace(pc, came_from)
                    came_from = -1
                step = plain[pc]
                if step is not None:
                    step(env, insns[pc])
                    pc += 1
                else:
                    insn = insns[pc]
                    visited.jumps += insn.opcode & 0x07 in _JUMPS
                    pc = jumping[pc](env, insn)
            if pc < 0:
                visited.end_path()
                if not env.work:
                    return
                state, pc, env.point, env.written, came_from, env.history = env.work.pop()
                env.use(state)
            env.pc = pc


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
