"""Streams on Linux: counted losses under the real verifier, the user ring buffer, forks."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

import stingless
from stingless.compile import compile_object
from stingless.errors import ClosedError, LoadError, MapError
from stingless.kernel import Map
from stingless.linux.kernel import LinuxKernel
from stingless.obj.loss import LOSS_MAP, count_losses
from stingless.obj.reader import read_object
from stingless.obj.spec import ObjectSpec
from stingless.streams import PerfBuffer, RingBuffer, UserRingBuffer
from stingless.streams.losses import counter
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")

HEAD = '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nchar _license[] SEC("license") = "GPL";\n'
RING = 'struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");\n'
SECTIONS = {
    "raw_tp": "unsigned long long",
    "xdp": "struct xdp_md",
    "tc": "struct __sk_buff",
    "socket": "struct __sk_buff",
    "cgroup_skb/ingress": "struct __sk_buff",
    "kprobe": "void",
    "tracepoint": "void",
    "perf_event": "void",
    "syscall": "void",
    "sk_msg": "struct sk_msg_md",
    "flow_dissector": "struct __sk_buff",
    "cgroup/sock_create": "struct bpf_sock",
    "lwt_xmit": "struct __sk_buff",
}
# The pointer is kept on the stack over a call, checked there, and used after that, in a sub-program, and in a loop.
BODIES = {
    "spilled": """
        __u64 *slot[2];
        slot[0] = bpf_ringbuf_reserve(&ring, 8, 0);
        asm volatile("" :: "r"(slot) : "memory");
        bpf_ktime_get_ns();
        if (!slot[0]) return 1;
        *slot[0] = 9;
        bpf_ringbuf_submit(slot[0], 0);
        return 0;""",
    "join": """
        __u64 *a;
        if (bpf_get_prandom_u32() & 1) a = bpf_ringbuf_reserve(&ring, 8, 0);
        else a = bpf_ringbuf_reserve(&ring, 16, 0);
        if (a) bpf_ringbuf_discard(a, 0);
        return 0;""",
    "loop": """
        __u64 value = 1; int failed = 0;
        for (int i = 0; i < 64; i++) failed += bpf_ringbuf_output(&ring, &value, 8, 0) == -11;
        return failed;""",
    "subprogram": "return twice(8) + twice(16);",
}
TWICE = """
static __attribute__((noinline)) int twice(int size) {
    __u64 *a = bpf_ringbuf_reserve(&ring, 24, 0);
    if (!a) return 2;
    *a = size;
    bpf_ringbuf_submit(a, BPF_RB_NO_WAKEUP);
    return 0;
}
"""


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as kernel:
        yield kernel


def spec_of(text: str) -> ObjectSpec:
    return read_object(compile_object(HEAD + text))


def load(kernel: LinuxKernel, spec: ObjectSpec) -> tuple[dict[str, Map], Callable[..., int]]:
    maps: dict[str, Map] = {name: kernel.create_map(map) for name, map in spec.maps.items()}
    (program,) = [kernel.load_program(each, maps) for each in spec.programs.values()]
    return maps, lambda **given: program.run(**given).retval


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("release", [(5, 8), (6, 4)], ids=["5.8", "6.4"])
def test_the_verifier_takes_counting_programs(
    kernel: LinuxKernel, release: tuple[int, ...], section: str, body: str
) -> None:
    spec = spec_of(f'{RING}{TWICE}SEC("{section}") int prog({SECTIONS[section]} *ctx) {{ {body} }}')
    try:
        load(kernel, spec)
    except LoadError as e:
        pytest.skip(f"not even without counting: {e}")
    counted = count_losses(spec, release=release)
    assert LOSS_MAP in counted.maps
    load(kernel, counted)


@pytest.mark.parametrize("body", [BODIES[name] for name in ("spilled", "loop", "subprogram")])
@pytest.mark.parametrize("release", [(5, 8), (6, 4)], ids=["5.8", "6.4"])
def test_counting_changes_no_result(kernel: LinuxKernel, release: tuple[int, ...], body: str) -> None:
    """Until the ring is full, and after."""
    spec = spec_of(f'{RING}{TWICE}SEC("xdp") int prog(struct xdp_md *ctx) {{ {body} }}')
    _, plain = load(kernel, spec)
    maps, counting = load(kernel, count_losses(spec, release=release))
    results = [(plain(data=bytes(64)), counting(data=bytes(64))) for _ in range(400)]
    assert [a for a, _ in results] == [b for _, b in results]
    assert len({a for a, _ in results}) > 1
    found = counter(maps, "ring")
    assert found is not None


def test_dynptr_failures_are_counted(kernel: LinuxKernel) -> None:
    spec = spec_of(
        RING + 'SEC("xdp") int prog(struct xdp_md *ctx) { struct bpf_dynptr p;'
        "long failed = bpf_ringbuf_reserve_dynptr(&ring, 1000, 0, &p);"
        "bpf_ringbuf_submit_dynptr(&p, 0); return failed; }"
    )
    try:
        maps, run = load(kernel, count_losses(spec))
    except LoadError as e:
        pytest.skip(f"bpf_dynptr is of Linux 5.19: {e}")
    with RingBuffer(maps["ring"], losses=counter(maps, "ring")) as ring:
        results = [run(data=bytes(64)) for _ in range(10)]
        assert results == [0] * 4 + [(1 << 32) - errno.EINVAL] * 6
        assert ring.statistics().lost == 6
        assert sum(ring.statistics().lost_by_cpu.values()) == 6


def test_losses_are_not_known_without_counters(kernel: LinuxKernel) -> None:
    maps, _ = load(kernel, spec_of(f'{RING}SEC("xdp") int prog(struct xdp_md *ctx) {{ {BODIES["loop"]} }}'))
    with RingBuffer(maps["ring"]) as ring:
        assert ring.statistics().lost is None


def test_programs_that_do_not_count_are_told(kernel: LinuxKernel) -> None:
    """One is as if a jump of it would have become too long."""
    body = f"(struct xdp_md *ctx) {{ {BODIES['loop']} }}"
    spec = spec_of(f'{RING}SEC("xdp") int brief{body} SEC("xdp") int far{body}')
    counted = count_losses(spec)
    counted = replace(counted, programs={**counted.programs, "far": spec.programs["far"]})
    with stingless.load(counted, kernel=kernel) as obj, obj.ring_buffer("ring") as ring:
        assert ring.statistics().uncounted == ("far",)
    with stingless.load(spec, kernel=kernel) as obj, obj.ring_buffer("ring") as ring:
        assert ring.statistics().uncounted == ()


USER = """
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } user SEC(".maps");
struct command { __u64 number; __u32 kind; };
struct command *unused;
__u64 sum, kinds;
static long take(struct bpf_dynptr *p, void *ctx) {
    struct command c = {};
    if (bpf_dynptr_read(&c, sizeof(c), p, 0, 0)) return 0;
    sum += c.number;
    kinds += c.kind;
    return 0;
}
SEC("xdp") int prog(struct xdp_md *ctx) { return bpf_user_ringbuf_drain(&user, take, 0, 0); }
"""


@pytest.fixture
def user(kernel: LinuxKernel) -> tuple[UserRingBuffer, Callable[..., int], Map]:
    spec = spec_of(USER)
    try:
        maps, run = load(kernel, spec)
    except LoadError as e:
        pytest.skip(f"user ring buffers are of Linux 6.1: {e}")
    return UserRingBuffer(maps["user"], type="struct command", btf=spec.btf), run, maps[".bss"]


def test_user_ring(user: tuple[UserRingBuffer, Callable[..., int], Map]) -> None:
    ring, run, bss = user
    with ring:
        ring.send({"number": 5, "kind": 1})
        ring.send((7).to_bytes(8, "little") + (2).to_bytes(8, "little"))
        with ring.reserve(16) as data:
            data[:] = (11).to_bytes(8, "little") + (3).to_bytes(8, "little")
        ring.reserve(16).discard()
        with pytest.raises(RuntimeError), ring.reserve(16):
            raise RuntimeError
        assert run(data=bytes(64)) == 3
        value = bss.lookup(bytes(4))
        assert value is not None
        assert {6, 23} <= {int.from_bytes(value[at : at + 8], "little") for at in range(0, len(value), 8)}
        with pytest.raises((TypeError, ValueError), match="number"):
            ring.send({"number": -1, "kind": 1})
    with pytest.raises(ClosedError):
        ring.send(b"")


def test_user_ring_is_full(user: tuple[UserRingBuffer, Callable[..., int], Map]) -> None:
    ring, run, _ = user
    with ring, ExitStack() as stack:
        with pytest.raises(MapError) as never:
            ring.reserve(4096)
        assert never.value.errno == errno.E2BIG
        for _ in range(4):
            ring.reserve(1016).submit()
        with pytest.raises(MapError) as full:
            ring.reserve(8)
        assert full.value.errno == errno.ENOSPC
        start = time.monotonic()
        with pytest.raises(MapError):
            ring.reserve(8, timeout=0.05)
        assert time.monotonic() - start >= 0.05
        timer = threading.Timer(0.05, run, kwargs={"data": bytes(64)})
        timer.start()
        stack.callback(timer.join)
        ring.reserve(8, timeout=10).submit()


def test_a_forked_child_is_refused(kernel: LinuxKernel) -> None:
    maps, run = load(kernel, spec_of(f'{RING}SEC("xdp") int prog(struct xdp_md *ctx) {{ {BODIES["loop"]} }}'))
    with RingBuffer(maps["ring"], type=bytes) as ring:
        run(data=bytes(64))
        assert not os.get_inheritable(ring.fileno())
        child = os.fork()
        if child == 0:
            try:
                ring.read(timeout=0)
            except RuntimeError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert len(ring.drain()) == 64


PERF = """
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
SEC("raw_tp") int prog(unsigned long long *ctx) {
    __u64 value = ctx[0];
    return bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &value, 8);
}
"""


def test_perf_wakes_at_a_watermark_and_on_chosen_cpus(kernel: LinuxKernel) -> None:
    before = os.sched_getaffinity(0)
    maps, run = load(kernel, spec_of(PERF))
    cpu = min(before)
    try:
        os.sched_setaffinity(0, {cpu})
        with PerfBuffer(maps["perf"], type=bytes, cpus=[cpu], wakeup_bytes=240) as stream:
            for n in range(10):
                assert run(ctx=n.to_bytes(8, "little")) == 0
            start = time.monotonic()
            assert stream.read(timeout=0) is not None  # what is there can be read at any time
            assert len(stream.drain(size=8)) == 9
            timer = threading.Timer(0.02, lambda: [run(ctx=bytes(8)) for _ in range(12)])
            timer.start()
            assert stream.read(timeout=10) is not None
            assert time.monotonic() - start < 5
            timer.join()
            for other in list(before - {cpu})[:1]:
                os.sched_setaffinity(0, {other})
                assert run(ctx=bytes(8)) == (1 << 32) - errno.ENOENT  # no ring there
    finally:
        os.sched_setaffinity(0, before)
