"""Tables: bcc's view of a map, with ctypes-flavoured keys and leaves (`.value`, struct fields)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import MapType
from stingless.errors import MapError, UnknownNameError
from stingless.kernel import EventReader, Map

if TYPE_CHECKING:
    from stingless.bpf import BPF
    from stingless.streams.losses import LossCounter

_ARRAYS = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
_PER_CPU = frozenset({MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH})
_ALIGN = 8  # bytes that each CPU's value is rounded up to


class Table(MutableMapping[Any, Any]):
    """A map whose keys are `Key` and values `Leaf` objects (ctypes classes made from the C types).

    A missing key raises `KeyError`, except in arrays, which have all of theirs.  Values of a per-CPU table are arrays
    with one leaf a CPU.
    """

    def __init__(self, owner: BPF, map: Map, key_type: Any, leaf_type: Any) -> None:
        self._bpf = owner
        self.map = map
        self.Key = key_type
        self.Leaf = leaf_type
        self._per_cpu = map.spec.type in _PER_CPU

    @property
    def name(self) -> str:
        return self.map.spec.name

    def _key_bytes(self, key: Any) -> bytes:
        from stingless._sys.cvalues import to_bytes

        return to_bytes(self.Key, key)

    def _leaf(self, data: bytes) -> Any:
        from stingless._sys.cvalues import from_bytes

        if not self._per_cpu:
            return from_bytes(self.Leaf, data)
        step = -(-self.map.spec.value_size // _ALIGN) * _ALIGN
        size = self.map.spec.value_size
        leaves = [from_bytes(self.Leaf, data[at : at + size]) for at in range(0, len(data), step)]
        return (self.Leaf * len(leaves))(*leaves)

    def _leaf_bytes(self, value: Any) -> bytes:
        from stingless._sys.cvalues import to_bytes

        if not self._per_cpu:
            return to_bytes(self.Leaf, value)
        size = self.map.spec.value_size
        step = -(-size // _ALIGN) * _ALIGN
        count = self.map.value_bytes // step
        leaves = [value] * count if isinstance(value, self.Leaf) else list(value)
        if len(leaves) != count:
            raise ValueError(f"table {self.name!r} needs a value for each of {count} CPUs, not {len(leaves)}")
        return b"".join(to_bytes(self.Leaf, leaf).ljust(step, b"\0") for leaf in leaves)

    def __getitem__(self, key: Any) -> Any:
        data = self.map.lookup(self._key_bytes(key))
        if data is None:
            raise KeyError(key)
        return self._leaf(data)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.map.update(self._key_bytes(key), self._leaf_bytes(value))

    def __delitem__(self, key: Any) -> None:
        if self.map.spec.type in _ARRAYS:  # bcc zeroes the element of an array
            self.map.update(self._key_bytes(key), bytes(self.map.value_bytes))
            return
        try:
            self.map.delete(self._key_bytes(key))
        except KeyError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        return self.map.lookup(self._key_bytes(key)) is not None

    def __iter__(self) -> Iterator[Any]:
        from stingless._sys.cvalues import from_bytes

        key = self.map.next_key(None)
        while key is not None:
            yield from_bytes(self.Key, key)
            key = self.map.next_key(key)

    def __len__(self) -> int:
        return self.map.spec.max_entries if self.map.spec.type in _ARRAYS else sum(1 for _ in self.map.items())

    def items(self) -> Any:
        """All (key, leaf) pairs, as a list."""
        from stingless._sys.cvalues import from_bytes

        return [(from_bytes(self.Key, key), self._leaf(value)) for key, value in self.map.items()]

    def values(self) -> Any:
        return [leaf for _, leaf in self.items()]

    def clear(self) -> None:
        """Remove every key (arrays: zero every element)."""
        for key in list(self):
            try:
                del self[key]
            except KeyError:
                continue  # a program was quicker

    def zero(self) -> None:
        """Set every value to zero."""
        for key, _ in list(self.map.items()):
            self.map.update(key, bytes(self.map.value_bytes))


class EventTable(Table):
    """A table that programs write events to: BPF_PERF_OUTPUT or BPF_RINGBUF_OUTPUT."""

    reader: EventReader | None = None
    event_type: Any = None
    _callback: Callable[..., Any] | None = None
    _lost: Callable[[int], Any] | None = None
    _losses: LossCounter | None = None
    _told = 0  # of what `_losses` has counted

    def open_perf_buffer(
        self, callback: Callable[[int, int, int], Any], page_cnt: int = 8, lost_cb: Callable[[int], Any] | None = None
    ) -> None:
        """Read with `perf_buffer_poll()`: `callback(cpu, data, size)` a record, `lost_cb(count)` a gap.  `data` is an
        address, for `event(data)`; `page_cnt` pages (a power of two) are the buffer of each CPU."""
        if page_cnt <= 0 or page_cnt & (page_cnt - 1):
            raise ValueError(f"page_cnt is {page_cnt}; it must be a power of two")
        self._open(MapType.PERF_EVENT_ARRAY, callback, lost_cb, page_cnt)

    def open_ring_buffer(
        self, callback: Callable[[int, int, int], Any], *, lost_cb: Callable[[int], Any] | None = None
    ) -> None:
        """Read with `ring_buffer_poll()`: `callback(0, data, size)` a record, `lost_cb(count)` what found no room."""
        self._open(MapType.RINGBUF, callback, lost_cb, 1)
        assert self.reader is not None
        if not self.reader.counts_losses:
            from stingless.streams.losses import counter

            self._losses = counter(self._bpf._object.maps, self.map.spec.name)
            if self._losses is not None:
                self._losses.open()

    def _open(self, kind: MapType, callback: Any, lost: Any, pages: int) -> None:
        if self.map.spec.type != kind:
            raise MapError(f"table {self.name!r} is a {self.map.spec.type.name}, not a {kind.name}", errno.EINVAL)
        self._callback, self._lost = callback, lost
        self.reader = self._bpf.kernel.open_events(self.map, pages)

    def event(self, data: Any) -> Any:
        """The record at address `data`, as the struct that the program submits."""
        from stingless._sys.cvalues import at_address

        if self.event_type is None:
            raise UnknownNameError(
                "event type of table", self.name, advice="the C text submits no variable of a named type to it"
            )
        return at_address(self.event_type, data if isinstance(data, int) else data.value)

    def deliver(self, timeout_ms: int) -> int:
        """Call the callback for what there is.  Returns the number of records."""
        from stingless._sys.cvalues import address_of, buffer

        if self.reader is None or self._callback is None:
            return 0
        records = self.reader.poll(timeout_ms)
        for record in records:
            if record.lost:
                self._tell(record.lost)
                continue
            holder = buffer(record.data)
            self._callback(record.cpu, address_of(holder), len(record.data))
        if self._losses is not None and (count := sum(self._losses.by_cpu().values())) > self._told:
            new, self._told = count - self._told, count
            self._tell(new)
        return len(records)

    def _tell(self, lost: int) -> None:
        if self._lost is not None:
            self._lost(lost)
        else:
            print(f"Possibly lost {lost} samples")

    def close(self) -> None:
        """Stop reading.  Idempotent."""
        if self.reader is not None:
            self.reader.close()
        if self._losses is not None:
            self._losses.close()
            self._losses = None


class ProgramTable(Table):
    """BPF_PROG_ARRAY: `table[c_int(0)] = c_int(fn.fd)`, for tail calls."""
