"""C programs that exercise helpers; each leaves what it found in one global, `out`.

The unit tests run them on the embedded kernel, the kernel tests on both kernels and compare.
"""

from __future__ import annotations

from functools import cache

from stingless.compile.driver import compile_object
from stingless.kernel import Kernel, Map, RunResult
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec

HEAD = r"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
#define MAP(name, kind, k, v, n) struct { \
    __uint(type, BPF_MAP_TYPE_##kind); __type(key, k); __type(value, v); __uint(max_entries, n); } name SEC(".maps")
"""


@cache
def compiled(text: str) -> ObjectSpec:
    return read_object(compile_object(HEAD + text))


class Loaded:
    """An object's maps, and its one program."""

    def __init__(self, kernel: Kernel, text: str) -> None:
        spec = compiled(text)
        self.maps: dict[str, Map] = {name: kernel.create_map(each) for name, each in spec.maps.items()}
        (program,) = spec.programs.values()
        self.program = kernel.load_program(program, self.maps)

    @property
    def out(self) -> bytes:
        return self.maps[".bss"].lookup(bytes(4)) or b""

    def run(self, data: bytes | None = None, ctx: bytes | None = None) -> RunResult:
        return self.program.run(data, ctx)


STRTOL = r"""
struct { long result[12]; long value[12]; unsigned long uvalue[12]; long uresult[12]; } out;
#define TRY(i, text, flags) { char s[] = text; long v = 77; unsigned long u = 77; \
    out.result[i] = bpf_strtol(s, sizeof(s) - 1, flags, &v); out.value[i] = v; \
    out.uresult[i] = bpf_strtoul(s, sizeof(s) - 1, flags, &u); out.uvalue[i] = u; }
SEC("raw_tp") int prog(void *ctx) {
    TRY(0, "123", 0) TRY(1, "  -45xyz", 0) TRY(2, "0x1fz", 0) TRY(3, "0777", 0) TRY(4, "zzz", 10)
    TRY(5, "9223372036854775807", 0) TRY(6, "9223372036854775808", 0) TRY(7, "99999999999999999999", 0)
    TRY(8, "ff", 16) TRY(9, "12", 3) TRY(10, "-9223372036854775808", 10) TRY(11, "0x", 0)
    return 0;
}
"""

STRNCMP = r"""
struct { long result[5]; } out;
SEC("raw_tp") int prog(void *ctx) {
    char a[8] = "stingle", b[8] = "stingx", c[8] = "";
    out.result[0] = bpf_strncmp(a, 8, "stingle");
    out.result[1] = bpf_strncmp(a, 5, "stingx");
    out.result[2] = bpf_strncmp(b, 8, "stingle") > 0;
    out.result[3] = bpf_strncmp(c, 8, "x") < 0;
    out.result[4] = bpf_strncmp(c, 8, "");
    return 0;
}
"""

SNPRINTF = r"""
struct { long result[8]; char text[8][64]; } out;
#define TRY(i, format, ...) { static const char f[] = format; unsigned long long a[] = { __VA_ARGS__ }; \
    out.result[i] = bpf_snprintf(out.text[i], sizeof(out.text[i]), f, a, sizeof(a)); }
SEC("raw_tp") int prog(unsigned long long *ctx) {
    unsigned long name = ctx[0]; /* the address of a string */
    TRY(0, "%d %i %u %x %X", -5, 7, 4000000000ull, 0xbeef, 0xbeef)
    TRY(1, "%ld %lld %lu %llx", -5, -6, 7, 0x1122334455667788ull)
    TRY(2, "[%5d] [%-5d] [%05d] [%08x]", 42, 42, 42, 42)
    TRY(3, "%s %% %c|%8s|%-8s|", name, 'z', name, name)
    TRY(4, "%d", 0x1ffffffffull)
    TRY(5, "%-20d%-20d%-20d%-20d", 1, 2, 3, 4)
    TRY(6, "%px %x", 0x1234, 0)
    { static const char f[] = "%d %d"; unsigned long long a[] = {1234567, 8};
      out.result[7] = bpf_snprintf(out.text[7], 5, f, a, sizeof(a)); }
    return 0;
}
"""

PROBE_READ = r"""
struct { long result[12]; char bytes[6][16]; } out;
SEC("raw_tp") int prog(unsigned long long *ctx) {
    char local[8] = "on stack"; void *user = (void *)ctx[0];
    __builtin_memset(out.bytes, 0x55, sizeof(out.bytes));
    out.result[0] = bpf_probe_read_kernel(out.bytes[0], 8, local);
    out.result[1] = bpf_probe_read_user(out.bytes[1], 16, user);
    out.result[2] = bpf_probe_read_user(out.bytes[2], 16, (void *)8);
    out.result[3] = bpf_probe_read_user_str(out.bytes[3], 16, user);
    out.result[4] = bpf_probe_read_user_str(out.bytes[4], 4, user);
    out.result[5] = bpf_probe_read_user_str(out.bytes[5], 16, (void *)8);
    out.result[6] = bpf_probe_read_kernel(out.bytes[2], 4, (void *)0xffff8000deadbe00ull) == 0;
    out.result[7] = bpf_probe_read_kernel_str(out.bytes[0], 16, (void *)8) == 0;
    return 0;
}
"""

MAPS = r"""
struct { long result[40]; } out;
MAP(hash, HASH, __u32, __u64, 2);
MAP(array, ARRAY, __u32, __u64, 2);
MAP(lru, LRU_HASH, __u32, __u64, 2);
MAP(percpu, PERCPU_HASH, __u32, __u64, 2);
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __type(value, __u32); __uint(max_entries, 2); } queue SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK); __type(value, __u32); __uint(max_entries, 2); } stack SEC(".maps");
SEC("raw_tp") int prog(void *ctx) {
    __u32 k = 1, k2 = 2, k3 = 3, w = 0; __u64 a = 10, b = 20, *v; int i = 0;
    out.result[i++] = bpf_map_update_elem(&hash, &k, &a, BPF_EXIST);
    out.result[i++] = bpf_map_update_elem(&hash, &k, &a, BPF_NOEXIST);
    out.result[i++] = bpf_map_update_elem(&hash, &k, &b, BPF_NOEXIST);
    v = bpf_map_lookup_elem(&hash, &k);
    out.result[i++] = v ? *v : -1;
    out.result[i++] = bpf_map_update_elem(&hash, &k, &b, BPF_ANY);
    out.result[i++] = v ? *v : -1; /* the element was replaced, not changed */
    v = bpf_map_lookup_elem(&hash, &k);
    out.result[i++] = v ? *v : -1;
    out.result[i++] = bpf_map_update_elem(&hash, &k2, &a, BPF_ANY);
    out.result[i++] = bpf_map_update_elem(&hash, &k3, &a, BPF_ANY);
    out.result[i++] = bpf_map_delete_elem(&hash, &k);
    out.result[i++] = bpf_map_delete_elem(&hash, &k);
    out.result[i++] = bpf_map_update_elem(&hash, &k, &a, 17);
    out.result[i++] = bpf_map_update_elem(&array, &k, &a, BPF_ANY);
    out.result[i++] = bpf_map_update_elem(&array, &k, &a, BPF_NOEXIST);
    out.result[i++] = bpf_map_update_elem(&array, &k2, &a, BPF_ANY);
    out.result[i++] = bpf_map_delete_elem(&array, &k);
    out.result[i++] = bpf_map_lookup_elem(&array, &k2) != 0;
    out.result[i++] = bpf_map_update_elem(&percpu, &k, &a, BPF_ANY);
    v = bpf_map_lookup_elem(&percpu, &k);
    out.result[i++] = v ? *v : -1;
    v = bpf_map_lookup_percpu_elem(&percpu, &k, bpf_get_smp_processor_id());
    out.result[i++] = v ? *v : -1;
    out.result[i++] = bpf_map_lookup_percpu_elem(&percpu, &k, 100000) != 0;
    out.result[i++] = bpf_map_peek_elem(&queue, &w);
    w = 5; out.result[i++] = bpf_map_push_elem(&queue, &w, 0); bpf_map_push_elem(&stack, &w, BPF_EXIST);
    w = 6; out.result[i++] = bpf_map_push_elem(&queue, &w, 0); bpf_map_push_elem(&stack, &w, BPF_EXIST);
    w = 7; out.result[i++] = bpf_map_push_elem(&queue, &w, 0); bpf_map_push_elem(&stack, &w, BPF_EXIST);
    out.result[i++] = bpf_map_pop_elem(&queue, &w); out.result[i++] = w;
    out.result[i++] = bpf_map_peek_elem(&stack, &w); out.result[i++] = w;
    out.result[i++] = bpf_map_pop_elem(&stack, &w); out.result[i++] = bpf_map_pop_elem(&stack, &w); out.result[i++] = w;
    out.result[i++] = bpf_map_pop_elem(&stack, &w); out.result[i++] = w;
    return 0;
}
"""

RINGBUF = r"""
struct { long result[10]; } out;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
SEC("raw_tp") int prog(void *ctx) {
    int i = 0; long big[30] = {1, 2, 3}; long *record;
    out.result[i++] = bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE);
    out.result[i++] = bpf_ringbuf_output(&ring, big, 9, 0);
    out.result[i++] = bpf_ringbuf_output(&ring, big, 8, 4);
    record = bpf_ringbuf_reserve(&ring, 24, 0);
    if (record) { record[0] = 7; record[1] = 8; record[2] = 9; bpf_ringbuf_discard(record, 0); }
    record = bpf_ringbuf_reserve(&ring, 16, 0);
    if (record) { record[0] = 7; record[1] = 8; bpf_ringbuf_submit(record, 0); }
    out.result[i++] = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
    out.result[i++] = bpf_ringbuf_query(&ring, BPF_RB_CONS_POS);
    out.result[i++] = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
    for (int n = 0; n < 20; n++)
        out.result[i] += bpf_ringbuf_output(&ring, big, sizeof(big), 0) < 0;
    i++;
    record = bpf_ringbuf_reserve(&ring, 4096, 0);
    out.result[i++] = record != 0;
    if (record) bpf_ringbuf_discard(record, 0);
    return 0;
}
"""

CSUM = r"""
struct { long result[6]; } out;
SEC("tc") int prog(struct __sk_buff *skb) {
    __be32 a[4] = {0x11223344, 0xffffffff, 0x1, 0x80000000}, b[4] = {0xdeadbeef, 5, 0, 0xffff}; char bytes[8];
    out.result[0] = bpf_csum_diff(0, 0, a, sizeof(a), 0);
    out.result[1] = bpf_csum_diff(a, sizeof(a), b, sizeof(b), 0);
    out.result[2] = bpf_csum_diff(a, 4, 0, 0, 0xffff);
    out.result[3] = bpf_skb_load_bytes(skb, 12, bytes, 2) | bytes[0] << 8 | bytes[1];
    out.result[4] = bpf_skb_load_bytes(skb, skb->len - 1, bytes, 2);
    out.result[5] = bpf_skb_load_bytes_relative(skb, 0, bytes, 2, BPF_HDR_START_NET) | bytes[0] << 8 | bytes[1];
    return 0;
}
"""

COUNTERS = r"""
struct { long result[16]; long value[3][3]; } out;
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(max_entries, 64); __type(key, int); __type(value, int); }
    events SEC(".maps");
SEC("raw_tp") int prog(void *ctx) {
    struct bpf_perf_event_value v[2]; int i = 0;
    __builtin_memset(out.value, 0x55, sizeof(out.value));
    out.result[i++] = bpf_perf_event_read(&events, BPF_F_CURRENT_CPU);
    out.result[i++] = bpf_perf_event_read(&events, 64);
    out.result[i++] = bpf_perf_event_read(&events, 1ull << 32);
    out.result[i++] = bpf_perf_event_read_value(&events, BPF_F_CURRENT_CPU, (void *)out.value[0], 24);
    out.result[i++] = bpf_perf_event_read_value(&events, 64, (void *)out.value[1], 24);
    out.result[i++] = bpf_perf_event_read_value(&events, 0, (void *)out.value[2], 16);
    out.result[i++] = bpf_get_branch_snapshot(v, sizeof(v), 1);
    out.result[i++] = bpf_get_branch_snapshot(v, sizeof(v), 0);
    return 0;
}
"""

IDENTITY = r"""
struct { long result[16]; struct bpf_pidns_info ids[2]; } out;
SEC("raw_tp") int prog(unsigned long long *ctx) {
    int i = 0;
    __builtin_memset(out.ids, 0x55, sizeof(out.ids));
    out.result[i++] = bpf_get_ns_current_pid_tgid(ctx[0], ctx[1], &out.ids[0], 8);
    out.result[i++] = bpf_get_ns_current_pid_tgid(ctx[0], ctx[1] + 1, &out.ids[1], 8);
    out.result[i++] = bpf_get_ns_current_pid_tgid(ctx[0], ctx[1], &out.ids[1], 4);
    out.result[i++] = bpf_get_current_cgroup_id();
    out.result[i++] = bpf_get_current_ancestor_cgroup_id(0);
    out.result[i++] = bpf_get_current_ancestor_cgroup_id(1);
    out.result[i++] = bpf_get_current_ancestor_cgroup_id(30);
    out.result[i++] = bpf_get_current_ancestor_cgroup_id(-1);
    out.result[i++] = bpf_get_cgroup_classid((void *)ctx);
    out.result[i++] = bpf_get_current_pid_tgid();
    out.result[i++] = bpf_get_current_uid_gid();
    return 0;
}
"""

USER_MEMORY = r"""
struct { long result[12]; char bytes[4][16]; } out;
SEC("syscall") int prog(unsigned long long *ctx) {
    void *user = (void *)ctx[0]; int i = 0;
    __builtin_memset(out.bytes, 0x55, sizeof(out.bytes));
    out.result[i++] = bpf_copy_from_user(out.bytes[0], 12, user);
    out.result[i++] = bpf_copy_from_user(out.bytes[1], 12, (void *)8);
    out.result[i++] = bpf_copy_from_user(out.bytes[2], 0, (void *)8);
    out.result[i++] = bpf_copy_from_user(out.bytes[2], 16, (void *)ctx[1]); /* ends where nothing is mapped */
    out.result[i++] = bpf_probe_read_user(out.bytes[3], 16, (void *)ctx[1]);
    return 0;
}
"""

DYNPTR = r"""
struct { long result[40]; char bytes[2][16]; } out;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
char memory[32] = "0123456789abcdefghijklmnopqrstu";
SEC("raw_tp") int prog(void *ctx) {
    struct bpf_dynptr p, q; int i = 0; char *data; long word = 7;
    out.result[i++] = bpf_dynptr_from_mem(memory, sizeof(memory), 1, &p);
    out.result[i++] = bpf_dynptr_read(out.bytes[0], 4, &p, 0, 0);
    out.result[i++] = bpf_dynptr_write(&p, 0, &word, 8, 0);
    out.result[i++] = bpf_dynptr_data(&p, 0, 8) != 0;
    out.result[i++] = bpf_dynptr_from_mem(memory, sizeof(memory), 0, &p);
    out.result[i++] = bpf_dynptr_read(out.bytes[0], 8, &p, 4, 0);
    out.result[i++] = bpf_dynptr_read(out.bytes[1], 8, &p, 25, 0);
    out.result[i++] = bpf_dynptr_read(out.bytes[1], 8, &p, 24, 0);
    out.result[i++] = bpf_dynptr_read(out.bytes[1], 8, &p, 24, 1);
    out.result[i++] = bpf_dynptr_read(out.bytes[1], 8, &p, -1, 0);
    out.result[i++] = bpf_dynptr_write(&p, 16, "xyz", 3, 0);
    out.result[i++] = bpf_dynptr_write(&p, 16, "xyz", 3, 1);
    out.result[i++] = bpf_dynptr_write(&p, 30, "xyz", 3, 0);
    out.result[i++] = memory[16] == 'x' && memory[19] == 'j';
    data = bpf_dynptr_data(&p, 8, 8);
    out.result[i++] = data ? data[0] : -1;
    if (data) data[1] = 'Z';
    out.result[i++] = memory[9];
    out.result[i++] = bpf_dynptr_data(&p, 30, 3) != 0;
    out.result[i++] = bpf_ringbuf_reserve_dynptr(&ring, 16, 0, &q);
    out.result[i++] = bpf_dynptr_write(&q, 8, &word, 8, 0);
    data = bpf_dynptr_data(&q, 0, 8);
    if (data) *(long *)data = 5;
    bpf_ringbuf_submit_dynptr(&q, 0);
    out.result[i++] = bpf_ringbuf_reserve_dynptr(&ring, 16, 3, &q);
    bpf_ringbuf_discard_dynptr(&q, 0);
    out.result[i++] = bpf_ringbuf_reserve_dynptr(&ring, 8000, 0, &q);
    bpf_ringbuf_discard_dynptr(&q, 0);
    out.result[i++] = bpf_ringbuf_reserve_dynptr(&ring, 1 << 24, 0, &q);
    bpf_ringbuf_submit_dynptr(&q, 0);
    out.result[i++] = bpf_ringbuf_reserve_dynptr(&ring, 24, 0, &q);
    bpf_ringbuf_discard_dynptr(&q, 0);
    out.result[i++] = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
    out.result[i++] = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
    return 0;
}
"""

TIMER = r"""
#include <linux/errno.h>
struct { long result[16]; long fired, key, value; } out;
struct element { long count; struct bpf_timer timer; };
MAP(timers, HASH, __u64, struct element, 4);
static int callback(void *map, __u64 *key, struct element *value) {
    out.fired++; out.key = *key; out.value = value->count++;
    if (value->count < 8) bpf_timer_start(&value->timer, 100000, 0);
    return 0;
}
SEC("tc") int prog(struct __sk_buff *ctx) {
    __u64 key = 77; struct element fresh = {.count = 5}; int i = 0;
    struct element *found = bpf_map_lookup_elem(&timers, &key);
    if (found) {
        out.result[10] = bpf_timer_cancel(&found->timer);
        out.result[11] = bpf_timer_start(&found->timer, 1ull << 40, 0);
        out.result[12] = bpf_timer_cancel(&found->timer);
        out.result[13] = found->count;
        bpf_timer_start(&found->timer, 1ull << 40, 0);
        return 0;
    }
    bpf_map_update_elem(&timers, &key, &fresh, 0);
    found = bpf_map_lookup_elem(&timers, &key);
    if (!found) return 0;
    out.result[i++] = bpf_timer_cancel(&found->timer);
    out.result[i++] = bpf_timer_start(&found->timer, 1, 0);
    out.result[i++] = bpf_timer_init(&found->timer, &timers, 5);
    out.result[i++] = bpf_timer_init(&found->timer, &timers, 1);
    out.result[i++] = bpf_timer_init(&found->timer, &timers, 1);
    out.result[i++] = bpf_timer_start(&found->timer, 1, 0);
    out.result[i++] = bpf_timer_set_callback(&found->timer, callback);
    out.result[i++] = bpf_timer_start(&found->timer, 1, 8);
    out.result[i++] = bpf_timer_start(&found->timer, 1000000, 0);
    out.result[i++] = out.fired;
    return 0;
}
"""

LOOPS = r"""
struct { long result[16]; long seen[8]; } out;
MAP(array, ARRAY, __u32, __u64, 4);
struct state { long sum, calls; };
static int add(__u32 i, struct state *state) { state->sum += i; state->calls++; return state->calls == 5; }
static int every(__u32 i, struct state *state) { state->sum += i; return 0; }
static long visit(void *map, __u32 *key, __u64 *value, struct state *state) {
    state->sum += *value; state->calls++; *value += 100; return *key == 2;
}
SEC("raw_tp") int prog(void *ctx) {
    struct state s = {}; int i = 0; __u32 key; __u64 value;
    out.result[i++] = bpf_loop(100, add, &s, 0); out.result[i++] = s.sum;
    out.result[i++] = bpf_loop(3, add, &s, 1);
    out.result[i++] = bpf_loop(1 << 24, every, &s, 0);
    out.result[i++] = bpf_loop(1000, every, &s, 0); out.result[i++] = s.sum;
    out.result[i++] = bpf_loop(0, every, &s, 0);
#pragma unroll
    for (int k = 0; k < 4; k++) { key = k; value = k * 10; bpf_map_update_elem(&array, &key, &value, 0); }
    s.sum = s.calls = 0;
    out.result[i++] = bpf_for_each_map_elem(&array, visit, &s, 0); out.result[i++] = s.sum; out.result[i++] = s.calls;
    out.result[i++] = bpf_for_each_map_elem(&array, visit, &s, 1);
    return 0;
}
"""

LOCK = r"""
struct { long result[4]; } out;
struct element { struct bpf_spin_lock lock; int count; };
MAP(locked, ARRAY, __u32, struct element, 1);
SEC("tc") int prog(struct __sk_buff *ctx) {
    __u32 key = 0; struct element *found = bpf_map_lookup_elem(&locked, &key);
    if (!found) return 0;
    bpf_spin_lock(&found->lock);
    found->count += 3;
    bpf_spin_unlock(&found->lock);
    bpf_spin_lock(&found->lock);
    out.result[0] = found->count;
    bpf_spin_unlock(&found->lock);
    return 0;
}
"""

KFUNCS = r"""
#define KFUNC(type, name, ...) extern type name(__VA_ARGS__) __ksym
"""

ITERATORS = (
    KFUNCS
    + r"""
KFUNC(int, bpf_iter_num_new, struct bpf_iter_num *it, int start, int end);
KFUNC(int *, bpf_iter_num_next, struct bpf_iter_num *it);
KFUNC(void, bpf_iter_num_destroy, struct bpf_iter_num *it);
struct { long result[16]; } out;
#define COUNT(i, start, end) { struct bpf_iter_num it; int *v; long n = 0, sum = 0; \
    out.result[i] = bpf_iter_num_new(&it, start, end); \
    while ((v = bpf_iter_num_next(&it))) { n++; sum += *v; } \
    out.result[i + 1] = n; out.result[i + 2] = sum; bpf_iter_num_destroy(&it); }
SEC("raw_tp") int prog(void *ctx) {
    COUNT(0, 0, 10) COUNT(3, -5, 3) COUNT(6, 3, 3) COUNT(9, 4, 3) COUNT(12, 0, (8 << 20) + 1)
    return 0;
}
"""
)

STRINGS = (
    KFUNCS
    + r"""
KFUNC(int, bpf_strcmp, const char *a, const char *b);
KFUNC(int, bpf_strchr, const char *s, char c);
KFUNC(int, bpf_strchrnul, const char *s, char c);
KFUNC(int, bpf_strnchr, const char *s, unsigned long n, char c);
KFUNC(int, bpf_strrchr, const char *s, int c);
KFUNC(int, bpf_strlen, const char *s);
KFUNC(int, bpf_strnlen, const char *s, unsigned long n);
KFUNC(int, bpf_strspn, const char *s, const char *set);
KFUNC(int, bpf_strcspn, const char *s, const char *set);
KFUNC(int, bpf_strstr, const char *a, const char *b);
KFUNC(int, bpf_strnstr, const char *a, const char *b, unsigned long n);
struct { long result[48]; } out;
char text[16] = "stingless bees", part[8] = "less", other[16] = "stinging", empty[1], high[4] = "\xff";
char endless[70000] = {[0 ... 69999] = 1};
SEC("syscall") int prog(void *ctx) {
    int i = 0;
    out.result[i++] = bpf_strcmp(text, text); out.result[i++] = bpf_strcmp(text, other);
    out.result[i++] = bpf_strcmp(other, text); out.result[i++] = bpf_strcmp(text, high);
    out.result[i++] = bpf_strcmp(empty, text);
    out.result[i++] = bpf_strchr(text, 'l'); out.result[i++] = bpf_strchr(text, 'x');
    out.result[i++] = bpf_strchr(text, 0);
    out.result[i++] = bpf_strchrnul(text, 'x'); out.result[i++] = bpf_strchrnul(text, 'g');
    out.result[i++] = bpf_strnchr(text, 3, 'n'); out.result[i++] = bpf_strnchr(text, 4, 'n');
    out.result[i++] = bpf_strrchr(text, 's'); out.result[i++] = bpf_strrchr(text, 'q');
    out.result[i++] = bpf_strlen(text); out.result[i++] = bpf_strlen(empty);
    out.result[i++] = bpf_strnlen(text, 5); out.result[i++] = bpf_strnlen(text, 50);
    out.result[i++] = bpf_strspn(text, "tsni"); out.result[i++] = bpf_strspn(text, empty);
    out.result[i++] = bpf_strcspn(text, "gl"); out.result[i++] = bpf_strcspn(text, "xyz");
    out.result[i++] = bpf_strstr(text, part); out.result[i++] = bpf_strstr(text, other);
    out.result[i++] = bpf_strstr(text, empty); out.result[i++] = bpf_strstr(empty, text);
    out.result[i++] = bpf_strnstr(text, part, 9); out.result[i++] = bpf_strnstr(text, part, 8);
    out.result[i++] = bpf_strnstr(text, part, 0); out.result[i++] = bpf_strnstr(text, empty, 0);
    out.result[i++] = bpf_strlen(0); out.result[i++] = bpf_strlen((char *)8);
    out.result[i++] = bpf_strlen((char *)0xffff7fffdeadbe00ull);
    out.result[i++] = bpf_strlen((char *)0xffffeeeedeadbe00ull);
    out.result[i++] = bpf_strlen(endless); out.result[i++] = bpf_strchr(endless, 'x');
    out.result[i++] = bpf_strcmp(endless, endless);
    return 0;
}
"""
)

DYNPTR_KFUNCS = (
    KFUNCS
    + r"""
KFUNC(int, bpf_dynptr_from_skb, struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr);
KFUNC(void *, bpf_dynptr_slice, const struct bpf_dynptr *p, __u32 offset, void *buffer, __u32 size);
KFUNC(void *, bpf_dynptr_slice_rdwr, const struct bpf_dynptr *p, __u32 offset, void *buffer, __u32 size);
KFUNC(int, bpf_dynptr_adjust, const struct bpf_dynptr *p, __u32 start, __u32 end);
KFUNC(_Bool, bpf_dynptr_is_null, const struct bpf_dynptr *p);
KFUNC(_Bool, bpf_dynptr_is_rdonly, const struct bpf_dynptr *p);
KFUNC(__u32, bpf_dynptr_size, const struct bpf_dynptr *p);
KFUNC(int, bpf_dynptr_clone, const struct bpf_dynptr *p, struct bpf_dynptr *clone);
KFUNC(int, bpf_dynptr_copy, struct bpf_dynptr *to, __u32 to_off, struct bpf_dynptr *from, __u32 from_off, __u32 size);
struct { long result[48]; char bytes[2][16]; } out;
char memory[32] = "0123456789abcdefghijklmnopqrstu";
SEC("tc") int prog(struct __sk_buff *skb) {
    struct bpf_dynptr p, q, m; int i = 0; char buffer[8] = {}, *s; long word = 0x1122334455667788;
    out.result[i++] = bpf_dynptr_from_skb(skb, 1, &p);
    out.result[i++] = bpf_dynptr_is_null(&p); out.result[i++] = (int)bpf_dynptr_size(&p);
    out.result[i++] = bpf_dynptr_from_skb(skb, 0, &q);
    out.result[i++] = bpf_dynptr_is_null(&q); out.result[i++] = bpf_dynptr_is_rdonly(&q);
    out.result[i++] = bpf_dynptr_size(&q);
    out.result[i++] = bpf_dynptr_write(&q, 20, &word, 8, 0);
    out.result[i++] = bpf_dynptr_write(&q, 200, &word, 8, 0);
    out.result[i++] = bpf_dynptr_read(out.bytes[0], 16, &q, 16, 0);
    s = bpf_dynptr_slice(&q, 12, buffer, sizeof(buffer)); out.result[i++] = s ? s[0] << 8 | s[1] : -1;
    s = bpf_dynptr_slice(&q, 1000, buffer, sizeof(buffer)); out.result[i++] = s != 0;
    s = bpf_dynptr_slice_rdwr(&q, 30, buffer, sizeof(buffer)); if (s) s[1] = 0x42;
    out.result[i++] = bpf_dynptr_adjust(&q, 30, 40);
    out.result[i++] = bpf_dynptr_size(&q);
    out.result[i++] = bpf_dynptr_read(buffer, 2, &q, 0, 0); out.result[i++] = buffer[1];
    out.result[i++] = bpf_dynptr_adjust(&q, 5, 4); out.result[i++] = bpf_dynptr_adjust(&q, 5, 11);
    out.result[i++] = bpf_dynptr_read(buffer, 8, &q, 3, 0);
    out.result[i++] = bpf_dynptr_from_mem(memory, sizeof(memory), 0, &m);
    out.result[i++] = bpf_dynptr_copy(&m, 4, &q, 0, 4);
    out.result[i++] = memory[5];
    out.result[i++] = bpf_dynptr_copy(&m, 30, &q, 0, 4);
    out.result[i++] = bpf_dynptr_copy(&m, 0, &m, 8, 16);
    out.result[i++] = bpf_dynptr_copy(&q, 2, &m, 0, 4);
    out.result[i++] = bpf_dynptr_copy(&p, 0, &m, 0, 4);
    out.result[i++] = bpf_dynptr_copy(&m, 0, &p, 0, 4);
    out.result[i++] = bpf_dynptr_read(out.bytes[1], 8, &q, 0, 0);
    { struct bpf_dynptr c;
      out.result[i++] = bpf_dynptr_clone(&m, &c); out.result[i++] = bpf_dynptr_adjust(&c, 8, 12);
      out.result[i++] = bpf_dynptr_size(&c); out.result[i++] = bpf_dynptr_size(&m); }
    { struct bpf_dynptr c; out.result[i++] = bpf_dynptr_clone(&p, &c); out.result[i++] = bpf_dynptr_is_null(&c); }
    return 0;
}
"""
)

USER_STRINGS = (
    KFUNCS
    + r"""
KFUNC(int, bpf_copy_from_user_str, void *to, __u32 size, const void *from, __u64 flags);
struct { long result[16]; char bytes[8][16]; } out;
SEC("syscall") int prog(unsigned long long *ctx) {
    void *user = (void *)ctx[0]; int i = 0;
    __builtin_memset(out.bytes, 0x55, sizeof(out.bytes));
    out.result[i++] = bpf_copy_from_user_str(out.bytes[0], 16, user, 0);
    out.result[i++] = bpf_copy_from_user_str(out.bytes[1], 8, user + 5, 0);
    out.result[i++] = bpf_copy_from_user_str(out.bytes[2], 16, user + 7, 0);
    out.result[i++] = bpf_copy_from_user_str(out.bytes[3], 16, user + 7, 1);
    out.result[i++] = bpf_copy_from_user_str(out.bytes[4], 16, (void *)8, 0);
    out.result[i++] = bpf_copy_from_user_str(out.bytes[5], 16, user, 2);
    out.result[i++] = bpf_copy_from_user_str(out.bytes[6], 1, user, 0);
    return 0;
}
"""
)

OBJECTS = (
    KFUNCS
    + r"""
#define TYPE_ID(t) __builtin_btf_type_id(*(typeof(t) *)0, 0)
#define contains(t, n) __attribute__((btf_decl_tag("contains:" #t ":" #n)))
KFUNC(void *, bpf_obj_new_impl, __u64 type, void *meta);
KFUNC(void, bpf_obj_drop_impl, void *object, void *meta);
KFUNC(int, bpf_list_push_front_impl, struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 off);
KFUNC(int, bpf_list_push_back_impl, struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 off);
KFUNC(struct bpf_list_node *, bpf_list_pop_front, struct bpf_list_head *head);
KFUNC(struct bpf_list_node *, bpf_list_pop_back, struct bpf_list_head *head);
KFUNC(int, bpf_rbtree_add_impl, struct bpf_rb_root *root, struct bpf_rb_node *node,
      _Bool (less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, __u64 off);
KFUNC(struct bpf_rb_node *, bpf_rbtree_first, struct bpf_rb_root *root);
KFUNC(struct bpf_rb_node *, bpf_rbtree_remove, struct bpf_rb_root *root, struct bpf_rb_node *node);
struct item { struct bpf_list_node node; long value; };
struct leaf { long key; struct bpf_rb_node node; };
#define private(name) SEC(".bss." #name) __attribute__((visibility("hidden"), aligned(8)))
private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head contains(item, node);
private(B) struct bpf_spin_lock tree_lock;
private(B) struct bpf_rb_root root contains(leaf, node);
struct { long result[32]; } out;
static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b) {
    struct leaf *x = (void *)a - __builtin_offsetof(struct leaf, node);
    struct leaf *y = (void *)b - __builtin_offsetof(struct leaf, node);
    return x->key < y->key;
}
static void push(long value, int front) {
    struct item *made = bpf_obj_new_impl(TYPE_ID(struct item), 0);
    if (!made) return;
    made->value = value;
    bpf_spin_lock(&lock);
    if (front) bpf_list_push_front_impl(&head, &made->node, 0, 0);
    else bpf_list_push_back_impl(&head, &made->node, 0, 0);
    bpf_spin_unlock(&lock);
}
static long pop(int front) {
    struct bpf_list_node *node; struct item *item; long value;
    bpf_spin_lock(&lock);
    node = front ? bpf_list_pop_front(&head) : bpf_list_pop_back(&head);
    bpf_spin_unlock(&lock);
    if (!node) return -1;
    item = (void *)node - __builtin_offsetof(struct item, node);
    value = item->value;
    bpf_obj_drop_impl(item, 0);
    return value;
}
static void add(long key) {
    struct leaf *made = bpf_obj_new_impl(TYPE_ID(struct leaf), 0);
    if (!made) return;
    made->key = key;
    bpf_spin_lock(&tree_lock);
    bpf_rbtree_add_impl(&root, &made->node, less, 0, 0);
    bpf_spin_unlock(&tree_lock);
}
static long take(void) {
    struct bpf_rb_node *node; struct leaf *leaf; long key;
    bpf_spin_lock(&tree_lock);
    node = bpf_rbtree_first(&root);
    if (!node) { bpf_spin_unlock(&tree_lock); return -1; }
    node = bpf_rbtree_remove(&root, node);
    bpf_spin_unlock(&tree_lock);
    if (!node) return -2;
    leaf = (void *)node - __builtin_offsetof(struct leaf, node);
    key = leaf->key;
    bpf_obj_drop_impl(leaf, 0);
    return key;
}
SEC("tc") int prog(struct __sk_buff *ctx) {
    int i = 0;
    out.result[i++] = pop(1);
    push(1, 1); push(2, 1); push(3, 0); push(4, 0);
    out.result[i++] = pop(1); out.result[i++] = pop(0); out.result[i++] = pop(1); out.result[i++] = pop(0);
    out.result[i++] = pop(0); out.result[i++] = take();
    add(5); add(2); add(9); add(7); add(1); add(2);
    out.result[i++] = take(); out.result[i++] = take(); out.result[i++] = take(); out.result[i++] = take();
    out.result[i++] = take(); out.result[i++] = take(); out.result[i++] = take();
    push(11, 1); add(3); /* left there */
    return 0;
}
"""
)

ROUTES = r"""
struct { long result[32]; __u32 mtu[8]; } out;
SEC("tc") int prog(struct __sk_buff *skb) {
    int i = 0; struct bpf_fib_lookup fib = {.family = 2, .ifindex = 1}, odd = {.family = 7, .ifindex = 1};
    struct bpf_sock_tuple tuple = {.ipv4 = {.daddr = 0x0100007f, .dport = 1}};
    out.result[i++] = bpf_fib_lookup(skb, &fib, sizeof(fib) - 1, 0);
    out.result[i++] = bpf_fib_lookup(skb, &fib, sizeof(fib), 1 << 30);
    out.result[i++] = bpf_fib_lookup(skb, &odd, sizeof(odd), 0);
    out.result[i++] = bpf_check_mtu(skb, 1, &out.mtu[0], 0, 0);
    out.mtu[1] = 60000; out.result[i++] = bpf_check_mtu(skb, 1, &out.mtu[1], 0, 0);
    out.mtu[2] = 65530; out.result[i++] = bpf_check_mtu(skb, 1, &out.mtu[2], 100, 0);
    out.result[i++] = bpf_check_mtu(skb, 123456, &out.mtu[3], 0, 0);
    out.result[i++] = bpf_check_mtu(skb, 1, &out.mtu[3], 0, 8);
    out.mtu[4] = 100; out.result[i++] = bpf_check_mtu(skb, 1, &out.mtu[4], 0, 1);
    struct bpf_sock *found = bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4), -1, 0);
    out.result[i++] = found != 0;
    if (found) bpf_sk_release(found);
    out.result[i++] = bpf_skb_ecn_set_ce(skb);
    out.result[i++] = bpf_skb_ecn_set_ce(skb);
    out.result[i++] = bpf_skb_load_bytes(skb, 14, &out.mtu[5], 12);
    return 0;
}
"""

FORMATS = r"""
struct { long result[10]; char text[10][64]; } out;
#define TRY(i, format, ...) { static const char f[] = format; unsigned long long a[] = { __VA_ARGS__ }; \
    out.result[i] = bpf_snprintf(out.text[i], sizeof(out.text[i]), f, a, sizeof(a)); }
SEC("raw_tp") int prog(unsigned long long *ctx) {
    unsigned int ip = 0x0100007f; unsigned long name = ctx[0], six[2] = {0x1122334455667788, 0x99};
    TRY(0, "%+d|% d|%-+5d|%0-5d|%+5u|% x", 5, 5, 5, 5, 5, 5)
    TRY(1, "%pi4 %pI4 %pI4xyz %pI4", (unsigned long)&ip, (unsigned long)&ip, (unsigned long)&ip, name)
    TRY(2, "[%pus] [%pks] [%8s] [%-8s]", name, name, name, name)
    TRY(3, "h\xc3\xa9 %d\t%5c|%-5c|", 1, 'a', 'b')
    TRY(4, "%pI6 %pi6", (unsigned long)six, (unsigned long)six)
    TRY(5, "%020d %20d %-20d|", -7, -7, -7)
    TRY(6, "%d %d %d %d %d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    TRY(7, "%ld %li %lu %lx %lld %llX", -1, -2, 3, 4, -5, 0xabcdef)
    return 0;
}
"""

CPUMASK = (
    KFUNCS
    + r"""
typedef struct cpumask { unsigned long bits[1]; } cpumask_t;
typedef struct refcount_struct { int x; } refcount_t;
struct bpf_cpumask { cpumask_t cpumask; refcount_t usage; };
KFUNC(struct bpf_cpumask *, bpf_cpumask_create, void);
KFUNC(void, bpf_cpumask_release, struct bpf_cpumask *m);
KFUNC(void, bpf_cpumask_set_cpu, __u32 cpu, struct bpf_cpumask *m);
KFUNC(void, bpf_cpumask_setall, struct bpf_cpumask *m);
KFUNC(_Bool, bpf_cpumask_test_cpu, __u32 cpu, const struct cpumask *m);
KFUNC(_Bool, bpf_cpumask_test_and_set_cpu, __u32 cpu, struct bpf_cpumask *m);
KFUNC(__u32, bpf_cpumask_first, const struct cpumask *m);
KFUNC(__u32, bpf_cpumask_first_zero, const struct cpumask *m);
KFUNC(__u32, bpf_cpumask_weight, const struct cpumask *m);
KFUNC(_Bool, bpf_cpumask_empty, const struct cpumask *m);
KFUNC(_Bool, bpf_cpumask_full, const struct cpumask *m);
struct { long result[12]; } out;
SEC("syscall") int prog(void *ctx) {
    int i = 0; struct bpf_cpumask *m = bpf_cpumask_create();
    if (!m) return 1;
    const struct cpumask *c = (void *)m;
    out.result[i++] = bpf_cpumask_empty(c); out.result[i++] = bpf_cpumask_first(c);
    bpf_cpumask_set_cpu(1, m); bpf_cpumask_set_cpu(100000, m);
    out.result[i++] = bpf_cpumask_first(c); out.result[i++] = bpf_cpumask_weight(c);
    out.result[i++] = bpf_cpumask_test_cpu(1, c); out.result[i++] = bpf_cpumask_test_cpu(0, c);
    out.result[i++] = bpf_cpumask_test_cpu(9999, c);
    out.result[i++] = bpf_cpumask_test_and_set_cpu(1, m); out.result[i++] = bpf_cpumask_test_and_set_cpu(0, m);
    out.result[i++] = bpf_cpumask_first_zero(c); bpf_cpumask_setall(m); out.result[i++] = bpf_cpumask_full(c);
    bpf_cpumask_release(m);
    return 0;
}
"""
)
