"""Maps that are there already: pinned in a bpffs, or known by id; typed by the BTF that they were made with.

Minimum kernel: 4.4 for pins, 4.13 for ids, 4.18 for BTF.  Privileges: pins need the file's permissions, ids
CAP_SYS_ADMIN.  Source: kernel/bpf/inode.c, kernel/bpf/syscall.c.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from stingless._gen.uapi import MapType
from stingless._sys import bpf_btf, bpf_map
from stingless._sys.syscall import Fd
from stingless.errors import LoadError, ObjectError, PrivilegeError
from stingless.linux.maps import LinuxMap
from stingless.obj.spec import MapSpec

if TYPE_CHECKING:
    from stingless.btf.types import Btf

_RDONLY = 1 << 3  # BPF_F_RDONLY


def pin(fd: int, path: str | Path, what: str) -> None:
    """Pin a map or program.  Raises `FileExistsError`, `FileNotFoundError`, `PermissionError` (also where there is no
    bpffs) and other `OSError`s that name the path."""
    try:
        bpf_map.obj_pin(fd, str(path))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        parent = Path(path).parent  # sysfs, where /sys/fs/bpf is not mounted, says ENOENT
        if error.errno in (errno.EPERM, errno.ENOENT) and parent.is_dir() and not _in_bpffs(parent):
            why = "it is not in a bpffs; mount one: mount -t bpf bpf DIRECTORY"
        raise OSError(error.errno, f"pinning {what}: {why}", str(path)) from None


def _in_bpffs(directory: Path) -> bool:
    best: tuple[int, bool] = (-1, False)
    here = os.path.realpath(directory)
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if here == where or here.startswith(where.rstrip("/") + "/"):
            best = max(best, (len(where), kind == "bpf"))
    return best[1]


def open_map(source: str | Path | int) -> LinuxMap:
    """By path or by id.  Raises `FileNotFoundError`, `PrivilegeError`, `LoadError`."""
    what = f"map {source}" if isinstance(source, int) else f"what is pinned at {source}"
    try:
        fd = _opened(source)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise FileNotFoundError(error.errno, f"there is no {what}" if isinstance(source, int) else what) from None
        if error.errno in (errno.EPERM, errno.EACCES):
            needs = "CAP_SYS_ADMIN" if isinstance(source, int) else "permission to read and write its file"
            raise PrivilegeError(f"opening {what} needs {needs}", error.errno) from None
        raise LoadError(f"opening {what}", error.errno or 0) from None
    try:
        return LinuxMap(_spec(fd), fd, bpf_map.is_frozen(fd.fileno()))
    except OSError as error:
        fd.close()
        if error.errno == errno.EINVAL:
            raise LoadError(f"{what} is not a map", errno.EINVAL) from None
        raise
    except BaseException:
        fd.close()
        raise


def _opened(source: str | Path | int) -> Fd:
    def attempt(flags: int) -> Fd:
        if isinstance(source, int):
            return bpf_map.map_fd_by_id(source, flags)
        return bpf_map.obj_get(str(source), flags)

    try:
        return attempt(0)
    except PermissionError:
        try:
            return attempt(_RDONLY)
        except OSError:
            pass
        raise


def _spec(fd: Fd) -> MapSpec:
    found = bpf_map.map_info(fd.fileno())
    try:
        kind = MapType(found.type)
    except ValueError:
        raise LoadError(f"map {found.name!r} is of type {found.type}, which is not known here") from None
    btf, key, value = _types(found)
    return MapSpec(
        found.name,
        kind,
        found.key_size,
        found.value_size,
        found.max_entries,
        found.flags,
        key,
        value,
        extra=found.extra,
        btf=btf,
    )


def _types(found: bpf_map.MapDescription) -> tuple[Btf | None, int, int]:
    """BTF and the ids of key and value; none where the kernel does not give it."""
    if not found.btf_id or not (found.btf_key_type or found.btf_value_type):
        return None, 0, 0
    try:
        with_fd = bpf_btf.btf_fd_by_id(found.btf_id)
    except OSError:  # privileges
        return None, 0, 0
    try:
        from stingless.btf.types import Btf

        if bpf_btf.btf_info(with_fd.fileno()).kernel:
            return None, 0, 0
        return Btf(bpf_btf.btf_data(with_fd.fileno())), found.btf_key_type, found.btf_value_type
    except (OSError, ObjectError):
        return None, 0, 0
    finally:
        with_fd.close()
