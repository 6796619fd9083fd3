"""`UserRingBuffer`: records from Python to programs, which read them by bpf_user_ringbuf_drain()."""

from __future__ import annotations

import errno
import select
import threading
import time
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stingless.errors import ClosedError, MapError
from stingless.origin import caller
from stingless.streams.types import codec_of

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.kernel import Map, UserRing

_HEADER = 8
_LOOK = 0.01  # seconds: a program that drains with BPF_RB_NO_WAKEUP wakes nobody


class UserRecord:
    """A reserved record: fill `data`, then `submit()` or `discard()`.  As a context manager it is submitted at the end,
    or discarded when an exception leaves the block.  Programs see records in the order of their reservation: one that
    is held up holds those behind it."""

    def __init__(self, ring: UserRing, place: int, data: memoryview) -> None:
        self.data = data
        self._ring = ring
        self._place = place
        self._done = False

    def _finish(self, discard: bool) -> None:
        if self._done:
            raise ValueError("the record was submitted or discarded before")
        self._done = True
        self.data.release()
        self._ring.commit(self._place, discard)

    def submit(self) -> None:
        """Hand it to the programs."""
        self._finish(False)

    def discard(self) -> None:
        """Programs skip it."""
        self._finish(True)

    def __enter__(self) -> memoryview:
        return self.data

    def __exit__(self, kind: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        if not self._done:
            self._finish(kind is not None)


class UserRingBuffer:
    """The writer of a BPF_MAP_TYPE_USER_RINGBUF map.  Linux 6.1.  Any number of threads may write.

    `type`: of `send()`'s values, as for `RingBuffer`; bytes can always be sent.

    Raises `MapError` for other maps, `NotSupportedError` where the kernel has none.
    """

    def __init__(self, map: Any, *, type: Any = None, btf: Btf | None = None) -> None:
        self._closed = True
        found: Map = getattr(map, "map", map)
        self._codec = codec_of(found.spec, type, btf)
        self._what = f"the user ring buffer {found.spec.name!r}"
        self._made_at = caller()
        self._ring = found.open_user_ring()
        self._lock = threading.Lock()
        self._closed = False

    def reserve(self, size: int, timeout: float | None = 0) -> UserRecord:
        """Room for `size` bytes; waits for it up to `timeout` seconds (None: for ever).

        Raises `MapError`: ENOSPC when there was none in time, E2BIG when the ring can never hold it.
        """
        total = (size + _HEADER + 7) & ~7
        if size < 0:
            raise ValueError(f"a record cannot have {size} bytes")
        if total > self._ring.capacity:
            raise MapError(
                f"{self._what}: a record of {size} bytes takes {total}, the ring has {self._ring.capacity}", errno.E2BIG
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        poller = select.poll()
        while True:
            if self._closed:
                raise ClosedError(f"{self._what} is closed")
            with self._lock:
                if (found := self._ring.reserve(size)) is not None:
                    return UserRecord(self._ring, *found)
            left = _LOOK if deadline is None else min(_LOOK, deadline - time.monotonic())
            if left <= 0:
                raise MapError(
                    f"{self._what} has no room for {size} bytes: no program drained it in time", errno.ENOSPC
                )
            poller.register(self._ring.fileno(), select.POLLOUT)
            # Writable means that there is some room, which may be too little.
            time.sleep(left) if poller.poll(0) else poller.poll(left * 1000)

    def send(self, value: Any, timeout: float | None = 0) -> None:
        """Reserve, fill and submit a record: bytes, or a value of the ring's type.  Raises as `reserve()` does, and
        `TypeError` or `ValueError` that names the field that does not fit."""
        if not isinstance(value, bytes | bytearray | memoryview):
            if self._codec is None:
                raise TypeError(f"{self._what} has no type: send bytes, or open it with type=; not {value!r}")
            value = self._codec.encode(value)
        data = memoryview(value).cast("B")
        with self.reserve(len(data), timeout) as room:
            room[:] = data

    def close(self) -> None:
        """Idempotent."""
        if not self._closed:
            self._closed = True
            self._ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            said = f"{self._what} was never closed; it was made at {self._made_at}"
            warnings.warn(said, ResourceWarning, stacklevel=2, source=self)
            self.close()
