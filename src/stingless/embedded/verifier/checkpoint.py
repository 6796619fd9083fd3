"""Checkpoints: states seen at the instructions where paths meet.

A path that comes to a checkpoint whose every continuation was followed and found safe need not go on when its own
state is covered by the checkpoint's.  Checkpoints form a tree (`parent`: the one passed before); `pending` counts the
continuations still to follow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from stingless.embedded.verifier.precision import Mark, changes, note_change, rest_on
from stingless.embedded.verifier.scalar import UNKNOWN, within
from stingless.embedded.verifier.state import (
    CTX,
    FUNC,
    INVALID,
    MISC,
    NOT_INIT,
    OBJECTS,
    PACKET_END,
    PACKETS,
    SCALAR,
    STACK,
    UNINIT,
    UNKNOWN_REG,
    Frame,
    Held,
    Reg,
    Slot,
    State,
)

SlotKey = tuple[int, int]  # frame, offset


class Checkpoint:
    """`reads`: stack slots that the continuations read before they write them; `screen`: slots wholly written on the
    way here from `parent`, whose content before does not matter.

    `loop`: a path from here went on at that earlier checkpoint, which was not closed then: until it is, what mattered
    here is not all known.  `returns` are such paths, kept by the earliest checkpoint that they depend on."""

    __slots__ = (
        "depth", "hits", "key", "loop", "misses", "parent", "pc", "pending", "reads", "returns", "screen", "state",
    )  # fmt: skip

    def __init__(
        self,
        parent: Checkpoint | None,
        screen: Collection[SlotKey],
        state: State | None = None,
        pc: int = -1,
        key: object = None,
    ) -> None:
        self.parent = parent
        self.screen = screen
        self.state = state
        self.pc = pc
        self.key = key
        self.pending = 1
        self.reads: set[SlotKey] = set()
        self.hits = 0
        self.misses = 0
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.loop: Checkpoint | None = None
        self.returns: list[Return] = []

    @property
    def waits_for(self) -> Checkpoint | None:
        """The checkpoint, still open, that has to be closed before all that mattered here is known."""
        loop = self.loop
        while loop is not None and not loop.pending:
            loop = loop.loop
        return loop

    def slot_read(self, key: SlotKey) -> None:
        point: Checkpoint | None = self
        while point is not None and key not in point.reads:
            point.reads.add(key)
            note_change()
            if key in point.screen:
                break
            point = point.parent


class Return(NamedTuple):
    """A path that came, in `state`, to the earlier checkpoint `to`; it had passed `point` last, and written
    `written` since."""

    to: Checkpoint
    state: State
    point: Checkpoint
    written: frozenset[SlotKey]


def come_back(to: Checkpoint, state: State, point: Checkpoint, written: frozenset[SlotKey]) -> None:
    """A path goes on as from `to`, of which not all is known that matters."""
    root = to if to.pending else to.waits_for
    assert root is not None
    root.returns.append(Return(to, state, point, written))
    passed: Checkpoint | None = point
    while passed is not None and passed is not root:
        if passed.loop is None or not passed.loop.pending or passed.loop.depth > root.depth:
            passed.loop = root
        passed = passed.parent


def settle(point: Checkpoint) -> None:
    """`point` is closed: what matters to its continuations matters to the paths that came back to it."""
    outer = point.waits_for
    if outer is not None:
        outer.returns += point.returns
        point.returns = []
        return
    while True:
        before = changes()
        for to, state, last, written in point.returns:

            def read(frame: int, base: int, last: Checkpoint = last, written: frozenset[SlotKey] = written) -> None:
                if (frame, base) not in written:
                    last.slot_read((frame, base))

            inherit(to, state, read)
        if changes() == before:
            break
    point.returns = []


def clean(state: State, live: int, live_in_callers: list[int]) -> None:
    """Forget what cannot matter: registers that are not read later, and the ids of scalars that equal no other."""
    frames = state.frames
    for depth, frame in enumerate(frames):
        mask = live if depth == len(frames) - 1 else live_in_callers[depth]
        regs = frame.regs
        for i in range(10):
            if not mask >> i & 1 and regs[i].kind is not NOT_INIT:
                regs[i] = UNINIT
    seen: dict[int, int] = {}
    for frame in frames:
        for reg in frame.regs:
            if reg.kind is SCALAR and reg.id:
                seen[reg.id] = seen.get(reg.id, 0) + 1
        for slot in frame.stack.values():
            if type(slot) is Reg and slot.kind is SCALAR and slot.id:
                seen[slot.id] = seen.get(slot.id, 0) + 1
    if 1 not in seen.values():
        return
    for frame in frames:
        for i, reg in enumerate(frame.regs):
            if reg.kind is SCALAR and seen.get(reg.id) == 1:
                frame.regs[i] = Reg(SCALAR, reg.var, marks=reg.marks)
        for base, slot in frame.stack.items():
            if type(slot) is Reg and slot.kind is SCALAR and seen.get(slot.id) == 1:
                frame.stack[base] = Reg(SCALAR, slot.var, span=slot.span, marks=slot.marks)


def mark(state: State) -> None:
    """From here on, watch which numbers decisions rest on."""
    for frame in state.frames:
        for i, reg in enumerate(frame.regs):
            if reg.kind is SCALAR:
                frame.regs[i] = _marked(reg)
        for base, slot in frame.stack.items():
            if type(slot) is Reg and slot.kind is SCALAR:
                frame.stack[base] = _marked(slot)


def _marked(reg: Reg) -> Reg:
    if reg.var is UNKNOWN and not reg.id:
        return UNKNOWN_REG
    return Reg(SCALAR, reg.var, 0, reg.id, span=reg.span, marks=(Mark(reg.marks),))


def inherit(point: Checkpoint, new: State, read: Callable[[int, int], None]) -> None:
    """What mattered to the continuations of `point` matters to `new`, which they stand for.  `read` is told of the
    stack slots."""
    old = point.state
    if old is None:
        return
    for slot in point.reads:
        read(*slot)
    for a, b in zip(old.frames, new.frames, strict=True):
        for was, now in zip(a.regs, b.regs, strict=True):
            if now.marks and was.marks and was.marks[0].precise:
                rest_on(now.marks)
        for base, was_slot in a.stack.items():
            now_slot = b.stack.get(base)
            if type(now_slot) is not Reg:
                continue
            if type(was_slot) is Reg and was_slot.marks and was_slot.marks[0].precise:
                rest_on(now_slot.marks)


def exact_key(state: State) -> object:
    """Equal for states that are the same but for the numbers of their ids."""
    ids: dict[int, int] = {0: 0}

    def renumber(reg: Reg) -> Reg:
        if not reg.id and not reg.ref and not reg.marks and not reg.owner:
            return reg
        return reg._replace(
            id=ids.setdefault(reg.id, len(ids)),
            ref=ids.setdefault(reg.ref, len(ids)),
            owner=ids.setdefault(reg.owner, len(ids)),
            marks=(),
        )

    frames = []
    for frame in state.frames:
        regs = tuple(map(renumber, frame.regs))
        stack = tuple((b, renumber(s) if type(s) is Reg else s) for b, s in sorted(frame.stack.items()))
        frames.append((frame.return_to, frame.subprog, regs, stack))
    held = state.held
    return (
        tuple(frames), tuple(ids.setdefault(ref, len(ids)) for ref in state.refs), state.progress,
        held.lock and (*held.lock[:2], ids.setdefault(held.lock[2], len(ids))), held.rcu, held.preempt, held.irqs,
    )  # fmt: skip


def covers(point: Checkpoint, new: State, exact: bool = False) -> bool:
    """All that `new` can do was followed from the checkpoint on.  `exact`: whatever may turn out to matter there."""
    old = point.state
    if old is None or len(old.frames) != len(new.frames) or len(old.refs) != len(new.refs):
        return False
    ids: dict[int, int] = {}
    if old.held is not new.held and not _held_covers(old.held, new.held, ids):
        return False
    if old.sleepable != new.sleepable:
        return False
    reads = None if exact else point.reads
    for depth, (a, b) in enumerate(zip(old.frames, new.frames, strict=True)):
        if a.return_to != b.return_to or a.subprog != b.subprog or a.rounds > b.rounds or a.callback != b.callback:
            return False
        if not _frame_covers(a, b, depth, reads, ids):
            return False
    return all(_same_id(x, y, ids) for x, y in zip(old.refs, new.refs, strict=True))


def _held_covers(old: Held, new: Held, ids: dict[int, int]) -> bool:
    if old.rcu != new.rcu or old.preempt != new.preempt or len(old.irqs) != len(new.irqs):
        return False
    if (old.lock is None) != (new.lock is None):
        return False
    if old.lock and new.lock and (old.lock[:2] != new.lock[:2] or not _same_id(old.lock[2], new.lock[2], ids)):
        return False
    return all(_same_id(x, y, ids) for x, y in zip(old.irqs, new.irqs, strict=True))


def _frame_covers(old: Frame, new: Frame, depth: int, reads: set[SlotKey] | None, ids: dict[int, int]) -> bool:
    exact = reads is None
    for a, b in zip(old.regs, new.regs, strict=True):
        if a is not b and not _reg_covers(a, b, ids, exact):
            return False
        if a is b and (a.id or a.ref or a.owner) and not _reg_covers(a, b, ids, exact):
            return False
    for base, slot in old.stack.items():
        if reads is not None and (depth, base) not in reads and not (type(slot) is Reg and slot.kind in OBJECTS):
            continue
        if not _slot_covers(slot, new.stack.get(base), ids, exact):
            return False
    return True


def _same_id(old: int, new: int, ids: dict[int, int]) -> bool:
    """`old` stands for `new`, and for no other, throughout the comparison."""
    known = ids.get(old)
    if known is None:
        if new in ids.values():
            return False
        ids[old] = new
        return True
    return known == new


def _reg_covers(old: Reg, new: Reg, ids: dict[int, int], exact: bool) -> bool:
    kind = old.kind
    if kind is NOT_INIT:
        return True
    if kind is not new.kind:
        return False
    if kind is SCALAR:
        if old.span != new.span:
            return False
        if old.marks and not old.marks[0].precise and not exact:
            return True
        # What equals another number in the old state must do so in the new one.
        return within(old.var, new.var) and (not old.id or (new.id != 0 and _same_id(old.id, new.id, ids)))
    if kind in (CTX, STACK, PACKET_END, FUNC):
        return old == new
    if old.off != new.off or old.map != new.map or not within(old.var, new.var):
        return False
    if old.btf != new.btf or old.flags != new.flags or bool(old.owner) != bool(new.owner):
        return False
    if old.owner and not _same_id(old.owner, new.owner, ids):
        return False
    if kind in PACKETS:
        if not old.id or not new.id:
            return old.span <= new.span and old.id == new.id
        return old.span <= new.span and _same_id(old.id, new.id, ids)
    if old.span != new.span or bool(old.ref) != bool(new.ref) or bool(old.id) != bool(new.id):
        return False
    return (not old.id or _same_id(old.id, new.id, ids)) and (not old.ref or _same_id(old.ref, new.ref, ids))


def _slot_covers(old: Slot, new: Slot | None, ids: dict[int, int], exact: bool) -> bool:
    if type(old) is Reg:
        if type(new) is Reg:
            return _reg_covers(old, new, ids, exact)
        # Bytes of unknown numbers, where the number was unknown or did not matter.
        matters = old.var is not UNKNOWN or old.id
        if matters and old.marks and not exact:
            matters = old.marks[0].precise
        return old.kind is SCALAR and not matters and new is not None and INVALID not in new
    if type(new) is Reg:
        if new.kind is not SCALAR:
            return False
        # Not zero bytes, though it be 0: of a spilled register that is partly overwritten, nothing is known.
        new = MISC * 8
    for a, b in zip(old, new or INVALID * 8, strict=True):
        if a != b and a != INVALID and (a != MISC or b == INVALID):
            return False
    return True


def widen(point: Checkpoint, state: State) -> None:
    """Forget numbers that changed since `point` was passed, and that no decision rested on: so a loop converges."""
    old = point.state
    if old is None or len(old.frames) != len(state.frames):
        return
    for a, b in zip(old.frames, state.frames, strict=True):
        for i, (was, now) in enumerate(zip(a.regs, b.regs, strict=True)):
            if _changed(was, now):
                b.regs[i] = UNKNOWN_REG
        for base, was_slot in a.stack.items():
            now_slot = b.stack.get(base)
            if type(was_slot) is Reg and type(now_slot) is Reg and _changed(was_slot, now_slot):
                b.stack[base] = UNKNOWN_REG


def _changed(was: Reg, now: Reg) -> bool:
    return (
        was.kind is SCALAR
        and now.kind is SCALAR
        and was.var != now.var
        and bool(was.marks)
        and not was.marks[0].precise
    )
