"""What the kernel made of a program: `struct bpf_prog_info`, and statistics of its runs.

Minimum kernel: 4.13; lines since 5.0, statistics since 5.1 (and `enable_stats()` since 5.8).  Privileges: CAP_BPF, and
CAP_SYS_ADMIN for the texts of lines.  Source: kernel/bpf/syscall.c, `bpf_prog_get_info_by_fd()`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from stingless._sys import bpf_prog
from stingless.asm.listing import listing
from stingless.errors import LoadError, NotSupportedError, StinglessError
from stingless.kernel import ProgramInfo
from stingless.linux import btf_objects
from stingless.linux.refusals import privilege


def program_info(fd: int) -> ProgramInfo:
    """`lines` are empty where the program's BTF may not be read."""
    raw = bpf_prog.prog_info(fd)
    return ProgramInfo(
        type=raw.type,
        id=raw.id,
        name=raw.name,
        tag=raw.tag,
        translated=raw.translated,
        jited=raw.jited,
        verified_insns=raw.verified_insns,
        run_time_ns=raw.run_time_ns,
        run_count=raw.run_count,
        recursion_misses=raw.recursion_misses,
        map_ids=raw.map_ids,
        loaded_at=raw.load_time_ns / 1e9,
        gpl_compatible=raw.gpl_compatible,
        btf_id=raw.btf_id,
        lines=_lines(raw),
    )


def _lines(raw: bpf_prog.RawProgramInfo) -> tuple[tuple[int, str, int, str], ...]:
    if not raw.lines or not raw.btf_id:
        return ()
    try:
        btf = btf_objects.read_object(raw.btf_id)
    except StinglessError:
        return ()
    return tuple(
        (insn, btf.string(file), column >> 10, btf.string(text).strip()) for insn, file, text, column in raw.lines
    )


def dump(info: ProgramInfo) -> str:
    """The translated instructions, each C line before those that it became."""
    return listing(info.translated, info.lines)


@contextmanager
def enable_stats() -> Iterator[None]:
    """While it is open, the kernel measures the run time and counts the runs of all programs.  Raises
    `PrivilegeError`, `NotSupportedError`."""
    try:
        fd = bpf_prog.enable_stats()
    except OSError as e:
        if e.errno == errno.EPERM:
            raise privilege("counting the runs of programs", ("CAP_SYS_ADMIN",)) from None
        if e.errno == errno.EINVAL:
            advice = "set kernel.bpf_stats_enabled to 1 instead"
            raise NotSupportedError("statistics of runs by descriptor", "5.8", advice) from None
        raise LoadError("statistics of runs could not be turned on", e.errno or 0) from None
    try:
        yield
    finally:
        fd.close()
