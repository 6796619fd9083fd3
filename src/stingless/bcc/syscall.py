"""The numbers of this machine's system calls, with their names."""

from __future__ import annotations

from stingless.syscalls import table

syscalls = {number: name.encode() for number, name in table().names.items()}


def syscall_name(syscall_num: int) -> bytes:
    """b"read" for 0 on x86-64; b"[unknown: 999]" for a number that no call has."""
    return syscalls.get(syscall_num, b"[unknown: %d]" % syscall_num)
