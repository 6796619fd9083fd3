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
    Held,
    Reg,
    Slot,
    State,
    scalar,
)

SlotKey = tuple[int, int]  # frame, offset
# Registers (frame, number) and slots (frame, offset) that must be covered.
Needs = tuple[tuple[tuple[int, int, Reg], ...], tuple[tuple[int, int, Slot], ...]]


class Checkpoint:
    """`reads`: stack slots that the continuations read before they write them; `screen`: slots wholly written on the
    way here from `parent`, whose content before does not matter.

    `live`: the registers of each frame that may be read from here on.  `needs`: what a state must agree with, once that
    is known.

    `loop`: a path from here went on at that earlier checkpoint, which was not closed then: until it is, what mattered
    here is not all known.  `returns` are such paths, kept by the earliest checkpoint that they depend on."""

    __slots__ = (
        "depth", "hits", "key", "live", "loop", "misses", "needs", "parent", "pc", "pending", "progress", "reads",
        "returns", "screen", "state",
    )  # fmt: skip

    def __init__(
        self,
        parent: Checkpoint | None,
        screen: Collection[SlotKey],
        state: State | None = None,
        pc: int = -1,
        live: tuple[int, ...] = (),
    ) -> None:
        self.parent = parent
        self.screen = screen
        self.state = state
        self.pc = pc
        self.progress = state.progress if state is not None else 0
        self.live = live
        self.key: object = None
        self.needs: Needs | None = None
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


def clean(state: State, live: tuple[int, ...]) -> None:
    """Forget what cannot matter: registers that are not read later, and the ids of scalars that equal no other."""
    seen: set[int] = set()
    twice: set[int] = set()
    frames = state.frames
    for mask, frame in zip(live, frames, strict=True):
        regs = frame.regs
        for i in range(10):
            reg = regs[i]
            if reg.kind is NOT_INIT:
                continue
            if not mask >> i & 1:
                regs[i] = UNINIT
            elif reg.kind is SCALAR and reg.id:
                (twice if reg.id in seen else seen).add(reg.id)
        for slot in frame.stack.values():
            if type(slot) is Reg and slot.kind is SCALAR and slot.id:
                (twice if slot.id in seen else seen).add(slot.id)
    if len(seen) == len(twice):
        return
    for frame in frames:
        regs = frame.regs
        for i, reg in enumerate(regs):
            if reg.id and reg.kind is SCALAR and reg.id not in twice:
                regs[i] = scalar(reg.var, reg.marks)
        for base, slot in frame.stack.items():
            if type(slot) is Reg and slot.id and slot.kind is SCALAR and slot.id not in twice:
                frame.stack[base] = scalar(slot.var, slot.marks, span=slot.span)


def mark(state: State, live: tuple[int, ...]) -> None:
    """From here on, watch which numbers decisions rest on."""
    for mask, frame in zip(live, state.frames, strict=True):
        regs = frame.regs
        for i in range(10):
            reg = regs[i]
            if mask >> i & 1 and reg.kind is SCALAR:
                regs[i] = _marked(reg)
        stack = frame.stack
        for base, slot in stack.items():
            if type(slot) is Reg and slot.kind is SCALAR:
                stack[base] = _marked(slot)


def _marked(reg: Reg) -> Reg:
    if reg.var is UNKNOWN and not reg.id:
        return UNKNOWN_REG
    return scalar(reg.var, (Mark(reg.marks),), reg.id, reg.span)


def inherit(point: Checkpoint, new: State, read: Callable[[int, int], None]) -> None:
    """What mattered to the continuations of `point` matters to `new`, which they stand for.  `read` is told of the
    stack slots."""
    old = point.state
    if old is None:
        return
    for slot in point.reads:
        read(*slot)
    for depth, (a, b) in enumerate(zip(old.frames, new.frames, strict=True)):
        mask = point.live[depth]
        regs = b.regs
        for i, was in enumerate(a.regs):
            if was.marks and mask >> i & 1 and was.marks[0].precise and regs[i].marks:
                rest_on(regs[i].marks)
    for depth, base in point.reads:
        was_slot = old.frames[depth].stack.get(base) if depth < len(old.frames) else None
        if type(was_slot) is Reg and was_slot.marks and was_slot.marks[0].precise:
            now_slot = new.frames[depth].stack.get(base)
            if type(now_slot) is Reg:
                rest_on(now_slot.marks)


def same(point: Checkpoint, new: State) -> bool:
    """`new` is the checkpoint's state but for the numbers of ids: the path has come around without getting on."""
    old = point.state
    if old is None or len(old.frames) != len(new.frames):
        return False
    mask, regs = point.live[-1], new.frames[-1].regs
    for i, was in enumerate(old.frames[-1].regs):
        now = regs[i]
        if was is not now and mask >> i & 1 and (was.kind is not now.kind or was.var != now.var):
            return False
    if point.key is None:
        point.key = exact_key(old)
    now_state = new.copy()
    clean(now_state, point.live)
    return exact_key(now_state) == point.key


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
    for a, b in zip(old.frames, new.frames, strict=True):
        if a.return_to != b.return_to or a.subprog != b.subprog or a.rounds > b.rounds or a.callback != b.callback:
            return False
    if exact:
        regs, slots = _all_of(old)
    else:
        if point.needs is None:
            point.needs = _needs(point, old)
        regs, slots = point.needs
    frames = new.frames
    for depth, i, reg in regs:
        if not _reg_covers(reg, frames[depth].regs[i], ids, exact):
            return False
    for depth, base, slot in slots:
        if not _slot_covers(slot, frames[depth].stack.get(base), ids, exact):
            return False
    return all(_same_id(x, y, ids) for x, y in zip(old.refs, new.refs, strict=True))


def _all_of(state: State) -> Needs:
    frames = state.frames
    return (
        tuple((n, i, reg) for n, f in enumerate(frames) for i, reg in enumerate(f.regs) if reg.kind is not NOT_INIT),
        tuple((n, base, slot) for n, f in enumerate(frames) for base, slot in f.stack.items()),
    )


def _needs(point: Checkpoint, state: State) -> Needs:
    """What differs most often comes first."""
    regs = []
    for depth, frame in enumerate(state.frames):
        for i in range(10):
            reg = frame.regs[i]
            if reg.kind is NOT_INIT:
                continue
            first = 0 if reg.kind is SCALAR and not reg.var.mask else 1
            regs.append((first, depth, i, reg))
    regs.sort(key=_first)
    slots = tuple(
        (depth, base, slot)
        for depth, frame in enumerate(state.frames)
        for base, slot in frame.stack.items()
        if (depth, base) in point.reads or (type(slot) is Reg and slot.kind in OBJECTS)
    )
    return tuple(each[1:] for each in regs), slots


def _first(each: tuple[int, int, int, Reg]) -> int:
    return each[0]


def _held_covers(old: Held, new: Held, ids: dict[int, int]) -> bool:
    if old.rcu != new.rcu or old.preempt != new.preempt or len(old.irqs) != len(new.irqs):
        return False
    if (old.lock is None) != (new.lock is None):
        return False
    if old.lock and new.lock and (old.lock[:2] != new.lock[:2] or not _same_id(old.lock[2], new.lock[2], ids)):
        return False
    return all(_same_id(x, y, ids) for x, y in zip(old.irqs, new.irqs, strict=True))


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
        if old.marks and not exact and not old.marks[0].precise:
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
