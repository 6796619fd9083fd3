"""What a file descriptor stands for: the numbers by which maps know threads, files, sockets and cgroups.

Each raises `OSError` with the errno that bpf(2) gives for a descriptor of another kind.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

_SO_COOKIE = 57


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
        try:
            same.getpeername()
        except OSError:
            return False
        return True
