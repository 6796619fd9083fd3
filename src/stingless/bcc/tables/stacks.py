"""BPF_STACK_TRACE: stacks by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stingless.bcc.tables.base import TableBase


class StackTrace(TableBase):
    """Stacks, innermost frame first, by the ids that `get_stackid()` gave."""

    MAX_DEPTH = 127
    BPF_F_STACK_BUILD_ID = 1 << 5
    BPF_STACK_BUILD_ID_EMPTY = 0
    BPF_STACK_BUILD_ID_VALID = 1
    BPF_STACK_BUILD_ID_IP = 2

    class StackWalker:
        """The frames of a stack: addresses, or with BPF_F_STACK_BUILD_ID structs of `status`, `build_id` and `offset`;
        each given through `resolve`, if there is one."""

        def __init__(self, stack: Any, flags: int, resolve: Callable[[Any], Any] | None = None) -> None:
            self.stack = stack
            self.flags = flags
            self.resolve = resolve
            self._frames = _by_build_id(stack) if flags & StackTrace.BPF_F_STACK_BUILD_ID else _addresses(stack)

        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            frame = next(self._frames)
            return self.resolve(frame) if self.resolve else frame

        next = __next__

    def walk(self, stack_id: Any, resolve: Callable[[Any], Any] | None = None) -> StackWalker:
        """The frames of a stack.  Raises `KeyError` when there is none of that id: a negative one is the number of the
        error for which a program got no stack."""
        return StackTrace.StackWalker(self[stack_id], self.flags, resolve)

    def clear(self) -> None:
        """Does nothing, as in bcc: programs keep ids, and what they report next is looked up here.  `del table[id]`
        removes a stack."""


def _addresses(stack: Any) -> Iterator[int]:
    for address in stack.ip:
        if not address:
            return
        yield address


def _by_build_id(stack: Any) -> Iterator[Any]:
    for frame in stack.trace:
        if frame.status != StackTrace.BPF_STACK_BUILD_ID_VALID:
            return
        yield frame
