"""bpf(2)'s commands for programs.  Each raises `OSError` with the kernel's errno.

Layouts: `union bpf_attr` and `struct bpf_prog_info` in linux/bpf.h.  Only the head that a command needs is passed; the
kernel takes the rest as 0.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from ctypes import c_char, c_char_p, c_int32, c_uint32, c_uint64, c_void_p
from pathlib import Path

from stingless._gen.uapi import Command
from stingless._sys.bpf import _bpf, object_name
from stingless._sys.syscall import Fd
from stingless.frozen import frozen

Log = ctypes.Array[c_char]
BPF_STATS_RUN_TIME = 0
_LONGEST_CONTEXT = 256  # that a test run gives back; struct __sk_buff has 192 bytes


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
        ("attach_fd", c_uint32),  # attach_prog_fd or attach_btf_obj_fd
        ("core_relo_cnt", c_uint32),
        ("fd_array", c_void_p),
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
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    )


class _ProgInfo(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("tag", c_char * 8),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint32),
        ("nr_map_ids", c_uint32),
        ("map_ids", c_uint64),
        ("name", c_char * 16),
        ("ifindex", c_uint32),
        ("gpl_compatible", c_uint32),
        ("netns_dev", c_uint64),
        ("netns_ino", c_uint64),
        ("nr_jited_ksyms", c_uint32),
        ("nr_jited_func_lens", c_uint32),
        ("jited_ksyms", c_uint64),
        ("jited_func_lens", c_uint64),
        ("btf_id", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_uint64),
        ("nr_func_info", c_uint32),
        ("nr_line_info", c_uint32),
        ("line_info", c_uint64),
        ("jited_line_info", c_uint64),
        ("nr_jited_line_info", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("jited_line_info_rec_size", c_uint32),
        ("nr_prog_tags", c_uint32),
        ("prog_tags", c_uint64),
        ("run_time_ns", c_uint64),
        ("run_cnt", c_uint64),
        ("recursion_misses", c_uint64),
        ("verified_insns", c_uint32),
        ("attach_btf_obj_id", c_uint32),
        ("attach_btf_id", c_uint32),
    )


class _Info(ctypes.Structure):
    _fields_ = (("bpf_fd", c_uint32), ("info_len", c_uint32), ("info", c_void_p))


class _Number(ctypes.Structure):
    _fields_ = (("number", c_uint32), ("next_id", c_uint32), ("open_flags", c_uint32))


@frozen
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
    attach_fd: int = 0,
    fd_array: Sequence[int] = (),
    btf_fd: int = 0,
    func_info: Records | None = None,
    line_info: Records | None = None,
    flags: int = 0,
    log: Log | None = None,
    log_level: int = 0,
) -> Fd:
    """Verify and load.  `attach_fd` is that of the program, or of the module's BTF, that `attach_btf_id` is a type of.
    With `log_level`, the verifier's log is written to `log` (see `log_buffer`)."""
    attr = _ProgLoad(type, len(code) // 8, code, license.encode())
    attr.prog_name = object_name(name)
    attr.prog_flags = flags
    attr.expected_attach_type = expected_attach_type
    attr.attach_btf_id = attach_btf_id
    attr.attach_fd = attach_fd
    attr.prog_btf_fd = btf_fd
    if func_info is not None:
        attr.func_info, attr.func_info_rec_size, attr.func_info_cnt = func_info.data, func_info.size, func_info.count
    if line_info is not None:
        attr.line_info, attr.line_info_rec_size, attr.line_info_cnt = line_info.data, line_info.size, line_info.count
    if log is not None:
        attr.log_buf, attr.log_size, attr.log_level = ctypes.addressof(log), len(log), log_level
    fds = (c_int32 * len(fd_array))(*fd_array)
    if fd_array:
        attr.fd_array = ctypes.addressof(fds)
    return Fd(_bpf(Command.PROG_LOAD, attr), f"program {name}")


def log_buffer(size: int) -> Log:
    return ctypes.create_string_buffer(size)


def log_text(log: Log) -> str:
    return log.value.decode(errors="replace")


def prog_test_run(
    fd: int,
    data: bytes | None,
    ctx: bytes | None,
    repeat: int,
    data_room: int,
    ctx_out: bool = True,
    flags: int = 0,
    cpu: int = 0,
) -> tuple[int, bytes, bytes, int]:
    """(retval, data after, context after, duration in ns).

    `data_room`: bytes that the data may grow to.  Without `ctx_out` the context comes back in the buffer it went in
    by, as SYSCALL programs have it, or unchanged, as for RAW_TRACEPOINT.
    """
    attr = _TestRun(fd)
    attr.repeat, attr.flags, attr.cpu = repeat, flags, cpu
    data_after = ctx_before = ctx_after = None
    if data is not None:
        data_after = ctypes.create_string_buffer(data_room)
        attr.data_in, attr.data_size_in = data, len(data)
        attr.data_out, attr.data_size_out = ctypes.addressof(data_after), data_room
    if ctx is not None:
        ctx_before = ctypes.create_string_buffer(ctx, len(ctx))
        attr.ctx_in, attr.ctx_size_in = ctypes.addressof(ctx_before), len(ctx)
        if ctx_out:
            # The kernel gives the whole struct, or an error where that does not fit.
            ctx_after = ctypes.create_string_buffer(max(len(ctx), _LONGEST_CONTEXT))
            attr.ctx_out, attr.ctx_size_out = ctypes.addressof(ctx_after), len(ctx_after)
    _bpf(Command.PROG_TEST_RUN, attr)
    new_data = data_after.raw[: attr.data_size_out] if data_after is not None else b""
    if ctx_after is not None:
        new_ctx = ctx_after.raw[: attr.ctx_size_out]
    else:
        new_ctx = ctx_before.raw if ctx_before is not None else b""
    return attr.retval, new_data, new_ctx, attr.duration


@frozen
class RawProgramInfo:
    """`struct bpf_prog_info` with what its pointers lead to; `lines` are (insn, file_off, line_off, line_col)."""

    type: int
    id: int
    tag: str
    name: str
    translated: bytes
    jited: bytes
    load_time_ns: int
    map_ids: tuple[int, ...]
    gpl_compatible: bool
    btf_id: int
    lines: tuple[tuple[int, int, int, int], ...]
    run_time_ns: int
    run_count: int
    recursion_misses: int
    verified_insns: int


def _info(fd: int, info: _ProgInfo) -> None:
    _bpf(Command.OBJ_GET_INFO_BY_FD, _Info(fd, ctypes.sizeof(info), ctypes.addressof(info)))


def prog_info(fd: int) -> RawProgramInfo:
    """The kernel gives no code (empty bytes) to those without CAP_SYS_ADMIN or CAP_BPF, and no machine code with
    kernel.kptr_restrict or without a JIT."""
    size = _ProgInfo()
    _info(fd, size)
    info = _ProgInfo()
    translated = ctypes.create_string_buffer(size.xlated_prog_len)
    jited = ctypes.create_string_buffer(size.jited_prog_len)
    maps = (c_uint32 * size.nr_map_ids)()
    line = size.line_info_rec_size or 16
    lines = ctypes.create_string_buffer(size.nr_line_info * line)
    info.xlated_prog_len, info.xlated_prog_insns = size.xlated_prog_len, ctypes.addressof(translated)
    info.jited_prog_len, info.jited_prog_insns = size.jited_prog_len, ctypes.addressof(jited)
    info.nr_map_ids, info.map_ids = size.nr_map_ids, ctypes.addressof(maps)
    if size.nr_line_info:
        info.nr_line_info, info.line_info_rec_size = size.nr_line_info, line
        info.line_info = ctypes.addressof(lines)
    _info(fd, info)
    # The kernel zeroes the pointer of what it does not give.
    return RawProgramInfo(
        info.type,
        info.id,
        bytes(info)[8:16].hex(),
        info.name.decode(),
        translated.raw if info.xlated_prog_insns else b"",
        jited.raw if info.jited_prog_insns else b"",
        info.load_time,
        tuple(maps),
        bool(info.gpl_compatible & 1),
        info.btf_id,
        tuple(struct.unpack_from("=IIII", lines, i * line) for i in range(info.nr_line_info)),
        info.run_time_ns,
        info.run_cnt,
        info.recursion_misses,
        info.verified_insns,
    )


def prog_fd_by_id(id: int) -> Fd:
    """CAP_SYS_ADMIN.  Raises ENOENT."""
    return Fd(_bpf(Command.PROG_GET_FD_BY_ID, _Number(id)), f"program {id}")


def is_program(fd: int) -> bool:
    """Whether a descriptor of a BPF object is one of a program."""
    return Path(f"/proc/self/fd/{fd}").readlink().name.startswith("anon_inode:bpf-prog")


def enable_stats(kind: int = BPF_STATS_RUN_TIME) -> Fd:
    """Statistics of all programs, as long as the descriptor is open.  Since Linux 5.8."""
    return Fd(_bpf(Command.ENABLE_STATS, _Number(kind)), "run statistics")
