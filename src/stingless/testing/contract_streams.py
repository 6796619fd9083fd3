"""The contract of streams, as a test suite that both kernels run: the four faces, sizes, gaps, closing, losses.

class TestMine(StreamsContract):
    @pytest.fixture
    def kernel(self): ...
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from stingless.compile import compile_object
from stingless.errors import ClosedError, MapError
from stingless.kernel import Kernel, Map
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec
from stingless.streams import Lost, PerfBuffer, Poller, RecordSizeError, RingBuffer, TracePipe
from stingless.streams.losses import counted, counter

_TEXT = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct event { __u64 number; __u32 kind; char name[16]; };
struct event *unused;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } other SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
/* ctx: how many events, the number of the first, what to do with them */
SEC("raw_tp") int reserve(unsigned long long *ctx) {
    for (__u64 i = 0; i < 256 && i < ctx[0]; i++) {
        struct event *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
        if (!e)
            return 1;
        e->number = ctx[1] + i;
        e->kind = 7;
        __builtin_memcpy(e->name, "event\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0", 16);
        if (ctx[2] == 1 && (i & 1))
            bpf_ringbuf_discard(e, 0);
        else
            bpf_ringbuf_submit(e, 0);
    }
    return 0;
}
SEC("raw_tp") int output(unsigned long long *ctx) {
    struct event e = { .number = ctx[1], .kind = 7, .name = "event" };
    long result = 0;
    for (__u64 i = 0; i < 256 && i < ctx[0]; i++) {
        e.number = ctx[1] + i;
        result = bpf_ringbuf_output(&other, &e, ctx[2] == 1 && (i & 1) ? 12 : sizeof(e), 0);
    }
    return result;
}
SEC("raw_tp") int perf_output(unsigned long long *ctx) {
    struct event e = { .number = ctx[1], .kind = 7, .name = "event" };
    long result = 0;
    for (__u64 i = 0; i < 256 && i < ctx[0]; i++) {
        e.number = ctx[1] + i;
        result = bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &e, ctx[2] == 1 && (i & 1) ? 12 : sizeof(e));
    }
    return result;
}
SEC("raw_tp") int print(unsigned long long *ctx) {
    bpf_printk("number %d", (int)ctx[1]);
    return 0;
}
char _license[] SEC("license") = "GPL";
"""


class Object:
    """The programs above, with losses counted."""

    def __init__(self, kernel: Kernel, spec: ObjectSpec) -> None:
        self.spec = spec
        self.maps: dict[str, Map] = {name: kernel.create_map(map) for name, map in spec.maps.items()}
        self._programs = {name: kernel.load_program(p, self.maps) for name, p in spec.programs.items()}

    def run(self, name: str, count: int = 1, first: int = 0, how: int = 0) -> int:
        return self._programs[name].run(ctx=b"".join(n.to_bytes(8, "little") for n in (count, first, how))).retval

    def close(self) -> None:
        for program in self._programs.values():
            program.close()
        for map in self.maps.values():
            map.close()


def numbers(events: Any) -> list[int]:
    return [event.number for event in events]


class StreamsContract:
    """Subclass it with a fixture `kernel`."""

    @pytest.fixture
    def object(self, kernel: Kernel) -> Iterator[Object]:
        # One CPU, so that the order of a perf buffer is that of the runs.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        loaded = Object(kernel, counted(read_object(compile_object(_TEXT)), kernel))
        yield loaded
        loaded.close()
        os.sched_setaffinity(0, before)

    @pytest.fixture
    def opened(self, object: Object) -> Iterator[Callable[..., Any]]:
        """Open a stream by the name of its map; typed, if not told otherwise."""
        with ExitStack() as stack:

            def open(name: str, **options: Any) -> Any:
                options.setdefault("type", "struct event")
                kind: Any = PerfBuffer
                if name != "perf":
                    kind = RingBuffer
                    options["losses"] = counter(object.maps, name)
                return stack.enter_context(kind(object.maps[name], btf=object.spec.btf, **options))

            yield open

    @pytest.mark.parametrize(("name", "program"), [("ring", "reserve"), ("other", "output"), ("perf", "perf_output")])
    def test_four_faces(self, object: Object, opened: Callable[..., Any], name: str, program: str) -> None:
        stream = opened(name)
        assert stream.read(timeout=0) is None
        assert stream.poll(print, timeout=0.01) == 0
        assert len(stream.drain()) == 0
        object.run(program, 40, 100)
        event = stream.read()
        assert (event.number, event.kind, event.name) == (100, 7, b"event")
        seen: list[Any] = []
        for event in stream:
            seen.append(event)
            if len(seen) == 9:
                break
        assert numbers(seen) == list(range(101, 110))  # what a broken-off loop did not take is still there
        array = stream.drain(limit=10)
        assert array["number"].tolist() == list(range(110, 120))
        assert array["kind"].tolist() == [7] * 10
        assert array["name"].tolist() == [b"event"] * 10
        assert array.dtype.itemsize == 32
        object.run(program, 3, 140)
        seen.clear()
        assert stream.poll(seen.append, timeout=1) == 23
        assert numbers(seen) == list(range(120, 143))
        object.run(program, 50, 143)

        async def take(count: int) -> list[int]:
            found = []
            async for event in stream:
                found.append(event.number)
                if len(found) == count:
                    break
            return found

        assert asyncio.run(take(50)) == list(range(143, 193))
        statistics = stream.statistics()
        assert (statistics.records, statistics.lost) == (93, 0)
        assert statistics.bytes in (93 * 32, 93 * 36)  # Linux fills perf records up

    @pytest.mark.parametrize(("name", "program"), [("ring", "reserve"), ("perf", "perf_output")])
    def test_many_and_round_the_ring(self, object: Object, opened: Callable[..., Any], name: str, program: str) -> None:
        stream = opened(name, **({"pages": 16} if name == "perf" else {}))
        at = 0
        for turn in range(40):
            for _ in range(3):
                object.run(program, 211, at)
                at += 211
            if turn % 2:
                got = stream.drain()["number"]
                assert np.array_equal(got, np.arange(at - 633, at, dtype=np.uint64))
            else:
                found: list[Any] = []
                assert stream.poll(found.append, timeout=0) == 633
                assert numbers(found) == list(range(at - 633, at))
        assert stream.statistics().lost == 0

    def test_discarded_records(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        wanted = list(range(1000, 1256, 2))
        object.run("reserve", 256, 1000, 1)
        assert stream.drain()["number"].tolist() == wanted
        object.run("reserve", 256, 1000, 1)
        found: list[Any] = []
        stream.poll(found.append, timeout=0)
        assert numbers(found) == wanted

    def test_lease(self, object: Object, opened: Callable[..., Any]) -> None:
        """No copy: the room is the programs' again at the end of the block, and not before."""
        stream = opened("ring")
        with stream.lease() as nothing:
            assert len(nothing) == 0
            assert nothing.dtype.names == ("number", "kind", "name")
        at = 0
        for _ in range(30):  # several times round the ring
            for _ in range(4):
                object.run("reserve", 211, at)
                at += 211
            with stream.lease(limit=100) as events:
                assert events["number"].tolist() == list(range(at - 844, at - 744))
                with pytest.raises(ValueError, match="read-only"):
                    events["number"] = 0
                with pytest.raises(RuntimeError, match="one reader at a time"):
                    stream.drain()
            with stream.lease() as events:
                assert events["number"].tolist() == list(range(at - 744, at))
                assert set(events["name"].tolist()) == {b"event"}
        assert (stream.statistics().records, stream.statistics().lost) == (at, 0)
        while not object.run("reserve", 256, 5):
            pass
        with stream.lease() as events:
            full = len(events)
            assert 1600 < full < 1640
            assert object.run("reserve", 1, 6) == 1  # no room
        assert object.run("reserve", 1, 7) == 0
        assert stream.drain()["number"].tolist() == [7]

    def test_lease_of_what_a_loop_left(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        object.run("reserve", 5)
        assert stream.read().number == 0
        object.run("reserve", 2, 5)
        with pytest.raises(RuntimeError, match="mine"), stream.lease(limit=3) as events:
            raise RuntimeError("mine")  # they stay
        with stream.lease(limit=3) as events:
            assert events["number"].tolist() == [1, 2, 3]
        with pytest.raises(RuntimeError, match="mine"), stream.lease() as events:
            raise RuntimeError("mine")
        assert stream.read().number == 4
        with pytest.raises(RuntimeError, match="mine"), stream.lease() as events:
            assert events["number"].tolist() == [5, 6]
            raise RuntimeError("mine")
        assert stream.drain()["number"].tolist() == [5, 6]
        assert stream.statistics().records == 7

    def test_lease_ends_at_another_kind_of_record(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        object.run("reserve", 3, 0)
        object.run("reserve", 4, 10, 1)  # every other one discarded
        found = []
        for _ in range(4):
            with stream.lease() as events:
                found.append(events["number"].tolist())
        assert found == [[0, 1, 2, 10], [12], [], []]
        other = opened("other")
        object.run("output", 4, 0, 1)  # of 32 and 12 bytes
        with other.lease() as events:
            assert events["number"].tolist() == [0]
        with pytest.raises(RecordSizeError, match="12"), other.lease():
            pass
        assert len(other.drain(size=12)) == 3
        other.close()
        raw = opened("other", type=bytes)
        object.run("output", 2, 7)
        object.run("output", 2, 1, 1)
        with raw.lease() as rows:
            assert rows.shape == (3, 32)
            assert rows[:, 0].tolist() == [7, 8, 1]
        with raw.lease() as rows:
            assert rows.shape == (1, 12)

    def test_close_while_leased(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        object.run("reserve", 40)
        with stream.lease() as events:
            stream.close()
            assert stream.closed
            assert events["number"].tolist() == list(range(40))  # the memory is there until the block ends
        with pytest.raises(ClosedError), stream.lease():
            pass

    def test_drain_with_a_limit_and_its_buffer(self, object: Object, opened: Callable[..., Any]) -> None:
        """An array that is kept is never written to by a later drain()."""
        stream = opened("ring")
        kept = []
        for turn in range(6):
            for part in range(6):
                object.run("reserve", 250, 1500 * turn + 250 * part)
            kept.append(stream.drain(limit=700))
            kept.append(stream.drain())
        assert np.array_equal(np.concatenate(kept)["number"], np.arange(9000))
        assert [len(each) for each in kept] == [700, 800] * 6

    @pytest.mark.parametrize(("name", "program"), [("other", "output"), ("perf", "perf_output")])
    def test_records_of_two_sizes(self, object: Object, opened: Callable[..., Any], name: str, program: str) -> None:
        stream = opened(name)
        object.run(program, 6, 0, 1)
        with pytest.raises(RecordSizeError, match="12") as refused:
            stream.drain()
        assert {12}.issubset(refused.value.sizes)
        array = stream.drain(size=12)  # they stayed; cut, so they are bytes
        assert array.shape == (6, 12)
        assert [int.from_bytes(row[:8].tobytes(), "little") for row in array] == list(range(6))
        object.run(program, 6, 10, 1)
        data, offsets, sizes = stream.drain_raw()
        assert len(offsets) == len(sizes) == 6
        assert [int.from_bytes(data[o : o + 8].tobytes(), "little") for o in offsets] == list(range(10, 16))
        assert [size - size % 4 for size in sizes.tolist()[1::2]] == [12] * 3
        object.run(program, 2, 20, 1)
        short = [(event.number, event.name) for event in (stream.read(), stream.read())]
        assert short == [(20, b"event"), (21, b"")]  # what is missing is zero

    def test_raw_records(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("other", type=bytes)
        object.run("output", 3, 5, 1)
        with pytest.raises(RecordSizeError):
            stream.drain()
        assert [len(record) for record in (stream.read(), stream.read(), stream.read())] == [32, 12, 32]
        object.run("output", 3, 5)
        assert stream.drain().shape == (3, 32)

    def test_ring_losses_are_counted(self, object: Object, opened: Callable[..., Any]) -> None:
        ring, other = opened("ring", gaps=True), opened("other")
        for _ in range(20):
            object.run("reserve", 256)  # 1638 of 40 bytes have room
        failed = object.run("output", 200)  # 102 have room
        assert failed == 0xFFFFFFF5  # -EAGAIN, as without the counter
        items: list[Any] = []
        ring.poll(items.append, timeout=0)
        gaps = [item for item in items if isinstance(item, Lost)]
        records = len(items) - len(gaps)
        assert 1600 < records < 1640
        assert ring.statistics().lost == sum(gap.count for gap in gaps) > 0
        lost = 200 - len(other.drain())
        assert other.statistics().lost == lost > 90
        assert other.statistics().unassigned == 0

    def test_perf_losses_are_values(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("perf", gaps=True, pages=1)
        for _ in range(40):
            object.run("perf_output", 200)
        items: list[Any] = []
        stream.poll(items.append, timeout=0)
        object.run("perf_output", 1)  # Linux tells of a gap with the next record
        stream.poll(items.append, timeout=1)
        gaps = [item for item in items if isinstance(item, Lost)]
        assert gaps
        assert sum(gap.count for gap in gaps) + len(items) - len(gaps) == 8001
        assert stream.statistics().lost == sum(gap.count for gap in gaps)

    def test_perf_columns_and_time(self, object: Object, opened: Callable[..., Any], kernel: Kernel) -> None:
        timed = kernel.name == "linux"
        stream = opened("perf", timed=timed)
        cpus = sorted(os.sched_getaffinity(0))
        before = time.monotonic_ns()
        object.run("perf_output", 2, 1)
        object.run("perf_output", 40, 3)
        table = stream.drain(columns=True)
        assert table["event"]["number"].tolist() == list(range(1, 43))
        assert set(table["cpu"].tolist()) == {cpus[0]} if timed else {0}
        if timed:
            assert (np.diff(table["time"].astype(np.int64)) >= 0).all()
            assert before <= table["time"][0] <= table["time"][-1] <= time.monotonic_ns()
            object.run("perf_output", 40, 3)
            assert numbers([stream.read(), stream.read()]) == [3, 4]
            assert stream.drain()["number"].tolist() == list(range(5, 43))

    def test_perf_cpu_of_an_event(self, object: Object, opened: Callable[..., Any], kernel: Kernel) -> None:
        timed = kernel.name == "linux"
        stream = opened("perf", timed=timed)
        assert (stream.cpu, stream.time) == (-1, 0)
        cpus = sorted(os.sched_getaffinity(0)) if timed else [0]
        before = time.monotonic_ns()
        object.run("perf_output", 3, 1)
        seen: list[tuple[int, int, int]] = []
        for event in stream:
            seen.append((event.number, stream.cpu, stream.time))
            if len(seen) == 2:
                break
        stream.poll(lambda event: seen.append((event.number, stream.cpu, stream.time)), timeout=1)
        assert [(number, cpu) for number, cpu, _ in seen] == [(n, cpus[0]) for n in (1, 2, 3)]
        if timed:
            assert before < seen[0][2] < seen[1][2] < seen[2][2] < time.monotonic_ns()
        object.run("perf_output", 1)
        stream.drain()
        assert (stream.cpu, stream.time) == (-1, 0)

    def test_waiting(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        start = time.monotonic()
        assert stream.read(timeout=0.05) is None
        assert time.monotonic() - start >= 0.05
        timer = threading.Timer(0.05, object.run, ("reserve", 1, 9))
        timer.start()
        assert stream.read(timeout=10).number == 9
        timer.join()
        assert stream.statistics().wakeups >= 1

    def test_close_from_another_thread(self, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        timer = threading.Timer(0.05, stream.close)
        timer.start()
        assert list(stream) == []
        timer.join()
        with pytest.raises(ClosedError):
            stream.read()
        with pytest.raises(ClosedError):
            stream.drain()
        stream.close()
        assert stream.statistics().lost == 0

    def test_close_in_a_callback(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        object.run("reserve", 5)
        seen = []

        def callback(event: Any) -> None:
            seen.append(event)
            stream.close()

        stream.poll(callback, timeout=1)
        assert len(seen) == 1

    def test_a_failing_callback_loses_nothing(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        object.run("reserve", 4)
        seen: list[int] = []

        def callback(event: Any) -> None:
            seen.append(event.number)
            if event.number == 1:
                raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            stream.poll(callback)
        stream.poll(callback)
        assert seen == [0, 1, 2, 3]

    def test_one_reader_at_a_time(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(stream.read(timeout=20)))
        thread.start()
        while not stream._lock.locked():
            time.sleep(0.001)
        with pytest.raises(RuntimeError, match="one reader at a time"):
            stream.drain()
        object.run("reserve", 1, 3)
        thread.join()
        assert numbers(found) == [3]

    def test_several_streams_in_one_loop(self, object: Object, opened: Callable[..., Any]) -> None:
        streams = {"ring": "reserve", "other": "output", "perf": "perf_output"}
        opened_streams = {name: opened(name) for name in streams}

        async def consume(name: str) -> list[int]:
            return [event.number async for event in opened_streams[name]]

        async def main() -> dict[str, list[int]]:
            tasks = {name: asyncio.create_task(consume(name)) for name in streams}
            for at in range(5):
                await asyncio.sleep(0.01)
                for program in streams.values():
                    object.run(program, 2, 2 * at)
            await asyncio.sleep(0.05)
            for stream in opened_streams.values():
                stream.close()
            return {name: await task for name, task in tasks.items()}

        assert asyncio.run(main()) == {name: list(range(10)) for name in streams}

    def test_a_cancelled_task_leaves_nothing(self, object: Object, opened: Callable[..., Any]) -> None:
        stream = opened("ring")

        async def consume() -> None:
            async for _ in stream:
                pass

        async def main() -> None:
            loop: Any = asyncio.get_running_loop()
            registered = len(loop._selector.get_map())
            task = asyncio.create_task(consume())
            await asyncio.sleep(0.02)
            assert len(loop._selector.get_map()) == registered + 2
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(loop._selector.get_map()) == registered

        asyncio.run(main())
        object.run("reserve", 1, 8)
        assert stream.read(timeout=1).number == 8

    def test_poller(self, object: Object, opened: Callable[..., Any]) -> None:
        ring, perf = opened("ring"), opened("perf")
        seen: list[tuple[str, int]] = []
        poller = Poller()
        poller.add(ring, lambda event: seen.append(("ring", event.number)))
        poller.add(perf, lambda event: seen.append(("perf", event.number)))
        assert poller.poll(timeout=0.01) == 0
        object.run("reserve", 1, 1)
        object.run("perf_output", 1, 2)
        while len(seen) < 2:
            assert poller.poll(timeout=10)
        assert sorted(seen) == [("perf", 2), ("ring", 1)]
        threading.Timer(0.05, lambda: (ring.close(), perf.close())).start()
        assert poller.poll() == 0

    def test_not_closed(self, object: Object) -> None:
        with pytest.warns(ResourceWarning, match=r"'ring' was never closed; it was made at .*:\d+"):
            RingBuffer(object.maps["ring"], type=bytes)

    def test_wrong_map(self, object: Object) -> None:
        with pytest.raises(MapError, match="is a RINGBUF, not a PERF_EVENT_ARRAY"):
            PerfBuffer(object.maps["ring"])
        with pytest.raises(KeyError, match="evnt"):
            RingBuffer(object.maps["ring"], type="struct evnt", btf=object.spec.btf)

    def test_trace_pipe(self, object: Object, kernel: Kernel) -> None:
        number = int.from_bytes(os.urandom(3), "little")
        with TracePipe(kernel) as pipe:
            object.run("print", 0, number)
            event = _own(pipe, f"number {number}")
            assert event.cpu in os.sched_getaffinity(0) or event.cpu == 0
            assert event.timestamp > 0
            object.run("print", 0, number + 1)
            deadline = time.monotonic() + 10
            found: list[str] = []
            while not found and time.monotonic() < deadline:
                lines = pipe.drain()
                found = [m for m, pid in zip(lines["message"], lines["pid"], strict=True) if pid == event.pid]
            assert found == [f"number {number + 1}"]


def _own(pipe: TracePipe, message: str) -> Any:
    """The event of that message; other programs may print too."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        event = pipe.read(timeout=1)
        if event is not None and event.message == message:
            return event
    raise AssertionError(f"no line {message!r} came")
