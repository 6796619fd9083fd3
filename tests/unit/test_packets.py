"""Packet sources of the embedded kernel, with real frames between two namespaces.

The programs here are Python: what is tested is the way of the packets, not the interpreter.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless._sys import namespace
from stingless._sys.rtnetlink import Rtnetlink, attributes
from stingless.embedded.sources import packets
from stingless.embedded.sources.packets import XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX
from stingless.embedded.sources.wire import NO_OFFLOAD, complete_checksum
from stingless.errors import AttachError, NotSupportedError, PrivilegeError, UnknownNameError
from stingless.events import Kprobe, SocketFilter, Xdp
from stingless.testing import net
from tests.lab_checks import USERS, run_check

UDP, TCP = 17, 6


class Fake:
    """A packet program: `decide(frame)` gives the verdict, or the verdict and the changed frame."""

    def __init__(self, decide: Callable[[bytes], int | tuple[int, bytes]]) -> None:
        self._decide = decide
        self.seen: list[tuple[int, bytes]] = []

    def run_packet(self, frame: bytes, ifindex: int) -> tuple[int, bytes]:
        self.seen.append((ifindex, frame))
        said = self._decide(frame)
        return said if isinstance(said, tuple) else (said, frame)


def xdp(decide: Callable[[bytes], int | tuple[int, bytes]]) -> tuple[Fake, packets.XdpLink]:
    program = Fake(decide)
    link = packets.attach(None, program, Xdp("veth0"))
    assert isinstance(link, packets.XdpLink)
    return program, link


def socket_filter(decide: Callable[[bytes], int]) -> tuple[Fake, packets.SocketFilterLink]:
    program = Fake(decide)
    link = packets.attach(None, program, SocketFilter("veth0"))
    assert isinstance(link, packets.SocketFilterLink)
    return program, link


def is_udp(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23] == UDP


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def read(link: packets.SocketFilterLink) -> bytes:
    """The next frame of a socket filter."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            return os.read(link.socket, 1 << 16)
        except BlockingIOError:
            time.sleep(0.002)
    raise TimeoutError


def sum16(data: bytes) -> int:
    """The Internet checksum's sum (RFC 1071), the slow way."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udp_sum_is_right(frame: bytes) -> bool:
    ip, udp = frame[14:34], frame[34 : 14 + int.from_bytes(frame[16:18], "big")]
    return sum16(ip[12:20] + struct.pack("!HH", UDP, len(udp)) + udp) == 0xFFFF


def receiver(lab: net.Lab, port: int = 0) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(5)
    opened.bind((lab.address, port))
    return opened


# XDP


def check_pass_and_drop() -> None:
    with net.lab() as lab:
        index = socket.if_nametoindex("veth0")
        verdicts = [XDP_PASS, XDP_DROP, XDP_PASS, XDP_ABORTED]
        program, link = xdp(lambda _: verdicts[len(program.seen) - 1])
        for through in (True, False, True, False):
            assert lab.udp_gets_through(timeout=5 if through else 0.1) == through
        assert socket.if_nametoindex("veth0") == index
        assert link.verdicts == {XDP_PASS: 2, XDP_DROP: 1, XDP_ABORTED: 1}
        assert all(is_udp(frame) and udp_sum_is_right(frame) for _, frame in program.seen)
        assert {seen for seen, _ in program.seen} == {index}
        link.close()
        link.close()
        assert socket.if_nametoindex("veth0") == index
        assert lab.udp_gets_through()
        assert len(program.seen) == 4


def check_only_arriving_packets_are_seen() -> None:
    with net.lab() as lab, lab.peer_socket() as peer, receiver(lab) as here:
        peer.bind((lab.peer_address, 0))
        peer.settimeout(5)
        program, link = xdp(lambda _: XDP_DROP)
        here.sendto(b"leaving", peer.getsockname())
        assert peer.recv(100) == b"leaving"
        assert program.seen == []
        link.close()


def check_a_changed_packet_arrives_changed() -> None:
    def shout(frame: bytes) -> tuple[int, bytes]:
        # Without a UDP checksum, as a program that rewrites payloads does it.
        return XDP_PASS, frame[:40] + b"\0\0" + frame[42:].upper()

    with net.lab() as lab, receiver(lab) as here:
        _, link = xdp(shout)
        lab.peer_send_udp(here.getsockname()[1], b"whisper")
        assert here.recv(100) == b"WHISPER"
        link.close()


def check_a_resized_packet_arrives() -> None:
    tag = b"\x81\x00\x00\x05"

    def untag(frame: bytes) -> tuple[int, bytes]:  # what bpf_xdp_adjust_head() does
        assert frame[12:16] == tag, frame
        return XDP_PASS, frame[:12] + frame[16:]

    with net.lab() as lab, receiver(lab) as here:
        _, link = socket_filter(lambda frame: len(frame) if is_udp(frame) else 0)
        lab.peer_send_udp(here.getsockname()[1], b"tagged")
        frame = read(link)
        assert here.recv(100) == b"tagged"
        link.close()
        _, link2 = xdp(untag)
        # That frame again, tagged, with its checksum filled in.
        _, frame = complete_checksum(struct.pack("=BBHHHH", 1, 0, 0, 0, 34, 6), frame)
        with lab.peer_socket(socket.SOCK_RAW, socket.AF_PACKET) as sender:
            sender.bind(("veth1", 0))
            sender.send(frame[:12] + tag + frame[12:])
        assert here.recv(100) == b"tagged"
        link2.close()


def check_tx_sends_back() -> None:
    def reflect(frame: bytes) -> tuple[int, bytes]:
        if not is_udp(frame):
            return XDP_PASS, frame
        to, source, ip, addresses, ports, rest = (
            frame[:6],
            frame[6:12],
            frame[12:26],
            frame[26:34],
            frame[34:38],
            frame[38:],
        )
        turned = addresses[4:] + addresses[:4] + ports[2:] + ports[:2]  # none of this changes a checksum
        return XDP_TX, source + to + ip + turned + rest

    with net.lab() as lab, lab.peer_socket() as peer:
        peer.settimeout(5)
        _, link = xdp(reflect)
        peer.sendto(b"echo", (lab.address, 7))  # nobody listens at port 7
        assert peer.recvfrom(100) == (b"echo", (lab.address, 7))
        link.close()


def check_redirect_and_nonsense_drop_and_say_so() -> None:
    with net.lab() as lab:
        verdict = XDP_REDIRECT
        _, link = xdp(lambda _: verdict)
        assert not lab.udp_gets_through(timeout=0.1)
        assert "1 were dropped because XDP_REDIRECT" in link.note
        verdict = 77
        assert not lab.udp_gets_through(timeout=0.1)
        assert "1 were dropped because the program returned no XDP action" in link.note
        link.close()


def check_a_failing_program_does_not_stop_the_wire() -> None:
    fail = True

    def decide(_: bytes) -> int:
        if fail:
            raise RuntimeError("out of luck")
        return XDP_PASS

    with net.lab() as lab:
        _, link = xdp(decide)
        assert not lab.udp_gets_through(timeout=0.1)
        assert "out of luck" in link.note
        fail = False
        assert lab.udp_gets_through()
        link.close()


def check_vlan_tags_stay() -> None:
    tag = b"\x81\x00\x20\x05"
    with net.lab() as lab:
        program, link = xdp(lambda _: XDP_PASS)
        _, filter_link = socket_filter(len)
        frame = b"\xff" * 6 + b"\x02\0\0\0\0\1" + tag + b"\x88\xb5" + b"payload of a local experiment" * 2
        with lab.peer_socket(socket.SOCK_RAW, socket.AF_PACKET) as sender:
            sender.bind(("veth1", 0))
            sender.send(frame)
        assert eventually(lambda: bool(program.seen))
        assert program.seen[0][1] == frame
        assert read(filter_link) == frame[:12] + frame[16:]  # a raw socket gets frames without the tag
        link.close()
        filter_link.close()


def check_a_stream_survives_the_wire() -> None:
    size = 8 << 20
    with net.lab() as lab, closing(socket.create_server((lab.address, 0))) as server:
        program, link = xdp(lambda _: XDP_PASS)
        with lab.peer_socket(socket.SOCK_STREAM) as client:
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            data = os.urandom(1 << 16) * (size >> 16)

            def feed() -> None:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)

            thread = threading.Thread(target=feed)
            thread.start()
            with accepted:
                got = bytearray()
                while part := accepted.recv(1 << 20):
                    got += part
            thread.join()
        assert got == data
        assert sum(frame[23] == TCP for _, frame in program.seen) > 10
        link.close()


def check_the_configuration_moves_along() -> None:
    ignore = Path("/proc/sys/net/ipv4/conf/veth0/arp_ignore")

    def state() -> tuple[object, ...]:
        with Rtnetlink() as netlink:
            link = netlink.link(index)
            saved = netlink.save(index)
            addresses = [(m[17], dict(attributes(m[24:]))[1]) for m in saved.addresses]  # (prefix, IFA_ADDRESS)
            others = [(len(m), m[4:6], m[16:28]) for m in saved.others]  # (type, family header)
        routes = Path("/proc/net/route").read_text()
        return link, sorted(addresses), others, routes, ignore.read_text()

    with net.lab() as lab:
        index = socket.if_nametoindex("veth0")
        Path("/proc/sys/net/ipv6/conf/veth0/disable_ipv6").write_text("0")
        with Rtnetlink() as netlink:
            netlink.add_address(index, "10.9.0.1", 16)
            netlink.add_address(index, "fd00::1", 64)
            netlink.add_neighbour(index, "fd00::2", b"\2\0\0\0\0\2")
            netlink.set_txqlen(index, 77)
            ignore.write_text("2")
            for to, through in (("192.0.2.0", None), ("198.51.100.0", lab.peer_address)):
                body = struct.pack("=8BI", socket.AF_INET, 24, 0, 0, 254, 4, 0 if through else 253, 1, 0)
                body += struct.pack("=HH4sHHI", 8, 1, socket.inet_aton(to), 8, 4, index)
                if through:
                    body += struct.pack("=HH4s", 8, 5, socket.inet_aton(through))
                netlink.request(24, 0x400, body)
        before = state()
        _, link = xdp(lambda _: XDP_PASS)
        assert state() == before
        assert lab.udp_gets_through()
        link.close()
        assert state() == before
        assert lab.udp_gets_through()


def check_what_is_changed_meanwhile_stays() -> None:
    with net.lab() as lab:
        _, link = xdp(lambda _: XDP_PASS)
        with Rtnetlink() as netlink:
            netlink.add_address(socket.if_nametoindex("veth0"), "10.8.0.1", 24)
        link.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("10.8.0.1", 0))
        assert lab.udp_gets_through()


def check_one_program_an_interface() -> None:
    with net.lab() as lab:
        _, link = xdp(lambda _: XDP_DROP)
        with pytest.raises(AttachError) as refused:
            xdp(lambda _: XDP_PASS)
        assert refused.value.errno == errno.EBUSY
        link.close()
        _, link = xdp(lambda _: XDP_PASS)
        assert lab.udp_gets_through()
        link.close()


def check_nothing_is_left_of_a_wire() -> None:
    def descriptors() -> list[str]:
        return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())

    with net.lab() as lab:
        before = descriptors()
        for _ in range(5):
            _, link = xdp(lambda _: XDP_PASS)
            assert lab.udp_gets_through()
            link.close()
        assert descriptors() == before
        assert threading.active_count() == 1
        assert [name for _, name in socket.if_nameindex()] == ["lo", "veth0"]


def check_the_lab_may_end_first() -> None:
    before = sorted(entry.name for entry in Path("/proc/self/fd").iterdir())
    with net.lab():
        _, link = xdp(lambda _: XDP_PASS)
    link.close()
    assert sorted(entry.name for entry in Path("/proc/self/fd").iterdir()) == before


def check_a_forgotten_wire_is_undone_at_exit() -> None:
    code = """
from stingless.embedded.sources.packets import attach
from stingless.events import Xdp
class Drop:
    def run_packet(self, frame, ifindex):
        return 1, frame
link = attach(None, Drop(), Xdp("veth0"))
print(link.event, flush=True)
{ending}
"""
    with net.lab() as lab:
        index = socket.if_nametoindex("veth0")
        for ending, gone in (("", False), ("raise SystemExit(3)", False), ("import time; time.sleep(60)", True)):
            child = subprocess.Popen([sys.executable, "-c", code.format(ending=ending)], stdout=subprocess.PIPE)
            assert child.stdout is not None
            assert child.stdout.readline() == b"xdp:veth0\n"
            if gone:
                # Killed: the kernel removes the wire, and with it the interface.
                child.send_signal(signal.SIGKILL)
            child.wait(10)
            child.stdout.close()
            if gone:
                assert eventually(lambda: len(socket.if_nameindex()) == 1)
                assert eventually(lambda: len(lab.in_peer(socket.if_nameindex)) == 1)
            else:
                assert socket.if_nametoindex("veth0") == index
                assert lab.udp_gets_through()


def check_refusals() -> None:
    with net.lab():
        for event, error, words in (
            (Xdp("veth9"), UnknownNameError, "the nearest: veth0"),
            (Xdp("lo"), AttachError, "not one end of a veth pair"),
            (Xdp("veth0", packets.XDP_FLAGS_HW_MODE), NotSupportedError, "HW_MODE"),
            (SocketFilter("veth9"), UnknownNameError, "the nearest: veth0"),
        ):
            with pytest.raises(error, match=words):
                packets.attach(None, Fake(lambda _: 0), event)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(AttachError, match="the machine itself"):
            patch.setattr(namespace, "is_initial_net", lambda: True)
            packets.attach(None, Fake(lambda _: 0), Xdp("veth0"))
        with pytest.raises(AttachError, match="not a packet event"):
            packets.attach(None, Fake(lambda _: 0), Kprobe("sys_clone"))


# Socket filters


def check_a_filter_chooses_and_cuts() -> None:
    with net.lab() as lab:
        program, link = socket_filter(lambda frame: 44 if is_udp(frame) and frame[37] == 53 else 0)
        with pytest.raises(BlockingIOError):
            os.read(link.socket, 100)
        lab.peer_send_udp(52, b"no")
        lab.peer_send_udp(53, b"yes")
        cut = read(link)
        assert cut[34:40] == struct.pack("!3H", int.from_bytes(cut[34:36], "big"), 53, 8 + 3)
        assert (len(cut), cut[42:]) == (44, b"ye")
        assert {index for index, _ in program.seen} == {socket.if_nametoindex("veth0")}
        assert link.note == ""
        # A copy was taken: the stack still got the packet.
        assert lab.udp_gets_through()
        link.close()
        link.close()
        assert link.socket == -1


def check_a_filter_sees_leaving_packets_too() -> None:
    with net.lab() as lab, receiver(lab) as here:
        _, link = socket_filter(lambda frame: len(frame) if is_udp(frame) else 0)
        here.sendto(b"out", (lab.peer_address, 9))
        assert read(link).endswith(b"out")
        link.close()


def check_a_filter_of_all_interfaces() -> None:
    with net.lab() as lab:
        program = Fake(lambda frame: len(frame) if is_udp(frame) else 0)
        link = packets.attach(None, program, SocketFilter())
        assert isinstance(link, packets.SocketFilterLink)
        with receiver(lab) as here, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"by lo", here.getsockname())
            lab.peer_send_udp(here.getsockname()[1], b"by veth0")
            assert {read(link)[42:], read(link)[42:], read(link)[42:]} == {b"by lo", b"by veth0"}  # lo: out and in
        names = {socket.if_indextoname(index) for index, _ in program.seen}
        assert names == {"lo", "veth0"}
        link.close()


def check_a_failing_filter_goes_on() -> None:
    def decide(frame: bytes) -> int:
        if frame.endswith(b"bad"):
            raise RuntimeError("out of luck")
        return len(frame) if is_udp(frame) else 0

    with net.lab() as lab:
        _, link = socket_filter(decide)
        lab.peer_send_udp(9, b"bad")
        lab.peer_send_udp(9, b"good")
        assert read(link).endswith(b"good")
        assert "out of luck" in link.note
        link.close()


def check_a_filter_outlives_a_wire() -> None:
    with net.lab() as lab:
        _, filter_link = socket_filter(lambda frame: len(frame) if is_udp(frame) else 0)
        _, link = xdp(lambda _: XDP_PASS)
        time.sleep(0.1)
        lab.peer_send_udp(99, b"with the wire")
        assert read(filter_link)[42:] == b"with the wire"
        link.close()
        time.sleep(0.1)
        lab.peer_send_udp(99, b"without")
        assert read(filter_link)[42:] == b"without"
        filter_link.close()


def check_a_reader_that_sleeps_loses_packets_but_nothing_else() -> None:
    with net.lab() as lab:
        _, link = socket_filter(lambda frame: len(frame) if is_udp(frame) else 0)
        for _ in range(3000):
            lab.peer_send_udp(99, bytes(1400))
        assert eventually(lambda: link.lost > 0)
        assert "were lost" in link.note
        assert len(read(link)) == 1442
        link.close()


CHECKS = [check for name, check in globals().items() if name.startswith("check_")]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("check", CHECKS)
def test_packets(check: Callable[[], None], user: str) -> None:
    run_check(check, user)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open packet sockets")
def test_without_privileges_the_way_is_told() -> None:
    with pytest.raises(PrivilegeError, match="unshare -Urn"):
        packets.attach(None, Fake(lambda _: 0), SocketFilter("lo"))


@given(st.binary(min_size=8, max_size=200), st.integers(0, 100))
def test_checksums_are_completed_as_rfc_1071_says(body: bytes, before: int) -> None:
    start = bytes(before)
    frame = start + body[:6] + b"\0\0" + body[8:]
    header, done = complete_checksum(struct.pack("=BBHHHH", 1, 0, 0, 0, before, 6), frame)
    assert header == NO_OFFLOAD
    assert done[: before + 6] + done[before + 8 :] == frame[: before + 6] + frame[before + 8 :]
    assert done[before + 6 : before + 8] != b"\0\0"
    assert sum16(done[before:]) == 0xFFFF


@given(st.binary(max_size=60), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_a_checksum_outside_of_the_frame_is_left_alone(frame: bytes, start: int, offset: int) -> None:
    _, done = complete_checksum(struct.pack("=BBHHHH", 1, 0, 0, 0, start, offset), frame)
    assert len(done) == len(frame)
    if start + offset + 2 > len(frame):
        assert done == frame
