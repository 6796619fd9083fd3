"""bpf(2), one typed function per command.  Each raises `OSError` with the kernel's errno.

Layouts: `union bpf_attr` in linux/bpf.h.  Only the head that a command needs is passed; the kernel takes the rest as 0.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_uint32, c_void_p

from stingless._gen.uapi import Command
from stingless._sys.syscall import Fd, entry, last_error, number

_enter = entry(ctypes.c_int, c_void_p, ctypes.c_uint)


def _bpf(command: int, attr: ctypes.Structure) -> int:
    result: int = _enter(number("bpf"), command, ctypes.byref(attr), ctypes.sizeof(attr))
    if result < 0:
        raise last_error()
    return result


class _Info(ctypes.Structure):
    _fields_ = (("bpf_fd", c_uint32), ("info_len", c_uint32), ("info", c_void_p))


class _RawTracepoint(ctypes.Structure):
    _fields_ = (("name", c_char_p), ("prog_fd", c_uint32))


class _LinkCreate(ctypes.Structure):
    _fields_ = (
        ("prog_fd", c_uint32),
        ("target_fd", c_uint32),
        ("attach_type", c_uint32),
        ("flags", c_uint32),
        ("target_btf_id", c_uint32),
    )


def object_name(name: str) -> bytes:
    """`name` as the kernel takes it: 15 bytes of letters, digits, "_" and "."."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)[:15].encode()


def info_by_fd(fd: int, size: int) -> bytes:
    """The head of `struct bpf_map_info`, `bpf_prog_info` or `bpf_link_info`: at most `size` bytes, zero-filled."""
    out = ctypes.create_string_buffer(size)
    _bpf(Command.OBJ_GET_INFO_BY_FD, _Info(fd, size, ctypes.addressof(out)))
    return out.raw


def raw_tracepoint_open(prog_fd: int, name: str | None) -> Fd:
    """`name` None: the target was given when the program was loaded (fentry, LSM)."""
    encoded = name.encode() if name is not None else None
    return Fd(_bpf(Command.RAW_TRACEPOINT_OPEN, _RawTracepoint(encoded, prog_fd)), f"raw tracepoint {name or ''}")


def link_create(prog_fd: int, target: int, attach_type: int, flags: int = 0) -> Fd:
    """`target`: an fd, or an interface index for XDP."""
    return Fd(_bpf(Command.LINK_CREATE, _LinkCreate(prog_fd, target, attach_type, flags)), "bpf link")
