"""Sockmaps: programs that look at what the sockets of a SOCKMAP or SOCKHASH send or receive, and may redirect it.

Minimum kernel: 4.14; a link from 6.10 on, before that the program stays with the map until detached.
Privileges: CAP_BPF and CAP_NET_ADMIN.
Example: `kernel.attach(program, Sockmap(sockets.fd, AttachType.SK_MSG_VERDICT))`.
Source: net/core/sock_map.c, `sock_map_link_create()` and `sock_map_get_from_fd()`.
"""

from __future__ import annotations

import contextlib
import errno
import os

from stingless._gen.uapi import ProgramType
from stingless._sys import bpf_link
from stingless._sys.syscall import Fd
from stingless.events import Event, Sockmap
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, LinuxLink, require_type
from stingless.linux.programs import LinuxProgram


class TargetLink(LinuxLink):
    """A program that BPF_PROG_ATTACH put on a map or device; descriptors of both are kept for the way back."""

    def __init__(self, event: Event, target: Fd, program: Fd, attach_type: int) -> None:
        super().__init__(event, [target, program])
        self._attach_type = attach_type
        bpf_link.prog_attach(target.fileno(), program.fileno(), attach_type)

    def _free(self) -> None:
        target, program = self._fds
        with contextlib.suppress(OSError):  # somebody else may have detached it
            bpf_link.prog_detach(target.fileno(), program.fileno(), self._attach_type)
        super()._free()


def attach(program: LinuxProgram, event: Sockmap) -> LinuxLink:
    require_type(program, event, ProgramType.SK_SKB, ProgramType.SK_MSG)
    try:
        return BpfLink(event, bpf_link.create(program.fd, event.map, event.attach_type))
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise _refused(program, event, e) from None
    fds: list[Fd] = []
    try:
        fds = [Fd(os.dup(event.map), "sockmap"), Fd(os.dup(program.fd), "program")]
        return TargetLink(event, fds[0], fds[1], event.attach_type)
    except OSError as e:
        for fd in fds:
            fd.close()
        raise _refused(program, event, e) from None


def _refused(program: LinuxProgram, event: Sockmap, e: OSError) -> Exception:
    why = {
        errno.EINVAL: "the map is no SOCKMAP or SOCKHASH, or the program is not for this attach type",
        errno.EOPNOTSUPP: "the map is no SOCKMAP or SOCKHASH, or the program is not for this attach type",
        errno.EBUSY: "a program is there already, or a parser or verdict that excludes this one",
        errno.EBADF: "there is no open map of that descriptor",
    }
    return refused(program, event, e, None, why=why)
