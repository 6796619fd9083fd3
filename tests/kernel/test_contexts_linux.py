"""Contexts by name on Linux and on the embedded kernel: the same results, and the same refusals."""

from __future__ import annotations

import os
import random
import struct
from typing import Any

import pytest

from stingless.contexts import Context, FlowKeys, RawArguments, SkBuff, SkLookup, XdpMd
from stingless.embedded.kernel import EmbeddedKernel
from stingless.linux.kernel import LinuxKernel
from tests.helper_programs import Loaded
from tests.packet_programs import packets

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bpf(2) needs root here")

FLOW = """
SEC("flow_dissector") int prog(struct __sk_buff *skb) {
    struct bpf_flow_keys *keys = skb->flow_keys;
    unsigned char *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    keys->thoff = keys->nhoff + (keys->flags & 1 ? 2000 : 20);
    if (keys->flags & 2) keys->nhoff = 1;
    if (data + 34 > end) return 2;
    keys->ip_proto = data[23];
    __builtin_memcpy(&keys->ipv4_src, data + 26, 4);
    return 0;
}
"""
SOCKET = 'SEC("socket") int prog(struct __sk_buff *skb) { return skb->len + (skb->protocol << 8) + skb->cb[0]; }'
EGRESS = """
SEC("cgroup_skb/egress") int prog(struct __sk_buff *skb) {
    unsigned char *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    skb->mark += skb->len;
    skb->priority = skb->protocol;
    return data + 20 > end ? 0 : data[9] & 3;
}
"""
SOCKETS = """
SEC("cgroup_skb/ingress") int prog(struct __sk_buff *skb) {
    struct bpf_sock *sk = skb->sk;
    if (sk) sk = bpf_sk_fullsock(sk);
    if (!sk) return 0;
    skb->mark = sk->family ^ sk->src_ip4 ^ sk->dst_ip4 ^ sk->src_ip6[3] ^ sk->dst_ip6[0];
    skb->cb[0] = skb->family;
    skb->cb[1] = skb->remote_ip4 ^ skb->remote_ip6[1];
    skb->cb[2] = skb->local_ip4 ^ skb->local_ip6[2];
    skb->cb[3] = skb->remote_port | skb->local_port;
    return 1;
}
"""
LOOKUP = """
SEC("sk_lookup") int prog(struct bpf_sk_lookup *ctx) {
    return (ctx->local_port ^ ctx->remote_port ^ ctx->remote_ip4 ^ ctx->local_ip6[3] ^ ctx->protocol) & 1;
}
"""
RAW = 'SEC("raw_tp") int prog(unsigned long *ctx) { return ctx[0] * 3 + ctx[1]; }'
XDP = """
SEC("xdp") int prog(struct xdp_md *ctx) {
    bpf_xdp_adjust_head(ctx, -4);
    return ctx->data_end - ctx->data + ctx->ingress_ifindex;
}
""".replace("ctx->data_end - ctx->data", "bpf_xdp_get_buff_len(ctx)")


def _packet_cases(rng: random.Random) -> list[tuple[str, Context]]:
    frames = packets(rng)
    made: list[tuple[str, Context]] = []
    for _ in range(40):
        frame = next(frames)
        made.append((FLOW, FlowKeys(frame, flags=rng.choice([0, 1, 2, 3]))))
        made.append((SOCKET, SkBuff(frame, cb=[rng.randrange(9)])))
        made.append((SOCKETS, SkBuff(frame, tstamp=rng.getrandbits(40), gso_segs=rng.getrandbits(8))))
        made.append((EGRESS, SkBuff(frame, mark=rng.getrandbits(16), tstamp=rng.getrandbits(40))))
        made.append(
            (XDP, XdpMd(frame, metadata=rng.choice([b"", b"meta"]), linear=rng.choice([None, len(frame) // 2])))
        )
    return made


def _lookups(rng: random.Random) -> list[tuple[str, Context]]:
    made: list[tuple[str, Context]] = [(LOOKUP, SkLookup(family=3)), (LOOKUP, SkLookup(family=2, local_port=1 << 16))]
    for family in (2, 10):
        for _ in range(20):
            addresses: dict[str, Any] = {"remote_ip4": rng.randbytes(4), "local_ip4": rng.randbytes(4)}
            if family == 10:
                addresses = {"remote_ip6": rng.randbytes(16), "local_ip6": rng.randbytes(16)}
            ports: dict[str, Any] = {"local_port": rng.getrandbits(16), "remote_port": rng.getrandbits(16)}
            made.append((LOOKUP, SkLookup(family=family, protocol=rng.choice([6, 17]), **addresses, **ports)))
    return made


def test_same_results() -> None:
    rng = random.Random(3)
    cases = [*_packet_cases(rng), *_lookups(rng), (RAW, RawArguments(5, 6)), (RAW, RawArguments(5))]
    with LinuxKernel() as linux, EmbeddedKernel() as embedded:
        programs = {text: (Loaded(linux, text).program, Loaded(embedded, text).program) for text, _ in cases}
        for text, context in cases:
            found: list[Any] = []
            for program in programs[text]:
                try:
                    result = program.run(ctx=context)
                    found.append((result.retval, result.data, result.ctx, context.after(result)))
                except OSError as error:
                    found.append(error.errno)
            assert found[0] == found[1], (text, context, found)


def test_repeat_goes_on_with_the_same_packet() -> None:
    text = 'SEC("tc") int prog(struct __sk_buff *skb) { return ++skb->mark; }'
    for kernel in (LinuxKernel(), EmbeddedKernel()):
        with kernel:
            context = SkBuff(bytes(64), mark=4)
            program = Loaded(kernel, text).program
            result = program.run(ctx=context, repeat=10)
            assert (result.retval, context.after(result).mark) == (14, 14)
            assert program.run(ctx=context, repeat=0).retval == 5
            assert 0 <= result.duration_ns < 1_000_000


def test_bytes_of_a_later_kernel() -> None:
    """A longer context that ends in zeros is taken, another is not."""
    text = 'SEC("xdp") int prog(struct xdp_md *ctx) { return 2; }'
    for kernel in (LinuxKernel(), EmbeddedKernel()):
        with kernel:
            program = Loaded(kernel, text).program
            ctx = struct.pack("<6I", 0, 64, 0, 0, 0, 0)
            assert len(program.run(bytes(64), ctx + bytes(8)).ctx) == 24
            with pytest.raises(OSError, match="E2BIG"):
                program.run(bytes(64), ctx + b"\1")
