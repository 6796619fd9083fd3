"""The rings that the kernel fills, filled by hand in a file in memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from stingless._sys.pages import Pages
from stingless._sys.perf_event import PerfRing
from stingless._sys.ringbuf import RingBuffer
from stingless._sys.syscall import Fd
from stingless.streams.records import Lost, Run

PAGE = os.sysconf("SC_PAGESIZE")
BUSY, DISCARDED = 1 << 31, 1 << 30


@pytest.fixture
def file() -> Iterator[Fd]:
    fd = Fd(os.memfd_create("ring"), "memory")
    yield fd
    fd.close()


def drained(runs: Iterator[Run | Lost]) -> list[bytes | Lost]:
    """The records and gaps of an iteration."""
    found: list[bytes | Lost] = []
    for run in runs:
        found += [run] if isinstance(run, Lost) else run.copied().pieces()
    return found


class PerfWriter:
    def __init__(self, file: Fd, pages: int) -> None:
        os.ftruncate(file.fileno(), (1 + pages) * PAGE)
        self.pages = Pages(file.fileno(), (1 + pages) * PAGE, writable=True)
        self.size = pages * PAGE
        self.head = 0

    def start_at(self, position: int) -> None:
        self.head = position
        struct.pack_into("=QQ", self.pages.view, 1024, position, position)

    def write(self, record: bytes) -> None:
        for i, byte in enumerate(record):
            self.pages.view[PAGE + (self.head + i) % self.size] = byte
        self.head += len(record)
        struct.pack_into("=Q", self.pages.view, 1024, self.head)

    def sample(self, data: bytes) -> None:
        body = struct.pack("=I", len(data)) + data
        self.write(struct.pack("=IHH", 9, 0, 8 + len(body)) + body)

    def tail(self) -> int:
        (tail,) = struct.unpack_from("=Q", self.pages.view, 1032)
        assert isinstance(tail, int)
        return tail


@pytest.mark.parametrize("start", [0, PAGE - 8, PAGE - 16, PAGE - 24, 5 * PAGE - 32, (1 << 40) + PAGE - 12])
def test_perf_records_wherever_the_ring_is_cut(file: Fd, start: int) -> None:
    writer = PerfWriter(file, 1)
    writer.start_at(start)
    ring = PerfRing(file, 1)
    assert drained(ring.runs(3)) == []
    writer.sample(b"0123456789ab")
    writer.write(struct.pack("=IHHQQ", 2, 0, 24, 77, 5))  # PERF_RECORD_LOST: id, count
    writer.write(struct.pack("=IHHQ", 3, 0, 16, 0))  # another kind is passed over
    writer.sample(b"abcd" * 100 + b"....")
    assert drained(ring.runs(3)) == [b"0123456789ab", Lost(5, 3), b"abcd" * 100 + b"...."]
    assert writer.tail() == writer.head
    assert drained(ring.runs(3)) == []
    ring.close()
    writer.pages.close()


class RingWriter:
    """The kernel maps the data twice in a row; the file has room for both, and each byte is written to both."""

    def __init__(self, file: Fd, size: int) -> None:
        os.ftruncate(file.fileno(), 2 * PAGE + 2 * size)
        self.pages = Pages(file.fileno(), 2 * PAGE + 2 * size, writable=True)
        self.size, self.position = size, 0

    def start_at(self, position: int) -> None:
        self.position = position
        struct.pack_into("=Q", self.pages.view, 0, position)
        struct.pack_into("=Q", self.pages.view, PAGE, position)

    def write(self, data: bytes, flags: int = 0) -> int:
        at = self.position
        for i, byte in enumerate(struct.pack("=II", len(data) | flags, 0) + data):
            for copy in (0, self.size):
                self.pages.view[2 * PAGE + copy + (at + i) % self.size] = byte
        self.position += (8 + len(data) + 7) // 8 * 8
        struct.pack_into("=Q", self.pages.view, PAGE, self.position)
        return at

    def commit(self, at: int) -> None:
        for copy in (0, self.size):
            self.pages.view[2 * PAGE + copy + at % self.size + 3] &= 0x7F

    def consumed(self) -> int:
        (position,) = struct.unpack_from("=Q", self.pages.view, 0)
        assert isinstance(position, int)
        return position


@pytest.mark.parametrize("start", [0, 4096 - 8, 4096 - 16, 7 * 4096 - 24, (1 << 40) - 8])
def test_ring_buffer_records(file: Fd, start: int) -> None:
    writer = RingWriter(file, 4096)
    writer.start_at(start)
    ring = RingBuffer(file.fileno(), 4096)
    assert drained(ring.runs()) == []
    writer.write(b"first")
    writer.write(b"thrown away", DISCARDED)
    writer.write(b"")
    writer.write(b"second" * 30)
    assert drained(ring.runs()) == [b"first", b"", b"second" * 30]
    assert writer.consumed() == writer.position
    ring.close()
    writer.pages.close()


def test_a_record_that_is_still_written_holds_those_behind_it(file: Fd) -> None:
    writer = RingWriter(file, 4096)
    ring = RingBuffer(file.fileno(), 4096)
    writer.write(b"done")
    at = writer.write(b"reserved", BUSY)
    writer.write(b"later")
    assert drained(ring.runs()) == [b"done"]
    assert drained(ring.runs()) == []
    assert writer.consumed() == at
    writer.commit(at)
    assert drained(ring.runs()) == [b"reserved", b"later"]
    ring.close()
    writer.pages.close()
