"""What tables promise to Python, on the kernel that a subclass gives."""

from __future__ import annotations

import ctypes as ct
import errno
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stingless import BPF, MapError, UnknownNameError
from stingless.bcc import table as tables
from stingless.compile import compile_text
from stingless.cpus import possible_cpus
from stingless.kernel import Kernel

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct flow { __u8 kind; __u32 source; };
struct traffic { __u64 packets, bytes; };
struct prefix { __u32 prefixlen; __u8 data[16]; };
struct odd { __u32 a, b, c; };

#define MAP(name, map_type, size, k, v) \\
    struct { __uint(type, BPF_MAP_TYPE_##map_type); __uint(max_entries, size); \\
             __type(key, k); __type(value, v); } name SEC(".maps")
#define VALUES(name, map_type, size, v) \\
    struct { __uint(type, BPF_MAP_TYPE_##map_type); __uint(max_entries, size); __type(value, v); } name SEC(".maps")
#define BARE(name, map_type, size) \\
    struct { __uint(type, BPF_MAP_TYPE_##map_type); __uint(max_entries, size); \\
             __uint(key_size, 4); __uint(value_size, 4); } name SEC(".maps")

MAP(flows, HASH, 16, struct flow, struct traffic);
MAP(numbers, HASH, 1024, int, int);
MAP(recent, LRU_HASH, 8, __u32, __u64);
MAP(array, ARRAY, 8, int, __u64);
MAP(percpu, PERCPU_HASH, 16, __u32, __u64);
MAP(small, PERCPU_ARRAY, 4, int, int);
MAP(records, PERCPU_HASH, 16, __u32, struct odd);
MAP(recent_percpu, LRU_PERCPU_HASH, 16, __u32, __u32);
VALUES(queue, QUEUE, 4, __u64);
VALUES(stack, STACK, 4, struct traffic);
BARE(jumps, PROG_ARRAY, 4);
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 16); __uint(map_flags, BPF_F_NO_PREALLOC);
         __type(key, struct prefix); __type(value, int); } trie SEC(".maps");

SEC("xdp") int count(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 first = 1, *value = bpf_map_lookup_elem(&percpu, &key);
	int zero = 0, *each = bpf_map_lookup_elem(&small, &zero);

	if (value)
		*value += 1;
	else
		bpf_map_update_elem(&percpu, &key, &first, BPF_ANY);
	if (each)
		*each -= 5;
	return XDP_PASS;
}
SEC("xdp") int target(struct xdp_md *ctx) { return 77; }
SEC("xdp") int jump(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 2); return 1; }
"""


@cache
def compiled() -> bytes:
    return compile_text(SOURCE)


class TableChecks:
    def make(self) -> Kernel:
        raise NotImplementedError  # each kernel is made in its own way

    @pytest.fixture
    def bpf(self, tmp_path: Path) -> Iterator[BPF]:
        path = tmp_path / "tables.o"
        path.write_bytes(compiled())
        kernel = self.make()
        with BPF(object_file=path, kernel=kernel) as bpf:
            yield bpf
        kernel.close()

    def run(self, bpf: BPF, name: str) -> int:
        return bpf.load_func(name, BPF.XDP).program.run(bytes(64)).retval

    # Of every kind

    @pytest.mark.parametrize(
        ("name", "cls", "size"),
        [
            ("flows", tables.HashTable, 16),
            ("recent", tables.LruHash, 8),
            ("array", tables.Array, 8),
            ("percpu", tables.PerCpuHash, 16),
            ("small", tables.PerCpuArray, 4),
            ("recent_percpu", tables.LruPerCpuHash, 16),
            ("queue", tables.QueueStack, 4),
            ("jumps", tables.ProgArray, 4),
            ("trie", tables.LpmTrie, 16),
        ],
    )
    def test_classes(self, bpf: BPF, name: str, cls: Any, size: int) -> None:
        table: Any = bpf[name]
        assert type(table) is cls and bpf[name.encode()] is table is bpf.get_table(name)
        spec = table.map.spec
        assert (table.name, table.ttype, table.max_entries, table.flags) == (name, spec.type, size, spec.flags)
        assert table.map_fd == table.get_fd() == table.map.fd
        assert tables.get_table_type_name(table.ttype) == spec.type.name
        assert table.map_id == list(bpf).index(name)
        assert name in repr(table)

    def test_unknown_table(self, bpf: BPF) -> None:
        with pytest.raises(KeyError, match="no table named 'flow'; the nearest: flows"):
            bpf["flow"]

    # Hashes

    def test_one_entry(self, bpf: BPF) -> None:
        flows = bpf["flows"]
        key = flows.Key(1, b"", 7)
        assert key not in flows and flows.get(key) is None
        with pytest.raises(KeyError):
            flows[key]
        with pytest.raises(KeyError):
            del flows[key]
        flows[key] = flows.Leaf(3, 64)
        assert (flows[key].packets, flows[key].bytes, len(flows)) == (3, 64, 1)
        assert key in flows and flows[flows.Key(kind=1, source=7)].packets == 3
        found = flows.pop(key)
        assert (found.packets, len(flows), flows.pop(key, "none")) == (3, 0, "none")
        assert flows.setdefault(key, flows.Leaf(1, 1)).packets == 1
        assert [(k.source, v.bytes) for k, v in [flows.popitem()]] == [(7, 1)]

    @pytest.mark.parametrize("value", [5, ct.c_int(5), ct.c_ulonglong(5), ct.c_short(5), b"\5\0\0\0"])
    def test_forms_of_keys_and_leaves(self, bpf: BPF, value: Any) -> None:
        numbers = bpf["numbers"]
        numbers[value] = value
        assert numbers[5].value == 5 and value in numbers
        assert isinstance(numbers[5], ct.c_int)
        del numbers[value]
        assert len(numbers) == 0

    def test_wrong_keys_and_leaves(self, bpf: BPF) -> None:
        with pytest.raises(TypeError, match="'x' is no value for c_int"):
            bpf["numbers"]["x"] = 1
        with pytest.raises(ValueError, match="does not fit"):
            bpf["numbers"][1] = 1 << 40
        with pytest.raises(ValueError, match="16 bytes; flow needs 8"):
            bpf["flows"][bpf["flows"].Leaf(1, 1)] = (1, 1)

    def test_all_entries(self, bpf: BPF) -> None:
        numbers = bpf["numbers"]
        numbers.update({i: i * i for i in range(50)})
        numbers.update((ct.c_int(i), ct.c_int(i * i)) for i in range(50, 100))
        squares = [(i, i * i) for i in range(100)]
        for found in (numbers.items(), list(numbers.iteritems()), list(numbers.items_lookup_batch())):
            assert sorted((k.value, v.value) for k, v in found) == squares
        for keys in (numbers, numbers.keys(), numbers.iter()):
            assert sorted(k.value for k in keys) == list(range(100))
        for values in (numbers.values(), numbers.itervalues()):
            assert sorted(v.value for v in values) == [v for _, v in squares]
        assert len(numbers) == 100
        numbers.zero()
        assert len(numbers) == 100 and {v.value for v in numbers.values()} == {0}
        numbers.clear()
        assert len(numbers) == 0 and numbers.items() == []
        numbers.clear()

    def test_changes_while_iterating(self, bpf: BPF) -> None:
        numbers = bpf["numbers"]
        numbers.update((i, i) for i in range(50))
        for key in numbers:
            del numbers[key]
        assert len(numbers) == 0
        numbers.update((i, i) for i in range(50))
        for key, leaf in numbers.items():
            numbers[key.value + 100] = leaf
        assert len(numbers) == 100

    def test_next(self, bpf: BPF) -> None:
        numbers = bpf["numbers"]
        with pytest.raises(StopIteration):
            numbers.next(None)
        numbers.update((i, i) for i in range(3))
        seen, key = set(), None
        while True:
            try:
                key = numbers.next(key)
            except StopIteration:
                break
            seen.add(key.value)
        assert seen == {0, 1, 2}

    def test_entries_are_of_their_own(self, bpf: BPF) -> None:
        flows = bpf["flows"]
        flows.update((flows.Key(1, b"", i), flows.Leaf(i, i)) for i in range(3))
        (first, leaf), *_ = flows.items()
        before = first.source
        leaf.packets = 99
        first.source = 50
        assert flows[flows.Key(1, b"", before)].packets == before

    def test_full_table(self, bpf: BPF) -> None:
        flows = bpf["flows"]
        with pytest.raises(MapError, match="max_entries is 16") as caught:
            for number in range(17):
                flows[flows.Key(1, b"", number)] = flows.Leaf()
        assert caught.value.errno == errno.E2BIG and isinstance(caught.value, Exception)

    def test_types_of_the_users_own(self, bpf: BPF) -> None:
        class Flow(ct.Structure):
            _fields_ = (("kind", ct.c_ubyte), ("source", ct.c_uint))

        class Traffic(ct.Structure):
            _fields_ = (("packets", ct.c_ulonglong), ("bytes", ct.c_ulonglong))

        mine = bpf.get_table("flows", Flow, Traffic)
        assert (mine.Key, mine.Leaf) == (Flow, Traffic) and bpf["flows"] is not mine
        mine[Flow(2, 9)] = Traffic(5, 6)
        [(key, leaf)] = bpf["flows"].items()
        assert (key.kind, key.source, leaf.packets, leaf.bytes) == (2, 9, 5, 6)
        [(key, leaf)] = mine.items()
        assert isinstance(key, Flow) and isinstance(leaf, Traffic)
        bpf["flows"].Key = Flow
        assert isinstance(next(bpf["flows"].keys()), Flow)

    def test_text(self, bpf: BPF) -> None:
        flows = bpf["flows"]
        assert flows.key_sprintf(flows.Key(1, b"", 7)) == b"{ 0x1 0x7 }"
        assert flows.key_scanf(b"{ 0x1 0x7 }").source == 7
        assert flows.leaf_sprintf(flows.Leaf(5, 6)) == b"{ 0x5 0x6 }"
        assert flows.leaf_scanf("{ 5 6 }").bytes == 6
        assert bpf["numbers"].key_sprintf(ct.c_int(2)) == b"0x2"

    # Batches

    def filled(self, bpf: BPF) -> Any:
        numbers = bpf["numbers"]
        numbers.update((i, i) for i in range(1024))
        return numbers

    def test_lookup_and_delete_batch(self, bpf: BPF) -> None:
        numbers = self.filled(bpf)
        taken = numbers.items_lookup_and_delete_batch()
        assert len(numbers) == 1024  # nothing is done before it is iterated over
        assert sorted((k.value, v.value) for k, v in taken) == [(i, i) for i in range(1024)]
        assert len(numbers) == 0 and list(numbers.items_lookup_and_delete_batch()) == []

    def test_delete_batch(self, bpf: BPF) -> None:
        numbers = self.filled(bpf)
        keys = (numbers.Key * 32)(*range(32))
        numbers.items_delete_batch(keys)
        assert sorted(k.value for k in numbers) == list(range(32, 1024))
        numbers.items_delete_batch([ct.c_int(40), 41])
        assert len(numbers) == 990
        numbers.items_delete_batch()
        assert len(numbers) == 0

    def test_update_batch(self, bpf: BPF) -> None:
        numbers = self.filled(bpf)
        keys, values = (numbers.Key * 1024)(*range(1024)), (numbers.Leaf * 1024)(*[-1] * 1024)
        numbers.items_update_batch(keys, values)
        assert sum(v.value for v in numbers.values()) == -1024
        flows = bpf["flows"]
        flows.items_update_batch((flows.Key * 2)((1, b"", 1), (1, b"", 2)), [(3, 4), flows.Leaf(5, 6)])
        assert sorted((k.source, v.bytes) for k, v in flows.items()) == [(1, 4), (2, 6)]

    def test_wrong_batches(self, bpf: BPF) -> None:
        numbers = bpf["numbers"]
        keys = (numbers.Key * 2)(1, 2)
        with pytest.raises(ValueError, match="2 keys and 3 values"):
            numbers.items_update_batch(keys, (numbers.Leaf * 3)())
        with pytest.raises(ValueError, match="1025 elements; 1 to 1024"):
            numbers.items_delete_batch((numbers.Key * 1025)())
        with pytest.raises(ValueError, match="0 elements"):
            numbers.items_delete_batch([])
        with pytest.raises(TypeError, match="a ctypes array"):
            numbers.items_delete_batch(5)

    # Arrays

    def test_array(self, bpf: BPF) -> None:
        array = bpf["array"]
        array[ct.c_int(0)] = ct.c_ulonglong(100)
        array[-2] = ct.c_ulonglong(37)
        array[7] = 1000
        assert [v.value for v in array.values()] == [100, 0, 0, 0, 0, 0, 37, 1000]
        assert (array[-2].value, array[-1].value, len(array)) == (37, 1000, 8)
        assert [k.value for k in array] == list(range(8)) and isinstance(next(iter(array)), ct.c_int)
        del array[7]
        assert array[7].value == 0 and len(array) == 8
        array.clearitem(0)
        array[3] = 5
        assert [(k.value, v.value) for k, v in array.items() if v.value] == [(3, 5), (6, 37)]
        array.clear()
        assert {v.value for v in array.values()} == {0}

    @pytest.mark.parametrize("index", [8, -9, ct.c_int(8), ct.c_int(-1), "0", 1.5])
    def test_indices_out_of_range(self, bpf: BPF, index: Any) -> None:
        with pytest.raises(IndexError, match=r"'array'"):
            bpf["array"][index]
        assert index not in bpf["array"]

    def test_histogram_of_an_array(self, bpf: BPF, capsys: pytest.CaptureFixture[str]) -> None:
        bpf["array"][2] = 4
        bpf["array"].print_log2_hist("bytes")
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[:5] for line in lines[1:]] == [["0", "->", "1", ":", "0"], ["2", "->", "3", ":", "4"]]

    # Per-CPU tables

    def test_percpu_counts(self, bpf: BPF) -> None:
        percpu, cpus = bpf["percpu"], possible_cpus()
        with pytest.raises(KeyError):
            percpu.sum(0)
        for _ in range(3):
            self.run(bpf, "count")
        assert percpu.sum(0).value == 3 == sum(percpu[0]) and isinstance(percpu.sum(0), ct.c_ulonglong)
        assert percpu.average(0) == 3 / cpus and 0 < percpu.max(0).value <= 3
        assert (percpu.total_cpu, len(percpu[0]), percpu.sLeaf) == (cpus, cpus, ct.c_ulonglong)
        [(key, leaves)] = percpu.items()
        assert (key.value, sum(leaves)) == (0, 3)

    def test_percpu_numbers_of_4_bytes(self, bpf: BPF) -> None:
        small, cpus = bpf["small"], possible_cpus()
        self.run(bpf, "count")
        assert small.sum(0).value == -5 == sum(small[0]) and isinstance(small.sum(0), ct.c_int)
        leaves = small.Leaf()
        for cpu in range(cpus):
            leaves[cpu] = -cpu - 1
        small[1] = leaves
        assert list(small[1]) == [-cpu - 1 for cpu in range(cpus)] == list(small.values()[1])
        small[2] = 7
        small[3] = [9] * cpus
        assert [list(leaf) for leaf in small.values()][2:] == [[7] * cpus, [9] * cpus]
        del small[2]
        assert list(small[2]) == [0] * cpus and len(small) == 4
        small.clear()
        assert [list(leaf) for leaf in small.values()] == [[0] * cpus] * 4
        with pytest.raises(ValueError, match=f"a value for each of {cpus} possible CPUs, not {cpus + 1}"):
            small[1] = [1] * (cpus + 1)

    def test_percpu_structs(self, bpf: BPF) -> None:
        records, cpus = bpf["records"], possible_cpus()
        leaves = records.Leaf()
        for cpu in range(cpus):
            leaves[cpu] = records.sLeaf(cpu, 2, 3)
        records[5] = leaves
        assert [(each.a, each.b, each.c) for each in records[5]] == [(cpu, 2, 3) for cpu in range(cpus)]
        with pytest.raises(IndexError, match="odd leaves, for which"):
            records.sum(5)
        reduced = bpf.get_table("records", reducer=lambda x, y: records.sLeaf(x.a + y.a, x.b + y.b, 0))
        total = reduced[5]
        assert (total.a, total.b) == (sum(range(cpus)), 2 * cpus)
        assert [each.b for each in reduced.values()] == [2 * cpus]
        assert len(reduced.getvalue(5)) == cpus

    def test_percpu_batches(self, bpf: BPF) -> None:
        recent, cpus = bpf["recent_percpu"], possible_cpus()
        recent.items_update_batch((ct.c_uint * 2)(1, 2), (recent.Leaf * 2)((3,) * cpus, (4,) * cpus))
        found = {k.value: list(v) for k, v in recent.items_lookup_and_delete_batch()}
        assert found == {1: [3] * cpus, 2: [4] * cpus} and len(recent) == 0

    # Others

    def test_queue(self, bpf: BPF) -> None:
        queue = bpf["queue"]
        for number in range(4):
            queue.push(ct.c_uint64(number))
        with pytest.raises(MapError, match="full") as caught:
            queue.push(ct.c_uint(10))
        assert caught.value.errno == errno.E2BIG
        queue.push(4, tables.QueueStack.BPF_EXIST)
        assert (queue.peek().value, queue.pop().value) == (1, 1)
        assert [value.value for value in queue.values()] == [2, 3, 4]
        for verb in (queue.pop, queue.peek):
            with pytest.raises(KeyError, match="table 'queue' is empty"):
                verb()
        assert queue.leaf_scanf(queue.leaf_sprintf(ct.c_uint64(9))).value == 9

    def test_stack(self, bpf: BPF) -> None:
        stack = bpf["stack"]
        for number in range(3):
            stack.push(stack.Leaf(number, 64))
        assert (stack.peek().packets, [each.packets for each in stack.itervalues()]) == (2, [2, 1, 0])

    def test_lpm_trie(self, bpf: BPF) -> None:
        class V4(ct.Structure):
            _fields_ = (("prefixlen", ct.c_uint), ("data", ct.c_ubyte * 4))

        trie = bpf["trie"]
        for bits in (24, 28):
            trie[V4(bits, (192, 168, 0, 0))] = ct.c_int(bits)
        assert trie[V4(32, (192, 168, 0, 15))].value == 28
        assert trie[V4(32, (192, 168, 0, 127))].value == 24
        with pytest.raises(KeyError):
            trie[V4(32, (172, 16, 1, 127))]
        assert sorted(k.prefixlen for k in trie) == [24, 28] and len(trie) == 2
        del trie[V4(28, (192, 168, 0, 0))]
        assert trie[V4(32, (192, 168, 0, 15))].value == 24

    def test_prog_array(self, bpf: BPF) -> None:
        jumps = bpf["jumps"]
        target = bpf.load_func("target", BPF.XDP)
        assert self.run(bpf, "jump") == 1
        jumps[ct.c_int(2)] = ct.c_int(target.fd)
        assert self.run(bpf, "jump") == 77
        assert [k.value for k, _ in jumps.items()] == [2]
        del jumps[2]
        assert self.run(bpf, "jump") == 1
        jumps[2] = target
        jumps.update({1: target.fd})
        assert self.run(bpf, "jump") == 77
        jumps.clear()
        assert self.run(bpf, "jump") == 1 and jumps.items() == []
        assert len(jumps) == 4

    def test_event_verbs_are_of_event_tables(self, bpf: BPF) -> None:
        assert not hasattr(bpf["array"], "open_perf_buffer") and not hasattr(bpf["array"], "event")


RECORDS = """
struct inner { u8 kind; u32 number; };
struct event {
    u32 pid; char comm[8]; u64 number; struct inner inner, many[2]; union { u32 word; u8 bytes[4]; };
    u32 low : 3, high : 29; unsigned __int128 wide; enum { FIRST = 1, SECOND } level;
};
BPF_RINGBUF_OUTPUT(ring, 8);
BPF_PERF_OUTPUT(perf);
BPF_PERF_OUTPUT(raw);
static struct event made(u32 pid) {
    struct event e = {};
    e.pid = pid; e.comm[0] = 'h'; e.comm[1] = 'i'; e.number = 1ULL << 40; e.inner.number = 5; e.many[1].kind = 9;
    e.word = 0x01020304; e.low = 5; e.high = 1000; e.wide = 7; e.level = SECOND;
    return e;
}
int to_ring(struct xdp_md *ctx) {
    struct event e = made(1);
    ring.ringbuf_output(&e, sizeof(e), 0);
    e.pid = 2;
    ring.ringbuf_output(&e, sizeof(e), 0);
    return 2;
}
int to_perf(struct xdp_md *ctx) {
    struct event e = made(3);
    perf.perf_submit(ctx, &e, sizeof(e));
    return 2;
}
int discards(struct xdp_md *ctx) {
    struct event *e = ring.ringbuf_reserve(sizeof(struct event));
    if (e)
        ring.ringbuf_discard(e, 0);
    return 2;
}
int to_raw(struct xdp_md *ctx) {
    u64 number = 42;
    raw.perf_submit(ctx, &number, sizeof(number));
    return 2;
}
"""


class EventTableChecks:
    def make(self) -> Kernel:
        raise NotImplementedError  # each kernel is made in its own way

    @pytest.fixture
    def bpf(self) -> Iterator[BPF]:
        kernel = self.make()
        with BPF(text=RECORDS, kernel=kernel) as bpf:
            yield bpf
        kernel.close()

    def run(self, bpf: BPF, name: str) -> None:
        bpf.load_func(name, BPF.XDP).program.run(bytes(64))

    def seen(self, event: Any) -> tuple[Any, ...]:
        return (
            *(event.comm, event.number, event.inner.number, event.many[1].kind, event.word, list(event.bytes)),
            *(event.low, event.high, list(event.wide), event.level),
        )

    WANTED = (b"hi", 1 << 40, 5, 9, 0x01020304, [4, 3, 2, 1], 5, 1000, [7, 0], 2)

    def test_ring_buffer(self, bpf: BPF) -> None:
        ring, got = bpf["ring"], []
        assert isinstance(ring, tables.RingBuf)
        ring.open_ring_buffer(lambda ctx, data, size: got.append((ctx, size, ring.event(data))))
        self.run(bpf, "to_ring")
        bpf.ring_buffer_poll(1000)
        assert [event.pid for _, _, event in got] == [1, 2]
        assert {(ctx, size == ct.sizeof(event)) for ctx, size, event in got} == {(None, True)}
        assert self.seen(got[0][2]) == self.WANTED
        bpf.ring_buffer_consume()
        assert len(got) == 2 and len(ring) == 0 and ring.items() == []

    def test_discarded_records_end_the_waiting(self, bpf: BPF) -> None:
        bpf["ring"].open_ring_buffer(lambda *_: pytest.fail("a record"))
        self.run(bpf, "discards")
        start = time.monotonic()
        bpf.ring_buffer_poll(20_000)
        assert time.monotonic() - start < 10

    def test_context_of_a_ring_buffer(self, bpf: BPF) -> None:
        got = []
        bpf["ring"].open_ring_buffer(lambda ctx, data, size: got.append(ctx), 5)
        self.run(bpf, "to_ring")
        bpf.ring_buffer_poll(1000)
        assert got == [5, 5]
        mine = ct.c_int(77)
        bpf["ring"].open_ring_buffer(
            lambda ctx, data, size: got.append(ct.cast(ctx, ct.POINTER(ct.c_int)).contents.value), ct.byref(mine)
        )
        self.run(bpf, "to_ring")
        bpf.ring_buffer_poll(1000)
        assert got[2:] == [77, 77]

    def test_negative_answer_stops(self, bpf: BPF) -> None:
        ring, got = bpf["ring"], []

        def one(ctx: Any, data: int, size: int) -> int:
            got.append(ring.event(data).pid)
            return -1

        ring.open_ring_buffer(one)
        self.run(bpf, "to_ring")
        bpf.ring_buffer_poll(1000)
        assert got == [1]
        bpf.ring_buffer_poll(1000)
        assert got == [1, 2]

    def test_perf_buffer(self, bpf: BPF) -> None:
        perf, got = bpf["perf"], []
        assert isinstance(perf, tables.PerfEventArray)
        perf.open_perf_buffer(lambda cpu, data, size: got.append((cpu, size, perf.event(data))), page_cnt=4)
        self.run(bpf, "to_perf")
        bpf.perf_buffer_poll(1000)
        [(cpu, size, event)] = got
        assert 0 <= cpu < possible_cpus() and size >= ct.sizeof(event) and event.pid == 3
        assert self.seen(event) == self.WANTED
        assert perf.items() == [] and len(perf) == perf.max_entries  # descriptors are not told

    def test_event_cast_by_the_user(self, bpf: BPF) -> None:
        class Mine(ct.Structure):
            _fields_ = (("pid", ct.c_uint), ("comm", ct.c_char * 8))

        kept: list[Any] = []
        bpf["ring"].open_ring_buffer(lambda _, data, size: kept.append(ct.cast(data, ct.POINTER(Mine)).contents))
        self.run(bpf, "to_ring")
        bpf.ring_buffer_poll(1000)
        self.run(bpf, "to_ring")
        bpf.ring_buffer_poll(1000)
        assert {each.comm for each in kept} == {b"hi"}  # memory that a script keeps is still memory

    def test_event_without_a_type(self, bpf: BPF) -> None:
        raw, got = bpf["raw"], []

        def shown(cpu: int, data: int, size: int) -> None:
            got.append(ct.cast(data, ct.POINTER(ct.c_ulonglong)).contents.value)

        raw.open_perf_buffer(shown)
        self.run(bpf, "to_raw")
        bpf.perf_buffer_poll(1000)
        assert got == [42]
        raw.event_type = None
        with pytest.raises(UnknownNameError, match="cast the address"):
            raw.event(1)

    def test_both_at_once(self, bpf: BPF) -> None:
        got = []
        bpf["perf"].open_perf_buffer(lambda cpu, data, size: got.append("perf"))
        bpf["raw"].open_perf_buffer(lambda cpu, data, size: got.append("raw"))
        bpf["ring"].open_ring_buffer(lambda ctx, data, size: got.append("ring"))
        for name in ("to_raw", "to_ring", "to_perf"):
            self.run(bpf, name)
        bpf.perf_buffer_poll(1000)
        assert sorted(got) == ["perf", "raw"]
        bpf.ring_buffer_poll(1000)
        assert got[2:] == ["ring", "ring"]

    def test_callback_that_raises(self, bpf: BPF, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told, as an exception that cannot be caught, and the records after it are delivered."""
        told: list[Any] = []
        monkeypatch.setattr("sys.unraisablehook", told.append)
        got = []

        def fails_once(ctx: Any, data: int, size: int) -> None:
            got.append(size)
            if len(got) == 1:
                raise ValueError("the first")

        bpf["ring"].open_ring_buffer(fails_once)
        self.run(bpf, "to_ring")
        bpf.ring_buffer_poll(1000)
        assert len(got) == 2
        assert [(str(each.exc_value), each.err_msg) for each in told] == [
            ("the first", "Exception in the callback of table 'ring'")
        ]

    @pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
    def test_end_of_the_process_in_a_callback(self, bpf: BPF, raised: type[BaseException]) -> None:
        ring, got = bpf["ring"], []

        def ends(ctx: Any, data: int, size: int) -> None:
            got.append(ring.event(data).pid)
            if len(got) == 1:
                raise raised

        ring.open_ring_buffer(ends)
        self.run(bpf, "to_ring")
        with pytest.raises(raised):
            bpf.ring_buffer_poll(1000)
        bpf.ring_buffer_poll(0)
        assert got == [1, 2]  # each once

    def test_closed_pipe_ends_the_process(self, bpf: BPF) -> None:
        def to_nobody(ctx: Any, data: int, size: int) -> None:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

        bpf["ring"].open_ring_buffer(to_nobody)
        self.run(bpf, "to_ring")
        with pytest.raises(SystemExit):
            bpf.ring_buffer_poll(1000)

    def test_losses(self, bpf: BPF, capsys: pytest.CaptureFixture[str]) -> None:
        lost: list[int] = []
        bpf["perf"].open_perf_buffer(lambda cpu, data, size: None, page_cnt=1, lost_cb=lost.append)
        for _ in range(300):
            self.run(bpf, "to_perf")
        bpf.perf_buffer_poll(1000)
        self.run(bpf, "to_perf")  # a gap is told with the record after it
        bpf.perf_buffer_poll(1000)
        assert sum(lost) > 0
        bpf["perf"].open_perf_buffer(lambda cpu, data, size: None, page_cnt=1)
        for _ in range(300):
            self.run(bpf, "to_perf")
        bpf.perf_buffer_poll(1000)
        self.run(bpf, "to_perf")
        bpf.perf_buffer_poll(1000)
        assert "Possibly lost " in (out := capsys.readouterr()).err and out.out == ""

    def test_wrong_arguments(self, bpf: BPF) -> None:
        with pytest.raises(ValueError, match="page_cnt is 3; it must be a power of two"):
            bpf["perf"].open_perf_buffer(print, page_cnt=3)
        with pytest.raises(TypeError, match="is no function: 5"):
            bpf["ring"].open_ring_buffer(5)
        with pytest.raises(TypeError, match="lost_cb of table 'perf' is no function: 5"):
            bpf["perf"].open_perf_buffer(print, lost_cb=5)
        with pytest.raises(MapError, match="No ring buffers"):
            bpf.ring_buffer_poll(0)

    def test_nothing_to_read(self, bpf: BPF) -> None:
        bpf["ring"].open_ring_buffer(lambda *_: pytest.fail("a record"))
        bpf.ring_buffer_poll(10)
