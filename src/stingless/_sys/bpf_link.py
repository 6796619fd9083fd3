"""bpf(2)'s commands for links and attachments.  Each raises `OSError` with the kernel's errno.

Layouts: `union bpf_attr` and `struct bpf_link_info` in linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

from stingless._gen.uapi import AttachType, Command
from stingless._sys.bpf import _bpf
from stingless._sys.syscall import Fd

_INFO_SIZE = 104  # of linux/bpf.h of 7.2; kernels fill what they know


class _Attr(ctypes.Structure):
    _fields_ = (("data", ctypes.c_char * 72),)


def _call(command: Command, layout: str, *fields: int) -> int:
    """`layout` as in `struct`, with the machine's byte order and no padding but what it names."""
    return _bpf(command, _Attr.from_buffer_copy(struct.pack("=" + layout, *fields).ljust(72, b"\0")))


def create(prog_fd: int, target: int, attach_type: int, flags: int = 0, layout: str = "", *rest: int) -> Fd:
    """`target`: a file descriptor or interface index.  `rest` is what the kind of link has after the four common
    fields."""
    return Fd(_call(Command.LINK_CREATE, "IIII" + layout, prog_fd, target, attach_type, flags, *rest), "bpf link")


def create_perf_event(prog_fd: int, event_fd: int, cookie: int) -> Fd:
    """Since Linux 5.15."""
    return create(prog_fd, event_fd, AttachType.PERF_EVENT, 0, "Q", cookie)


def create_tracing(prog_fd: int, attach_type: int, target_fd: int = 0, btf_id: int = 0, cookie: int = 0) -> Fd:
    """`target_fd` and `btf_id`: the program, and its function, that an EXT program replaces; 0 is what it was loaded
    for."""
    return create(prog_fd, target_fd, attach_type, 0, "IxxxxQ", btf_id, cookie)


def create_iter(prog_fd: int, info: bytes) -> Fd:
    """`info`: `union bpf_iter_link_info`, or nothing."""
    held = ctypes.create_string_buffer(info, len(info) or 1)
    address = ctypes.addressof(held) if info else 0
    return create(prog_fd, 0, AttachType.TRACE_ITER, 0, "QI", address, len(info))


def iter_create(link_fd: int) -> Fd:
    """A file whose reads make one walk."""
    return Fd(_call(Command.ITER_CREATE, "II", link_fd, 0), "iterator")


def create_kprobe_multi(
    prog_fd: int, attach_type: int, functions: Sequence[str], cookies: Sequence[int] = (), ret: bool = False
) -> Fd:
    names = (ctypes.c_char_p * len(functions))(*(name.encode() for name in functions))
    numbers = (ctypes.c_uint64 * len(cookies))(*cookies)
    cookie_address = ctypes.addressof(numbers) if cookies else 0
    flags = 1 if ret else 0  # BPF_F_KPROBE_MULTI_RETURN
    rest = (flags, len(functions), ctypes.addressof(names), 0, cookie_address)
    return create(prog_fd, 0, attach_type, 0, "IIQQQ", *rest)


def create_uprobe_multi(
    prog_fd: int,
    attach_type: int,
    path: str,
    offsets: Sequence[int],
    cookies: Sequence[int] = (),
    pid: int = 0,
    ret: bool = False,
) -> Fd:
    """`pid` 0: every process."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    places = (ctypes.c_uint64 * len(offsets))(*offsets)
    numbers = (ctypes.c_uint64 * len(cookies))(*cookies)
    cookie_address = ctypes.addressof(numbers) if cookies else 0
    flags = 1 if ret else 0  # BPF_F_UPROBE_MULTI_RETURN
    rest = (ctypes.addressof(name), ctypes.addressof(places), 0, cookie_address, len(offsets), flags, pid)
    return create(prog_fd, 0, attach_type, 0, "QQQQIII", *rest)


def create_tracing_multi(prog_fd: int, attach_type: int, btf_ids: Sequence[int], cookies: Sequence[int] = ()) -> Fd:
    """Functions of the kernel itself, by their BTF ids."""
    ids = (ctypes.c_uint32 * len(btf_ids))(*btf_ids)
    numbers = (ctypes.c_uint64 * len(cookies))(*cookies)
    cookie_address = ctypes.addressof(numbers) if cookies else 0
    return create(prog_fd, 0, attach_type, 0, "QQI", ctypes.addressof(ids), cookie_address, len(btf_ids))


def create_netfilter(prog_fd: int, family: int, hook: int, priority: int, flags: int) -> Fd:
    return create(prog_fd, 0, AttachType.NETFILTER, 0, "IIiI", family, hook, priority, flags)


def raw_tracepoint_open(prog_fd: int, name: str | None, cookie: int = 0) -> Fd:
    """`name` None: the target was given when the program was loaded.  A cookie: since Linux 6.10."""
    held = ctypes.create_string_buffer(name.encode()) if name is not None else None
    address = ctypes.addressof(held) if held is not None else 0
    fd = _call(Command.RAW_TRACEPOINT_OPEN, "QIxxxxQ", address, prog_fd, cookie)
    return Fd(fd, f"raw tracepoint {name or ''}".rstrip())


def update(link_fd: int, prog_fd: int) -> None:
    """Put another program in the link.  Since Linux 5.7."""
    _call(Command.LINK_UPDATE, "IIII", link_fd, prog_fd, 0, 0)


def detach(link_fd: int) -> None:
    """Cut the link off from its event, whoever else holds it.  Since Linux 5.9."""
    _call(Command.LINK_DETACH, "I", link_fd)


def pin(fd: int, path: str) -> None:
    held = ctypes.create_string_buffer(os.fsencode(path))
    _call(Command.OBJ_PIN, "QII", ctypes.addressof(held), fd, 0)


def prog_attach(target_fd: int, prog_fd: int, attach_type: int) -> None:
    _call(Command.PROG_ATTACH, "IIIII", target_fd, prog_fd, attach_type, 0, 0)


def prog_detach(target_fd: int, prog_fd: int, attach_type: int) -> None:
    _call(Command.PROG_DETACH, "IIIII", target_fd, prog_fd, attach_type, 0, 0)


def info(fd: int, name_at: int = 0, name_size: int = 256) -> tuple[bytes, str]:
    """`struct bpf_link_info`, zero-filled where the kernel is older.  `name_at`: where the struct takes a pointer to
    room for a name (its size is the 32 bits behind it); the name is the second result."""
    room = ctypes.create_string_buffer(name_size)
    raw = bytearray(_INFO_SIZE)
    if name_at:
        struct.pack_into("=QI", raw, name_at, ctypes.addressof(room), name_size)
    out = ctypes.create_string_buffer(bytes(raw), _INFO_SIZE)
    _call(Command.OBJ_GET_INFO_BY_FD, "IIQ", fd, _INFO_SIZE, ctypes.addressof(out))
    return out.raw, room.value.decode(errors="replace")
