"""The network lab: two namespaces and a wire, for root and for others, and nothing left after it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stingless._sys import namespace
from stingless._sys.rtnetlink import Rtnetlink, attribute, attributes
from stingless.errors import PrivilegeError
from stingless.testing import net
from tests.lab_checks import USERS, run_check


def _net() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def _descriptors() -> list[str]:
    return sorted(descriptor.name for descriptor in Path("/proc/self/fd").iterdir())


def check_datagrams_arrive() -> None:
    with net.lab() as lab:
        for _ in range(3):
            assert lab.udp_gets_through()
            assert lab.ping_gets_through()
            assert lab.tcp_gets_through()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind((lab.address, 4321))
            receiver.settimeout(2)
            lab.peer_send_udp(4321, b"payload", source_port=1234)
            assert receiver.recvfrom(100) == (b"payload", (lab.peer_address, 1234))
            receiver.sendto(b"back", (lab.peer_address, 9))  # nobody listens; the way back exists
            with pytest.raises(ConnectionRefusedError):
                receiver.connect((lab.peer_address, 9))
                receiver.send(b"again")
                receiver.recv(1)


def check_a_closed_way_is_noticed() -> None:
    with net.lab() as lab, Rtnetlink() as netlink:
        netlink.set_up(socket.if_nametoindex(lab.interface), up=False)
        assert not lab.udp_gets_through(timeout=0.1)
        assert not lab.ping_gets_through(timeout=0.1)
        assert not lab.tcp_gets_through(timeout=0.1)


def check_only_the_labs_interfaces_exist() -> None:
    outside = _net()
    with net.lab() as lab:
        assert _net() != outside
        assert [name for _, name in socket.if_nameindex()] == ["lo", lab.interface]
        assert lab.in_peer(_net) not in (_net(), outside)
        assert [name for _, name in lab.in_peer(socket.if_nameindex)] == ["lo", lab.peer_interface]


def check_the_peer_runs_commands() -> None:
    with net.lab() as lab:
        code = (
            "import socket; print(socket.if_nameindex()[-1][1]);"
            "socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()"  # an exec'ed command keeps CAP_NET_RAW
        )
        done = lab.peer_run([sys.executable, "-c", code])
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{lab.peer_interface}\n", "")


def check_nothing_is_left() -> None:
    before, outside, ids = _descriptors(), _net(), os.getresuid() + os.getresgid()
    for _ in range(2):
        with net.lab() as lab:
            assert lab.udp_gets_through()
    assert _descriptors() == before
    assert threading.active_count() == 1
    assert os.getresuid() + os.getresgid() == ids
    if os.geteuid() == 0:
        assert _net() == outside


def check_the_lab_ends_on_an_exception() -> None:
    before = _descriptors()
    with pytest.raises(ZeroDivisionError), net.lab():
        raise ZeroDivisionError
    assert _descriptors() == before


def check_namespaces_end_with_a_killed_process() -> None:
    with net.lab() as lab:
        index = socket.if_nametoindex(lab.interface)
        # The child takes our end of the wire into a namespace that only it holds, and is killed.
        child = os.fork()
        if child == 0:
            hidden = namespace.new_net()
            with Rtnetlink() as netlink:
                netlink.move(index, hidden)
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        assert [name for _, name in socket.if_nameindex()] == ["lo"]
        # With the namespace goes the interface, and with that its other end.
        end = time.monotonic() + 10
        while len(lab.in_peer(socket.if_nameindex)) > 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert [name for _, name in lab.in_peer(socket.if_nameindex)] == ["lo"]


def check_many_threads_are_refused() -> None:
    if os.geteuid() == 0:
        return  # root needs no user namespace, so it may have threads
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(PrivilegeError, match="this one has 2"), net.lab():
            pass
    finally:
        done.set()
        thread.join()


def check_what_netlink_refuses_keeps_its_errno() -> None:
    with net.lab() as lab, Rtnetlink() as netlink:
        index = socket.if_nametoindex(lab.interface)
        with pytest.raises(OSError) as refused:
            netlink.add_address(index, lab.address, lab.prefix)
        assert refused.value.errno == errno.EEXIST
        with pytest.raises(OSError) as refused:
            netlink.link(4711)
        assert refused.value.errno == errno.ENODEV


CHECKS = [check for name, check in globals().items() if name.startswith("check_")]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("check", CHECKS)
def test_lab(check: Callable[[], None], user: str) -> None:
    run_check(check, user)


def test_attributes_are_padded_and_read_back() -> None:
    data = attribute(1, b"") + attribute(2, b"abc") + attribute(3, b"abcd") + attribute(4, b"abcde")
    assert len(data) == 4 + 8 + 8 + 12
    assert list(attributes(data)) == [(1, b""), (2, b"abc"), (3, b"abcd"), (4, b"abcde")]


def test_a_refused_user_namespace_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(flags: int = 0) -> None:
        raise PermissionError(errno.EPERM, "unshare")

    monkeypatch.setattr(namespace, "unshare", refuse)
    monkeypatch.setattr(namespace, "enter_user_namespace", refuse)
    monkeypatch.setattr(namespace, "thread_count", lambda: 1)
    before = _descriptors()
    with pytest.raises(PrivilegeError, match=r"needs root or a user namespace") as refused, net.lab():
        pass
    assert refused.value.errno == errno.EPERM
    assert "sysctl" in str(refused.value) or "seccomp" in str(refused.value)
    assert _descriptors() == before
