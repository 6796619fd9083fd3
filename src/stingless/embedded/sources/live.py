"""Frames as they come: of an interface (AF_PACKET; seen, not taken), or of a TAP device of our own (taken, answered).

`with Tap("tap0") as tap: for verdict in apply(program, tap.frames(seconds=5)): ...`

Privileges: CAP_NET_RAW for an interface, CAP_NET_ADMIN for a TAP device, in the user namespace of the network.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from stingless._sys import tun
from stingless._sys.rtnetlink import Rtnetlink
from stingless.embedded.sources.capture import MAX_FRAME, Frame
from stingless.errors import AttachError, PrivilegeError, UnknownNameError
from stingless.owned import Owned

_ETH_P_ALL = 3
_QUEUE_BYTES = 1 << 24  # as far as net.core.rmem_max allows
_WAYS = "run as root, start the command with `unshare -Urn`, or enter a network lab (stingless.testing.net.lab)"


class Source(Owned):
    """`fileno()` is readable when there is a frame."""

    index: int

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self._fd = fd

    def fileno(self) -> int:
        self._open(f"the source {self.name}")
        return self._fd

    def _receive(self) -> bytes:
        return os.read(self._fd, MAX_FRAME)

    def frames(self, count: int | None = None, seconds: float | None = None) -> Iterator[Frame]:
        """Frames as they come: at most `count`, for at most `seconds` (None: without end)."""
        end = None if seconds is None else time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        given = 0
        while count is None or given < count:
            wait = None if end is None else max(0.0, end - time.monotonic())
            if not poll.poll(None if wait is None else wait * 1000 + 1):
                return
            with suppress(BlockingIOError):
                data = self._receive()
                given += 1
                yield Frame(time.time_ns(), len(data), data)
            if end is not None and time.monotonic() > end:
                return

    def send(self, frame: bytes) -> None:
        """Send a frame back to where frames come from.  Raises `OSError`."""
        os.write(self.fileno(), frame)

    def _free(self) -> None:
        os.close(self._fd)


class Interface(Source):
    """What arrives at and leaves an interface of the caller's network namespace.  Nothing is taken away: what a program
    says of it is told only."""

    def __init__(self, name: str) -> None:
        try:
            self.index = socket.if_nametoindex(name)
        except OSError:
            known = [each for _, each in socket.if_nameindex()]
            raise UnknownNameError("network interface", name, known) from None
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            # With protocol 0 nothing arrives before the bind, so no frame of another interface.
            made = socket.socket(socket.AF_PACKET, kind, 0)
        except PermissionError as error:
            raise PrivilegeError(f"a raw packet socket at {name} needs CAP_NET_RAW: {_WAYS}", errno.EPERM) from error
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
        made.bind((name, _ETH_P_ALL))
        super().__init__(name, made.detach())


class Tap(Source):
    """A TAP device: what the stack sends through it comes here, and what is sent here arrives at it."""

    def __init__(self, name: str) -> None:
        try:
            fd = tun.open_tap(name)
        except PermissionError as error:
            raise PrivilegeError(f"the TAP device {name} needs CAP_NET_ADMIN: {_WAYS}", errno.EPERM) from error
        except OSError as error:
            raise AttachError(f"the TAP device {name}: {error.strerror} (/dev/net/tun)", error.errno or 0) from error
        super().__init__(name, fd)
        self.index = socket.if_nametoindex(name)
        with Rtnetlink() as netlink:
            netlink.set_up(self.index)


def source(text: str) -> Source:
    """`if:NAME` or `tap:NAME`.  Raises `ValueError` for other texts, and as the classes do."""
    kind, _, name = text.partition(":")
    if kind not in ("if", "tap") or not name:
        raise ValueError(f"{text!r} is no source of packets: those are if:NAME and tap:NAME")
    return Interface(name) if kind == "if" else Tap(name)
