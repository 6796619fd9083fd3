"""Perf event arrays, ring buffers and trace_pipe of the Linux kernel."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import add_imm, call, exit_, mov, mov_imm, store_imm
from stingless.errors import MapError
from stingless.kernel import EventReader
from stingless.linux import trace_pipe
from stingless.linux.kernel import LinuxKernel
from stingless.linux.programs import LinuxProgram
from stingless.obj.spec import MapSpec
from tests.linux_support import IS_ROOT, output, program

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def sender(kernel: LinuxKernel, map: MapSpec, helper: Helper) -> tuple[EventReader, LinuxProgram]:
    """A reader, and a program that sends a record each time it is test-run."""
    events = kernel.create_map(map)
    code = [mov(6, 1), *output(helper, 0x11223344)]
    tested = kernel.load_program(program(ProgramType.RAW_TRACEPOINT, code, "events"), {"events": events})
    return kernel.open_events(events, pages=1), tested


PERF = MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0)
RING = MapSpec("events", MapType.RINGBUF, 0, 0, 4096)
SENT = (0x11223344).to_bytes(8, "little")


def test_perf_records(kernel: LinuxKernel) -> None:
    reader, tested = sender(kernel, PERF, Helper.perf_event_output)
    assert reader.poll(0) == []
    for _ in range(3):
        tested.run()
    records = reader.poll(1000)
    # 8 bytes, padded so that they and their 4-byte length are a multiple of 8
    assert [r.data[:8] for r in records] == [SENT] * 3
    assert {len(r.data) for r in records} == {12}
    assert {r.lost for r in records} == {0}
    assert reader.poll(10) == []


def test_perf_records_are_lost_and_counted(kernel: LinuxKernel) -> None:
    """A page holds 170 records of 24 bytes; what comes after is told with the next record that finds room."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    reader, tested = sender(kernel, PERF, Helper.perf_event_output)
    for _ in range(1000):
        tested.run()
    first = reader.poll(0)
    tested.run()
    rest = reader.poll(1000)
    whole = [r for r in first + rest if not r.lost]
    assert all(r.data[:8] == SENT for r in whole)
    assert len(whole) + sum(r.lost for r in first + rest) == 1001
    assert sum(r.lost for r in rest) > 500


@pytest.fixture(autouse=True)
def affinity() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("map", "helper"), [(PERF, Helper.perf_event_output), (RING, Helper.ringbuf_output)], ids=["perf", "ring"]
)
def test_the_ring_goes_round(kernel: LinuxKernel, map: MapSpec, helper: Helper) -> None:
    reader, tested = sender(kernel, map, helper)
    for _ in range(50):
        for _ in range(37):
            tested.run()
        records = reader.poll(1000)
        assert [r.data[:8] for r in records] == [SENT] * 37
        assert not any(r.lost for r in records)


def test_ring_buffer_waits(kernel: LinuxKernel) -> None:
    reader, tested = sender(kernel, RING, Helper.ringbuf_output)
    start = time.monotonic()
    assert reader.poll(50) == []
    assert time.monotonic() - start >= 0.05
    timer = threading.Timer(0.05, tested.run)
    timer.start()
    (record,) = reader.poll(5000)
    timer.join()
    assert (record.cpu, record.data, record.lost) == (-1, SENT, 0)


def test_other_maps_have_no_records(kernel: LinuxKernel) -> None:
    with pytest.raises(MapError, match="is a HASH"):
        kernel.open_events(kernel.create_map(MapSpec("h", MapType.HASH, 4, 4, 1)))


def printer(kernel: LinuxKernel, number: int) -> LinuxProgram:
    """A program that prints "n=NUMBER"."""
    code = [
        store_imm(op.DW, 10, -8, int.from_bytes(b"n=%d\n\0\0\0"[:4], "little")),
        store_imm(op.B, 10, -4, 0),
        mov(1, 10),
        add_imm(1, -8),
        mov_imm(2, 5),
        mov_imm(3, number),
        call(Helper.trace_printk),
        mov_imm(0, 0),
        exit_(),
    ]
    return kernel.load_program(program(ProgramType.RAW_TRACEPOINT, code), {})


def our_lines(reader: trace_pipe.TracePipe, wanted: int) -> list[str]:
    """Lines of this process; others may print too."""
    found: list[str] = []
    end = time.monotonic() + 10
    while len(found) < wanted and time.monotonic() < end:
        line = reader.readline(200)
        print(line)  # shown when a test fails
        if line is not None and f"-{os.getpid()} " in line:
            found.append(line)
    return found


@pytest.fixture
def number() -> int:
    return int.from_bytes(os.urandom(3), "little")


def test_trace_has_what_was_printed_since_the_load(kernel: LinuxKernel, number: int) -> None:
    with LinuxKernel() as older:
        printer(older, number).run()
    tested = printer(kernel, number + 1)
    tested.run()
    reader = kernel.open_trace()
    tested.run()
    lines = our_lines(reader, 2 if reader._instance is None else 1)
    assert {line.rpartition("n=")[2] for line in lines} == {str(number + 1)}
    assert "bpf_trace_printk" in lines[0]


def test_trace_of_two_readers(kernel: LinuxKernel, number: int) -> None:
    """The kernel may give the pipe to one reader alone; both get what is printed from then on."""
    tested = printer(kernel, number)
    with LinuxKernel() as other:
        readers = [kernel.open_trace(), other.open_trace()]
        if not any(reader._instance for reader in readers):
            pytest.skip("this kernel gives trace_pipe to several readers, who share its lines (before Linux 6.6)")
        tested.run()
        for reader in readers:
            assert our_lines(reader, 1)[0].endswith(f"n={number}")
        assert readers[1].readline(0) is None
        assert instances(kernel)
    assert not instances(kernel)


def instances(kernel: LinuxKernel) -> list[str]:
    return [n for n in kernel.tracefs().names("instances") if n.startswith(f"stingless-{os.getpid()}-")]


def test_parts_of_lines_are_kept() -> None:
    """A read may end in the middle of a line."""
    from stingless._sys.syscall import Fd

    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    reader = trace_pipe.TracePipe(Fd(read, "pipe"), None)
    try:
        os.write(write, b"first\nsec")
        assert reader.readline(0) == "first"
        assert reader.readline(10) is None
        os.write(write, b"ond\n")
        assert reader.readline(1000) == "second"
    finally:
        reader.close()
        os.close(write)
