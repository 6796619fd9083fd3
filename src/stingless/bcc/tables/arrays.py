"""Arrays: their keys are indices, all of which are always there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stingless._sys.cvalues import is_value
from stingless.bcc.tables.base import TableBase
from stingless.kernel import Entries


class ArrayBase(TableBase):
    """A table whose keys are indices.  A negative number counts from the end; one out of range raises `IndexError`."""

    def _index(self, key: Any) -> int:
        index = key.value if is_value(key) and hasattr(key, "value") else key
        if not isinstance(index, int):
            raise IndexError(f"an index of array {self.name!r} is an integer, not {key!r}")
        if index < 0 and isinstance(key, int):
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is out of range: array {self.name!r} has {len(self)} elements")
        return index

    def _key_bytes(self, key: Any) -> bytes:
        return self._index(key).to_bytes(self.map.spec.key_size, "little")

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except (KeyError, IndexError):
            return False
        return True

    def __len__(self) -> int:
        return self.max_entries

    def __iter__(self) -> Iterator[Any]:
        return (self.Key(index) for index in range(len(self)))

    def clearitem(self, key: Any) -> None:
        """Set an element to zero."""
        self.map.update(self._key_bytes(key), bytes(self.map.value_bytes))


class Array(ArrayBase):
    """BPF_ARRAY, BPF_HISTOGRAM and their like.  An element cannot be removed: deleting sets it to zero."""

    def __delitem__(self, key: Any) -> None:
        self.clearitem(key)

    def clear(self) -> None:
        """Set every element to zero."""
        self.zero()

    def zero(self) -> None:
        count = len(self)
        keys = b"".join([index.to_bytes(4, "little") for index in range(count)])
        self.map.update_many(Entries(keys, bytes(self.map.value_bytes * count), count))
