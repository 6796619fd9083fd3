"""Readers of perf event arrays and ring buffers.

Minimum kernel: 4.4 for perf event arrays, 5.8 for ring buffers.  Privileges: CAP_PERFMON for perf event arrays.
Source: kernel/events/ring_buffer.c, kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import errno
import select

from stingless._gen.uapi import MapType
from stingless._sys import perf_event
from stingless._sys.perf_event import PerfRing
from stingless._sys.ringbuf import RingBuffer
from stingless._sys.syscall import Fd
from stingless.cpus import online_cpus
from stingless.errors import LoadError, MapError
from stingless.kernel import Record
from stingless.linux.maps import LinuxMap
from stingless.linux.refusals import privilege
from stingless.owned import Owned


class _Reader(Owned):
    def __init__(self) -> None:
        self._epoll = select.epoll()

    def fileno(self) -> int:
        """A descriptor that is readable when there are records."""
        return self._epoll.fileno()

    def _drain(self) -> list[Record]:
        raise NotImplementedError  # perf rings and ring buffers are read in their own ways

    def poll(self, timeout_ms: int = -1) -> list[Record]:
        records = self._drain()
        if not records and timeout_ms != 0:
            self._epoll.poll(None if timeout_ms < 0 else timeout_ms / 1000)
            records = self._drain()
        return records


class PerfReader(_Reader):
    """One ring per online CPU.  The kernel pads a sample to a multiple of 8 bytes less 4, so `Record.data` may be up
    to 7 bytes longer than what the program gave."""

    def __init__(self, map: LinuxMap, pages: int) -> None:
        super().__init__()
        self._map = map
        self._rings: list[tuple[int, Fd, PerfRing]] = []
        try:
            for cpu in online_cpus():
                if cpu < map.spec.max_entries:
                    self._add(cpu, pages)
        except BaseException:
            self._free()
            raise

    def _add(self, cpu: int, pages: int) -> None:
        event = perf_event.perf_event_open(
            perf_event.PERF_TYPE_SOFTWARE,
            perf_event.PERF_COUNT_SW_BPF_OUTPUT,
            cpu=cpu,
            sample_period=1,
            sample_type=perf_event.PERF_SAMPLE_RAW,
            wakeup_events=1,
            what=f"perf ring of CPU {cpu}",
        )
        try:
            ring = PerfRing(event, pages)
        except OSError:
            event.close()
            raise
        self._rings.append((cpu, event, ring))
        self._epoll.register(event.fileno(), select.EPOLLIN)
        perf_event.enable(event)
        self._map.update(cpu.to_bytes(4, "little"), event.fileno().to_bytes(4, "little"))

    def _drain(self) -> list[Record]:
        return [Record(cpu, data, lost) for cpu, _, ring in self._rings for data, lost in ring.drain()]

    def _free(self) -> None:
        for _cpu, event, ring in self._rings:
            ring.close()
            event.close()
        self._rings.clear()
        self._epoll.close()


class RingReader(_Reader):
    """Records of all CPUs in one order; `Record.cpu` is -1, for the buffer does not tell."""

    def __init__(self, map: LinuxMap) -> None:
        super().__init__()
        try:
            self._ring = RingBuffer(map.fd, map.spec.max_entries)
        except OSError:
            self._epoll.close()
            raise
        self._epoll.register(map.fd, select.EPOLLIN)

    def _drain(self) -> list[Record]:
        return [Record(-1, data) for data in self._ring.drain()]

    def _free(self) -> None:
        self._ring.close()
        self._epoll.close()


def open_events(map: LinuxMap, pages: int) -> PerfReader | RingReader:
    """Raises `MapError` for other map types, `PrivilegeError`, `LoadError`."""
    kind = map.spec.type
    if kind is MapType.RINGBUF:
        return RingReader(map)
    if kind is not MapType.PERF_EVENT_ARRAY:
        raise MapError(
            f"map {map.spec.name!r} is a {kind.name}: only a PERF_EVENT_ARRAY or RINGBUF has records", errno.EINVAL
        )
    if pages < 1 or pages & (pages - 1):
        raise ValueError(f"the pages of a perf ring are a power of two, not {pages}")
    try:
        return PerfReader(map, pages)
    except OSError as e:
        if isinstance(e, MapError):
            raise
        if e.errno in (errno.EPERM, errno.EACCES):
            raise privilege(f"reading map {map.spec.name!r}", ("CAP_PERFMON",)) from None
        raise LoadError(f"no perf rings of {pages} pages for map {map.spec.name!r}", e.errno or 0) from None
