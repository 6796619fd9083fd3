"""Readers of perf event arrays and ring buffers.

Minimum kernel: 4.4 for perf event arrays, 5.8 for ring buffers.  Privileges: CAP_PERFMON for perf event arrays.
Source: kernel/events/ring_buffer.c, kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import errno
import select
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from stingless._gen.uapi import MapType
from stingless._sys import perf_event
from stingless._sys.perf_event import PerfRing
from stingless._sys.ringbuf import RingBuffer
from stingless._sys.syscall import Fd
from stingless.cpus import online_cpus
from stingless.errors import LoadError, MapError
from stingless.kernel import EventOptions
from stingless.linux.maps import LinuxMap
from stingless.linux.refusals import privilege
from stingless.streams.reader import Reader
from stingless.streams.records import Lost, Run


class PerfReader(Reader):
    """One ring for each online CPU.  The kernel pads a sample to a multiple of 8 bytes less 4, so that a record may be
    up to 7 bytes longer than what the program gave."""

    counts_losses = True

    def __init__(self, map: LinuxMap, options: EventOptions) -> None:
        self._map = map
        self._timed = options.timed
        self._rings: list[tuple[int, Fd, PerfRing]] = []
        self._epoll = select.epoll()
        try:
            for cpu in online_cpus() if options.cpus is None else options.cpus:
                if cpu < map.spec.max_entries:
                    self._add(cpu, options)
        except BaseException:
            self._free()
            raise

    def _add(self, cpu: int, options: EventOptions) -> None:
        event = perf_event.perf_event_open(
            perf_event.PERF_TYPE_SOFTWARE,
            perf_event.PERF_COUNT_SW_BPF_OUTPUT,
            cpu=cpu,
            sample_period=1,
            sample_type=perf_event.PERF_SAMPLE_RAW | (perf_event.PERF_SAMPLE_TIME if self._timed else 0),
            wakeup_events=options.wakeup_events,
            watermark=options.wakeup_bytes,
            monotonic=self._timed,
            what=f"perf ring of CPU {cpu}",
        )
        try:
            ring = PerfRing(event, options.pages)
        except OSError:
            event.close()
            raise
        self._rings.append((cpu, event, ring))
        self._epoll.register(event.fileno(), select.EPOLLIN)
        perf_event.enable(event)
        self._map.update(cpu.to_bytes(4, "little"), event.fileno().to_bytes(4, "little"))

    def fileno(self) -> int:
        return self._epoll.fileno()

    @property
    def available(self) -> int:
        return sum(ring.available for _, _, ring in self._rings)

    def runs(self, limit: int | None = None) -> Iterator[Run | Lost]:
        self._open(f"the reader of map {self._map.spec.name!r}")
        for cpu, _, ring in self._rings:
            for run in ring.runs(cpu, limit, timed=self._timed):
                yield run
                if limit is not None and isinstance(run, Run):
                    limit -= len(run)
            if limit == 0:
                return

    def _free(self) -> None:
        for _cpu, event, ring in self._rings:
            ring.close()
            event.close()
        self._rings.clear()
        self._epoll.close()


class RingReader(Reader):
    """Records of all CPUs in one order, that of their reservation; the buffer does not tell which CPU."""

    def __init__(self, map: LinuxMap) -> None:
        self._what = f"the reader of map {map.spec.name!r}"
        self._epoll = select.epoll()
        try:
            self._ring = RingBuffer(map.fd, map.spec.max_entries)
        except OSError:
            self._epoll.close()
            raise
        self._epoll.register(map.fd, select.EPOLLIN)

    def fileno(self) -> int:
        return self._epoll.fileno()

    @property
    def available(self) -> int:
        return self._ring.available

    @property
    def held(self) -> bool:
        return self._ring.held

    def runs(self, limit: int | None = None) -> Iterator[Run]:
        self._open(self._what)
        return self._ring.runs(limit)

    def copy(self, size: int, to: Any, limit: int | None = None) -> int:
        self._open(self._what)
        return self._ring.copy(size, to, limit)

    def lease(self, limit: int | None = None) -> AbstractContextManager[Run]:
        self._open(self._what)
        return self._ring.lease(limit)

    def _free(self) -> None:
        self._ring.close()
        self._epoll.close()


def open_events(map: LinuxMap, options: EventOptions) -> PerfReader | RingReader:
    """Raises `MapError` for other map types, `PrivilegeError`, `LoadError`."""
    kind = map.spec.type
    if kind is MapType.RINGBUF:
        return RingReader(map)
    if kind is not MapType.PERF_EVENT_ARRAY:
        raise MapError(
            f"map {map.spec.name!r} is a {kind.name}: only a PERF_EVENT_ARRAY or RINGBUF has records", errno.EINVAL
        )
    try:
        return PerfReader(map, options)
    except OSError as e:
        if isinstance(e, MapError):
            raise
        if e.errno in (errno.EPERM, errno.EACCES):
            raise privilege(f"reading map {map.spec.name!r}", ("CAP_PERFMON",)) from None
        raise LoadError(f"no perf rings of {options.pages} pages for map {map.spec.name!r}", e.errno or 0) from None
