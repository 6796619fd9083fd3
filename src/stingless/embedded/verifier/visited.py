"""The states that were seen, by instruction, and what became of them.

Which states are kept and which are given up follows Linux's rules: a state is kept after two jumps and eight
instructions, in a loop more seldom, and given up when it was compared in vain too often.
"""

from __future__ import annotations

from stingless.embedded.verifier.checkpoint import (
    Checkpoint,
    clean,
    come_back,
    covers,
    inherit,
    mark,
    same,
    settle,
)
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.prune_points import KEPT, prune_points
from stingless.embedded.verifier.rejection import malformed
from stingless.embedded.verifier.state import State

_KEEP_JUMPS, _KEEP_INSNS = 2, 8
_KEEP_LOOP_JUMPS, _KEEP_LOOP_INSNS = 20, 100
_HISTORY = 40
_MISSES, _MISSES_KEPT = 3, 64


class Visited:
    """`total`: states kept; `peak`: most of them at once; `most`: most at one instruction.  `insns` and `jumps` count
    what was followed."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self.points, self.meets = prune_points(env.program)
        self.insns = 0
        self.jumps = 0
        self.total = self.peak = self.most = 0
        self._size = 0
        self._at_insns = self._at_jumps = 0  # when a state was kept last
        self._seen: dict[int, list[Checkpoint]] = {}
        self._count = len(env.insns)
        self._given_up: set[Checkpoint] = set()  # but still open

    def known(self, pc: int) -> bool:
        """Whether all that can follow from here was followed before; if not, the state may be kept."""
        env = self._env
        state = env.state
        frames = state.frames
        turn = self.points[pc] == KEPT
        forced = turn or env.history > _HISTORY
        keep = forced or (self.jumps - self._at_jumps >= _KEEP_JUMPS and self.insns - self._at_insns >= _KEEP_INSNS)
        bucket = ((pc ^ (frames[-1].return_to - 1 if len(frames) > 1 else -1)) & 0xFFFFFFFF) % self._count
        seen = self._seen.get(bucket)
        if seen is None:
            seen = self._seen[bucket] = []
        compared = len(seen)
        for i in range(compared - 1, -1, -1):
            point = seen[i]
            if point.pc != pc:
                continue
            if point.pending:
                if point.progress == state.progress:
                    if not turn and same(point, state):
                        raise malformed(f"infinite loop detected at insn {pc}")
                elif turn and covers(point, state, True):
                    come_back(point, state, env.point, frozenset(env.written))
                    return True
                if (
                    not forced
                    and self.jumps - self._at_jumps < _KEEP_LOOP_JUMPS
                    and self.insns - self._at_insns < _KEEP_LOOP_INSNS
                ):
                    keep = False
                limit = _MISSES_KEPT if turn else _MISSES
            else:
                waits = point.loop is not None and point.waits_for is not None
                if covers(point, state, waits):
                    point.hits += 1
                    if waits:
                        come_back(point, state, env.point, frozenset(env.written))
                    inherit(point, state, env.slot_read)
                    return True
                limit = _MISSES
            if keep:
                point.misses += 1
            if point.misses > point.hits * limit + limit:
                del seen[i]
                if point.pending:
                    self._given_up.add(point)
                else:
                    self._size -= 1
        self.most = max(self.most, compared)
        if keep:
            seen.append(self._keep(pc, state))
        return False

    def _keep(self, pc: int, state: State) -> Checkpoint:
        env = self._env
        self.total += 1
        self._size += 1
        self.peak = max(self.peak, self._size)
        self._at_jumps, self._at_insns = self.jumps, self.insns
        live = (*(env.live[frame.return_to] & ~1 for frame in state.frames[1:]), env.live[pc])
        mark(state, live)
        kept = state.copy()
        clean(kept, live)
        env.point = point = Checkpoint(env.point, env.written, kept, pc, live)
        env.written = set()
        env.history = 0
        return point

    def end_path(self) -> None:
        """The current path ended: close the checkpoints that it was the last continuation of."""
        point: Checkpoint | None = self._env.point
        while point is not None:
            point.pending -= 1
            if point.pending:
                return
            if point.pc >= 0:
                settle(point)
                if point in self._given_up:
                    self._given_up.remove(point)
                    self._size -= 1
            point = point.parent
