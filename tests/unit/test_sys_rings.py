"""The rings that the kernel fills, filled by hand in a file in memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from stingless._sys import ringbuf
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


@pytest.fixture(params=["with the runtime", "without it"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    there: bool = request.param == "with the runtime"
    if not there:
        monkeypatch.setattr(ringbuf, "_copier", lambda: None)
    return there


def test_copy_of_records_of_one_size(file: Fd, runtime: bool) -> None:
    """Of every size, round the ring, up to the first that is not like the others."""
    writer = RingWriter(file, 4096)
    ring = RingBuffer(file.fileno(), 4096)
    for size in [*range(1, 50), 64, 100]:
        records = [bytes((size + i + k) & 0xFF for k in range(size)) for i in range(10)]
        for record in records:
            writer.write(record)
        for data, flags in ((b"x" * size, DISCARDED), (b"y" * size, 0), (b"z" * (size + 1), 0)):
            writer.write(data, flags)
        at = writer.write(b"a" * size, BUSY)
        buffer = bytearray(12 * size)
        assert ring.copy(size + 1, buffer) == 0
        if runtime:
            start = writer.consumed()
            assert ring.copy(size, buffer, 3) == 3
            assert buffer == b"".join(records[:3]) + bytes(9 * size)
            assert writer.consumed() == start + 3 * ((size + 15) & ~7)
            assert ring.copy(size, memoryview(buffer)[: 2 * size + size // 2]) == 2  # there is room for no more
            assert ring.copy(size, buffer) == 5
            assert buffer[: 5 * size] == b"".join(records[5:])
            assert ring.copy(size, buffer) == 0  # discarded
            assert drained(ring.runs(1)) == [b"y" * size]
            assert ring.copy(size, buffer) == 0  # longer
            assert drained(ring.runs()) == [b"z" * (size + 1)]
        else:
            assert ring.copy(size, buffer) == 0
            assert drained(ring.runs()) == [*records, b"y" * size, b"z" * (size + 1)]
        assert ring.copy(size, buffer) == 0
        assert writer.consumed() == at
        writer.commit(at)
        assert ring.copy(size, buffer) == runtime
        assert drained(ring.runs()) == [b"a" * size][runtime:]
        assert writer.consumed() == writer.position
    ring.close()
    writer.pages.close()


@pytest.mark.parametrize("start", [0, 4096 - 8, 4096 - 40, (1 << 40) - 16])
def test_lease_of_a_ring(file: Fd, start: int) -> None:
    writer = RingWriter(file, 4096)
    writer.start_at(start)
    ring = RingBuffer(file.fileno(), 4096)
    with ring.lease() as run:
        assert len(run) == 0
    writer.write(b"passed over", DISCARDED)
    for i in range(60):
        writer.write(b"record %02d" % i)
    held = writer.write(b"record 60", BUSY)
    with pytest.raises(RuntimeError), ring.lease() as run:
        raise RuntimeError
    assert writer.consumed() == start
    with ring.lease(0) as run:
        assert len(run) == 0
    with ring.lease(50) as run:
        assert run.copied().pieces() == [b"record %02d" % i for i in range(50)]
        assert isinstance(run.offsets, range)
    with ring.lease() as run:
        assert writer.consumed() == held - 10 * 24
        assert run.copied().pieces() == [b"record %02d" % i for i in range(50, 60)]
    assert writer.consumed() == held
    with ring.lease() as run:
        assert len(run) == 0
    writer.commit(held)
    writer.write(b"")
    writer.write(b"")
    with ring.lease() as run:
        assert run.copied().pieces() == [b"record 60"]
    with ring.lease() as run:
        assert (len(run), run.sizes) == (2, 0)
    del run
    ring.close()
    writer.pages.close()
