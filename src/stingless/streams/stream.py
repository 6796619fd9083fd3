"""`Stream`: the four faces of a ring that a kernel fills."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter, length_hint
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from stingless import session
from stingless.errors import ClosedError, StinglessError
from stingless.origin import caller
from stingless.streams.reader import HELD, wait
from stingless.streams.records import Lost, Run, joined
from stingless.streams.statistics import Statistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stingless.kernel import EventReader
    from stingless.streams.losses import LossCounter
    from stingless.streams.pack import Packed
    from stingless.streams.types import Codec

T = TypeVar("T")
_BATCH = 4096  # records that are taken at once, so that their room is soon free again
_MANY = 32  # records from which on NumPy packs them


class RecordSizeError(StinglessError, ValueError):
    """Records of other sizes than asked for are there, and were left there.  `sizes`: those that were seen."""

    def __init__(self, message: str, sizes: Iterable[int]) -> None:
        super().__init__(message)
        self.sizes = tuple(sorted(sizes))


class Faces(Generic[T]):
    """Callback, `for`, `async for`, `read()` and `close()` over batches of events, for one reader at a time: a thread
    or a task, else `RuntimeError`.  A subclass fills the queue.

    `close()` may come from any thread, and ends the others' waiting.  It is not for a forked child, which would take
    the parent's records.
    """

    def __init__(self, reader: EventReader | Any, what: str) -> None:
        self._closed = True  # until all is there
        self._what = what
        self._made_at = caller()
        self._reader = reader
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._holder = 0
        self.wakeups = 0
        self._items: Iterator[T] = iter(())
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # readable once it is closed
        self._closed = False
        session.opened(self)

    def fileno(self) -> int:
        """A descriptor that is readable when there are events.  Raises `ClosedError`."""
        self._check()
        return self._reader.fileno()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def unread(self) -> bool:
        """Whether there are events that nobody has had.  May be asked by any thread."""
        if self._closed:
            return False
        return bool(length_hint(self._items)) or getattr(self._reader, "available", 0) > 0

    @property
    def held(self) -> bool:
        """What is next is still being written: the descriptor is readable, yet there is nothing to read."""
        return self._reader.held

    def _take(self) -> Iterator[T] | None:
        """The next events that are there, or None.  Events that are not taken out of the iterator stay."""
        raise NotImplementedError  # each kind has events of its own

    def _most(self) -> int:
        """More events than there can be now."""
        return 1 << 16

    # One reader at a time

    def _check(self) -> None:
        if self._closed:
            raise ClosedError(f"{self._what} is closed")
        if os.getpid() != self._pid:
            raise RuntimeError(f"{self._what} is of process {self._pid}: a forked child opens its own")

    @contextmanager
    def _turn(self) -> Generator[None]:
        self._check()
        if not self._lock.acquire(blocking=False):
            self._check()  # who closed it has the lock for good
            raise RuntimeError(f"{self._what} is being read by another thread or task: it has one reader at a time")
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._lock.release()
            if self._closed:
                self._end()

    def close(self) -> None:
        """Free what it holds.  Events that were not delivered are gone.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        deque(self._items, maxlen=0)  # a `for` that is at work ends with the event that it has
        os.eventfd_write(self.wake, 1)
        self._end(1.0 if self._holder != threading.get_ident() else 0)

    def _end(self, patience: float = 0) -> None:
        """Free all, unless somebody is reading, who then will."""
        if self._lock.acquire(timeout=patience):  # for good
            self._free()

    def _free(self) -> None:
        self._reader.close()
        os.close(self.wake)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            said = f"{self._what} was never closed; it was made at {self._made_at}"
            warnings.warn(said, ResourceWarning, stacklevel=2, source=self)
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._what}{', closed' if self._closed else ''}>"

    # The faces

    def _next(self, deadline: float | None) -> Iterator[T] | None:
        """The next events; None when the deadline passed or the stream was closed."""
        with self._turn():
            while not self._closed:
                if (items := self._take()) is not None:
                    session.record_seen()
                    return items
                session.waiting()
                if not wait((self._reader,), deadline, self.wake):
                    return None
                self.wakeups += 1
        return None

    def read(self, timeout: float | None = None) -> T | None:
        """The next event; None when none came in `timeout` seconds (None: for ever) or the stream was closed."""
        items = self._next(_deadline(timeout))
        return None if items is None else next(items, None)

    def poll(self, callback: Callable[[T], object], timeout: float | None = None) -> int:
        """Call back for each event that is there; waits up to `timeout` seconds (None: for ever) for the first.  The
        number of calls.  What the callback raises comes out here; the events after that one are delivered next time.
        """
        items = self._next(_deadline(timeout))
        return 0 if items is None else self._deliver(callback, items)

    def _deliver(self, callback: Callable[[T], object], items: Iterator[T] | None) -> int:
        calls = 0
        most = self._most()  # programs may go on writing
        while items is not None:
            calls += length_hint(items)
            for item in items:
                callback(item)
            if self._closed or calls >= most:
                break
            with self._turn():
                items = self._take()
        return calls

    def __iter__(self) -> Iterator[T]:
        """Events as they come, until the stream is closed.  A new iteration goes on where the last one ended."""
        self._check()
        while not self._closed:
            try:
                items = self._next(None)
            except ClosedError:  # by another thread, just now
                return
            if items is None:
                return
            yield from items

    async def __aiter__(self) -> AsyncIterator[T]:
        """The same for asyncio: other tasks run while there are none, and between batches."""
        import asyncio

        self._check()
        while not self._closed:
            with self._turn():
                items = self._take()
                if items is None:
                    await self._ready()
                    continue
            for item in items:
                yield item
            await asyncio.sleep(0)

    async def _ready(self) -> None:
        """Until there may be events, or the stream is closed."""
        import asyncio

        session.waiting()
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def done() -> None:
            if not ready.done():
                ready.set_result(None)

        held = self._reader.held
        descriptors = (self.wake,) if held else (self.wake, self._reader.fileno())
        for fd in descriptors:
            loop.add_reader(fd, done)
        timer = loop.call_later(HELD, done) if held else None
        try:
            await ready
            self.wakeups += 1
        finally:
            for fd in descriptors:
                loop.remove_reader(fd)
            if timer is not None:
                timer.cancel()


class Stream(Faces[T]):
    """Records of a ring buffer or perf buffer, typed by a codec, or as bytes.

    With `gaps`, what was lost comes as `Lost` values among the events.  Where a record is longer or shorter than its
    type, which programs do with a text at the end of a struct, `for` and callbacks cut it, or fill it with zeros.
    """

    def __init__(
        self,
        reader: EventReader,
        what: str,
        codec: Codec | None,
        *,
        gaps: bool = False,
        losses: LossCounter | None = None,
        padded: bool = False,
        timed: bool = False,
    ) -> None:
        super().__init__(reader, what)
        self._codec = codec
        self._gaps = gaps
        self._losses = None if reader.counts_losses else losses
        self._padded = 7 if padded else 0  # bytes that a record may be longer than what the program wrote
        self._timed = timed
        if self._losses is not None:
            self._losses.open()
        self._queue: deque[Run | Lost] = deque()
        self._run: Run | None = None  # whose records `_items` are
        self._records = self._bytes = 0
        self._lost: dict[int, int] = {}  # by CPU
        self._spare: Any = None

    def statistics(self) -> Statistics:
        """What it has seen.  Also after `close()`."""
        self._look_at_losses()
        known = self._reader.counts_losses or self._losses is not None
        return Statistics(
            self._records,
            self._bytes,
            sum(self._lost.values()) if known else None,
            {cpu: n for cpu, n in sorted(self._lost.items()) if cpu >= 0},
            self._unassigned,
            self.wakeups,
            self._losses.uncounted if self._losses is not None else (),
        )

    _unassigned = 0

    def _look_at_losses(self) -> None:
        """What the programs counted since the last look."""
        if self._losses is None or self._closed:
            return
        for cpu, total in self._losses.by_cpu().items():
            if new := total - self._lost.get(cpu, 0):
                self._count(Lost(new, cpu))
        self._unassigned = self._losses.unassigned()

    def _count(self, lost: Lost) -> None:
        self._lost[lost.cpu] = self._lost.get(lost.cpu, 0) + lost.count
        if self._gaps:
            self._queue.append(lost)

    def _runs(self, limit: int | None = None) -> Iterator[Run]:
        """Runs of the reader, counted."""
        for run in self._reader.runs(limit):
            if isinstance(run, Lost):
                self._count(run)
            else:
                yield run
                self._count_run(run)
            del run

    def _count_run(self, run: Run) -> None:
        self._records += len(run)
        self._bytes += run.sizes * len(run) if isinstance(run.sizes, int) else sum(run.sizes)

    def _free(self) -> None:
        super()._free()
        self._queue.clear()
        self._spare = None
        if self._losses is not None:
            self._losses.close()

    def close(self) -> None:
        if not self._closed:
            self._look_at_losses()
        super().close()

    def _take(self) -> Iterator[T] | None:
        while not length_hint(self._items):
            if not self._queue:
                self._fill()
                if not self._queue:
                    return None
            head = self._queue.popleft()
            self._run = None if isinstance(head, Lost) else head
            self._items = iter([head] if isinstance(head, Lost) else self._decoded(head))  # type: ignore[list-item]
        return self._items

    def _most(self) -> int:
        return self._reader.available // 8 + _BATCH

    def _fill(self) -> None:
        if self._gaps:
            self._look_at_losses()
        runs = [run.copied() for run in self._runs(None if self._timed else _BATCH) if run]
        self._queue.extend([_in_time(runs)] if self._timed and runs else runs)

    def _decoded(self, run: Run) -> list[Any]:
        codec = self._codec
        if codec is None:
            return run.pieces()
        size = codec.size
        if isinstance(run.sizes, int) and run.sizes >= size and len(run) >= _MANY and size:
            from stingless.streams.pack import packed_bytes

            return codec.decode_many(packed_bytes(run, size), len(run))
        return [codec.decode(piece[:size].ljust(size, b"\0")) for piece in run.pieces()]

    def _last(self) -> tuple[Run, int] | None:
        """Where the record that was delivered last is: its run, and its place in it."""
        if self._run is None or (index := len(self._run) - length_hint(self._items) - 1) < 0:
            return None
        return self._run, index

    # Arrays

    def _waiting(self) -> int:
        """Records that were taken and not delivered."""
        taken = sum(len(run) for run in self._queue if isinstance(run, Run))
        return taken + (length_hint(self._items) if self._run is not None else 0)

    def _pending(self) -> list[Run]:
        """What was taken and not delivered.  It is the caller's from now on."""
        runs = [run for run in self._queue if isinstance(run, Run)]
        if self._run is not None and (left := length_hint(self._items)):
            runs.insert(0, self._run.after(len(self._run) - left))
        self._queue = deque(each for each in self._queue if isinstance(each, Lost))
        self._items = iter(())
        self._run = None
        return runs

    def _packed(self, limit: int | None, fixed: int | None, allowed: range | None) -> Packed:
        """All that is there.  `allowed`: the sizes that records must have; when it is None and `fixed` too, any."""
        from stingless.streams.pack import Packed, Spare, pack

        pending = self._pending()
        if self._spare is None:
            self._spare = Spare()
        held = sum(len(run) * fixed if fixed is not None else len(run.data) for run in pending)
        packed = Packed(self._spare.take(held + self._room(fixed, limit, allowed is not None)))
        seen: set[int] = set()

        def fitting(runs: Iterable[Run]) -> Iterator[Run]:
            for run in runs:
                seen.update((run.sizes,) if isinstance(run.sizes, int) else run.sizes)
                if len(run) and allowed is not None and not all(size in allowed for size in seen):
                    raise RecordSizeError("", seen)
                yield run
                del run

        rest = deque(pending)
        left = limit
        try:
            while rest and left != 0:
                whole = rest[0] if left is None else rest[0].first(left)
                pack(packed, fitting([whole]), fixed)
                head = rest.popleft()
                if len(whole) < len(head):
                    rest.appendleft(head.after(len(whole)))
                left = None if left is None else left - len(whole)
            if fixed and left != 0:
                copied = self._reader.copy(fixed, packed.buffer[packed.used :], left)
                packed.add(copied, fixed)
                self._records += copied
                self._bytes += copied * fixed
                left = None if left is None else left - copied
            if left != 0:
                runs = self._runs(left)
                try:
                    pack(packed, fitting(runs), fixed)
                finally:
                    runs.close()  # type: ignore[attr-defined]
        except RecordSizeError:
            if packed.records:
                rest.appendleft(packed.run())
            raise self._sizes_differ(seen, allowed) from None
        finally:
            self._queue.extend(rest)
        return packed

    def _room(self, fixed: int | None, limit: int | None, exact: bool) -> int:
        """Bytes that all records there now may take."""
        available = self._reader.available
        if fixed is None:
            return available
        room = available if exact else max(available, available // 8 * fixed)
        return room if limit is None else min(room, limit * fixed)

    def _dtype(self) -> np.dtype[Any] | None:
        import numpy as np

        if self._codec is None:
            return None
        if self._codec.dtype is None:
            raise TypeError(f"{self._what}: NumPy has no form of {self._codec!r}; use drain_raw(), or type=bytes")
        dtype: np.dtype[Any] = np.dtype(self._codec.dtype)
        return dtype

    def drain(self, limit: int | None = None, *, size: int | None = None, columns: bool = False) -> NDArray[Any]:
        """All records that are there (at most `limit`) as an array: a structured one of the codec's dtype, or of rows
        of bytes where records have no type.  It does not wait, and has no gaps: see `statistics()`.

        Records of other sizes than the type's, or of several sizes, raise `RecordSizeError` and stay; with `size` each
        is cut, or filled with zeros, to that many bytes, and `drain_raw()` takes any.  With `columns` the array's
        fields are "cpu" (-1: not known), "time" (ns, 0: not known) and "event".
        """
        with self._turn():
            packed, events = self._drained(limit, size)
        if not columns and not self._timed:
            return events
        return self._with_columns(packed, events, columns)

    def _drained(self, limit: int | None, size: int | None = None) -> tuple[Packed, NDArray[Any]]:
        import numpy as np

        dtype = self._dtype()
        if dtype is not None and size is None:
            fixed: int | None = dtype.itemsize
            packed = self._packed(limit, fixed, range(dtype.itemsize, dtype.itemsize + self._padded + 1))
        else:
            fixed = size if size is not None or dtype is None else dtype.itemsize
            packed = self._packed(limit, fixed, None)
            if fixed is None and len(packed.sizes()) > 1:
                self._queue.appendleft(packed.run())
                raise self._sizes_differ(packed.sizes(), None)
        each = fixed if fixed is not None else next(iter(packed.sizes()), 0)
        if dtype is not None and dtype.itemsize == each:
            return packed, np.ndarray((packed.records,), dtype, packed.buffer)
        return packed, np.ndarray((packed.records, each), np.uint8, packed.buffer)

    def _with_columns(self, packed: Packed, events: NDArray[Any], columns: bool) -> NDArray[Any]:
        import numpy as np

        def column(parts: list[Any], dtype: Any, unknown: int) -> NDArray[Any]:
            return np.concatenate(parts) if parts else np.full(len(events), unknown, dtype)

        times = column(packed.times, np.uint64, 0)
        order = np.argsort(times, kind="stable") if self._timed else slice(None)
        if not columns:
            return events[order]
        form = np.dtype([("cpu", np.int32), ("time", np.uint64), ("event", events.dtype, events.shape[1:])])
        table = np.empty(len(events), form)
        table["cpu"], table["time"], table["event"] = (
            column(packed.cpus, np.int32, -1)[order],
            times[order],
            events[order],
        )
        return table

    def drain_raw(self, limit: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """All records that are there, of whatever sizes: (their bytes one after the other, the offset of each, the size
        of each)."""
        with self._turn():
            packed = self._packed(limit, None, None)
        sizes, offsets = packed.layout()
        return packed.buffer[: packed.used], offsets, sizes

    def _sizes_differ(self, seen: Iterable[int], allowed: range | None) -> RecordSizeError:
        sizes = sorted(set(seen))
        found = ", ".join(map(str, sizes[:8])) + (", ..." if len(sizes) > 8 else "")
        wanted = f", and its type has {allowed.start}" if allowed is not None else ""
        return RecordSizeError(
            f"{self._what} has records of {found} bytes{wanted}: drain(size={max(sizes)}) cuts them or fills them "
            "with zeros to one size, drain_raw() takes them as they are",
            sizes,
        )


def _in_time(runs: list[Run]) -> Run:
    """One run of the records of several, in the order of their times."""
    records = [each for run in runs for each in zip(run.times(), run.cpus(), run.pieces(), strict=True)]
    return joined(sorted(records, key=itemgetter(0)))


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
