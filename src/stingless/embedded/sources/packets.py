"""Packet sources of the embedded kernel: XDP over a software wire, and socket filters over a raw packet socket.

Example: `link = kernel.attach(program, SocketFilter("veth0")); os.read(link.socket, 2048)`.
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import socket
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stingless.errors import AttachError, NotSupportedError, PrivilegeError, UnknownNameError
from stingless.events import Event, SocketFilter, Tc, Xdp
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless._sys.rtnetlink import LinkInfo
    from stingless.embedded.sources.wire import Wire

XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT = range(5)
XDP_FLAGS_HW_MODE = 8  # linux/if_link.h

_ETH_P_ALL = 3
_MAX_FRAME = 1 << 17
_QUEUE_BYTES = 1 << 20

_WAYS = "run as root, start the script with `unshare -Urn`, or enter a network lab (stingless.testing.net.lab)"


class PacketProgram(Protocol):
    """What a packet source needs of a loaded program."""

    def run_packet(self, frame: bytes, ifindex: int) -> tuple[int, bytes]:
        """Run on one Ethernet frame.  Returns the program's verdict and the frame as the program left it."""


def attach(kernel: object, program: PacketProgram, event: Event) -> XdpLink | SocketFilterLink:
    """Attach to an `Xdp`, `Tc` or `SocketFilter` event.  Raises `AttachError`, `UnknownNameError`, `PrivilegeError`,
    `NotSupportedError`."""
    if isinstance(event, Xdp):
        return XdpLink(program, event)
    if isinstance(event, Tc):
        from stingless.embedded.sources.tc import TcLink

        return TcLink(program, event)
    if isinstance(event, SocketFilter):
        return SocketFilterLink(program, event)
    raise AttachError(f"{event} is not a packet event", errno.EINVAL)


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        known = [name for _, name in socket.if_nameindex()]
        raise UnknownNameError(
            "network interface", interface, known, advice="only those of the caller's network namespace count"
        ) from None


class SocketFilterLink(Owned):
    """A program that chooses what a raw packet socket gets, and how many bytes of it.

    `socket` is the descriptor to read frames from, one a read; it is non-blocking, and frames are lost while 1 MiB of
    them waits unread.  Closing the link closes it."""

    def __init__(self, program: PacketProgram, event: SocketFilter) -> None:
        self._event = event
        self._program = program
        self.lost = 0
        self._failure: Exception | None = None
        self._index = _index(event.interface) if event.interface else 0
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            # With protocol 0 nothing arrives before the bind, so no frame of another interface.
            protocol = 0 if event.interface else socket.htons(_ETH_P_ALL)
            self._frames = socket.socket(socket.AF_PACKET, kind, protocol)
        except PermissionError as error:
            raise PrivilegeError(
                f"{event}: a raw packet socket needs CAP_NET_RAW in the user namespace of the network: {_WAYS}",
                error.errno or errno.EPERM,
            ) from None
        if event.interface:
            self._frames.bind((event.interface, _ETH_P_ALL))
        self._sink, self._source = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _QUEUE_BYTES)
        self._sink.setblocking(False)
        self._source.setblocking(False)
        self._stop = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        name = f"stingless-filter-{event.interface or 'any'}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def event(self) -> Event:
        return self._event

    @property
    def note(self) -> str:
        parts = []
        if self.lost:
            parts.append(f"{self.lost} packets were lost because the reader did not keep up")
        if self._failure is not None:
            parts.append(f"running the program failed: {self._failure!r}")
        return "; ".join(parts)

    @property
    def socket(self) -> int:
        return -1 if self._closed else self._source.fileno()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._frames, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._stop.is_set():
            poll.poll()
            try:
                frame, sender = self._frames.recvfrom(_MAX_FRAME)
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    self._bind_again()
                continue
            index = self._index
            if not index:
                with suppress(OSError):  # the interface went since
                    index = socket.if_nametoindex(sender[0])
            try:
                keep, _ = self._program.run_packet(frame, index)
            except Exception as error:  # the next frame gets its chance; the note tells
                self._failure = error
                continue
            if keep:
                try:
                    self._sink.send(frame[:keep])
                except OSError:
                    self.lost += 1

    def _bind_again(self) -> None:
        # The interface went down (the socket stays bound), or another one takes its place (it does not).
        while not self._stop.wait(0.01):
            with suppress(OSError):
                self._frames.bind((self._event.interface, _ETH_P_ALL))
                return

    def _free(self) -> None:
        self._stop.set()
        os.eventfd_write(self._wake, 1)
        if self._thread is not threading.current_thread():
            self._thread.join()
        os.close(self._wake)
        for opened in (self._frames, self._sink, self._source):
            opened.close()


# Interfaces with a program: (network namespace's inode, interface's index).
_busy: set[tuple[int, int]] = set()
_busy_lock = threading.Lock()


class XdpLink(Owned):
    """A program that decides about every frame that arrives at a veth interface, before the stack sees it.

    `verdicts` counts what it said.  XDP_REDIRECT has nowhere to go here and drops."""

    socket = -1

    def __init__(self, program: PacketProgram, event: Xdp | Tc) -> None:
        self._event = event
        self._program = program
        self.verdicts: Counter[int] = Counter()
        self._failure: Exception | None = None
        if isinstance(event, Xdp) and event.flags & XDP_FLAGS_HW_MODE:
            raise NotSupportedError("XDP_FLAGS_HW_MODE on the embedded kernel", "4.13 and a network card that runs XDP")
        self._index = _index(event.interface)
        self._key = (Path("/proc/thread-self/ns/net").stat().st_ino, self._index)
        with _busy_lock:
            if self._key in _busy:
                raise AttachError(f"{event}: a program is attached there already; remove it first", errno.EBUSY)
            _busy.add(self._key)
        try:
            self._wire = self._splice()
        except BaseException:
            self._release()
            raise
        atexit.register(self.close)

    def _splice(self) -> Wire:
        from stingless._sys import namespace
        from stingless._sys.rtnetlink import Rtnetlink

        event = self._event
        with Rtnetlink() as netlink:
            link = netlink.link(self._index)
        why = ""
        if namespace.is_initial_net():
            why = "this is the network of the machine itself, where the embedded kernel replaces no interface"
        elif link.kind != "veth":
            why = f"it is {'a ' + link.kind if link.kind else 'no virtual'} interface, and not one end of a veth pair"
        elif link.master:
            why = "it belongs to a bridge or a bond"
        if why:
            raise AttachError(
                f"{event}: {why}; use the Linux kernel as root, or a veth in a network namespace of your own"
                " (stingless.testing.net.lab makes one)",
                errno.EOPNOTSUPP,
            )
        try:
            return self._wire_in(link)
        except PermissionError as error:
            raise PrivilegeError(
                f"{event}: putting a program into the way of its packets needs CAP_NET_ADMIN and CAP_SYS_ADMIN in the"
                f" user namespace of the network: {_WAYS}",
                error.errno or errno.EPERM,
            ) from error
        except AttachError:
            raise
        except OSError as error:
            raise AttachError(f"{event}: the interface could not be replaced", error.errno or errno.EIO) from error

    def _wire_in(self, link: LinkInfo) -> Wire:
        from stingless.embedded.sources.wire import Wire

        return Wire(link, self._decide)

    def _decide(self, frame: bytes) -> tuple[bytes | None, bytes | None]:
        try:
            verdict, after = self._program.run_packet(frame, self._index)
        except Exception as error:  # the wire must go on: the frame is dropped, and the note tells
            self._failure = error
            verdict, after = XDP_ABORTED, frame
        self.verdicts[verdict] += 1
        if verdict == XDP_PASS:
            return after, None
        if verdict == XDP_TX:
            return None, after
        return None, None

    @property
    def event(self) -> Event:
        return self._event

    @property
    def note(self) -> str:
        parts = [f"the packets that arrive at {self._event.interface} pass through this process"]
        if redirected := self.verdicts[XDP_REDIRECT]:
            parts.append(f"{redirected} were dropped because XDP_REDIRECT has nowhere to go here")
        if unknown := sum(count for verdict, count in self.verdicts.items() if verdict > XDP_REDIRECT):
            parts.append(f"{unknown} were dropped because the program returned no XDP action")
        if self._wire.lost:
            parts.append(f"{self._wire.lost} were lost because a queue was full or they had become too large")
        if self._failure is not None:
            parts.append(f"running the program failed: {self._failure!r}")
        return "; ".join(parts)

    def _free(self) -> None:
        """Put the interface back."""
        atexit.unregister(self.close)
        try:
            self._wire.close()
        finally:
            self._release()

    def _release(self) -> None:
        with _busy_lock:
            _busy.discard(self._key)
