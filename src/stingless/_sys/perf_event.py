"""perf_event_open(2), its ioctls, and the ring of a perf event.  Layouts: linux/perf_event.h."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator

from stingless._sys.barrier import barrier
from stingless._sys.pages import Pages
from stingless._sys.syscall import Fd, entry, last_error, number
from stingless.streams.records import Lost, Run
from stingless.streams.scan import perf_runs

PERF_TYPE_HARDWARE, PERF_TYPE_SOFTWARE, PERF_TYPE_TRACEPOINT = 0, 1, 2
PERF_COUNT_SW_BPF_OUTPUT = 10
PERF_SAMPLE_TIME, PERF_SAMPLE_RAW = 1 << 2, 1 << 10

_ATTR = struct.Struct("=IIQQQQQIIQQ")
_ATTR_SIZE = 112  # PERF_ATTR_SIZE_VER5
_INHERIT, _FREQ, _WATERMARK, _USE_CLOCKID = 1 << 1, 1 << 10, 1 << 14, 1 << 25
_CLOCKID_AT, _CLOCK_MONOTONIC = 92, 1
_FD_CLOEXEC = 8
_ENABLE, _SET_BPF = 0x2400, 0x40042408
_COPY = 1 << 18  # bytes; no record is longer than 64 KiB

_enter = entry(ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong)


def perf_event_open(
    type: int,
    config: int,
    *,
    pid: int = -1,
    cpu: int = -1,
    sample_period: int = 0,
    sample_freq: int = 0,
    sample_type: int = 0,
    wakeup_events: int = 0,
    watermark: int = 0,
    monotonic: bool = False,
    inherit: bool = False,
    group: int = -1,
    text: bytes | None = None,
    config1: int = 0,
    config2: int = 0,
    what: str = "perf event",
) -> Fd:
    """`text` goes to config1 as a pointer: the function or path of a kprobe or uprobe.  `watermark`: wake the reader
    when so many bytes are there, not after `wakeup_events`.  `monotonic`: times are of CLOCK_MONOTONIC."""
    held = ctypes.create_string_buffer(text) if text is not None else None
    attr = _ATTR.pack(
        type,
        _ATTR_SIZE,
        config,
        sample_freq or sample_period,
        sample_type,
        0,
        (_FREQ if sample_freq else 0)
        | (_WATERMARK if watermark else 0)
        | (_USE_CLOCKID if monotonic else 0)
        | (_INHERIT if inherit else 0),
        watermark or wakeup_events,
        0,
        ctypes.addressof(held) if held is not None else config1,
        config2,
    )
    attr = attr.ljust(_CLOCKID_AT, b"\0") + (_CLOCK_MONOTONIC if monotonic else 0).to_bytes(4, "little")
    return open_attr(attr.ljust(_ATTR_SIZE, b"\0"), pid, cpu, group, what)


def open_attr(attr: bytes, pid: int, cpu: int, group: int, what: str) -> Fd:
    """By a whole `struct perf_event_attr`."""
    fd = _enter(number("perf_event_open"), attr, pid, cpu, group, _FD_CLOEXEC)
    if fd < 0:
        raise last_error()
    return Fd(fd, what)


def set_bpf(event: Fd, prog_fd: int) -> None:
    fcntl.ioctl(event.fileno(), _SET_BPF, prog_fd)


def enable(event: Fd) -> None:
    fcntl.ioctl(event.fileno(), _ENABLE, 0)


class PerfRing:
    """The mapped ring of a perf event: raw samples and the count of lost ones."""

    _HEAD, _TAIL = 1024 // 8, 1032 // 8  # data_head and data_tail, as 64-bit words of the first page

    def __init__(self, event: Fd, pages: int) -> None:
        """`pages`: of data, a power of two.  Raises `OSError` (EINVAL, EPERM when over perf_event_mlock_kb)."""
        page = os.sysconf("SC_PAGESIZE")
        self._memory = Pages(event.fileno(), (1 + pages) * page, writable=True)
        self._control = self._memory.view[:page].cast("Q")
        self._data = self._memory.view[page:]
        self._mask = pages * page - 1

    @property
    def available(self) -> int:
        """Bytes between the reader and the kernel, headers included."""
        return self._control[self._HEAD] - self._control[self._TAIL]

    def runs(self, cpu: int, limit: int | None = None, *, timed: bool = False) -> Iterator[Run | Lost]:
        """The records that are there now, at most `limit`, in order with the gaps among them.  What was looked at is
        given back to the kernel when the iteration ends, in one step; the run at which it is broken off is not."""
        start = done = self._control[self._TAIL]
        head = self._control[self._HEAD]
        if start == head:
            return
        barrier()  # the records are read after the head that says they are there
        try:
            while done < head:
                base = done
                copy = self._bytes(base, min(head - base, _COPY))
                for run, following in perf_runs(memoryview(copy), cpu, timed=timed):
                    if limit is not None and isinstance(run, Run):
                        if len(run) >= limit:
                            yield run.first(limit)
                            lead = 20 if timed else 12
                            done = base + (run.offsets[limit] - lead if len(run) > limit else following)
                            return
                        limit -= len(run)
                    yield run
                    done = base + following
                if done == base:
                    raise OSError(errno.EIO, f"the perf ring of CPU {cpu} has no record at {done:#x}")
        finally:
            if done != start:
                barrier()  # all was read before its room is given back
                self._control[self._TAIL] = done

    def _bytes(self, position: int, count: int) -> bytes:
        start = position & self._mask
        end = start + count
        if end <= self._mask + 1:
            return bytes(self._data[start:end])
        return bytes(self._data[start:]) + bytes(self._data[: end - self._mask - 1])

    def close(self) -> None:
        self._control.release()
        self._data.release()
        self._memory.close()
