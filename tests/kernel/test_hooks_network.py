"""Packet hooks by section and arguments, in a network namespace of our own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from stingless._gen.uapi import LinkType
from stingless._sys import namespace
from stingless._sys.rtnetlink import Rtnetlink
from stingless.errors import AttachError, NotSupportedError, UnknownNameError
from stingless.events import Tc
from stingless.linux import tc
from stingless.linux.kernel import LinuxKernel
from stingless.testing.net import Lab, lab
from tests.hook_support import Hooks
from tests.leak_checks import open_files
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture
def kernel(net: Lab) -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_xdp(kernel: LinuxKernel, net: Lab) -> None:
    hooks = Hooks(
        kernel,
        """
        SEC("xdp") int prog(struct xdp_md *ctx) { hits++; return XDP_DROP; }
        SEC("xdp.frags") int frags(struct xdp_md *ctx) { hits += 100; return XDP_PASS; }
        SEC("xdp/devmap") int devmap(struct xdp_md *ctx) { return XDP_PASS; }
        """,
    )
    with pytest.raises(AttachError, match="the network interface is missing: give interface="):
        hooks.attach()
    link = hooks.attach(interface=net.interface)
    assert not net.udp_gets_through()
    assert hooks.hits == 1
    assert link.info.type is LinkType.XDP
    assert link.info.details["ifindex"] == socket.if_nametoindex(net.interface)
    link.update(hooks.program("frags"))
    assert net.udp_gets_through()
    assert hooks.hits == 101
    link.close()
    assert net.udp_gets_through()
    assert hooks.hits == 101
    with pytest.raises(AttachError, match="entries of a DEVMAP"):
        hooks.attach("devmap", interface=net.interface)
    with pytest.raises(UnknownNameError, match=f"nearest: .*{net.interface}"):
        hooks.attach(interface=net.interface + "x")


TC = """
SEC("tc/ingress") int in(struct __sk_buff *skb) { hits++; return 2 /* TC_ACT_SHOT */; }
SEC("tcx/egress") int out(struct __sk_buff *skb) { hits++; return 2; }
SEC("tc") int prog(struct __sk_buff *skb) { hits++; return 2; }
SEC("classifier") int quiet(struct __sk_buff *skb) { last++; return -1 /* TC_ACT_UNSPEC: the next one */; }
"""


@pytest.mark.parametrize(
    ("name", "direction", "way"),
    [("in", "", "ingress"), ("out", "", "egress"), ("prog", "ingress", "ingress"), ("prog", "egress", "egress")],
)
def test_tc(kernel: LinuxKernel, net: Lab, name: str, direction: str, way: str) -> None:
    hooks = Hooks(kernel, TC)
    hooks.program(name)
    hooks.program("quiet")
    before = open_files()
    first = hooks.attach("quiet", interface=net.interface, direction=way)
    link = hooks.attach(name, interface=net.interface, direction=direction)
    assert first.info.type is link.info.type is LinkType.TCX
    assert not net.ping_gets_through(0.2)
    assert (hooks.hits, hooks.last) == (1, 1)
    link.close()
    assert net.ping_gets_through()
    assert (hooks.hits, hooks.last) == (1, 2)
    first.close()
    assert net.ping_gets_through()
    assert (hooks.hits, hooks.last) == (1, 2)
    assert open_files() == before


@pytest.mark.parametrize("egress", [False, True])
def test_tc_by_the_clsact_qdisc(kernel: LinuxKernel, net: Lab, egress: bool) -> None:
    """What kernels before 6.6 have."""
    hooks = Hooks(kernel, TC)
    event, index = Tc(net.interface, egress), socket.if_nametoindex(net.interface)
    first = tc.by_clsact(hooks.program("quiet"), event, index)
    second = tc.by_clsact(hooks.program("prog"), event, index)
    assert not net.ping_gets_through(0.2)
    assert (hooks.hits, hooks.last) == (1, 1)
    assert "stays there if this process is killed" in second.note
    with pytest.raises(NotSupportedError, match="no bpf link"):
        second.info  # noqa: B018
    second.close()
    assert net.ping_gets_through()
    assert (hooks.hits, hooks.last) == (1, 2)
    first.close()
    assert net.ping_gets_through()
    assert hooks.last == 2
    third = tc.by_clsact(hooks.program("quiet"), event, index)
    with Rtnetlink() as netlink:
        netlink.delete_link(index)
    third.close()  # its interface is gone: no error


def test_tc_arguments(kernel: LinuxKernel, net: Lab) -> None:
    hooks = Hooks(kernel, TC)
    with pytest.raises(AttachError, match=r'the direction \("ingress" or "egress"\) is missing: give direction='):
        hooks.attach(interface=net.interface)
    with pytest.raises(AttachError, match="not 'sideways'"):
        hooks.attach(interface=net.interface, direction="sideways")
    index = socket.if_nametoindex(net.interface)
    hooks.attach("in", interface=index).close()
    with pytest.raises(AttachError, match="no network interface of index 9999"):
        hooks.attach("in", interface=9999)


NETFILTER = """
struct sk_buff; struct nf_hook_state; struct bpf_nf_ctx { const struct nf_hook_state *state; struct sk_buff *skb; };
SEC("netfilter") int prog(struct bpf_nf_ctx *ctx) { hits++; return 0 /* NF_DROP */; }
SEC("netfilter") int second(struct bpf_nf_ctx *ctx) { return 1; }
"""


def test_netfilter(kernel: LinuxKernel, net: Lab) -> None:
    hooks = Hooks(kernel, NETFILTER)
    with pytest.raises(AttachError, match="the protocol family"):
        hooks.attach()
    with pytest.raises(AttachError, match="hook is one of pre_routing, local_in"):
        hooks.attach(family="ipv4", hook="localin")
    link = hooks.attach(family="ipv4", hook="local_in", priority=-128)
    assert not net.udp_gets_through()
    assert hooks.hits == 1
    assert link.info.type is LinkType.NETFILTER
    assert (link.info.details["pf"], link.info.details["hooknum"], link.info.details["priority"]) == (2, 1, -128)
    with pytest.raises(AttachError, match="another program is there at priority -128"):
        hooks.attach("second", family="ipv4", hook="local_in", priority=-128)
    with pytest.raises(NotSupportedError, match="a link of type NETFILTER keeps its program"):
        link.update(hooks.program("second"))
    link.close()
    assert net.udp_gets_through()
    assert hooks.hits == 1


SK_LOOKUP = """
struct { __uint(type, BPF_MAP_TYPE_SOCKMAP); __type(key, int); __type(value, long); __uint(max_entries, 1); }
    to SEC(".maps");
SEC("sk_lookup") int prog(struct bpf_sk_lookup *ctx)
{
    int zero = 0; struct bpf_sock *sk; long failed;
    if (ctx->local_port != 7)
        return SK_PASS;
    sk = bpf_map_lookup_elem(&to, &zero);
    if (!sk)
        return SK_DROP;
    failed = bpf_sk_assign(ctx, sk, 0);
    bpf_sk_release(sk);
    hits++;
    return failed ? SK_DROP : SK_PASS;
}
"""


@pytest.mark.parametrize("explicit", [False, True])
def test_sk_lookup(kernel: LinuxKernel, net: Lab, explicit: bool) -> None:
    """Datagrams to port 7 go to a socket that is bound to another port."""
    hooks = Hooks(kernel, SK_LOOKUP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((net.address, 0))
        receiver.settimeout(0.3)
        hooks.maps["to"].update(bytes(4), receiver.fileno().to_bytes(8, "little"))
        here = namespace.open_net()
        link = hooks.attach(netns=f"/proc/self/fd/{here}" if explicit else "")
        os.close(here)
        net.peer_send_udp(7, b"to seven")
        assert receiver.recv(100) == b"to seven"
        assert hooks.hits == 1
        assert link.info.type is LinkType.NETNS
        link.close()
        net.peer_send_udp(7, b"to seven")
        with pytest.raises(TimeoutError):
            receiver.recv(100)
        assert hooks.hits == 1
    with pytest.raises(AttachError, match="/run/netns/not-there"):
        hooks.attach(netns="not-there")
    with pytest.raises(AttachError, match="is not a network namespace"):
        hooks.attach(netns="/proc/self/ns/mnt")


FLOW = """
SEC("flow_dissector") int prog(struct __sk_buff *skb)
{ struct bpf_flow_keys *keys = skb->flow_keys; hits++; keys->n_proto = 8; return 2 /* BPF_DROP */; }
"""


def test_flow_dissector(kernel: LinuxKernel, net: Lab) -> None:
    """It is asked when a raw packet socket sends a packet whose transport header nobody knows."""
    hooks = Hooks(kernel, FLOW)
    link = hooks.attach(netns="")
    assert link.info.type is LinkType.NETNS
    frame = bytes.fromhex("ffffffffffff 020000000001 0800") + bytes.fromhex(
        "4500001c0000000040110000 0a000001 0a000002 0007 0007 0008 0000".replace(" ", "")
    )

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw, suppress(OSError):
            raw.sendto(frame, (net.interface, 0x0800))

    send()
    seen = hooks.hits
    assert seen >= 1
    other = Hooks(kernel, FLOW.replace("hits++", "hits += 2"))
    with pytest.raises(AttachError, match="as many programs as a namespace takes"):
        other.attach(netns="")
    link.close()
    send()
    assert hooks.hits == seen


def test_netkit_that_this_kernel_lacks(kernel: LinuxKernel, net: Lab) -> None:
    hooks = Hooks(kernel, 'SEC("netkit/primary") int prog(struct __sk_buff *skb) { return 0; }')
    with pytest.raises((NotSupportedError, AttachError), match=r"netkit"):
        hooks.attach(interface=net.interface)
