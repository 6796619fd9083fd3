"""Socket filters: copies of an interface's packets, through a raw packet socket that the program filters; or what comes
to a socket of the caller's.

Minimum kernel: 3.19.  Privileges: CAP_NET_RAW for a raw socket, none for one of the caller's.
Example: `link = kernel.attach(program, SocketFilter("lo")); os.read(link.socket, 2048)`.
Source: net/core/filter.c, `sk_attach_bpf()`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from stingless._gen.uapi import ProgramType
from stingless._sys import packet
from stingless.errors import AttachError
from stingless.events import Event, SocketFilter
from stingless.linux.link_refusals import refused
from stingless.linux.links import LinuxLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import privilege
from stingless.linux.xdp import interface_index

_SO_DETACH_FILTER = 27  # asm-generic/socket.h


class SocketLink(LinuxLink):
    """The link owns the socket; it is in non-blocking mode."""

    def __init__(self, event: SocketFilter, sock: socket.socket) -> None:
        super().__init__(event, ())
        self._socket = sock

    @property
    def socket(self) -> int:
        return self._socket.fileno()

    def _free(self) -> None:
        self._socket.close()


class OptionLink(LinuxLink):
    """A program that a socket option put on a socket of the caller's, which a copy of the descriptor keeps."""

    def __init__(self, event: Event, fd: int, program: int, attach: int, detach: int) -> None:
        super().__init__(event, ())
        self._detach = detach
        copy = os.dup(fd)
        try:
            self._socket = socket.socket(fileno=copy)
        except BaseException:
            os.close(copy)
            raise
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, attach, program)
        except BaseException:
            self._socket.close()
            raise

    @property
    def socket(self) -> int:
        return self._socket.fileno()

    def _free(self) -> None:
        with contextlib.suppress(OSError):  # it may be detached, or the kernel cannot detach
            self._socket.setsockopt(socket.SOL_SOCKET, self._detach, 0)
        self._socket.close()


def attach(program: LinuxProgram, event: SocketFilter) -> LinuxLink:
    require_type(program, event, ProgramType.SOCKET_FILTER)
    if event.socket >= 0:
        try:
            return OptionLink(event, event.socket, program.fd, packet.SO_ATTACH_BPF, _SO_DETACH_FILTER)
        except OSError as e:
            why = {errno.ENOTSOCK: "it is no socket", errno.EBADF: "there is no open socket of that descriptor"}
            raise refused(program, event, e, None, why=why) from None
    index = interface_index(event.interface) if event.interface else 0
    try:
        # Protocol 0 receives nothing: no packet gets in before the program is in its place.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except PermissionError:
        raise privilege(f"a packet socket for {event}", ("CAP_NET_RAW",)) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, packet.SO_ATTACH_BPF, program.fd)
        packet.bind(sock, index)
    except OSError as e:
        sock.close()
        raise AttachError(
            f"program {program.spec.name!r} cannot be attached to {event}", e.errno or errno.EINVAL
        ) from None
    return SocketLink(event, sock)
