"""Readers of the embedded kernel: records, waiting, and losses."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import ClosedError, MapError
from stingless.kernel import Record
from stingless.obj.spec import MapSpec
from tests.helper_programs import Loaded

RING = """
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { long flags; } out;
SEC("raw_tp") int prog(unsigned long long *ctx) {
    unsigned long long value[4] = {ctx[0], ctx[0] + 1, ctx[0] + 2, ctx[0] + 3};
    return bpf_ringbuf_output(&ring, value, 32, out.flags);
}
"""
PERF = """
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
SEC("raw_tp") int prog(unsigned long long *ctx) {
    unsigned long long value = ctx[0];
    return bpf_perf_event_output(ctx, &events, ctx[1], &value, sizeof(value));
}
"""
PACKET = """
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
SEC("xdp") int prog(struct xdp_md *ctx) {
    unsigned int mark = 7;
    return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU | (20ull << 32), &mark, sizeof(mark));
}
"""
PRINT = """
SEC("raw_tp") int prog(unsigned long long *ctx) { bpf_printk("value %d", (int)ctx[0]); return 0; }
"""
CURRENT_CPU = 0xFFFFFFFF


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little") for value in values)


def signed(retval: int) -> int:
    return retval - (1 << 32) if retval >> 31 else retval


def test_ring_buffer_records_in_order(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, RING)
    reader = kernel.open_events(loaded.maps["ring"])
    assert reader.poll(0) == []
    for value in (1, 2, 3):
        assert loaded.run(ctx=words(value)).retval == 0
    assert reader.poll(0) == [Record(-1, words(v, v + 1, v + 2, v + 3)) for v in (1, 2, 3)]
    assert reader.poll(0) == []


def test_ring_buffer_wraps_and_counts_losses(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, RING)
    reader = kernel.open_events(loaded.maps["ring"])
    for round in range(10):
        results = [signed(loaded.run(ctx=words(round * 1000 + i)).retval) for i in range(150)]
        kept = results.count(0)
        assert results == [0] * kept + [-11] * (150 - kept)  # EAGAIN
        assert kept == 4095 // 40
        records = reader.poll(0)
        assert [int.from_bytes(each.data[:8], "little") for each in records[:-1]] == [
            round * 1000 + i for i in range(kept)
        ]
        assert records[-1] == Record(-1, b"", 150 - kept)


def test_perf_records_and_errors(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, PERF)
    assert signed(loaded.run(ctx=words(1, CURRENT_CPU)).retval) == -2  # ENOENT: nobody reads
    first = kernel.open_events(loaded.maps["events"])
    second = kernel.open_events(loaded.maps["events"], pages=1)
    assert loaded.run(ctx=words(5, CURRENT_CPU)).retval == 0
    for reader in (first, second):
        (record,) = reader.poll(0)
        assert record.data == words(5) and 0 <= record.cpu < (os.cpu_count() or 1)
    assert signed(loaded.run(ctx=words(5, 1000)).retval) == -7  # E2BIG
    assert signed(loaded.run(ctx=words(5, 1 << 60)).retval) == -22  # EINVAL
    first.close()
    second.close()
    assert signed(loaded.run(ctx=words(1, CURRENT_CPU)).retval) == -2


def test_perf_losses_are_counted(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, PERF)
    reader = kernel.open_events(loaded.maps["events"], pages=1)
    results = [signed(loaded.run(ctx=words(i, CURRENT_CPU)).retval) for i in range(2000)]
    kept = results.count(0)
    assert results == [0] * kept + [-28] * (2000 - kept) and 0 < kept < 2000  # ENOSPC
    records = reader.poll(0)
    assert len(records) == kept + 1 and records[-1].lost == 2000 - kept


def test_perf_record_with_packet(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, PACKET)
    reader = kernel.open_events(loaded.maps["events"])
    packet = bytes(range(60))
    assert loaded.run(packet).retval == 0
    assert [record.data for record in reader.poll(0)] == [b"\7\0\0\0" + packet[:20]]
    assert signed(loaded.run(packet[:14]).retval) == -14  # EFAULT: shorter than that


@pytest.mark.parametrize("text", [RING, PERF])
def test_waiting_reader_is_woken(kernel: EmbeddedKernel, text: str) -> None:
    loaded = Loaded(kernel, text)
    (map,) = (map for map in loaded.maps.values() if map.spec.type in (MapType.RINGBUF, MapType.PERF_EVENT_ARRAY))
    reader = kernel.open_events(map)
    started = time.monotonic()
    assert reader.poll(50) == []
    assert time.monotonic() - started >= 0.05
    timer = threading.Timer(0.1, lambda: loaded.run(ctx=words(9, CURRENT_CPU)))
    timer.start()
    started = time.monotonic()
    (record,) = reader.poll(10_000)
    assert record.data[:8] == words(9) and time.monotonic() - started < 5
    timer.join()


def test_no_wakeup_flag(kernel: EmbeddedKernel) -> None:
    """BPF_RB_NO_WAKEUP leaves the reader asleep; the next record without it brings both."""
    loaded = Loaded(kernel, RING)
    reader = kernel.open_events(loaded.maps["ring"])
    assert reader.poll(0) == []
    poller = select.poll()
    poller.register(reader.fileno(), select.POLLIN)
    loaded.maps[".bss"].update(bytes(4), words(1))
    loaded.run(ctx=words(1))
    assert poller.poll(0) == []
    loaded.maps[".bss"].update(bytes(4), words(0))
    loaded.run(ctx=words(2))
    assert poller.poll(0)
    assert len(reader.poll(0)) == 2


def test_many_writers_lose_nothing_in_silence(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, RING)
    reader = kernel.open_events(loaded.maps["ring"])
    writers = [threading.Thread(target=lambda: loaded.program.run(ctx=words(7), repeat=20_000)) for _ in range(3)]
    for writer in writers:
        writer.start()
    seen = lost = 0
    deadline = time.monotonic() + 60
    while seen + lost < 60_000 and time.monotonic() < deadline:
        for record in reader.poll(100):
            if record.lost:
                lost += record.lost
            else:
                seen += 1
                assert record.data == words(7, 8, 9, 10)
    for writer in writers:
        writer.join()
    assert seen + lost == 60_000 and seen > 0


def test_trace_readers_get_all_lines(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, PRINT)
    loaded.run(ctx=words(1))
    first = kernel.open_trace()
    second = kernel.open_trace()
    loaded.run(ctx=words(2))
    assert (first.readline(1000) or "").endswith(": value 1")  # gathered since the program was loaded
    assert (first.readline(1000) or "").endswith(": value 2")
    assert (second.readline(1000) or "").endswith(": value 2")
    assert second.readline(0) is None
    second.close()
    loaded.run(ctx=words(3))
    assert (first.readline(1000) or "").endswith(": value 3")


def test_lost_trace_lines_are_told(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, PRINT)
    reader = kernel.open_trace()
    loaded.program.run(ctx=words(1), repeat=30_000)
    lines = []
    while (line := reader.readline(0)) is not None:
        lines.append(line)
    assert lines[-1] == f"CPU:0 [LOST {30_000 - len(lines) + 1} EVENTS]"


def test_only_record_maps_can_be_read(kernel: EmbeddedKernel) -> None:
    map = kernel.create_map(MapSpec("m", MapType.ARRAY, 4, 4, 1))
    with pytest.raises(MapError, match="only a PERF_EVENT_ARRAY or RINGBUF"):
        kernel.open_events(map)
    events = kernel.create_map(MapSpec("e", MapType.PERF_EVENT_ARRAY, 4, 4, 0))
    with pytest.raises(ValueError, match="a power of two, not 3"):
        kernel.open_events(events, pages=3)


def test_closed_reader(kernel: EmbeddedKernel) -> None:
    loaded = Loaded(kernel, RING)
    reader = kernel.open_events(loaded.maps["ring"])
    reader.close()
    reader.close()
    with pytest.raises(ClosedError):
        reader.poll(0)
    assert loaded.run(ctx=words(1)).retval == 0


def test_nothing_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with EmbeddedKernel() as kernel:
            loaded = Loaded(kernel, RING)
            kernel.open_events(loaded.maps["ring"])
            kernel.open_trace()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
