"""Readers of records and of trace lines.  Nothing is lost in silence: what found no room is counted and reported."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from stingless._gen.uapi import MapType
from stingless._sys.runtime import Ring
from stingless.cpus import possible_cpus
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import MapError
from stingless.kernel import EventOptions
from stingless.streams.reader import Reader, wait
from stingless.streams.records import Lost, Run

_TRACE_BYTES = 1 << 20


class RingReader(Reader):
    """Reads one ring, and sleeps on an eventfd while it is empty.  On Linux a program that finds no room in a ring
    buffer is told so and nobody else; here the reader is, too."""

    counts_losses = True

    def __init__(self, ring: Ring, what: str, *, tagged: bool = False) -> None:
        self._ring = ring
        self._what = what
        self._memory = ring.memory(tagged=tagged)
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ring.listen(self._event)
        if self.available:
            os.eventfd_write(self._event, 1)

    def fileno(self) -> int:
        self._open(self._what)
        return self._event

    @property
    def available(self) -> int:
        return self._memory.available

    @property
    def held(self) -> bool:
        return self._memory.held

    def runs(self, limit: int | None = None) -> Iterator[Run | Lost]:
        self._open(self._what)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        self._ring.listen(self._event)  # the next record wakes us
        try:
            yield from self._memory.runs(limit)
            if lost := self._ring.take_lost():
                yield Lost(lost)
        finally:
            if not self._closed and self.available:
                os.eventfd_write(self._event, 1)  # not all was taken

    def copy(self, size: int, to: Any, limit: int | None = None) -> int:
        self._open(self._what)
        return self._memory.copy(size, to, limit)

    def lease(self, limit: int | None = None) -> AbstractContextManager[Run]:
        self._open(self._what)
        return self._memory.lease(limit)

    def _free(self) -> None:
        self._ring.listen(-1)
        os.close(self._event)


class PerfReader(RingReader):
    """Records of a PERF_EVENT_ARRAY, in the order in which programs wrote them, whichever CPU they ran on."""

    def __init__(self, map: EmbeddedMap, options: EventOptions) -> None:
        wanted = options.pages * os.sysconf("SC_PAGESIZE") * possible_cpus()
        ring = Ring(1 << (wanted - 1).bit_length())
        super().__init__(ring, f"the reader of map {map.spec.name!r}", tagged=True)
        self._tee = map.handle.ring(0)
        self._tee.subscribe(ring)

    def _free(self) -> None:
        self._tee.unsubscribe(self._ring)
        super()._free()


class EmbeddedTraceReader(RingReader):
    """Lines of bpf_trace_printk().  Every reader gets all lines that are written while it is open, and the first one
    also those since the first program that prints was loaded: `ring` gathered them."""

    def __init__(self, tee: Ring, ring: Ring) -> None:
        super().__init__(ring, "the trace reader", tagged=True)
        self._tee = tee
        self._lines: deque[str] = deque()

    def _read(self) -> None:
        for run in self.runs():
            if isinstance(run, Lost):
                self._lines.append(f"CPU:0 [LOST {run.count} EVENTS]")
                continue
            for data in run.copied().pieces():
                # One newline at the end of the program's text belongs to the line.
                self._lines += data.decode(errors="replace").removesuffix("\n").split("\n")

    def readline(self, timeout_ms: int = -1) -> str | None:
        deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
        self._open(self._what)
        while not self._lines:
            self._read()
            if not self._lines and not wait((self,), deadline):
                return None
        return self._lines.popleft()

    def _free(self) -> None:
        self._tee.unsubscribe(self._ring)
        super()._free()


def trace_ring(tee: Ring) -> Ring:
    """A ring that gathers trace lines from now on."""
    ring = Ring(_TRACE_BYTES)
    tee.subscribe(ring)
    return ring


def open_events(map: EmbeddedMap, options: EventOptions) -> RingReader:
    """Raises `MapError` for other map types, `NotSupportedError`."""
    kind = map.spec.type
    if kind is MapType.RINGBUF:
        return RingReader(map.handle.ring(map.spec.max_entries), f"the reader of map {map.spec.name!r}")
    if kind is not MapType.PERF_EVENT_ARRAY:
        raise MapError(
            f"map {map.spec.name!r} is a {kind.name}: only a PERF_EVENT_ARRAY or RINGBUF has records", errno.EINVAL
        )
    return PerfReader(map, options)
