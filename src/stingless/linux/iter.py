"""Iterators: a program that runs for each object of a kind, and whose text is read from a file.

Minimum kernel: 5.8.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `link = kernel.attach(program, Iter(pid=os.getpid())); print(link.read().decode())`.
Source: kernel/bpf/bpf_iter.c, `bpf_iter_link_attach()`.
"""

from __future__ import annotations

import errno
import os
import struct

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless._sys.syscall import Fd
from stingless.errors import AttachError
from stingless.events import ITER_ORDERS, Iter
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram


class IterLink(BpfLink):
    """Each `read()` and `open()` is a walk of its own."""

    def open(self) -> Fd:
        """A file whose end is the end of one walk.  The caller closes it."""
        return bpf_link.iter_create(self.fd)

    def read(self) -> bytes:
        """All that the program writes in one walk."""
        file = self.open()
        try:
            parts: list[bytes] = []
            while True:
                try:
                    part = os.read(file.fileno(), 1 << 16)
                except BlockingIOError:
                    continue  # after very many objects without output the kernel asks to try again
                if not part:
                    return b"".join(parts)
                parts.append(part)
        finally:
            file.close()


def attach(program: LinuxProgram, event: Iter) -> IterLink:
    require_type(program, event, ProgramType.TRACING)
    cgroup = -1
    if event.order and event.order not in ITER_ORDERS:
        raise AttachError(f"{event}: order is one of {', '.join(ITER_ORDERS)}, not {event.order!r}", errno.EINVAL)
    try:
        if event.cgroup:
            cgroup = os.open(event.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return IterLink(event, bpf_link.create_iter(program.fd, _parameters(event, cgroup)))
    except OSError as e:
        target = program.spec.attach_target or program.spec.section
        why = {
            errno.EINVAL: f"the parameters do not go with {target}, or its map or task is missing or of another kind",
            errno.EBADF: f"{target} walks over a map: give map=",
            errno.EACCES: "the program reads more of a key or value than the map has",
            errno.ENOENT: f"there is no directory {event.cgroup}",
            errno.ESRCH: f"there is no task {event.tid or event.pid}",
        }
        raise refused(program, event, e, AttachType.TRACE_ITER, "CAP_PERFMON", why) from None
    finally:
        if cgroup >= 0:
            os.close(cgroup)


def _parameters(event: Iter, cgroup: int) -> bytes:
    """`union bpf_iter_link_info`; nothing when none was given."""
    if event.map:
        return struct.pack("=I", event.map).ljust(16, b"\0")
    if event.cgroup:
        order = ITER_ORDERS.index(event.order) + 1 if event.order else 0
        return struct.pack("=IIQ", order, cgroup, 0)
    if event.tid or event.pid:
        return struct.pack("=III", event.tid, event.pid, 0).ljust(16, b"\0")
    return b""
