"""Readers of records and of trace lines.  Nothing is lost in silence: what found no room is counted and reported."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from stingless._gen.uapi import MapType
from stingless._sys.runtime import Ring
from stingless.cpus import possible_cpus
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import MapError
from stingless.kernel import Record
from stingless.owned import Owned

R = TypeVar("R")
_TRACE_BYTES = 1 << 20


class _RingReader(Owned):
    """Drains one ring, and sleeps on an eventfd while it is empty."""

    def __init__(self, ring: Ring, what: str) -> None:
        self._ring = ring
        self._what = what
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """A descriptor that is readable when there are records."""
        self._open(self._what)
        return self._event

    def _drained(self) -> list[tuple[int, bytes]]:
        """(tag, data) of each record.  The next one will wake the reader."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        self._ring.listen(self._event)
        with self._ring.drain() as packed:
            found = []
            at, end = 0, len(packed)
            words = packed.cast("I")
            while at < end:
                length = words[at // 4]
                found.append((words[at // 4 + 1], bytes(packed[at + 8 : at + 8 + length])))
                at += (length + 15) & ~7
            words.release()
        return found

    def _waited(self, read: Callable[[], R], timeout_ms: int) -> R:
        """What `read` gives as soon as that is something, or after the timeout nothing."""
        self._open(self._what)
        deadline = time.monotonic() + timeout_ms / 1000
        poller = select.poll()
        poller.register(self._event, select.POLLIN)
        while True:
            found = read()
            left = -1 if timeout_ms < 0 else max(deadline - time.monotonic(), 0)
            if found or left == 0:
                return found
            poller.poll(None if left < 0 else left * 1000)

    def _free(self) -> None:
        self._ring.listen(-1)
        os.close(self._event)


class RingbufReader(_RingReader):
    """Records of a RINGBUF map in one order; `Record.cpu` is -1, for the buffer does not tell.  On Linux a program that
    finds no room is told so and nobody else; here the reader is, too."""

    def __init__(self, map: EmbeddedMap) -> None:
        super().__init__(map.handle.ring(map.spec.max_entries), f"the reader of map {map.spec.name!r}")

    def _read(self) -> list[Record]:
        records = [Record(-1, data) for _, data in self._drained()]
        if lost := self._ring.take_lost():
            records.append(Record(-1, b"", lost))
        return records

    def poll(self, timeout_ms: int = -1) -> list[Record]:
        return self._waited(self._read, timeout_ms)


class PerfReader(_RingReader):
    """Records of a PERF_EVENT_ARRAY, in the order in which programs wrote them, whichever CPU they ran on."""

    def __init__(self, map: EmbeddedMap, pages: int) -> None:
        wanted = pages * os.sysconf("SC_PAGESIZE") * possible_cpus()
        super().__init__(Ring(1 << (wanted - 1).bit_length()), f"the reader of map {map.spec.name!r}")
        self._tee = map.handle.ring(0)
        self._tee.subscribe(self._ring)

    def _read(self) -> list[Record]:
        records = [Record(cpu, data) for cpu, data in self._drained()]
        if lost := self._ring.take_lost():
            records.append(Record(0, b"", lost))
        return records

    def poll(self, timeout_ms: int = -1) -> list[Record]:
        return self._waited(self._read, timeout_ms)

    def _free(self) -> None:
        self._tee.unsubscribe(self._ring)
        super()._free()


class EmbeddedTraceReader(_RingReader):
    """Lines of bpf_trace_printk().  Every reader gets all lines that are written while it is open, and the first one
    also those since the first program that prints was loaded: `ring` gathered them."""

    def __init__(self, tee: Ring, ring: Ring) -> None:
        super().__init__(ring, "the trace reader")
        self._tee = tee
        self._lines: deque[str] = deque()

    def _read(self) -> deque[str]:
        if not self._lines:
            for _, data in self._drained():
                # One newline at the end of the program's text belongs to the line.
                self._lines += data.decode(errors="replace").removesuffix("\n").split("\n")
            if lost := self._ring.take_lost():
                self._lines.append(f"CPU:0 [LOST {lost} EVENTS]")
        return self._lines

    def readline(self, timeout_ms: int = -1) -> str | None:
        lines = self._waited(self._read, timeout_ms)
        return lines.popleft() if lines else None

    def _free(self) -> None:
        self._tee.unsubscribe(self._ring)
        super()._free()


def trace_ring(tee: Ring) -> Ring:
    """A ring that gathers trace lines from now on."""
    ring = Ring(_TRACE_BYTES)
    tee.subscribe(ring)
    return ring


def open_events(map: EmbeddedMap, pages: int) -> RingbufReader | PerfReader:
    """Raises `MapError` for other map types."""
    kind = map.spec.type
    if kind is MapType.RINGBUF:
        return RingbufReader(map)
    if kind is not MapType.PERF_EVENT_ARRAY:
        raise MapError(
            f"map {map.spec.name!r} is a {kind.name}: only a PERF_EVENT_ARRAY or RINGBUF has records", errno.EINVAL
        )
    if pages < 1 or pages & (pages - 1):
        raise ValueError(f"the pages of a perf ring are a power of two, not {pages}")
    return PerfReader(map, pages)
