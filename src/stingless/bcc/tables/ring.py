"""BPF_RINGBUF_OUTPUT."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stingless._sys.cvalues import address_in, is_pointer, is_value
from stingless.bcc.tables.events import EventTable
from stingless.kernel import Entries, EventOptions
from stingless.streams.records import Run


class RingBuf(EventTable):
    """A buffer of records that all CPUs share."""

    _ctx: Any = None
    _may_stop = True

    def open_ring_buffer(
        self,
        callback: Callable[[Any, int, int], Any],
        ctx: Any = None,
        *,
        lost_cb: Callable[[int], Any] | None = None,
    ) -> None:
        """Read with `BPF.ring_buffer_poll()` or `ring_buffer_consume()`: `callback(ctx, data, size)` a record.  When it
        returns a negative number, the others wait for the next call.

        `data` is an address, for `event(data)` or `ctypes.cast()`, valid until the callback returns; `ctx` is what was
        given here, of a ctypes value its address.  `lost_cb(count)` is told what found no room; without it, stderr
        is.
        """
        self._listen(callback, lost_cb, EventOptions())
        self._ctx = address_in(ctx) or None if is_value(ctx) or is_pointer(ctx) else ctx
        assert self.reader is not None
        maps = getattr(getattr(self.bpf, "_object", None), "maps", None)
        if not self.reader.counts_losses and maps is not None:
            from stingless.streams.losses import counter

            self._losses = counter(maps, self.map.spec.name)
            if self._losses is not None:
                self._losses.open()

    def _firsts(self, run: Run) -> Iterable[Any]:
        return [self._ctx] * len(run)

    def _entries(self) -> Entries:
        return Entries(b"", b"", 0)

    def _keys_of(self, data: bytes) -> list[Any]:
        return []

    def __len__(self) -> int:
        """A ring buffer has no entries."""
        return 0
