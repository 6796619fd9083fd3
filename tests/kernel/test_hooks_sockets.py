"""Hooks on sockets that the test made."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from stingless._gen.uapi import AttachType, LinkType
from stingless.errors import AttachError, NotSupportedError
from stingless.linux.kernel import LinuxKernel
from tests.hook_support import Hooks
from tests.leak_checks import open_files
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def udp(reuse: bool = False, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if reuse:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.settimeout(0.2)
    return sock


def test_socket_filter_on_a_given_socket(kernel: LinuxKernel) -> None:
    """It cuts datagrams to 8 bytes of UDP header and 3 of payload."""
    hooks = Hooks(kernel, 'SEC("socket") int prog(struct __sk_buff *skb) { hits++; return 11; }')
    hooks.program()
    before = open_files()
    with udp() as receiver, udp() as sender:
        link = hooks.attach(socket=receiver)
        sender.sendto(b"abcdef", receiver.getsockname())
        assert receiver.recv(100) == b"abc"
        link.close()
        sender.sendto(b"abcdef", receiver.getsockname())
        assert receiver.recv(100) == b"abcdef"
    assert hooks.hits == 1
    assert open_files() == before
    with pytest.raises(AttachError):
        hooks.attach(socket=0)  # standard input
    with pytest.raises(AttachError):
        hooks.attach(socket=9999)
    assert open_files() == before


def test_sk_reuseport(kernel: LinuxKernel) -> None:
    """All datagrams go to the second of two sockets of one port."""
    hooks = Hooks(
        kernel,
        """
        struct { __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY); __type(key, int); __type(value, long);
                 __uint(max_entries, 2); } group SEC(".maps");
        SEC("sk_reuseport") int prog(struct sk_reuseport_md *ctx)
        { int one = 1; hits++; return bpf_sk_select_reuseport(ctx, &group, &one, 0) ? SK_DROP : SK_PASS; }
        """,
    )
    with pytest.raises(AttachError, match="a socket of the group"):
        hooks.attach()
    with udp() as alone, pytest.raises(AttachError, match="set SO_REUSEPORT on the socket before"):
        hooks.attach(socket=alone)
    with udp(reuse=True) as first, udp(True, first.getsockname()[1]) as second:
        for i, sock in enumerate((first, second)):
            hooks.maps["group"].update(i.to_bytes(4, "little"), sock.fileno().to_bytes(8, "little"))
        link = hooks.attach(socket=first)

        def reached() -> set[int]:
            found = set()
            for _ in range(24):
                with udp() as sender:
                    sender.sendto(b"x", first.getsockname())
            for i, sock in enumerate((first, second)):
                try:
                    while True:
                        sock.recv(10)
                        found.add(i)
                except TimeoutError:
                    continue
            return found

        assert reached() == {1}
        assert hooks.hits == 24
        link.close()
        assert reached() == {0, 1}  # by the hash of the sender's port: all 24 to one has a chance of 1 in 8 million
    assert hooks.hits == 24


SOCKMAP = """
struct { __uint(type, BPF_MAP_TYPE_SOCKMAP); __type(key, int); __type(value, long); __uint(max_entries, 2); }
    sockets SEC(".maps");
SEC("sk_msg") int prog(struct sk_msg_md *msg) { hits++; return SK_DROP; }
SEC("sk_skb/stream_verdict") int verdict(struct __sk_buff *skb) { last += skb->len; return SK_PASS; }
SEC("sk_skb") int either(struct __sk_buff *skb) { return SK_PASS; }
"""


@pytest.fixture
def stream() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    with client, accepted:
        accepted.settimeout(0.3)
        yield client, accepted


Stream = tuple[socket.socket, socket.socket]


@pytest.mark.parametrize("old", [False, True])
def test_sk_msg(kernel: LinuxKernel, stream: Stream, old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client sends is dropped.  `old`: as on kernels before 6.10, without a link."""
    if old:
        from stingless._sys import bpf_link

        def refuse(*_: object) -> None:
            raise OSError(22, "as an old kernel says")

        monkeypatch.setattr(bpf_link, "create", refuse)
    client, accepted = stream
    hooks = Hooks(kernel, SOCKMAP)
    hooks.program()
    with pytest.raises(AttachError, match="the SOCKMAP or SOCKHASH is missing: give map="):
        hooks.attach()
    before = open_files()
    link = hooks.attach(map=hooks.maps["sockets"])
    hooks.maps["sockets"].update(bytes(4), client.fileno().to_bytes(8, "little"))
    with pytest.raises(PermissionError):
        client.send(b"hello")
    assert hooks.hits == 1
    if old:
        with pytest.raises(NotSupportedError):
            link.pin("/sys/fs/bpf/x")
    else:
        assert link.info.type is LinkType.SOCKMAP
        assert link.info.details["attach_type"] is AttachType.SK_MSG_VERDICT
    link.close()
    assert open_files() == before
    hooks.maps["sockets"].delete(bytes(4))
    hooks.maps["sockets"].update(bytes(4), client.fileno().to_bytes(8, "little"))
    client.send(b"hello")
    assert accepted.recv(10) == b"hello"
    assert hooks.hits == 1


def test_sk_skb(kernel: LinuxKernel, stream: Stream) -> None:
    client, accepted = stream
    hooks = Hooks(kernel, SOCKMAP)
    link = hooks.attach("verdict", map=hooks.maps["sockets"])
    hooks.maps["sockets"].update(bytes(4), accepted.fileno().to_bytes(8, "little"))
    client.send(b"0123456789")
    assert accepted.recv(100) == b"0123456789"
    assert hooks.last == 10
    link.close()
    with pytest.raises(AttachError, match="attach_type="):
        hooks.attach("either", map=hooks.maps["sockets"])
    # The socket goes back to its own ways when it is put in the map anew.
    hooks.maps["sockets"].delete(bytes(4))
    client.send(b"more")
    assert accepted.recv(100) == b"more"
    assert hooks.last == 10


def test_wrong_kind_of_map(kernel: LinuxKernel) -> None:
    hooks = Hooks(kernel, SOCKMAP)
    with pytest.raises(AttachError, match="the map is no SOCKMAP"):
        hooks.attach(map=hooks.maps[".bss"])
