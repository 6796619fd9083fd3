"""Tables that programs send records through to callbacks: what perf and ring buffers have in common."""

from __future__ import annotations

import sys
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from stingless._sys.cvalues import Staging, address_in, at_address
from stingless.bcc.tables.base import TableBase
from stingless.bcc.tables.failures import shown
from stingless.errors import UnknownNameError
from stingless.kernel import EventOptions, EventReader
from stingless.streams.reader import wait
from stingless.streams.records import Lost, Run

if TYPE_CHECKING:
    from stingless.streams.losses import LossCounter


class EventTable(TableBase):
    """BPF_PERF_OUTPUT or BPF_RINGBUF_OUTPUT, read by `BPF.perf_buffer_poll()` and `BPF.ring_buffer_poll()`."""

    event_type: Any = None  # the ctypes class of what programs submit, where the C text tells
    reader: EventReader | None = None
    _callback: Callable[..., Any]
    _lost: Callable[[int], Any] | None = None
    _staging: Staging | None = None
    _losses: LossCounter | None = None
    _told_losses = 0
    _may_stop = False  # by a negative answer of the callback
    _current = (0, 0)  # address and size of the record that the callback is at

    def event(self, data: Any) -> Any:
        """The record at address `data`, as the struct that the program submits: a copy, which may be kept.

        Raises `UnknownNameError` when the C text does not tell which struct that is.
        """
        if self.event_type is None:
            raise UnknownNameError(
                "event type of table",
                self.name,
                advice="the C text submits no variable of a named type to it; cast the address to a ctypes struct of"
                " your own: ctypes.cast(data, ctypes.POINTER(Event)).contents",
            )
        address = address_in(data)
        start, size = self._current
        return at_address(self.event_type, address, size if address == start else None)

    def _listen(self, callback: Callable[..., Any], lost: Callable[[int], Any] | None, options: EventOptions) -> None:
        if not callable(callback):
            raise TypeError(f"the callback of table {self.name!r} is no function: {callback!r}")
        if lost is not None and not callable(lost):
            raise TypeError(f"the lost_cb of table {self.name!r} is no function: {lost!r}")
        self.close()
        self._callback, self._lost = callback, lost
        self._pending: deque[Run | Lost] = deque()
        self.reader = self.map.open_events(options)
        self._register()

    def _register(self) -> None:
        """The BPF object polls and closes what is open."""
        if self.bpf is not None and not any(each is self for each in self.bpf.event_tables):
            self.bpf.event_tables.append(self)

    def deliver(self) -> int:
        """Call the callback for the records that are there.  Returns the number of them.

        A record at which an exception ends this, or a ring buffer's callback asks to stop, does not come again; those
        after it come next time.
        """
        if self.reader is None:
            return 0
        self._pending += [run.copied() if isinstance(run, Run) else run for run in self.reader.runs()]
        count = 0
        going = True
        while self._pending and going:
            found = self._pending.popleft()
            if isinstance(found, Lost):
                self._tell(found.count)
                continue
            done, going = self._deliver(found)
            count += done
        self._tell_losses()
        return count

    def _deliver(self, run: Run) -> tuple[int, bool]:
        """(records, whether to go on)."""
        if self._staging is None:
            self._staging = Staging()
        base = self._staging.put(bytes(run.data))
        sizes = [run.sizes] * len(run) if isinstance(run.sizes, int) else run.sizes
        callback, may_stop = self._callback, self._may_stop
        done = 0
        try:
            for first, offset, size in zip(self._firsts(run), run.offsets, sizes, strict=True):
                done += 1
                self._current = base + offset, size
                try:
                    answer = callback(first, base + offset, size)
                except Exception as error:
                    shown(error, f"the callback of table {self.name!r}")
                    continue
                if may_stop and isinstance(answer, int) and answer < 0:
                    return done, False
        finally:
            self._current = 0, 0
            if done < len(run):
                self._pending.appendleft(run.after(done))
        return done, True

    @abstractmethod
    def _firsts(self, run: Run) -> Iterable[Any]:
        """The first argument of the callback for each record: each kind of buffer has another."""

    def _tell_losses(self) -> None:
        if self._losses is None:
            return
        count = sum(self._losses.by_cpu().values())
        if count > self._told_losses:
            new, self._told_losses = count - self._told_losses, count
            self._tell(new)

    def _tell(self, lost: int) -> None:
        if self._lost is None:
            print(f"Possibly lost {lost} samples", file=sys.stderr)
            return
        try:
            self._lost(lost)
        except Exception as error:
            shown(error, f"the lost_cb of table {self.name!r}")

    def close(self) -> None:
        """Stop reading.  Idempotent."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None
        if self._losses is not None:
            self._losses.close()
            self._losses = None
            self._told_losses = 0


def poll(tables: Iterable[EventTable], timeout_ms: int) -> int | None:
    """Deliver the records of open tables; waits up to `timeout_ms` (-1: for ever) for the first.

    Returns the number of them, or None when none came in time.  It is 0 when programs discarded all that came: that
    ends the waiting, too.
    """
    deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
    reading = [table for table in tables if table.reader is not None]
    while True:
        before = [_available(table) for table in reading]
        count = sum(table.deliver() for table in reading)
        if count or any(_available(table) < bytes for table, bytes in zip(reading, before, strict=True)):
            return count
        readers = [table.reader for table in reading if table.reader is not None]
        if not readers or not wait(readers, deadline):
            return None


def _available(table: EventTable) -> int:
    return table.reader.available if table.reader is not None else 0
