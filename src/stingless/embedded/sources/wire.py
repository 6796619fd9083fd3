"""A software wire: every frame that arrives at a veth interface passes through this process before the stack sees it.

```
 before   peer ──────────── veth0 (addresses, routes)

 after    peer ─── veth0 ══ this process ══ tap ─── veth0 (the same index, MAC address, addresses, routes)
                   └── hidden namespace ─────┘
```

The real interface moves to an anonymous network namespace that nothing else is in, so no stack there answers or
forwards anything; a stand-in of the same name, index and configuration takes its place.  Arriving frames go through
`decide`, leaving ones through `leaving`; without these they are copied as they are.  `close()` puts everything back.
A file descriptor holds the hidden
namespace: when the process is killed, the kernel removes the interface with it.

Links on top of the interface (VLANs, bridges) and traffic control are not carried over.

Minimum kernel: 4.20 (PACKET_IGNORE_OUTGOING).  Privileges: CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN in the user
namespace of the network.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from stingless._sys import namespace
from stingless._sys.rtnetlink import Configuration, LinkInfo, Rtnetlink
from stingless.errors import AttachError

T = TypeVar("T")
Decide = Callable[[bytes], tuple[bytes | None, bytes | None]]

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_AUXDATA, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 8, 15, 23
_AUXDATA = struct.Struct("=3I2H2H")  # struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid
_STATUS_VLAN_VALID, _STATUS_VLAN_TPID_VALID = 0x10, 0x40
_VNET = struct.Struct("=BBHHHH")  # struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
_NEEDS_CSUM = 1
_MAX_FRAME = 1 << 17
_SETTLE = 0.05  # seconds that the other end gets to become ready when it cannot be asked
_BURST, _LAST = 64, 1024  # frames of one direction before the other has its turn, and at the end


class Wire:
    """The wire in `link`, an interface of the calling thread's network namespace.

    `decide(frame)`, of a frame that arrives, gets a complete Ethernet frame (checksums filled in)
    and returns the frame to hand to the stack,
    and one to send back to where it came from; None for neither.  It is called in one thread of this object.  Raises
    `OSError` when the interface cannot be replaced; it is then as before."""

    def __init__(self, link: LinkInfo, decide: Decide | None, leaving: Decide | None = None) -> None:
        self._decide = decide
        self._leaving = leaving
        self.link = link
        self.lost = 0  # frames that could not be passed on: the queue was full, or they had become too large
        self._home = namespace.open_net()
        self._hidden = -1
        self._sockets: list[socket.socket] = []
        self._wake = -1
        self._saved = Configuration()
        self._tap = "tap0" if link.name != "tap0" else "tap1"
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._hidden = namespace.new_net()
            namespace.run_in_net(self._hidden, _silence_ipv6)
            self._wake = os.eventfd(0, os.EFD_CLOEXEC)
            self._replace()
            raw, tap = self._sockets
            self._thread = threading.Thread(
                target=self._relay, args=(raw, tap), name=f"stingless-wire-{link.name}", daemon=True
            )
            self._thread.start()
        except BaseException:
            self.close()
            raise

    def _replace(self) -> None:
        link = self.link
        with (
            namespace.run_in_net(self._home, Rtnetlink) as home,
            namespace.run_in_net(self._hidden, Rtnetlink) as hidden,
        ):
            self._saved = saved = home.save(link.index)
            settings = self._at_home(lambda: _read_sysctls(link.name))
            home.move(link.index, self._hidden)
            home.add_veth(link.name, self._tap, index=link.index, mac=link.mac, mtu=link.mtu, peer_net=self._hidden)
            tap = next(found for found in hidden.links() if found.name == self._tap)
            # The sockets come before the interfaces go up: no frame goes by unseen.
            for name in (link.name, self._tap):
                self._sockets.append(namespace.run_in_net(self._hidden, partial(_packet_socket, name)))
            hidden.set_up(link.index)
            hidden.set_up(tap.index)
            home.set_txqlen(link.index, link.txqlen)
            self._at_home(lambda: _write_sysctls(settings))
            failed = _configure(home, link.index, saved, link.up)
            if failed:
                what = "; ".join(failed)
                raise AttachError(f"{link.name}: its configuration could not be carried over: {what}", errno.EBUSY)
            _wait_operational(hidden, tap.index)
            _wait_operational(hidden, link.index)

    def close(self) -> None:
        """Put the real interface back, with the configuration that the stand-in has by now.  Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            if self._thread is not None and self._thread is not threading.current_thread():
                os.eventfd_write(self._wake, 1)
                self._thread.join()
            if self._hidden >= 0:
                self._put_back()
        finally:
            for opened in self._sockets:
                opened.close()
            for fd in (self._wake, self._hidden, self._home):
                if fd >= 0:
                    os.close(fd)

    def _put_back(self) -> None:
        link = self.link
        with (
            namespace.run_in_net(self._home, Rtnetlink) as home,
            namespace.run_in_net(self._hidden, Rtnetlink) as hidden,
        ):
            names = {found.name for found in hidden.links()}
            if link.name not in names and self._tap not in names:
                return  # it was never moved
            saved, up = self._saved, link.up
            settings = self._at_home(lambda: _read_sysctls(link.name))
            with suppress(OSError):  # ENODEV: somebody removed the stand-in
                up = home.link(link.index).up
                saved = home.save(link.index)
                home.delete_link(link.index)
            if link.name not in names:
                return  # the other end of the real one was removed meanwhile, and it with that
            try:
                hidden.move(link.index, self._home)
                home.set_txqlen(link.index, link.txqlen)
                self._at_home(lambda: _write_sysctls(settings))
                _configure(home, link.index, saved, up)
                if up:
                    _wait_operational(home, link.index)
            except OSError as error:
                if error.errno != errno.ENODEV:  # the other end is being removed right now
                    raise

    def _at_home(self, work: Callable[[], T]) -> T:
        return namespace.run_in_net(self._home, work)

    # The thread

    def _relay(self, raw: socket.socket, tap: socket.socket) -> None:
        poll = select.poll()
        for fd in (raw.fileno(), tap.fileno(), self._wake):
            poll.register(fd, select.POLLIN)
        ready: set[int] = set()
        arriving = partial(self._pass_on, self._decide, raw, tap)
        leaving = partial(self._pass_on, self._leaving, tap, raw)
        while self._wake not in ready:
            ready = {fd for fd, _ in poll.poll()}
            if raw.fileno() in ready:
                self._pump(raw, arriving, _BURST)
            if tap.fileno() in ready:
                self._pump(tap, leaving, _BURST)
        # What is on the wire when it is cut still arrives.
        self._pump(raw, arriving, _LAST)
        self._pump(tap, leaving, _LAST)

    def _pump(self, source: socket.socket, handle: Callable[[bytes, bytes], None], at_most: int) -> None:
        for _ in range(at_most):
            received = _receive(source)
            if received is None:
                return
            handle(*received)

    def _pass_on(
        self, decide: Decide | None, here: socket.socket, there: socket.socket, header: bytes, frame: bytes
    ) -> None:
        """A frame that came by `here`."""
        if decide is None:
            self._send(there, header, frame)
            return
        header, frame = complete_checksum(header, frame)
        on, back = decide(frame)
        for to, passed in ((there, on), (here, back)):
            if passed is None:
                continue
            if len(passed) != len(frame) and header != NO_OFFLOAD:
                self.lost += 1  # a frame that is still to be cut into segments cannot change its headers' length
                continue
            self._send(to, header, passed)

    def _send(self, to: socket.socket, header: bytes, frame: bytes) -> None:
        try:
            to.send(header + frame)
        except OSError:  # EAGAIN, ENOBUFS, EMSGSIZE, ENETDOWN: a wire loses what it cannot carry
            self.lost += 1


NO_OFFLOAD = bytes(_VNET.size)


def complete_checksum(header: bytes, frame: bytes) -> tuple[bytes, bytes]:
    """Fill in the checksum that the sender left to its hardware, as a virtio_net_hdr `header` tells.  A frame that is
    still to be segmented keeps its header: each segment gets its own checksum later."""
    flags, gso, _, _, start, offset = _VNET.unpack(header)
    if gso:
        return header, frame
    at = start + offset
    if not flags & _NEEDS_CSUM or at + 2 > len(frame):
        return NO_OFFLOAD, frame
    # The one's complement sum of 16-bit words is the remainder by 0xffff of the bytes read as one number.  The field
    # itself holds the sum of the pseudo header by now.
    body = frame[start:]
    total = int.from_bytes(body + bytes(len(body) % 2), "big") % 0xFFFF
    checksum = 0xFFFF - total  # never 0, which would mean "no checksum" for UDP
    return NO_OFFLOAD, frame[:at] + checksum.to_bytes(2, "big") + frame[at + 2 :]


def _packet_socket(interface: str) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_PACKET, kind, 0)  # protocol 0: nothing arrives before the bind
    try:
        opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
        opened.bind((interface, _ETH_P_ALL))
    except BaseException:
        opened.close()
        raise
    return opened


def _receive(source: socket.socket) -> tuple[bytes, bytes] | None:
    """(virtio_net_hdr, frame) of the next frame, or None."""
    try:
        data, extra, _, _ = source.recvmsg(_MAX_FRAME, 64)
    except OSError:  # EAGAIN, or ENETDOWN once when the interface goes
        return None
    header, frame = data[: _VNET.size], data[_VNET.size :]
    for level, kind, aux in extra:
        if level != _SOL_PACKET or kind != _PACKET_AUXDATA or len(aux) < _AUXDATA.size:
            continue
        status, _, _, _, _, tci, tpid = _AUXDATA.unpack_from(aux)
        if status & _STATUS_VLAN_VALID:  # the stack took the VLAN tag out: put it back
            tag = struct.pack("!HH", tpid if status & _STATUS_VLAN_TPID_VALID else 0x8100, tci)
            frame = frame[:12] + tag + frame[12:]
            flags, gso, length, size, start, offset = _VNET.unpack(header)
            header = _VNET.pack(flags, gso, length and length + 4, size, start and start + 4, offset)
    return header, frame


def _read_sysctls(interface: str) -> dict[Path, str]:
    settings = {}
    for family in ("ipv6", "ipv4"):
        directory = Path("/proc/sys/net", family, "conf", interface)
        with suppress(OSError):
            for path in directory.iterdir():
                with suppress(OSError):  # some cannot be read before they are set
                    settings[path] = path.read_text()
    return settings


def _write_sysctls(settings: dict[Path, str]) -> None:
    for path, value in settings.items():
        with suppress(OSError):
            if path.read_text() != value:
                path.write_text(value)


def _configure(netlink: Rtnetlink, index: int, saved: Configuration, up: bool) -> list[str]:
    failed = netlink.restore(saved.addresses)
    if up:
        netlink.set_up(index)
        failed += netlink.restore(saved.others)
    return failed


def _wait_operational(netlink: Rtnetlink, index: int) -> None:
    # The stack drops what is sent between an interface going up and its queues being ready, at both ends.  Asking for
    # an interface makes the kernel catch up with it.
    end = time.monotonic() + 1
    while time.monotonic() < end:
        here = netlink.link(index)
        try:
            there = netlink.veth_peer(index)
        except PermissionError:
            time.sleep(_SETTLE)
            return
        if not (here.up and there.up) or (here.operational and there.operational):
            return
        time.sleep(0.001)


def _silence_ipv6() -> None:
    # Nothing in the hidden namespace may send anything of its own.
    for scope in ("all", "default"):
        with suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1")
