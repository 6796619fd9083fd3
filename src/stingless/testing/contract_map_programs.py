"""The contract of maps as programs see them: one XDP program a kind, with what it returns.

class TestMine(MapProgramContract):
    @pytest.fixture
    def kernel(self): ...
"""

from __future__ import annotations

import errno
import struct

import pytest

from stingless.kernel import Kernel
from stingless.programs import LoadedObject
from stingless.testing.contract import PACKET, load, map_text

INNER = """struct inner { __uint(type, BPF_MAP_TYPE_%s); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }
one SEC(".maps"), two SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_%s_OF_MAPS); __uint(max_entries, 4); __type(key, u32);
    __array(values, struct inner); } outer SEC(".maps") = { .values = { [1] = &one, [3] = &two } };
"""
IN_INNER = """u32 outside = 3, key = 0, none = 2;
    u64 value = 7;
    void *map = bpf_map_lookup_elem(&outer, &outside);
    if (!map || bpf_map_lookup_elem(&outer, &none))
        return 100;
    bpf_map_update_elem(map, &key, &value, 0);
    u64 *direct = bpf_map_lookup_elem(&two, &key), *other = bpf_map_lookup_elem(&one, &key);
    return (direct ? *direct : 50) * 10 + (other ? *other : 0);"""
LOCKED = """struct value { struct bpf_spin_lock lock; u32 count; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, struct value); }
    m SEC(".maps");
"""
VISIT = "static long visit(void *map, u32 *key, u64 *value, u64 *sum) { *sum += *value; %s return *sum > 100; }\n"
# Name: maps, body of the program, what it returns.
PROGRAMS: dict[str, tuple[str, str, int]] = {
    "array of maps": (INNER % ("ARRAY", "ARRAY"), IN_INNER, 70),
    "hash of maps": (INNER % ("HASH", "HASH"), IN_INNER, 70),
    "values under a lock": (
        LOCKED,
        """u32 key = 1;
        struct value new = {}, newer = {};
        new.count = 5;
        newer.count = 30;
        bpf_map_update_elem(&m, &key, &new, 0);
        struct value *value = bpf_map_lookup_elem(&m, &key);
        if (!value)
            return 100;
        bpf_spin_lock(&value->lock);
        value->count++;
        bpf_spin_unlock(&value->lock);
        u32 before = value->count;
        if (bpf_map_update_elem(&m, &key, &newer, BPF_F_LOCK))
            return 101;
        return before * 10 + value->count;""",
        90,  # the value itself was written
    ),
    "an update replaces the element": (
        map_text("m", "HASH", 4),
        """u32 key = 1;
        u64 old = 1, new = 2;
        bpf_map_update_elem(&m, &key, &old, 0);
        u64 *before = bpf_map_lookup_elem(&m, &key);
        bpf_map_update_elem(&m, &key, &new, 0);
        u64 *after = bpf_map_lookup_elem(&m, &key);
        return before && after ? *before * 10 + *after : 100;""",
        12,
    ),
    "an array's value stays in place": (
        map_text("m", "ARRAY", 4),
        """u32 key = 1;
        u64 new = 2;
        u64 *before = bpf_map_lookup_elem(&m, &key);
        bpf_map_update_elem(&m, &key, &new, 0);
        return before ? *before : 100;""",
        2,
    ),
    "flags": (
        map_text("m", "HASH", 1),
        """u32 key = 1, other = 2;
        u64 value = 1;
        return bpf_map_update_elem(&m, &key, &value, BPF_EXIST) != -2 /* ENOENT */
            | (bpf_map_update_elem(&m, &key, &value, BPF_NOEXIST) != 0) << 1
            | (bpf_map_update_elem(&m, &key, &value, BPF_NOEXIST) != -17 /* EEXIST */) << 2
            | (bpf_map_update_elem(&m, &key, &value, 3) != -22 /* EINVAL */) << 3
            | (bpf_map_update_elem(&m, &key, &value, BPF_F_LOCK) != -22) << 4
            | (bpf_map_update_elem(&m, &other, &value, 0) != -7 /* E2BIG */) << 5
            | (bpf_map_delete_elem(&m, &other) != -2) << 6 | (bpf_map_delete_elem(&m, &key) != 0) << 7;""",
        0,
    ),
    "array flags": (
        map_text("m", "ARRAY", 2),
        """u32 key = 1, outside = 2;
        u64 value = 1;
        return (bpf_map_update_elem(&m, &key, &value, BPF_NOEXIST) != -17)
            | (bpf_map_update_elem(&m, &outside, &value, 0) != -7) << 1
            | (bpf_map_update_elem(&m, &key, &value, BPF_EXIST) != 0) << 2
            | (bpf_map_delete_elem(&m, &key) != -22) << 3 | (bpf_map_lookup_elem(&m, &outside) != 0) << 4;""",
        0,
    ),
    "a new per-CPU value is zero elsewhere": (
        map_text("m", "PERCPU_HASH", 4),
        """u32 key = 1, cpu = bpf_get_smp_processor_id(), sum = 0;
        u64 value = 7;
        bpf_map_update_elem(&m, &key, &value, 0);
        for (u32 i = 0; i < 2; i++) {
            u64 *there = bpf_map_lookup_percpu_elem(&m, &key, i);
            if (there)
                sum += *there * (i == cpu ? 1 : 100);
        }
        return sum + (bpf_map_lookup_percpu_elem(&m, &key, 100000) ? 50 : 0);""",
        7,
    ),
    "longest prefix": (
        """struct prefix { u32 bits; u8 data[4]; };
        struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(map_flags, 1); __uint(max_entries, 2);
            __type(key, struct prefix); __type(value, u64); } m SEC(".maps");
        """,
        """struct prefix key = {8, {10}};
        u64 value = 8;
        bpf_map_update_elem(&m, &key, &value, 0);
        key.bits = 16, value = 16, key.data[1] = 1;
        bpf_map_update_elem(&m, &key, &value, 0);
        key.bits = 32, key.data[2] = 5;
        u64 *found = bpf_map_lookup_elem(&m, &key);
        long full = bpf_map_update_elem(&m, &key, &value, 0);
        key.bits = 33;
        return (found ? *found : 0) * 10 + (bpf_map_lookup_elem(&m, &key) != 0) + (full != -28 /* ENOSPC */) * 2;""",
        160,
    ),
    "queue": (
        'struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 2); __type(value, u64); } m SEC(".maps");',
        """u64 one = 1, two = 2, three = 3, out = 0, wrong = 0, read;
        wrong |= bpf_map_push_elem(&m, &one, 0) | bpf_map_push_elem(&m, &two, 0);
        wrong |= bpf_map_push_elem(&m, &three, 0) != -7;
        wrong |= bpf_map_push_elem(&m, &three, BPF_NOEXIST) != -22;
        wrong |= bpf_map_push_elem(&m, &three, BPF_EXIST); /* the oldest goes */
        wrong |= bpf_map_peek_elem(&m, &read), out = read;
        wrong |= bpf_map_pop_elem(&m, &read), out = out * 10 + read;
        wrong |= bpf_map_pop_elem(&m, &read), out = out * 10 + read;
        wrong |= bpf_map_pop_elem(&m, &read) != -2, out = out * 10 + read;
        return wrong ? 100000 : out;""",
        2230,
    ),
    "all keys, removed as they are visited": (
        map_text("m", "HASH", 4) + VISIT % "bpf_map_delete_elem(map, key);",
        """u32 key = 1;
        u64 value = 10, sum = 0;
        bpf_map_update_elem(&m, &key, &value, 0), key = 2;
        bpf_map_update_elem(&m, &key, &value, 0), key = 3;
        bpf_map_update_elem(&m, &key, &value, 0);
        long visited = bpf_for_each_map_elem(&m, visit, &sum, 0);
        long again = bpf_for_each_map_elem(&m, visit, &sum, 0);
        return bpf_for_each_map_elem(&m, visit, &sum, 1) == -22 ? visited * 1000 + again * 100 + sum : 1;""",
        3030,
    ),
    "a visit that stops": (
        map_text("m", "ARRAY", 4) + VISIT % "",
        """u32 key = 1;
        u64 value = 101, sum = 0;
        bpf_map_update_elem(&m, &key, &value, 0);
        return bpf_for_each_map_elem(&m, visit, &sum, 0);""",
        2,
    ),
    "a timer is initialised once": (
        """struct value { struct bpf_timer timer; u32 count; };
        struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32);
            __type(value, struct value); } m SEC(".maps");
        """,
        """u32 key = 0;
        struct value *value = bpf_map_lookup_elem(&m, &key);
        if (!value || bpf_timer_init(&value->timer, &m, 1))
            return 100;
        return -bpf_timer_init(&value->timer, &m, 1);""",
        errno.EBUSY,
    ),
}
REDIRECT = """struct { __uint(type, BPF_MAP_TYPE_%s); __uint(max_entries, 4); __type(key, u32); __type(value, u32); }
    m SEC(".maps");
"""


def _program(kernel: Kernel, maps: str, body: str) -> LoadedObject:
    return load(kernel, f'{maps}SEC("xdp") int prog(struct xdp_md *ctx) {{ {body} }}')


def _run(loaded: LoadedObject) -> int:
    program = loaded.program("prog")
    loaded.fill()
    return program.run(PACKET).retval


class MapProgramContract:
    """Subclass it with a fixture `kernel`."""

    @pytest.mark.parametrize("name", PROGRAMS)
    def test_program(self, kernel: Kernel, name: str) -> None:
        maps, body, expected = PROGRAMS[name]
        loaded = _program(kernel, maps, body)
        assert _run(loaded) == expected
        loaded.close()

    @pytest.mark.parametrize("type", ["DEVMAP", "DEVMAP_HASH", "CPUMAP", "XSKMAP"])
    def test_redirect(self, kernel: Kernel, type: str) -> None:
        """XDP_REDIRECT where there is a target, else the action in the flags; with unknown flags XDP_ABORTED."""
        body = (
            "return bpf_redirect_map(&m, 1, 2) * 100 + bpf_redirect_map(&m, 3, 1) * 10 + bpf_redirect_map(&m, 1, 64);"
        )
        loaded = _program(kernel, REDIRECT % type, body)
        there = type != "XSKMAP"
        if there:
            loaded.maps["m"].update(struct.pack("=I", 1), struct.pack("=I", 1))
        assert _run(loaded) == (410 if there else 210)
        loaded.close()

    def test_user_ring(self, kernel: Kernel) -> None:
        maps = """struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } m SEC(".maps");
        static long each(struct bpf_dynptr *sample, u64 *sum)
        { u32 value = 0; bpf_dynptr_read(&value, 4, sample, 0, 0); *sum += value; return 0; }
        """
        body = """u64 sum = 0;
        long samples = bpf_user_ringbuf_drain(&m, each, &sum, 0);
        return bpf_user_ringbuf_drain(&m, each, &sum, 8) == -22 ? samples * 1000 + sum : 1;"""
        loaded = _program(kernel, maps, body)
        ring = loaded.maps["m"].open_user_ring()
        for number in (5, 6, 7):
            found = ring.reserve(4)
            assert found is not None
            found[1][:] = number.to_bytes(4, "little")
            found[1].release()
            ring.commit(found[0], discard=number == 6)
        waiting = ring.reserve(4)  # not committed: the program stops before it
        assert waiting is not None
        waiting[1].release()
        assert _run(loaded) == 2012
        ring.close()
        loaded.close()

    def test_inner_map_is_replaced(self, kernel: Kernel) -> None:
        body = """u32 key = 1, zero = 0;
        void *map = bpf_map_lookup_elem(&outer, &key);
        u64 *value = map ? bpf_map_lookup_elem(map, &zero) : 0;
        return value ? *value : 100;"""
        loaded = _program(kernel, INNER % ("ARRAY", "ARRAY"), body)
        program, outer = loaded.program("prog"), loaded.maps["outer"]
        loaded.fill()
        for number in range(1, 20):
            inner = outer.new_inner()
            inner.update(bytes(4), number.to_bytes(8, "little"))
            outer.update(struct.pack("=I", 1), struct.pack("=I", inner.fd))
            inner.close()  # the outer map has it
            assert program.run(PACKET).retval == number
        outer.delete(struct.pack("=I", 1))
        assert program.run(PACKET).retval == 100
        loaded.close()
