"""BTF objects in the kernel: an object's own loaded, those of modules and of other programs opened.

Minimum kernel: 4.18; modules have BTF since 5.11.  Privileges: CAP_BPF to load, CAP_SYS_ADMIN to open by id.
"""

from __future__ import annotations

import errno
import struct
from functools import cache

from stingless._sys import bpf_btf, bpf_prog
from stingless._sys.syscall import Fd
from stingless.btf.types import MAGIC, Btf, Kind
from stingless.errors import LoadError, PrivilegeError, StinglessError, UnknownNameError
from stingless.linux.btf_older import for_older


def load(btf: Btf) -> Fd | None:
    """The object's BTF in the kernel; None where the kernel does not take it: names of lines are lost, and what
    needs types tells so itself."""
    try:
        return bpf_btf.btf_load(btf.for_kernel())
    except OSError as e:
        if e.errno in (errno.EPERM, errno.ENOSYS):
            return None
    try:
        return bpf_btf.btf_load(for_older(btf, lacking()))
    except OSError:
        return None


@cache
def lacking() -> frozenset[str]:
    """Which of `btf_older.SINCE` this kernel lacks, each found by trying.  Asked once a process."""
    number = struct.pack("=IIII", 1, Kind.INT << 24, 4, 32)
    prototype = struct.pack("=III", 0, Kind.FUNC_PROTO << 24, 0)
    samples = {
        "global functions": number + prototype + struct.pack("=III", 1, Kind.FUNC << 24 | 1, 2),
        "FLOAT": number + struct.pack("=III", 1, Kind.FLOAT << 24, 4),
        "DECL_TAG": number
        + struct.pack("=IIII", 1, Kind.VAR << 24, 1, 1)
        + struct.pack("=IIIi", 1, Kind.DECL_TAG << 24, 2, -1),
        "TYPE_TAG": number + struct.pack("=III", 1, Kind.TYPE_TAG << 24, 1) + struct.pack("=III", 0, Kind.PTR << 24, 2),
        "ENUM64": struct.pack("=IIIIII", 1, Kind.ENUM64 << 24 | 1, 8, 1, 0, 0),
    }
    return frozenset(name for name, types in samples.items() if not _taken(types))


def _taken(types: bytes) -> bool:
    strings = b"\0x\0"
    head = struct.pack("=HBBI", MAGIC, 1, 0, 24) + struct.pack("=IIII", 0, len(types), len(types), len(strings))
    try:
        bpf_btf.btf_load(head + types + strings).close()
    except OSError as e:
        return e.errno != errno.EINVAL
    return True


def open_module(name: str, what: str) -> Fd:
    """A module's BTF.  `what` needs it.  Raises `LoadError`, `PrivilegeError`."""
    try:
        for id_ in bpf_btf.btf_ids():
            try:
                fd = bpf_btf.btf_fd_by_id(id_)
            except FileNotFoundError:  # gone meanwhile
                continue
            info = bpf_btf.btf_info(fd.fileno())
            if info.kernel and info.name == name:
                return fd
            fd.close()
    except OSError as e:
        raise _not_opened(f"the types of module {name!r}, which {what} needs", e) from None
    raise LoadError(f"{what} needs module {name!r}, which is not loaded any more; load it again", errno.ENOENT)


def read_object(id: int) -> Btf:
    """The BTF that a program or map was loaded with.  Raises `LoadError`, `PrivilegeError`."""
    try:
        fd = bpf_btf.btf_fd_by_id(id)
    except OSError as e:
        raise _not_opened(f"BTF object {id}", e) from None
    try:
        return Btf(bpf_btf.btf_data(fd.fileno()))
    finally:
        fd.close()


def function_id(program: int, name: str, what: str) -> int:
    """The BTF id of function `name` ("": the main one) of the loaded program with the descriptor `program`, which
    `what` is for.  Raises `UnknownNameError`, `LoadError`, `PrivilegeError`."""
    info = bpf_prog.prog_info(program)
    if not info.btf_id:
        raise LoadError(f"{what}: its target, program {info.name!r}, was loaded without BTF", errno.EINVAL)
    btf = read_object(info.btf_id)
    functions = [btf.type(i) for i in btf.ids(Kind.FUNC)]
    # The kernel keeps 15 characters of a program's name.
    found = next((f for f in functions if f.name == name or (not name and f.name[:15] == info.name)), None)
    if found is None:
        known = (function.name for function in functions)
        raise UnknownNameError(f"function in program {info.name!r}", name or info.name, known, f"which {what} is for")
    return found.id


def _not_opened(what: str, e: OSError) -> StinglessError:
    if e.errno == errno.EPERM:
        return PrivilegeError(f"{what}: opening BTF by its id needs CAP_SYS_ADMIN", errno.EPERM)
    return LoadError(f"{what} cannot be opened", e.errno or 0)
