"""A file system of the kernel (tracefs, bpffs) without touching the system's mount table.

Minimum kernel: 5.2 for fsopen(2).  Privileges: CAP_SYS_ADMIN when it is not mounted yet.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from stingless._sys.syscall import Fd, entry, last_error, number

_FSOPEN_CLOEXEC, _FSCONFIG_CMD_CREATE, _FSMOUNT_CLOEXEC = 1, 6, 1

_fsopen = entry(ctypes.c_char_p, ctypes.c_uint)
_fsconfig = entry(ctypes.c_int, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
_fsmount = entry(ctypes.c_int, ctypes.c_uint, ctypes.c_uint)


def mount_points(kind: str) -> list[str]:
    """Where file systems of that kind are mounted, the latest first."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == kind:
            found.append(fields[1].encode().decode("unicode_escape"))
    return found[::-1]


def detached_mount(kind: str) -> Fd:
    """Mount it nowhere: only files opened relative to this descriptor see it, and it ends with the descriptor."""
    context = _fsopen(number("fsopen"), kind.encode(), _FSOPEN_CLOEXEC)
    if context < 0:
        raise last_error()
    try:
        if _fsconfig(number("fsconfig"), context, _FSCONFIG_CMD_CREATE, None, None, 0) < 0:
            raise last_error()
        mount = _fsmount(number("fsmount"), context, _FSMOUNT_CLOEXEC, 0)
        if mount < 0:
            raise last_error()
    finally:
        os.close(context)
    return Fd(mount, kind)


def directory(kind: str) -> Fd:
    """The root directory of a file system of that kind: a mounted one, or a detached mount of our own."""
    for point in mount_points(kind):
        try:
            return Fd(os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), kind)
        except OSError:
            continue
    return detached_mount(kind)
