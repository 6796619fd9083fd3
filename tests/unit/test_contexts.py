"""Contexts by name: what they encode, what they refuse, and programs of each type run on them."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from stingless._gen.uapi import ProgramType
from stingless.contexts import (
    Device,
    FlowKeys,
    PerfEventData,
    PtRegs,
    RawArguments,
    SkBuff,
    SkLookup,
    SkMsg,
    Sock,
    SockAddr,
    SockOpt,
    Sysctl,
    TracepointRecord,
    XdpMd,
)
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import LoadError
from stingless.kernel import Program
from tests.helper_programs import Loaded

FRAME = bytes(12) + b"\x08\x00" + b"\x45" + bytes(59)


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


def program(kernel: EmbeddedKernel, text: str) -> Program:
    return Loaded(kernel, text).program


def test_unknown_and_wrong_fields() -> None:
    for wrong, error, words in (
        (lambda: XdpMd(FRAME, ingress_index=2), TypeError, "no field 'ingress_index'; the nearest: ingress_ifindex"),
        (lambda: SkBuff(FRAME, protocol=8), TypeError, "protocol is not given, the kernel finds it out"),
        (lambda: SkBuff(FRAME, mark=1 << 32), ValueError, "mark is 4294967296: an unsigned number of 32 bits"),
        (lambda: SkBuff(FRAME, cb=range(6)), ValueError, "cb has 5 numbers, not 6"),
        (lambda: SockAddr(user_ip4="::1"), ValueError, "user_ip4 is an IPv4 address"),
        (lambda: SockAddr(user_port=65536), ValueError, "user_port is 65536"),
        (lambda: Device(data=b""), TypeError, "Device has no data"),
        (lambda: Device(access="x", kind="c"), ValueError, "letters m, r and w"),
        (lambda: XdpMd(FRAME).inputs(ProgramType.SCHED_CLS), TypeError, "for programs of type XDP, not SCHED_CLS"),
        (lambda: PtRegs(rdi=1, machine="pdp11"), ValueError, "the registers of pdp11 are not known"),
        (lambda: TracepointRecord("no format"), ValueError, "no format of a tracepoint"),
    ):
        with pytest.raises(error, match=words):
            wrong()


def test_xdp_md(kernel: EmbeddedKernel) -> None:
    text = """
SEC("xdp") int prog(struct xdp_md *ctx) {
    unsigned int *meta = (void *)(long)ctx->data_meta;
    if ((void *)(meta + 1) > (void *)(long)ctx->data) return 1;
    *meta = ctx->ingress_ifindex;
    return bpf_xdp_adjust_head(ctx, 4) ? 2 : 3;
}
"""
    loaded = program(kernel, text)
    context = XdpMd(data=FRAME, metadata=b"meta", ingress_ifindex=2)
    result = loaded.run(ctx=context)
    after = context.after(result)
    assert result.retval == 3
    assert (after.metadata, after.data, after.ingress_ifindex) == (b"\2\0\0\0", FRAME[4:], 2)
    assert loaded.run(ctx=XdpMd(data=FRAME)).retval == 1
    with pytest.raises(TypeError, match="data is a part of the context"):
        loaded.run(FRAME, context)
    assert context == XdpMd(FRAME, metadata=b"meta", ingress_ifindex=2) != context.after(result)


def test_sk_buff(kernel: EmbeddedKernel) -> None:
    text = """
SEC("tc") int prog(struct __sk_buff *skb) { skb->cb[1] = skb->mark + skb->ifindex; return skb->priority; }
"""
    context = SkBuff(FRAME, mark=5, ifindex=3, priority=9, cb=(1, 2))
    result = program(kernel, text).run(ctx=context)
    assert result.retval == 9
    assert context.after(result).cb == (1, 8, 0, 0, 0)
    assert repr(context).endswith("mark=5, priority=9, ifindex=3, cb=(1, 2, 0, 0, 0))")


def test_flow_dissector(kernel: EmbeddedKernel) -> None:
    text = """
SEC("flow_dissector") int prog(struct __sk_buff *skb) {
    struct bpf_flow_keys *keys = skb->flow_keys;
    unsigned char *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    if (data + 34 > end) return 2;
    keys->thoff = keys->nhoff + 20;
    keys->ip_proto = data[23];
    __builtin_memcpy(&keys->ipv4_src, data + 26, 4);
    return 0;
}
"""
    packet = bytes(12) + b"\x08\x00" + struct.pack(">B8xB2x4s4s", 0x45, 17, bytes([10, 0, 0, 1]), bytes(4)) + bytes(8)
    context = FlowKeys(packet)
    keys = context.after(program(kernel, text).run(ctx=context))
    assert (keys.nhoff, keys.thoff, keys.ip_proto, keys.ipv4_src, keys.n_proto) == (14, 34, 17, "10.0.0.1", 0x0800)


def test_sockopt(kernel: EmbeddedKernel) -> None:
    text = """
SEC("cgroup/getsockopt") int prog(struct bpf_sockopt *ctx) {
    unsigned char *value = ctx->optval;
    if (value + 1 > (unsigned char *)ctx->optval_end || ctx->level != 6) return 0;
    value[0] += 1;
    ctx->optlen = 1;
    asm volatile("" ::: "memory"); /* not one store of both */
    ctx->retval = 0;
    return 1;
}
"""
    context = SockOpt(level=6, optname=1, optval=b"\7\0\0\0", retval=-5)
    result = program(kernel, text).run(ctx=context)
    after = context.after(result)
    assert (result.retval, after.optval, after.optlen, after.retval) == (1, b"\x08\0\0\0", 1, 0)
    assert program(kernel, text).run(ctx=SockOpt(level=1, optval=b"x")).retval == 0


def test_sock_addr_and_sock(kernel: EmbeddedKernel) -> None:
    text = """
SEC("cgroup/connect4") int prog(struct bpf_sock_addr *ctx) {
    if (ctx->user_ip4 != 0x0100000a || !ctx->sk || ctx->sk->family != 2) return 0;
    ctx->user_ip4 = 0x0100007f;
    ctx->user_port = 0x5000;
    return 1;
}
"""
    context = SockAddr(user_family=2, user_ip4="10.0.0.1", user_port=443, family=2)
    result = program(kernel, text).run(ctx=context)
    after = context.after(result)
    assert (result.retval, after.user_ip4, after.user_port) == (1, "127.0.0.1", 80)
    sock = 'SEC("cgroup/sock_create") int prog(struct bpf_sock *sk) { sk->mark = 7; return sk->family == 10; }'
    context_of_sock = Sock(family=10, type=1)
    result = program(kernel, sock).run(ctx=context_of_sock)
    assert (result.retval, context_of_sock.after(result).mark) == (1, 7)


def test_device(kernel: EmbeddedKernel) -> None:
    text = """
SEC("cgroup/dev") int prog(struct bpf_cgroup_dev_ctx *ctx) {
    return ctx->major == 1 && (ctx->access_type & 0xffff) == 2 && !((ctx->access_type >> 16) & 4);
}
"""
    loaded = program(kernel, text)
    assert loaded.run(ctx=Device(major=1, minor=3, access="r", kind="c")).retval == 1
    assert loaded.run(ctx=Device(major=1, minor=3, access="rw", kind="c")).retval == 0
    assert loaded.run(ctx=Device(major=1, access_type=2)).retval == 1
    with pytest.raises(LoadError, match="needs struct bpf_cgroup_dev_ctx as a context"):
        loaded.run()
    with pytest.raises(LoadError, match="a context and no data"):
        loaded.run(FRAME)


def test_sysctl(kernel: EmbeddedKernel) -> None:
    text = """
struct { long result[5]; char name[16], base[16], now[8], next[8]; } out;
SEC("cgroup/sysctl") int prog(struct bpf_sysctl *ctx) {
    out.result[0] = bpf_sysctl_get_name(ctx, out.name, 16, 0);
    out.result[1] = bpf_sysctl_get_name(ctx, out.base, 16, 1);
    out.result[2] = bpf_sysctl_get_current_value(ctx, out.now, 8);
    out.result[3] = bpf_sysctl_get_new_value(ctx, out.next, 8);
    char value[2] = "42";
    out.result[4] = bpf_sysctl_set_new_value(ctx, value, 2);
    return !!ctx->write;
}
"""
    loaded = Loaded(kernel, text)
    context = Sysctl(name="net/ipv4/ip_forward", value=b"0", new_value=b"123456789")
    result = loaded.program.run(ctx=context)
    results = struct.unpack_from("<5q", loaded.out)
    assert results == (-errno.E2BIG, 10, 1, -errno.E2BIG, 0)
    assert loaded.out[40:] == b"net/ipv4/ip_for\0ip_forward\0\0\0\0\0\0000\0\0\0\0\0\0\0001234567\0"
    assert (result.retval, context.after(result).new_value) == (1, b"42")
    reading = Sysctl(name="a", value=b"0")
    assert reading.after(loaded.program.run(ctx=reading)).new_value == b""
    assert struct.unpack_from("<5q", loaded.out)[3:] == (-errno.EINVAL, -errno.EINVAL)


def test_sk_msg(kernel: EmbeddedKernel) -> None:
    text = """
SEC("sk_msg") int prog(struct sk_msg_md *msg) {
    if (bpf_msg_push_data(msg, 2, 3, 0) || bpf_msg_pop_data(msg, 0, 1, 0)) return 0;
    if (bpf_msg_pull_data(msg, 1, 3, 0)) return 2;
    unsigned char *data = msg->data, *end = msg->data_end;
    if (data + 2 > end || data + 3 <= end) return 3;
    data[0] = '!';
    return msg->size + msg->remote_port;
}
"""
    context = SkMsg(b"message", remote_port=0)
    result = program(kernel, text).run(ctx=context)
    assert (result.retval, context.after(result).data) == (9, b"e!\0\0ssage")


def test_sk_lookup(kernel: EmbeddedKernel) -> None:
    text = """
SEC("sk_lookup") int prog(struct bpf_sk_lookup *ctx) { return ctx->local_port == 80 && ctx->remote_ip4 == 0x0100000a; }
"""
    loaded = program(kernel, text)
    assert loaded.run(ctx=SkLookup(family=2, protocol=6, remote_ip4="10.0.0.1", local_port=80)).retval == 1
    assert loaded.run(ctx=SkLookup(family=2, local_port=81)).retval == 0
    for context, code in (
        (SkLookup(family=1), errno.EAFNOSUPPORT),
        (SkLookup(family=2, local_port=65536), errno.ERANGE),
    ):
        with pytest.raises(LoadError) as caught:
            loaded.run(ctx=context)
        assert caught.value.errno == code


def test_sk_skb(kernel: EmbeddedKernel) -> None:
    text = """
SEC("sk_skb/stream_verdict") int prog(struct __sk_buff *skb) {
    if (bpf_skb_adjust_room(skb, 2, 0, 0)) return 0;
    return bpf_skb_adjust_room(skb, -3, 0, 0) ? 0 : skb->len;
}
"""
    context = SkBuff(b"stream")
    result = program(kernel, text).run(ctx=context)
    assert (result.retval, context.after(result).data) == (5, b"tream")


@pytest.mark.parametrize(
    ("section", "body", "context", "retval"),
    [
        ("kprobe/f", "return ((unsigned long *)ctx)[14];", PtRegs(11, rsi=12, machine="x86_64"), 11),
        ("kprobe/f", "return ((unsigned long *)ctx)[1];", PtRegs(11, 12, machine="aarch64"), 12),
        ("raw_tp/f", "return ctx[1];", RawArguments(3, -4), 2**32 - 4),
        ("perf_event", "return ctx[21];", PerfEventData(sample_period=1000, machine="x86_64"), 1000),
    ],
)  # fmt: skip
def test_registers_and_arguments(kernel: EmbeddedKernel, section: str, body: str, context: Any, retval: int) -> None:
    text = f'SEC("{section}") int prog(unsigned long *ctx) {{ {body} }}'
    assert program(kernel, text).run(ctx=context).retval == retval


def test_tracepoint_record(kernel: EmbeddedKernel) -> None:
    context = TracepointRecord(kernel.tracepoint_format("sched", "sched_process_exec"), filename="/bin/true", pid=77)
    text = """
struct { char name[16]; } out;
struct record { long common; unsigned int filename; int pid, old_pid; };
SEC("tp/sched/sched_process_exec") int prog(struct record *ctx) {
    bpf_probe_read_kernel_str(out.name, sizeof(out.name), (char *)ctx + (ctx->filename & 0xffff));
    return ctx->pid;
}
"""
    loaded = Loaded(kernel, text)
    assert loaded.program.run(ctx=context).retval == 77
    assert loaded.out.startswith(b"/bin/true\0")
    call = TracepointRecord(kernel.tracepoint_format("syscalls", "sys_enter_openat"), flags=-1, dfd=5)
    assert (call.dfd, call.flags) == (5, 2**64 - 1)
