"""C sources to objects, for tests of the object reader."""

from __future__ import annotations

from functools import cache

from stingless.compile import compile_object
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec

HEAD = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"

# One of everything that an object can hold.
EVERYTHING = (
    HEAD
    + """
struct key { u32 pid; char name[12]; };
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, u32); __type(value, u64); };
struct inner first SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 5);
    __type(key, u32);
    __array(values, struct inner);
} outer SEC(".maps") = { .values = { [2] = &first } };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __type(key, struct key); __type(value, u64);
    __uint(pinning, LIBBPF_PIN_BY_NAME); } counts SEC(".maps");
int tail(struct xdp_md *ctx);
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4);
    __array(values, int (struct xdp_md *)); } jumps SEC(".maps") = { .values = { [1] = &tail } };
struct inner_ops { int (*first)(int a); int number; int (*second)(void); };
SEC("struct_ops/one") int one(int *ctx) { return 1; }
SEC("struct_ops/two") int two(int *ctx) { return 2; }
SEC("struct_ops/idle") int idle(int *ctx) { return 3; }
SEC(".struct_ops.link") struct inner_ops ops = { .first = (void *)one, .number = 7 };
SEC("?.struct_ops") struct inner_ops later = { .second = (void *)two };
extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF __kconfig __weak;
extern char CONFIG_NAME[10] __kconfig __weak;
extern const void bpf_link_fops __ksym;
extern const int typed_ksym __ksym __weak;
extern int some_kfunc(int, void *p) __ksym;
extern int weak_kfunc(void) __ksym __weak;
const volatile int limit = 7;
static volatile int threshold = 5;
int total;
int mine[4] SEC(".data.mine") = {1, 2, 3, 4};
static __noinline int twice(struct key *key) {
    u64 *value = bpf_map_lookup_elem(&counts, key);
    return value ? *value * limit : threshold;
}
static int callback(u32 i, void *ctx) { total += i; return 0; }
__hidden __noinline int hidden(int a) { return a * total; }
SEC("xdp") int packets(struct xdp_md *ctx) {
    struct key key = {ctx->ingress_ifindex, "x"};
    bpf_loop(3, callback, 0, 0);
    bpf_tail_call(ctx, &jumps, 1);
    return twice(&key) > hidden(threshold) + mine[ctx->rx_queue_index & 3] ? XDP_PASS : XDP_DROP;
}
SEC("xdp") int tail(struct xdp_md *ctx) { return bpf_map_lookup_elem(&outer, &total) ? XDP_DROP : XDP_PASS; }
SEC("?socket") int asks(void *ctx) {
    if (&weak_kfunc && CONFIG_BPF) weak_kfunc();
    int known = &typed_ksym ? typed_ksym : 0;
    return some_kfunc(LINUX_KERNEL_VERSION, ctx) + CONFIG_NAME[1] + (long)&bpf_link_fops + known;
}
struct task { int pid; struct { int a; } in; } __attribute__((preserve_access_index));
static __noinline int of_task(struct task *t) { return t->in.a; }
SEC("raw_tp/sched_switch") int core(void *ctx) { struct task *t = ctx; return t->pid + of_task(ctx + 8); }
char _license[] SEC("license") = "GPL";
"""
)


@cache
def build(text: str, *cflags: str) -> bytes:
    return compile_object(text, "prog.c", cflags=list(cflags))


def spec_of(text: str, *cflags: str) -> ObjectSpec:
    return read_object(build(text, *cflags))


def everything() -> ObjectSpec:
    return spec_of(EVERYTHING)
