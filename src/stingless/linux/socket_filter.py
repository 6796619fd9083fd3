"""Socket filters: copies of an interface's packets, through a raw packet socket that the program filters.

Minimum kernel: 3.19.  Privileges: CAP_NET_RAW for the socket.
Example: `link = kernel.attach(program, SocketFilter("lo")); os.read(link.socket, 2048)`.
Source: net/core/filter.c, `sk_attach_bpf()`.
"""

from __future__ import annotations

import errno
import socket

from stingless._gen.uapi import ProgramType
from stingless._sys import packet
from stingless.errors import AttachError
from stingless.events import SocketFilter
from stingless.linux.links import LinuxLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import privilege
from stingless.linux.xdp import interface_index


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


def attach(program: LinuxProgram, event: SocketFilter) -> SocketLink:
    require_type(program, event, ProgramType.SOCKET_FILTER)
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
