"""Network and user namespaces: unshare(2), setns(2), and the capabilities that go with them.

A namespace lives as long as a thread is in it or a file descriptor is open on it, so namespaces that are held only by
descriptors end with the process, however it ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

_CAP_NET_BIND_SERVICE, _CAP_NET_ADMIN, _CAP_NET_RAW, _CAP_SYS_ADMIN = 10, 12, 13, 21
_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """unshare(2) of the calling thread.  CLONE_NEWUSER needs a single-threaded process (EINVAL)."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace that `fd` refers to."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def open_net() -> int:
    """A file descriptor that holds the calling thread's network namespace."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, so that what it does to its namespaces is gone when it returns."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="stingless-netns")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def new_net() -> int:
    """A fresh network namespace, held only by the returned file descriptor.  Raises `OSError` (EPERM)."""

    def work() -> int:
        unshare(CLONE_NEWNET)
        return open_net()

    return in_thread(work)


def run_in_net(fd: int, work: Callable[[], T]) -> T:
    """Run `work` in the network namespace that `fd` holds; sockets and processes that it makes stay there."""

    def inside() -> T:
        setns(fd, CLONE_NEWNET)
        return work()

    return in_thread(inside)


def enter_user_namespace(flags: int = 0) -> None:
    """Put the process into a new user namespace (and new namespaces of the other kinds in `flags`), where it keeps its
    user and group ids and has every capability over what it makes there.  Commands that it starts keep those
    that networks and namespaces need.  There is no way back.  Raises `OSError`: EINVAL when other threads run, EPERM,
    ENOSPC."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | flags)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _keep_capabilities()


def _keep_capabilities() -> None:
    # execve() of a user who is not root drops all capabilities but the ambient ones.
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)  # two of { effective, permitted, inheritable }
    _check(_libc.capget(header, data), "capget")
    effective, permitted, _, *high = struct.unpack("=6I", data.raw[:24])
    keep = (_CAP_NET_BIND_SERVICE, _CAP_NET_ADMIN, _CAP_NET_RAW, _CAP_SYS_ADMIN)
    inheritable = sum(1 << capability for capability in keep) & permitted
    data.raw = struct.pack("=6I", effective, permitted, inheritable, *high)
    _check(_libc.capset(header, data), "capset")
    for capability in keep:
        raised = _libc.prctl(_PR_CAP_AMBIENT, *map(ctypes.c_ulong, (_PR_CAP_AMBIENT_RAISE, capability, 0, 0)))
        if raised < 0 and ctypes.get_errno() != errno.EINVAL:  # EINVAL: a kernel before 4.3
            _check(raised, "prctl(PR_CAP_AMBIENT)")


def is_initial_net() -> bool | None:
    """Whether the calling thread is in the network namespace of process 1; None when that cannot be read."""
    try:
        first = Path("/proc/1/ns/net").stat()
    except OSError:
        return None
    own = Path("/proc/thread-self/ns/net").stat()
    return (first.st_dev, first.st_ino) == (own.st_dev, own.st_ino)


def thread_count() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())
