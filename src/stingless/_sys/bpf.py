"""bpf(2), one typed function per command.  Each raises `OSError` with the kernel's errno.

Layouts: `union bpf_attr` in linux/bpf.h.  Only the head that a command needs is passed; the kernel takes the rest as 0.
"""

from __future__ import annotations

import ctypes
import struct
from ctypes import c_char, c_char_p, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass

from stingless._gen.uapi import Command
from stingless._sys.syscall import Fd, entry, last_error, number

Log = ctypes.Array[c_char]

_enter = entry(ctypes.c_int, c_void_p, ctypes.c_uint)


def _bpf(command: int, attr: ctypes.Structure) -> int:
    result: int = _enter(number("bpf"), command, ctypes.byref(attr), ctypes.sizeof(attr))
    if result < 0:
        raise last_error()
    return result


class _MapCreate(ctypes.Structure):
    _fields_ = (
        ("map_type", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("map_flags", c_uint32),
        ("inner_map_fd", c_uint32),
        ("numa_node", c_uint32),
        ("map_name", c_char * 16),
        ("map_ifindex", c_uint32),
        ("btf_fd", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
    )


class _MapElem(ctypes.Structure):
    _fields_ = (("map_fd", c_uint32), ("key", c_char_p), ("value", c_void_p), ("flags", c_uint64))


class _MapUpdate(ctypes.Structure):
    _fields_ = (("map_fd", c_uint32), ("key", c_char_p), ("value", c_char_p), ("flags", c_uint64))


class _Batch(ctypes.Structure):
    _fields_ = (
        ("in_batch", c_char_p),
        ("out_batch", c_void_p),
        ("keys", c_void_p),
        ("values", c_void_p),
        ("count", c_uint32),
        ("map_fd", c_uint32),
        ("elem_flags", c_uint64),
        ("flags", c_uint64),
    )


class _ProgLoad(ctypes.Structure):
    _fields_ = (
        ("prog_type", c_uint32),
        ("insn_cnt", c_uint32),
        ("insns", c_char_p),
        ("license", c_char_p),
        ("log_level", c_uint32),
        ("log_size", c_uint32),
        ("log_buf", c_void_p),
        ("kern_version", c_uint32),
        ("prog_flags", c_uint32),
        ("prog_name", c_char * 16),
        ("prog_ifindex", c_uint32),
        ("expected_attach_type", c_uint32),
        ("prog_btf_fd", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_char_p),
        ("func_info_cnt", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("line_info", c_char_p),
        ("line_info_cnt", c_uint32),
        ("attach_btf_id", c_uint32),
    )


class _TestRun(ctypes.Structure):
    _fields_ = (
        ("prog_fd", c_uint32),
        ("retval", c_uint32),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("data_in", c_char_p),
        ("data_out", c_void_p),
        ("repeat", c_uint32),
        ("duration", c_uint32),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("ctx_in", c_void_p),
        ("ctx_out", c_void_p),
    )


class _Info(ctypes.Structure):
    _fields_ = (("bpf_fd", c_uint32), ("info_len", c_uint32), ("info", c_void_p))


class _RawTracepoint(ctypes.Structure):
    _fields_ = (("name", c_char_p), ("prog_fd", c_uint32))


class _BtfLoad(ctypes.Structure):
    _fields_ = (
        ("btf", c_char_p),
        ("btf_log_buf", c_void_p),
        ("btf_size", c_uint32),
        ("btf_log_size", c_uint32),
        ("btf_log_level", c_uint32),
    )


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


def map_create(
    type: int,
    key_size: int,
    value_size: int,
    max_entries: int,
    flags: int = 0,
    name: str = "",
    btf_fd: int = 0,
    btf_key: int = 0,
    btf_value: int = 0,
    inner_map_fd: int = 0,
) -> Fd:
    attr = _MapCreate(type, key_size, value_size, max_entries, flags)
    attr.map_name = object_name(name)
    attr.inner_map_fd = inner_map_fd
    attr.btf_fd, attr.btf_key_type_id, attr.btf_value_type_id = btf_fd, btf_key, btf_value
    return Fd(_bpf(Command.MAP_CREATE, attr), f"map {name}")


def _fetch(command: int, fd: int, key: bytes | None, size: int) -> bytes:
    out = ctypes.create_string_buffer(size)
    _bpf(command, _MapElem(fd, key, ctypes.addressof(out)))
    return out.raw


def map_lookup(fd: int, key: bytes | None, value_bytes: int) -> bytes:
    """Raises ENOENT when there is no such key.  Queues and stacks take None as key."""
    return _fetch(Command.MAP_LOOKUP_ELEM, fd, key, value_bytes)


def map_lookup_and_delete(fd: int, key: bytes | None, value_bytes: int) -> bytes:
    return _fetch(Command.MAP_LOOKUP_AND_DELETE_ELEM, fd, key, value_bytes)


def map_update(fd: int, key: bytes | None, value: bytes, flags: int) -> None:
    _bpf(Command.MAP_UPDATE_ELEM, _MapUpdate(fd, key, value, flags))


def map_delete(fd: int, key: bytes) -> None:
    _bpf(Command.MAP_DELETE_ELEM, _MapElem(fd, key))


def map_next_key(fd: int, key: bytes | None, key_size: int) -> bytes:
    """Raises ENOENT after the last key."""
    return _fetch(Command.MAP_GET_NEXT_KEY, fd, key, key_size)


def map_lookup_batch(
    fd: int, position: bytes | None, key_size: int, value_bytes: int, count: int
) -> tuple[bytes, bytes, int, bytes | None]:
    """Up to `count` entries: (keys, values, number of them, where to go on or None at the end).  Since Linux 5.6.

    Raises ENOSPC when `count` is too small for one bucket of a hash map, EINVAL or ENOTSUPP where the map type has no
    batch form.
    """
    out = ctypes.create_string_buffer(max(key_size, 4))  # hash maps keep a 32-bit bucket number in it
    keys = ctypes.create_string_buffer(key_size * count)
    values = ctypes.create_string_buffer(value_bytes * count)
    attr = _Batch(
        position,
        ctypes.addressof(out),
        ctypes.addressof(keys),
        ctypes.addressof(values),
        count,
        fd,
    )
    last = False
    try:
        _bpf(Command.MAP_LOOKUP_BATCH, attr)
    except FileNotFoundError:  # the end was reached; what was found is there
        last = True
    got = attr.count
    return keys.raw[: got * key_size], values.raw[: got * value_bytes], got, None if last else out.raw


def map_freeze(fd: int) -> None:
    _bpf(Command.MAP_FREEZE, _MapElem(fd))


@dataclass(frozen=True)
class Records:
    """Packed func_info (8 bytes each) or line_info (16 bytes each)."""

    data: bytes
    size: int

    @property
    def count(self) -> int:
        return len(self.data) // self.size


def prog_load(
    type: int,
    code: bytes,
    license: str,
    name: str = "",
    *,
    expected_attach_type: int = 0,
    attach_btf_id: int = 0,
    btf_fd: int = 0,
    func_info: Records | None = None,
    line_info: Records | None = None,
    flags: int = 0,
    log: Log | None = None,
    log_level: int = 0,
) -> Fd:
    """Verify and load.  With `log_level`, the verifier's log is written to `log` (see `log_buffer`)."""
    attr = _ProgLoad(type, len(code) // 8, code, license.encode())
    attr.prog_name = object_name(name)
    attr.prog_flags = flags
    attr.expected_attach_type = expected_attach_type
    attr.attach_btf_id = attach_btf_id
    attr.prog_btf_fd = btf_fd
    if func_info is not None:
        attr.func_info, attr.func_info_rec_size, attr.func_info_cnt = func_info.data, func_info.size, func_info.count
    if line_info is not None:
        attr.line_info, attr.line_info_rec_size, attr.line_info_cnt = line_info.data, line_info.size, line_info.count
    if log is not None:
        attr.log_buf, attr.log_size, attr.log_level = ctypes.addressof(log), len(log), log_level
    return Fd(_bpf(Command.PROG_LOAD, attr), f"program {name}")


def log_buffer(size: int) -> Log:
    return ctypes.create_string_buffer(size)


def log_text(log: Log) -> str:
    return log.value.decode(errors="replace")


def prog_test_run(
    fd: int, data: bytes | None, ctx: bytes | None, repeat: int, data_room: int, ctx_out: bool = True
) -> tuple[int, bytes, bytes, int]:
    """(retval, data after, context after, duration in ns).

    `data_room`: bytes that the data may grow to.  Without `ctx_out` the context comes back in the buffer it went in
    by, as SYSCALL programs have it, or unchanged, as for RAW_TRACEPOINT.
    """
    attr = _TestRun(fd)
    attr.repeat = repeat
    data_after = ctx_before = ctx_after = None
    if data is not None:
        data_after = ctypes.create_string_buffer(data_room)
        attr.data_in, attr.data_size_in = data, len(data)
        attr.data_out, attr.data_size_out = ctypes.addressof(data_after), data_room
    if ctx is not None:
        ctx_before = ctypes.create_string_buffer(ctx, len(ctx))
        attr.ctx_in, attr.ctx_size_in = ctypes.addressof(ctx_before), len(ctx)
        if ctx_out:
            ctx_after = ctypes.create_string_buffer(len(ctx))
            attr.ctx_out, attr.ctx_size_out = ctypes.addressof(ctx_after), len(ctx)
    _bpf(Command.PROG_TEST_RUN, attr)
    new_data = data_after.raw[: attr.data_size_out] if data_after is not None else b""
    if ctx_after is not None:
        new_ctx = ctx_after.raw[: attr.ctx_size_out]
    else:
        new_ctx = ctx_before.raw if ctx_before is not None else b""
    return attr.retval, new_data, new_ctx, attr.duration


def info_by_fd(fd: int, size: int) -> bytes:
    """The head of `struct bpf_map_info`, `bpf_prog_info` or `bpf_link_info`: at most `size` bytes, zero-filled."""
    out = ctypes.create_string_buffer(size)
    _bpf(Command.OBJ_GET_INFO_BY_FD, _Info(fd, size, ctypes.addressof(out)))
    return out.raw


@dataclass(frozen=True)
class ProgramInfo:
    """From `struct bpf_prog_info`."""

    type: int
    id: int
    tag: str
    jited_bytes: int
    xlated_bytes: int
    name: str
    run_time_ns: int
    run_count: int
    verified_insns: int


def prog_info(fd: int) -> ProgramInfo:
    raw = info_by_fd(fd, 232)
    type_, id_, tag, jited, xlated = struct.unpack_from("=II8sII", raw)
    run_time, run_count, _misses, verified = struct.unpack_from("=QQQI", raw, 192)
    name = raw[64:80].split(b"\0")[0].decode()
    return ProgramInfo(type_, id_, tag.hex(), jited, xlated, name, run_time, run_count, verified)


@dataclass(frozen=True)
class MapInfo:
    """From `struct bpf_map_info`."""

    type: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: str


def map_info(fd: int) -> MapInfo:
    raw = info_by_fd(fd, 88)
    type_, id_, key_size, value_size, max_entries, flags = struct.unpack_from("=6I", raw)
    return MapInfo(type_, id_, key_size, value_size, max_entries, flags, raw[24:40].split(b"\0")[0].decode())


def raw_tracepoint_open(prog_fd: int, name: str | None) -> Fd:
    """`name` None: the target was given when the program was loaded (fentry, LSM)."""
    encoded = name.encode() if name is not None else None
    return Fd(_bpf(Command.RAW_TRACEPOINT_OPEN, _RawTracepoint(encoded, prog_fd)), f"raw tracepoint {name or ''}")


def btf_load(data: bytes) -> Fd:
    return Fd(_bpf(Command.BTF_LOAD, _BtfLoad(data, None, len(data))), "BTF")


def link_create(prog_fd: int, target: int, attach_type: int, flags: int = 0) -> Fd:
    """`target`: an fd, or an interface index for XDP."""
    return Fd(_bpf(Command.LINK_CREATE, _LinkCreate(prog_fd, target, attach_type, flags)), "bpf link")
