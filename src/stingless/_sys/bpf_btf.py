"""bpf(2)'s commands for BTF objects.  Each raises `OSError` with the kernel's errno.

Layouts: `union bpf_attr` and `struct bpf_btf_info` in linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from ctypes import c_char_p, c_uint32, c_uint64, c_void_p

from stingless._gen.uapi import Command
from stingless._sys.bpf import _bpf
from stingless._sys.syscall import Fd
from stingless.frozen import frozen


class _BtfLoad(ctypes.Structure):
    _fields_ = (
        ("btf", c_char_p),
        ("btf_log_buf", c_void_p),
        ("btf_size", c_uint32),
        ("btf_log_size", c_uint32),
        ("btf_log_level", c_uint32),
    )


class _Number(ctypes.Structure):
    _fields_ = (("id", c_uint32), ("next_id", c_uint32), ("open_flags", c_uint32))


class _BtfInfo(ctypes.Structure):
    _fields_ = (
        ("btf", c_uint64),
        ("btf_size", c_uint32),
        ("id", c_uint32),
        ("name", c_uint64),
        ("name_len", c_uint32),
        ("kernel_btf", c_uint32),
    )


class _Info(ctypes.Structure):
    _fields_ = (("bpf_fd", c_uint32), ("info_len", c_uint32), ("info", c_void_p))


def btf_load(data: bytes) -> Fd:
    return Fd(_bpf(Command.BTF_LOAD, _BtfLoad(data, None, len(data))), "BTF")


def btf_log(data: bytes) -> str:
    """What the kernel says of BTF that it refuses; "" when it takes it."""
    log = ctypes.create_string_buffer(1 << 16)
    try:
        Fd(_bpf(Command.BTF_LOAD, _BtfLoad(data, ctypes.addressof(log), len(data), len(log), 1)), "BTF").close()
    except OSError:
        return log.value.decode(errors="replace")
    return ""


def btf_fd_by_id(id: int) -> Fd:
    """CAP_SYS_ADMIN.  Raises ENOENT."""
    return Fd(_bpf(Command.BTF_GET_FD_BY_ID, _Number(id)), f"BTF {id}")


def btf_ids() -> Iterator[int]:
    """Ids of all BTF objects: the kernel's, its modules', and those of programs and maps.  CAP_SYS_ADMIN."""
    attr = _Number(0)
    while True:
        try:
            _bpf(Command.BTF_GET_NEXT_ID, attr)
        except FileNotFoundError:
            return
        yield attr.next_id
        attr = _Number(attr.next_id)


@frozen
class BtfInfo:
    """`kernel` for the kernel's own ("vmlinux") and its modules'; `name` is "" for others."""

    id: int
    size: int
    name: str
    kernel: bool


def btf_info(fd: int) -> BtfInfo:
    name = ctypes.create_string_buffer(64)
    info = _BtfInfo(name=ctypes.addressof(name), name_len=len(name))
    try:
        _bpf(Command.OBJ_GET_INFO_BY_FD, _Info(fd, ctypes.sizeof(info), ctypes.addressof(info)))
    except OSError as e:
        if e.errno != errno.E2BIG:  # a kernel before 5.11, which has no names
            raise
        info = _BtfInfo()
        _bpf(Command.OBJ_GET_INFO_BY_FD, _Info(fd, ctypes.sizeof(info), ctypes.addressof(info)))
    return BtfInfo(info.id, info.btf_size, name.value.decode(errors="replace"), bool(info.kernel_btf))


def btf_data(fd: int) -> bytes:
    """The blob, as it was loaded."""
    out = ctypes.create_string_buffer(btf_info(fd).size)
    info = _BtfInfo(btf=ctypes.addressof(out), btf_size=len(out))
    _bpf(Command.OBJ_GET_INFO_BY_FD, _Info(fd, ctypes.sizeof(info), ctypes.addressof(info)))
    return out.raw
