"""Many entries at once: the `items_*_batch()` verbs.

Since Linux 5.6 by one system call or a few; on older kernels, and for types of maps that have no such form, one by one
with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stingless._sys.cvalues import is_array, is_array_of_bytes
from stingless.kernel import Entries

if TYPE_CHECKING:
    from stingless.kernel import Map


class Batches:
    """For tables: see `TableBase`."""

    if TYPE_CHECKING:
        max_entries: int

        @property
        def map(self) -> Map: ...
        def _key_bytes(self, key: Any) -> bytes: ...
        def _leaf_bytes(self, leaf: Any) -> bytes: ...
        def _pairs(self, found: Entries) -> list[tuple[Any, Any]]: ...
        def _entries(self) -> Entries: ...
        def clear(self) -> None: ...

    def items_lookup_batch(self) -> Iterator[tuple[Any, Any]]:
        """All (key, leaf) pairs."""
        yield from self._pairs(self._entries())

    def items_lookup_and_delete_batch(self) -> Iterator[tuple[Any, Any]]:
        """Take all entries out of the table: (key, leaf) pairs.  Nothing that a program adds meanwhile is lost."""
        yield from self._pairs(self.map.take_entries())

    def items_delete_batch(self, ct_keys: Any = None) -> None:
        """Remove the keys of a ctypes array (or a list), as far as they are there; without it, all keys."""
        if ct_keys is None:
            self.clear()
        else:
            self.map.delete_many(self._packed(ct_keys, self.map.spec.key_size, self._key_bytes))

    def items_update_batch(self, ct_keys: Any, ct_values: Any) -> None:
        """Set many entries: ctypes arrays (or lists) of as many keys as values.

        Raises `ValueError` for lengths that do not go together, or more than the table has room for; `MapError`.
        """
        keys = self._packed(ct_keys, self.map.spec.key_size, self._key_bytes)
        values = self._packed(ct_values, self.map.value_bytes, self._leaf_bytes)
        if len(ct_keys) != len(ct_values):
            raise ValueError(f"{len(ct_keys)} keys and {len(ct_values)} values: there must be as many of both")
        self.map.update_many(Entries(keys, values, len(ct_keys)))

    def _packed(self, many: Sequence[Any], size: int, pack: Any) -> bytes:
        if not is_array(many) and not isinstance(many, list | tuple):
            raise TypeError(f"a ctypes array, as (table.Key * count)(), is needed, not {type(many).__name__}")
        if not 1 <= len(many) <= self.max_entries:
            raise ValueError(f"there are {len(many)} elements; 1 to {self.max_entries} (max_entries) are needed")
        if is_array_of_bytes(many, size):
            return bytes(many)
        return b"".join([pack(each) for each in many])
