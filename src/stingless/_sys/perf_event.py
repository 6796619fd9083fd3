"""perf_event_open(2), its ioctls, and the ring of a perf event.  Layouts: linux/perf_event.h."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

from stingless._sys.barrier import barrier
from stingless._sys.pages import Pages
from stingless._sys.syscall import Fd, entry, last_error, number

PERF_TYPE_HARDWARE, PERF_TYPE_SOFTWARE, PERF_TYPE_TRACEPOINT = 0, 1, 2
PERF_COUNT_SW_BPF_OUTPUT = 10
PERF_SAMPLE_RAW = 1 << 10

_ATTR = struct.Struct("=IIQQQQQIIQQ")
_ATTR_SIZE = 112  # PERF_ATTR_SIZE_VER5
_FREQ = 1 << 10
_FD_CLOEXEC = 8
_ENABLE, _SET_BPF = 0x2400, 0x40042408
_RECORD_LOST, _RECORD_SAMPLE = 2, 9

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
    text: bytes | None = None,
    config1: int = 0,
    config2: int = 0,
    what: str = "perf event",
) -> Fd:
    """`text` goes to config1 as a pointer: the function or path of a kprobe or uprobe."""
    held = ctypes.create_string_buffer(text) if text is not None else None
    attr = _ATTR.pack(
        type,
        _ATTR_SIZE,
        config,
        sample_freq or sample_period,
        sample_type,
        0,
        _FREQ if sample_freq else 0,
        wakeup_events,
        0,
        ctypes.addressof(held) if held is not None else config1,
        config2,
    )
    fd = _enter(number("perf_event_open"), attr.ljust(_ATTR_SIZE, b"\0"), pid, cpu, -1, _FD_CLOEXEC)
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

    def drain(self) -> list[tuple[bytes, int]]:
        """(sample, 0) or (b"", lost) in order, everything that is there."""
        found: list[tuple[bytes, int]] = []
        tail, head = self._control[self._TAIL], self._control[self._HEAD]
        if tail == head:
            return found
        barrier()  # the records are read after the head that says they are there
        while tail < head:
            kind, _misc, size = struct.unpack("=IHH", self._bytes(tail, 8))
            if kind == _RECORD_SAMPLE:
                body = self._bytes(tail + 8, size - 8)
                found.append((body[4 : 4 + int.from_bytes(body[:4], "little")], 0))
            elif kind == _RECORD_LOST:
                found.append((b"", int.from_bytes(self._bytes(tail + 16, 8), "little")))
            tail += size
        barrier()  # and before their room is given back
        self._control[self._TAIL] = tail
        return found

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
