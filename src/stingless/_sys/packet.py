"""AF_PACKET sockets: what the socket module has no word for."""

from __future__ import annotations

import ctypes
import socket
import struct

SO_ATTACH_BPF = 50
ETH_P_ALL = 3

_libc = ctypes.CDLL(None, use_errno=True)


def bind(sock: socket.socket, ifindex: int) -> None:
    """Start receiving every protocol from an interface, or from all of them with 0."""
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(ETH_P_ALL), ifindex, 0, 0, 0, b"")
    if _libc.bind(sock.fileno(), address, len(address)) < 0:
        from stingless._sys.syscall import last_error

        raise last_error()
