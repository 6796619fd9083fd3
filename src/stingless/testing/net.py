"""A small network lab: two anonymous network namespaces joined by a veth pair.

```
 this process                        the peer
 veth0 10.0.0.1/24 ───────────────── veth1 10.0.0.2/24
```

The namespaces have no names and no processes of their own: file descriptors of this process hold them, so nothing is
left when it ends, however it ends.  Root gets a network namespace only; any other user also gets a user namespace, in
which it may configure its interfaces, open packet sockets and, with the embedded kernel, attach packet programs.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from stingless._sys import namespace
from stingless._sys.rtnetlink import Rtnetlink
from stingless.errors import NotSupportedError, PrivilegeError

T = TypeVar("T")

_ICMP_ECHOREPLY, _ICMP_ECHO = 0, 8


class Lab:
    """The two ends of a veth pair: this one and the peer's.  Made by `lab()`."""

    interface = "veth0"
    address = "10.0.0.1"
    peer_interface = "veth1"
    peer_address = "10.0.0.2"
    prefix = 24

    def __init__(self, peer_net: int) -> None:
        self._peer_net = peer_net

    def in_peer(self, work: Callable[[], T]) -> T:
        """Call `work` in the peer's namespace, in a thread of its own, and return its result.  Sockets that it opens
        stay the peer's."""
        return namespace.run_in_net(self._peer_net, work)

    def peer_socket(self, kind: int = socket.SOCK_DGRAM, family: int = socket.AF_INET, proto: int = 0) -> socket.socket:
        """A socket of the peer."""
        return self.in_peer(lambda: socket.socket(family, kind, proto))

    def peer_send_udp(self, port: int, payload: bytes, source_port: int = 0) -> None:
        """The peer sends one UDP datagram to this end's `port`."""
        with self.peer_socket() as sender:
            sender.bind((self.peer_address, source_port))
            sender.sendto(payload, (self.address, port))

    def udp_gets_through(self, port: int = 0, timeout: float = 0.5) -> bool:
        """Whether a UDP datagram that the peer sends now arrives here, at `port` (0: any free one), within `timeout`
        seconds."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind((self.address, port))
            payload = os.urandom(16)
            self.peer_send_udp(receiver.getsockname()[1], payload)
            return _arrives(receiver, timeout, lambda got: got == payload)

    def tcp_gets_through(self, port: int = 0, timeout: float = 0.5) -> bool:
        """Whether the peer gets a connection to this end, at `port` (0: any free one), within `timeout` seconds."""
        with (
            socket.create_server((self.address, port)) as server,
            self.peer_socket(socket.SOCK_STREAM) as client,
            suppress(TimeoutError),
        ):
            client.settimeout(timeout)
            client.connect(server.getsockname())
            return True
        return False

    def ping_gets_through(self, timeout: float = 0.5) -> bool:
        """Whether the peer gets an answer to an ICMP echo request, as ping(8) does, within `timeout` seconds."""
        identity = os.urandom(4)
        request = bytes((_ICMP_ECHO, 0, 0, 0)) + identity
        total = int.from_bytes(request, "big") % 0xFFFF  # the one's complement sum of its 16-bit words
        request = request[:2] + (0xFFFF - total).to_bytes(2, "big") + identity
        with self.peer_socket(socket.SOCK_RAW, proto=socket.IPPROTO_ICMP) as pinger:
            pinger.sendto(request, (self.address, 0))
            return _arrives(pinger, timeout, lambda got: got[20] == _ICMP_ECHOREPLY and got[24:28] == identity)

    def peer_run(self, argv: Sequence[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the peer's namespace and return its status and output."""
        return self.in_peer(lambda: subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False))


def _arrives(receiver: socket.socket, timeout: float, wanted: Callable[[bytes], bool]) -> bool:
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        receiver.settimeout(left)
        with suppress(TimeoutError):
            if wanted(receiver.recv(2048)):
                return True
    return False


@contextmanager
def lab() -> Iterator[Lab]:
    """Put the calling thread into a fresh network namespace, joined to a peer, for the length of the block.

    Enter it before anything else starts threads: those keep the namespace they have, and a user who is not root can
    enter it only while the process has one thread.  Such a user's process stays in its user namespace (and in the then
    unconnected network namespace) after the block, because there is no way back; a second `lab()` works.

    Raises `PrivilegeError` where neither root nor user namespaces may be had, `NotSupportedError` where the kernel has
    no veth."""
    home = namespace.open_net()
    try:
        _enter()
    except BaseException:
        os.close(home)
        raise
    peer_net = -1
    try:
        peer_net = namespace.new_net()
        _connect(peer_net)
        yield Lab(peer_net)
    finally:
        if peer_net >= 0:
            os.close(peer_net)
        with suppress(PermissionError):  # not root: the home namespace belongs to the user namespace that we left
            namespace.setns(home, namespace.CLONE_NEWNET)
        os.close(home)


def _enter() -> None:
    try:
        namespace.unshare(namespace.CLONE_NEWNET)
        return
    except PermissionError:
        pass
    threads = namespace.thread_count()
    if threads > 1:
        raise PrivilegeError(
            f"a network lab needs root or a user namespace, and a user namespace can be entered only by a process with"
            f" one thread; this one has {threads}: enter the lab before importing or starting what makes threads, or"
            " start the whole script with `unshare -Urn`",
            errno.EINVAL,
        )
    try:
        namespace.enter_user_namespace(namespace.CLONE_NEWNET)
    except OSError as error:
        raise PrivilegeError(
            f"a network lab needs root or a user namespace, and this user may not make one{_obstacle()}",
            error.errno or errno.EPERM,
        ) from error


def _obstacle() -> str:
    """What forbids user namespaces, with the command that allows them, as far as it can be told."""
    for name, refuses, allows in (
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "10000"),
        ("user.max_net_namespaces", "0", "10000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        with suppress(OSError):
            if Path("/proc/sys", *name.split(".")).read_text().strip() == refuses:
                return f": the sysctl {name} is {refuses} (`sysctl -w {name}={allows}` as root allows it)"
    return ": a seccomp filter or a security module seems to forbid it (containers often do); run as root instead"


def _connect(peer_net: int) -> None:
    _quiet_ipv6()
    namespace.run_in_net(peer_net, _quiet_ipv6)
    with Rtnetlink() as own, namespace.run_in_net(peer_net, Rtnetlink) as peer:
        own.set_up(socket.if_nametoindex("lo"))
        try:
            own.add_veth(Lab.interface, Lab.peer_interface, peer_net=peer_net)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            advice = "load the module with `modprobe veth` as root"
            raise NotSupportedError("the veth network driver", "2.6.24", advice) from error
        here = next(link for link in own.links() if link.name == Lab.interface)
        there = next(link for link in peer.links() if link.name == Lab.peer_interface)
        for end, link, address in ((own, here, Lab.address), (peer, there, Lab.peer_address)):
            end.add_address(link.index, address, Lab.prefix)
            end.set_up(link.index)
        # Nobody has to be asked by ARP, so no first datagram waits or gets lost.
        own.add_neighbour(here.index, Lab.peer_address, there.mac)
        peer.add_neighbour(there.index, Lab.address, here.mac)
        deadline = time.monotonic() + 2
        while not (own.link(here.index).operational and peer.link(there.index).operational):
            if time.monotonic() > deadline:
                raise TimeoutError("the veth pair of the network lab did not come up within 2 seconds")
            time.sleep(0.001)


def _quiet_ipv6() -> None:
    # Link-local addresses would bring packets that nobody sent.  Without the sysctl the lab is only a bit noisier.
    with suppress(OSError):
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
