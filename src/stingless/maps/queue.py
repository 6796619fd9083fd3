"""Queues, stacks and bloom filters: values without keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stingless.kernel import BPF_ANY
from stingless.maps.base import TypedMap


class QueueMap(TypedMap):
    """QUEUE (first in, first out) and STACK (last in, first out).  The kernel does not tell how many there are."""

    def push(self, value: Any, flags: int = BPF_ANY) -> None:
        """Raises `MapError` (E2BIG) when it is full; with BPF_EXIST the oldest value makes room."""
        self.map.update(b"", self.value_codec.encode(value), flags)

    def pop(self) -> Any:
        """Take the next value.  Raises `IndexError` when there is none."""
        return self._value(self.map.pop(b""))

    def peek(self) -> Any:
        """The next value, which stays.  Raises `IndexError` when there is none."""
        return self._value(self.map.lookup(b""))

    def _value(self, found: bytes | None) -> Any:
        if found is None:
            raise IndexError(f"map {self.name!r} is empty")
        return self.value_codec.decode(found)

    def drain(self) -> Iterator[Any]:
        """Take values until there are none."""
        while (found := self.map.pop(b"")) is not None:
            yield self.value_codec.decode(found)


class BloomFilter(TypedMap):
    """BLOOM_FILTER (Linux 5.16): `value in bloom` is False when the value was never added, and mostly then only."""

    def add(self, value: Any) -> None:
        self.map.update(b"", self.value_codec.encode(value))

    def __contains__(self, value: object) -> bool:
        return self.map.lookup(self.value_codec.encode(value)) is not None
