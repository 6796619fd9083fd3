"""What ends by its own: may_goto, the steps of open-coded iterators, functions that a helper calls back.

Each of them has two ways to go on, and is a checkpoint by itself (`Structure.turns`): a path that comes back to it in a
state that was followed from there needs no second look, since the loop is known to end.
"""

from __future__ import annotations

from stingless.asm.instruction import Instruction
from stingless.embedded.verifier.checkpoint import Checkpoint, widen
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.state import State


def passed_before(env: Env, state: State) -> Checkpoint | None:
    """The last time but this one that the path was at this instruction, with the same callers."""
    return passed(env, state, env.pc, env.point.parent if env.point.pc == env.pc else env.point)


def passed(env: Env, state: State, pc: int, point: Checkpoint | None = None) -> Checkpoint | None:
    """The last checkpoint at `pc` with these callers, from `point` on backwards (None: from the path's last)."""
    point = point or env.point
    where = [frame.return_to for frame in state.frames]
    while point is not None:
        old = point.state
        if point.pc == pc and old is not None and [frame.return_to for frame in old.frames] == where:
            return point
        point = point.parent
    return None


def next_round(env: Env, state: State) -> None:
    """`state` begins another round at this instruction: let it converge."""
    state.progress += 1
    before = passed_before(env, state)
    if before is not None:
        widen(before, state)


def may_goto(env: Env, insn: Instruction) -> int:
    """Goes on, for a limited number of times; or jumps."""
    again = env.state.copy()
    next_round(env, again)
    env.push(again, env.pc + 1)
    return env.pc + 1 + insn.off
