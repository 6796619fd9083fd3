"""A TCP congestion control made of programs, registered with a real kernel and used by a socket."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from stingless.errors import AttachError, NotSupportedError
from stingless.linux.kernel import LinuxKernel
from tests.load_support import BARE, Loaded, compiled

RELEASE = tuple(map(int, os.uname().release.split(".")[:2]))
NAME = "stingless_calm"
CONGESTION = """
struct pt_regs;
#include <bpf/bpf_tracing.h>
struct sock;
int started;
SEC("struct_ops") void BPF_PROG(t_init, struct sock *sk) { started += 1; }
SEC("struct_ops") __u32 BPF_PROG(t_ssthresh, struct sock *sk) { return 7; }
SEC("struct_ops") __u32 BPF_PROG(t_undo_cwnd, struct sock *sk) { return 10; }
SEC("struct_ops") void BPF_PROG(t_cong_avoid, struct sock *sk, __u32 ack, __u32 acked) { }
SEC("struct_ops") void BPF_PROG(t_later, struct sock *sk) { }
/* Members in another order than the kernel's, and one that it does not have. */
struct tcp_congestion_ops___mine {
    __u32 (*ssthresh)(struct sock *sk);
    char name[16];
    __u32 (*undo_cwnd)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
    void (*init)(struct sock *sk);
    void (*of_a_later_kernel)(struct sock *sk);
};
SEC("SECTION") struct tcp_congestion_ops___mine calm = {
    .init = (void *)t_init, .ssthresh = (void *)t_ssthresh, .undo_cwnd = (void *)t_undo_cwnd,
    .cong_avoid = (void *)t_cong_avoid, .of_a_later_kernel = (void *)t_later, .name = "stingless_calm",
};
"""


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def chosen() -> str:
    """What a new connection over the loopback uses when it asks for ours."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, NAME.encode())
        client.connect(server.getsockname())
        client.sendall(b"x" * 10_000)
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def load(kernel: LinuxKernel, section: str) -> Loaded:
    loaded = Loaded(kernel, compiled(CONGESTION.replace("SECTION", section), BARE))
    assert set(loaded.programs) == {"t_init", "t_ssthresh", "t_undo_cwnd", "t_cong_avoid"}
    return loaded


@pytest.mark.parametrize("section", [".struct_ops", ".struct_ops.link"])
def test_congestion_control(kernel: LinuxKernel, section: str) -> None:
    if section.endswith("link") and RELEASE < (6, 4):
        with pytest.raises(NotSupportedError, match=r"6\.4"):
            load(kernel, section)
        return
    loaded = load(kernel, section)
    link = kernel.attach_struct_ops(loaded.maps["calm"], loaded.programs)
    assert chosen() == NAME
    assert loaded.values()["started"] >= 1
    other = load(kernel, section)
    with pytest.raises(AttachError, match="registered already") as e:
        kernel.attach_struct_ops(other.maps["calm"], other.programs)
    assert e.value.errno == errno.EEXIST
    link.close()
    with pytest.raises(FileNotFoundError):
        chosen()


def test_the_end_of_the_kernel_object_takes_it_back() -> None:
    with LinuxKernel() as k:
        loaded = load(k, ".struct_ops")
        k.attach_struct_ops(loaded.maps["calm"], loaded.programs)
        assert chosen() == NAME
    with pytest.raises(FileNotFoundError):
        chosen()
