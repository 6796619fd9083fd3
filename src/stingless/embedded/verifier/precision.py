"""Which numbers mattered.

Two states can be the same for all that follows though a number differs, when no decision rested on it: no jump was
certain because of it, no pointer was moved by it, no size was checked with it.  A `Mark` stands for a number as it was
at a checkpoint; the registers computed from it carry the mark, and a decision that rests on one of them makes the
mark precise, and those that it was itself computed from.
"""

from __future__ import annotations


class Mark:
    __slots__ = ("precise", "sources")

    def __init__(self, sources: Marks) -> None:
        self.sources = sources
        self.precise = False


Marks = tuple[Mark, ...]

_changes = 0


def note_change() -> None:
    """Something turned out to matter."""
    global _changes
    _changes += 1


def changes() -> int:
    """How often something turned out to matter: two equal numbers say that nothing did between."""
    return _changes


def rest_on(marks: Marks) -> None:
    """A decision rests on a number that carries `marks`."""
    todo = list(marks)
    while todo:
        mark = todo.pop()
        if not mark.precise:
            mark.precise = True
            note_change()
            todo += mark.sources


def merge(a: Marks, b: Marks) -> Marks:
    if not b or a is b:
        return a
    if not a:
        return b
    return a + tuple(mark for mark in b if mark not in a)
