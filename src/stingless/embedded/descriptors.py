"""What a file descriptor stands for: the numbers by which maps know threads, files, sockets and cgroups.

Each raises `OSError` with the errno that bpf(2) gives for a descriptor of another kind.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SO_PRIORITY, _SO_MARK, _SO_PROTOCOL, _SO_COOKIE = 12, 36, 38, 57
_ESTABLISHED, _CLOSE, _LISTEN = 1, 7, 10  # include/net/tcp_states.h


def _stat(fd: int) -> os.stat_result:
    if fd < 0:
        raise OSError(errno.EBADF, "no descriptor")
    return os.fstat(fd)


def not_ours(fd: int) -> int:
    """The errno for a number that is of no program or map: whether it is a descriptor at all."""
    try:
        _stat(fd)
    except OSError:
        return errno.EBADF
    return errno.EINVAL


def thread(fd: int) -> int:
    """The thread id of a pidfd.  Raises EBADF, ENOENT when the thread is gone."""
    _stat(fd)
    for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pid":
            if int(value) <= 0:
                raise OSError(errno.ENOENT, "the thread is gone")
            return int(value)
    raise OSError(errno.EBADF, "this is no pidfd")


def inode(fd: int) -> int:
    """Of a file: its inode and device in one number."""
    found = _stat(fd)
    return (found.st_ino ^ found.st_dev << 44) & (1 << 64) - 1


def cookie(fd: int) -> int:
    """Of a socket.  Raises EBADF, ENOTSOCK."""
    _stat(fd)
    with socket.socket(fileno=os.dup(fd)) as same:
        return int.from_bytes(same.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8), "little")


def visible_socket(fd: int) -> bytes:
    """`struct bpf_sock` of a socket: what programs may read of it."""
    with socket.socket(fileno=os.dup(fd)) as same:
        addresses = [_address(same.getsockname), _address(same.getpeername)]
        (source4, source6, source_port), (to4, to6, to_port) = addresses
        state = _CLOSE
        if to_port or (same.family == socket.AF_UNIX and _has_peer(same)):
            state = _ESTABLISHED
        elif same.type == socket.SOCK_STREAM and same.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            state = _LISTEN
        head = struct.pack(
            "=6I",
            0,
            same.family,
            same.type,
            same.getsockopt(socket.SOL_SOCKET, _SO_PROTOCOL),
            same.getsockopt(socket.SOL_SOCKET, _SO_MARK),
            same.getsockopt(socket.SOL_SOCKET, _SO_PRIORITY),
        )
        ports = struct.pack("=I", source_port) + struct.pack(">HH", to_port, 0)
        return head + source4 + source6 + ports + to4 + to6 + struct.pack("=Ii", state, -1)


def _address(ask: Callable[[], Any]) -> tuple[bytes, bytes, int]:
    """In IPv4, in IPv6, and the port."""
    try:
        name = ask()
    except OSError:
        name = None
    if not isinstance(name, tuple) or len(name) < 2 or not isinstance(name[0], str):
        return bytes(4), bytes(16), 0
    address = ipaddress.ip_address(name[0].partition("%")[0])
    four = address.packed if address.version == 4 else bytes(4)
    return four, address.packed if address.version == 6 else bytes(16), name[1]


def _has_peer(same: socket.socket) -> bool:
    try:
        same.getpeername()
    except OSError:
        return False
    return True


def cgroup(fd: int) -> int:
    """The id of a cgroup's directory.  Raises EBADF."""
    _stat(fd)
    try:
        (Path(f"/proc/self/fd/{fd}").resolve(strict=True) / "cgroup.procs").stat()
    except OSError:
        raise OSError(errno.EBADF, "this is no directory of a cgroup") from None
    return os.fstat(fd).st_ino


def may_join_sockmap(fd: int) -> bool:
    """Whether the socket is of a kind and state that a SOCKMAP takes: connected or listening TCP, bound UDP, UNIX
    datagram, connected UNIX stream."""
    with socket.socket(fileno=os.dup(fd)) as same:
        family, kind = same.family, same.type
        if family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            return False
        if kind == socket.SOCK_DGRAM:
            return family == socket.AF_UNIX or same.getsockname()[1] != 0
        if kind != socket.SOCK_STREAM:
            return False
        if family != socket.AF_UNIX and same.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return True
        return _has_peer(same)
