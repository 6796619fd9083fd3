"""bpf(2)'s commands for maps.  Each raises `OSError` with the kernel's errno.

Layouts: `union bpf_attr` and `struct bpf_map_info` in linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import struct
from ctypes import c_char, c_char_p, c_int32, c_uint32, c_uint64, c_void_p
from pathlib import Path

from stingless._gen.uapi import Command
from stingless._sys.bpf import _bpf, info_by_fd, object_name
from stingless._sys.syscall import Fd
from stingless.frozen import frozen


class _Create(ctypes.Structure):
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
        ("btf_vmlinux_value_type_id", c_uint32),
        ("map_extra", c_uint64),
        ("value_type_btf_obj_fd", c_int32),
        ("map_token_fd", c_int32),
    )


class _Elem(ctypes.Structure):
    _fields_ = (("map_fd", c_uint32), ("key", c_char_p), ("value", c_void_p), ("flags", c_uint64))


class _Update(ctypes.Structure):
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


class _Object(ctypes.Structure):
    _fields_ = (("pathname", c_char_p), ("bpf_fd", c_uint32), ("file_flags", c_uint32))


class _Id(ctypes.Structure):
    _fields_ = (("id", c_uint32), ("next_id", c_uint32), ("open_flags", c_uint32))


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
    *,
    extra: int = 0,
    numa_node: int = 0,
    vmlinux_value: int = 0,
    value_btf_fd: int = 0,
) -> Fd:
    """`vmlinux_value` is the kernel's type of a STRUCT_OPS map, in the BTF of the module `value_btf_fd` if that is not
    0 (with BPF_F_VTYPE_BTF_OBJ_FD)."""
    attr = _Create(type, key_size, value_size, max_entries, flags, inner_map_fd, numa_node)
    attr.map_name = object_name(name)
    attr.btf_fd, attr.btf_key_type_id, attr.btf_value_type_id = btf_fd, btf_key, btf_value
    attr.map_extra = extra
    attr.btf_vmlinux_value_type_id, attr.value_type_btf_obj_fd = vmlinux_value, value_btf_fd
    return Fd(_bpf(Command.MAP_CREATE, attr), f"map {name}")


def _fetch(command: int, fd: int, key: bytes | None, size: int, flags: int = 0) -> bytes:
    out = ctypes.create_string_buffer(size)
    _bpf(command, _Elem(fd, key, ctypes.addressof(out), flags))
    return out.raw


def map_lookup(fd: int, key: bytes | None, value_bytes: int, flags: int = 0) -> bytes:
    """Raises ENOENT when there is no such key.  Queues and stacks take None as key."""
    return _fetch(Command.MAP_LOOKUP_ELEM, fd, key, value_bytes, flags)


def map_contains_value(fd: int, value: bytes) -> None:
    """Ask a bloom filter.  Raises ENOENT when the value was never added."""
    given = ctypes.create_string_buffer(value, len(value))
    _bpf(Command.MAP_LOOKUP_ELEM, _Elem(fd, None, ctypes.addressof(given)))


def map_lookup_and_delete(fd: int, key: bytes | None, value_bytes: int, flags: int = 0) -> bytes:
    return _fetch(Command.MAP_LOOKUP_AND_DELETE_ELEM, fd, key, value_bytes, flags)


def map_update(fd: int, key: bytes | None, value: bytes, flags: int) -> None:
    _bpf(Command.MAP_UPDATE_ELEM, _Update(fd, key, value, flags))


def map_delete(fd: int, key: bytes | None) -> None:
    _bpf(Command.MAP_DELETE_ELEM, _Elem(fd, key))


def map_next_key(fd: int, key: bytes | None, key_size: int) -> bytes:
    """Raises ENOENT after the last key."""
    return _fetch(Command.MAP_GET_NEXT_KEY, fd, key, key_size)


def map_lookup_batch(
    fd: int, position: bytes | None, key_size: int, value_bytes: int, count: int, take: bool = False
) -> tuple[bytes, bytes, int, bytes | None]:
    """Up to `count` entries: (keys, values, number of them, where to go on or None at the end); with `take`, they are
    removed.  Since Linux 5.6.

    Raises ENOSPC when `count` is too small for one bucket of a hash map, EINVAL or ENOTSUPP where the map type has no
    batch form.
    """
    out = ctypes.create_string_buffer(max(key_size, 4))  # hash maps keep a 32-bit bucket number in it
    keys = ctypes.create_string_buffer(key_size * count)
    values = ctypes.create_string_buffer(value_bytes * count)
    attr = _Batch(position, ctypes.addressof(out), ctypes.addressof(keys), ctypes.addressof(values), count, fd)
    last = False
    try:
        _bpf(Command.MAP_LOOKUP_AND_DELETE_BATCH if take else Command.MAP_LOOKUP_BATCH, attr)
    except FileNotFoundError:  # the end was reached; what was found is there
        last = True
    got = attr.count
    found_keys = ctypes.string_at(keys, got * key_size)
    return found_keys, ctypes.string_at(values, got * value_bytes), got, None if last else out.raw


def _address(data: bytes, offset: int) -> int:
    """Of the bytes themselves: valid while `data` lives."""
    return (ctypes.cast(c_char_p(data), c_void_p).value or 0) + offset


def map_update_batch(
    fd: int, keys: bytes, values: bytes, key_size: int, value_bytes: int, start: int, count: int, flags: int
) -> tuple[int, OSError | None]:
    """Set `count` entries from entry `start` of packed keys and values on.  How many were set, and what the next one
    was refused with.  Only BPF_F_LOCK is a flag here.  Since Linux 5.6."""
    attr = _Batch(
        keys=_address(keys, start * key_size),
        values=_address(values, start * value_bytes),
        count=count,
        map_fd=fd,
        elem_flags=flags,
    )
    return _counted(Command.MAP_UPDATE_BATCH, attr, count)


def map_delete_batch(fd: int, keys: bytes, key_size: int, start: int, count: int) -> tuple[int, OSError | None]:
    """Remove keys until one is missing (ENOENT).  Since Linux 5.6."""
    attr = _Batch(keys=_address(keys, start * key_size), count=count, map_fd=fd)
    return _counted(Command.MAP_DELETE_BATCH, attr, count)


def _counted(command: int, attr: _Batch, asked: int) -> tuple[int, OSError | None]:
    # A refusal before the first entry leaves `count` as it was asked for (kernel/bpf/syscall.c, bpf_map_do_batch()).
    try:
        _bpf(command, attr)
    except OSError as error:
        return (attr.count if attr.count < asked else 0), error
    return attr.count, None


def map_freeze(fd: int) -> None:
    """Since Linux 5.2.  Raises EBUSY when it is mapped writable."""
    _bpf(Command.MAP_FREEZE, _Elem(fd))


def obj_pin(fd: int, path: str) -> None:
    """Of a map, program or link."""
    _bpf(Command.OBJ_PIN, _Object(path.encode(), fd))


def obj_get(path: str, flags: int = 0) -> Fd:
    """What is pinned at a path: a map, program or link."""
    return Fd(_bpf(Command.OBJ_GET, _Object(path.encode(), 0, flags)), f"pinned {path}")


def map_fd_by_id(id: int, flags: int = 0) -> Fd:
    """CAP_SYS_ADMIN.  Raises ENOENT."""
    return Fd(_bpf(Command.MAP_GET_FD_BY_ID, _Id(id, 0, flags)), f"map {id}")


@frozen
class MapDescription:
    """From `struct bpf_map_info`.  Zero is what an older kernel does not tell."""

    type: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: str
    vmlinux_value_type: int
    btf_id: int
    btf_key_type: int
    btf_value_type: int
    extra: int


def map_info(fd: int) -> MapDescription:
    """Raises EINVAL when `fd` is of something else."""
    raw = info_by_fd(fd, 88)
    type_, id_, key_size, value_size, max_entries, flags = struct.unpack_from("=6I", raw)
    vmlinux, btf, key, value, extra = struct.unpack_from("=I16xIII4xQ", raw, 44)
    name = raw[24:40].split(b"\0")[0].decode(errors="replace")
    return MapDescription(type_, id_, key_size, value_size, max_entries, flags, name, vmlinux, btf, key, value, extra)


def is_frozen(fd: int) -> bool:
    """From /proc/self/fdinfo; False where that does not tell (before Linux 5.2)."""
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    except OSError:
        return False
    return any(line.split() == ["frozen:", "1"] for line in lines)
