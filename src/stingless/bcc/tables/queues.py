"""BPF_QUEUE and BPF_STACK: values without keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stingless.bcc.tables.base import Described
from stingless.kernel import BPF_ANY, Map


class QueueStack(Described):
    """A queue (first in, first out) or stack (last in, first out)."""

    BPF_EXIST = 2

    def __init__(
        self,
        bpf: Any,
        map_id: int | None,
        map_fd: int,
        leaftype: Any,
        name: str | bytes | None = None,
        *,
        map: Map | None = None,
    ) -> None:
        super().__init__(bpf, map_id, map_fd, None, leaftype, name, map=map)

    def push(self, leaf: Any, flags: int = BPF_ANY) -> None:
        """Raises `MapError` (E2BIG) when it is full; with `BPF_EXIST`, the oldest value makes room."""
        self.map.update(b"", self._leaf_bytes(leaf), flags)

    def pop(self) -> Any:
        """Take the next value.  Raises `KeyError` when there is none."""
        return self._found(self.map.pop(b""))

    def peek(self) -> Any:
        """The next value, which stays.  Raises `KeyError` when there is none."""
        return self._found(self.map.lookup(b""))

    def _found(self, data: bytes | None) -> Any:
        if data is None:
            raise KeyError(f"table {self.name!r} is empty")
        return self._leaf(data)

    def itervalues(self) -> Iterator[Any]:
        """Take the values, at most `max_entries` of them: programs may add more meanwhile."""
        for _ in range(self.max_entries):
            data = self.map.pop(b"")
            if data is None:
                return
            yield self._leaf(data)

    def values(self) -> list[Any]:
        """Take all values, as a list."""
        return list(self.itervalues())
