"""Hooks of user programs, packets and cgroups on real kernels of other ages than the host's: what is there fires, what
is not says since when it is."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest

from stingless._gen.uapi import LinkType
from stingless._sys.rtnetlink import _IFINFO, Rtnetlink, attribute
from stingless.errors import NotSupportedError, StinglessError
from stingless.linux import perf_link
from stingless.linux.iter import IterLink
from stingless.linux.kernel import LinuxKernel
from stingless.linux.link_refusals import attach_type_known
from stingless.testing.net import Lab, lab
from tests import usdt_program
from tests.hook_support import Hooks, c_program


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def has(name: str) -> bool:
    return bool(attach_type_known(name))


COUNT = "{ if (MINE()) hits++; return 0; }"


def test_uprobes(kernel: LinuxKernel) -> None:
    with c_program("int st_one(int a) { return a + 1; } int st_two(int a) { return a; }", "-shared", "-fPIC") as path:
        code = ctypes.CDLL(str(path))
        hooks = Hooks(kernel, f'SEC("uprobe/{path}:st_one") int prog(void *ctx) {COUNT}')
        with hooks.attach():
            code.st_one(1)
            code.st_two(1)
        code.st_one(1)
        assert hooks.hits == 1
        many = Hooks(kernel, f'SEC("uprobe.multi/{path}:st_*") int prog(void *ctx) {COUNT}')
        if not has("BPF_TRACE_UPROBE_MULTI"):
            with pytest.raises(NotSupportedError, match=r"6\.6"):
                many.attach()
            return
        with many.attach():
            code.st_one(1)
            code.st_two(1)
        code.st_one(1)
        assert many.hits == 2


def test_static_probes(kernel: LinuxKernel) -> None:
    """Without cookies (before 5.15) the description is found by the address, which is known for one process."""
    with c_program(usdt_program.source(os.uname().machine), "-shared", "-fPIC") as path:
        code = ctypes.CDLL(str(path))
        hooks = Hooks(
            kernel,
            f"""
            #include <bpf/usdt.bpf.h>
            SEC("usdt/{path}:st:registers") int BPF_USDT(prog, int a, unsigned long b, short c, int d)
            {{ if (MINE()) {{ hits++; last = a + b + c + d + bpf_usdt_cookie(ctx); }} return 0; }}
            """,
        )
        if not perf_link.bpf_links():
            with pytest.raises(NotSupportedError, match=r"5\.15.*give pid="):
                hooks.attach(cookie=1000)
            assert code.semaphore() == 0
        with hooks.attach(pid=os.getpid(), cookie=1000):
            assert code.semaphore() == 1
            code.in_registers(-7, 20, -300)
        assert (hooks.hits, hooks.last) == (1, -7 + 20 - 300 + 200 + 1000)
        code.in_registers(1, 2, 3)
        assert (hooks.hits, code.semaphore()) == (1, 0)
        with hooks.attach(pid=os.getpid(), cookie=2000):
            code.in_registers(0, 0, 0)
        assert hooks.last == 2200


TC = """
SEC("tc") int prog(struct __sk_buff *skb) { hits++; return 2 /* TC_ACT_SHOT */; }
SEC("xdp") int drop(struct xdp_md *ctx) { last++; return XDP_DROP; }
"""


def test_packets(kernel: LinuxKernel, net: Lab) -> None:
    hooks = Hooks(kernel, TC)
    for direction in ("ingress", "egress"):
        seen = hooks.hits
        link = hooks.attach(interface=net.interface, direction=direction)
        assert not net.ping_gets_through(1)
        assert hooks.hits == seen + 1
        assert bool(link.note) is not has("BPF_TCX_INGRESS")
        link.close()
        assert net.ping_gets_through(5)
        assert hooks.hits == seen + 1
    with hooks.attach("drop", interface=net.interface):
        assert not net.ping_gets_through(1)
    assert net.ping_gets_through(5)
    assert hooks.last == 1


def test_netkit(kernel: LinuxKernel, net: Lab) -> None:
    """A packet that leaves the primary interface, and one that leaves its peer."""
    hooks = Hooks(
        kernel,
        """
        SEC("netkit/primary") int prog(struct __sk_buff *skb) { hits++; return -1 /* NETKIT_NEXT */; }
        SEC("netkit/peer") int peer(struct __sk_buff *skb) { last++; return -1; }
        """,
    )
    if not has("BPF_NETKIT_PRIMARY"):
        with pytest.raises(NotSupportedError, match=r"6\.7"):
            hooks.attach(interface=net.interface)
        return
    with Rtnetlink() as netlink:
        other = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(3, b"nk1\0")
        # IFLA_NETKIT_PEER_INFO 1, IFLA_NETKIT_MODE 5 (NETKIT_L3 1)
        data = attribute(1, other) + attribute(5, struct.pack("=I", 1))
        info = attribute(1, b"netkit") + attribute(2, data)
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(3, b"nk0\0") + attribute(18, info)
        netlink.request(16, 0x600, body)  # RTM_NEWLINK; NLM_F_CREATE, NLM_F_EXCL
        for name, address in (("nk0", "10.9.0.1"), ("nk1", "10.9.0.2")):
            index = socket.if_nametoindex(name)
            netlink.add_address(index, address, 24)
            netlink.set_up(index)

    def send(interface: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, suppress(OSError):
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            sender.sendto(b"x", ("10.9.0.77", 9))

    with hooks.attach(interface="nk0") as link, hooks.attach("peer", interface="nk0"):
        assert link.info.type is LinkType.NETKIT
        send("nk0")
        assert (hooks.hits, hooks.last) == (1, 0)
        send("nk1")
        assert (hooks.hits, hooks.last) == (1, 1)
    send("nk0")
    send("nk1")
    assert (hooks.hits, hooks.last) == (1, 1)
    with pytest.raises(StinglessError, match="netkit"):
        hooks.attach(interface=net.interface)


def test_netfilter(kernel: LinuxKernel, net: Lab) -> None:
    text = """
    struct sk_buff; struct nf_hook_state; struct bpf_nf_ctx { const struct nf_hook_state *state; struct sk_buff *skb; };
    SEC("netfilter") int prog(struct bpf_nf_ctx *ctx) { hits++; return 0 /* NF_DROP */; }
    """
    if not has("BPF_NETFILTER"):
        with pytest.raises(StinglessError, match=r"6\.4"):
            Hooks(kernel, text).attach(family="ipv4", hook="local_in")
        return
    hooks = Hooks(kernel, text)
    with hooks.attach(family="ipv4", hook="local_in"):
        assert not net.udp_gets_through()
    assert hooks.hits == 1
    assert net.udp_gets_through(timeout=5)


def test_task_iterator(kernel: LinuxKernel) -> None:
    hooks = Hooks(
        kernel,
        """
        struct task_struct { int tgid, pid; } __attribute__((preserve_access_index));
        struct seq_file; struct bpf_iter_meta { struct seq_file *seq; } __attribute__((preserve_access_index));
        struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; }
            __attribute__((preserve_access_index));
        SEC("iter/task") int prog(struct bpf_iter__task *ctx)
        {
            static const char text[] = "here\\n";
            struct task_struct *task = ctx->task;
            if (task && task->tgid == ME && task->pid == ME)
                bpf_seq_write(ctx->meta->seq, text, sizeof(text) - 1);
            return 0;
        }
        """,
    )
    link = hooks.attach()
    assert isinstance(link, IterLink)
    assert link.read() == link.read() == b"here\n"


def test_sockets(kernel: LinuxKernel) -> None:
    """Without a link (before 6.10) the program is taken off the map when it is closed."""
    hooks = Hooks(
        kernel,
        """
        struct { __uint(type, BPF_MAP_TYPE_SOCKMAP); __type(key, int); __type(value, long); __uint(max_entries, 2); }
            sockets SEC(".maps");
        SEC("sk_msg") int prog(struct sk_msg_md *msg) { hits++; return SK_DROP; }
        """,
    )
    sockets = hooks.maps["sockets"]
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            link = hooks.attach(map=sockets)
            sockets.update(bytes(4), client.fileno().to_bytes(8, "little"))
            with pytest.raises(PermissionError):
                client.send(b"hello")
            link.close()
            sockets.delete(bytes(4))
            sockets.update(bytes(4), client.fileno().to_bytes(8, "little"))
            client.send(b"hello")
            assert accepted.recv(10) == b"hello"
    assert hooks.hits == 1
