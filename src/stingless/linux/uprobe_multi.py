"""uprobe.multi, uretprobe.multi and uprobe.session: many functions of one file in one link.

Minimum kernel: 6.6 (sessions: 6.13), CONFIG_UPROBES.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, UprobeMulti("/usr/bin/bash", (0x1234, 0x2345)))`.
Source: kernel/trace/bpf_trace.c, `bpf_uprobe_multi_link_attach()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.errors import AttachError
from stingless.events import UprobeMulti
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram


def attach(program: LinuxProgram, event: UprobeMulti) -> BpfLink:
    require_type(program, event, ProgramType.KPROBE)
    kind = AttachType.TRACE_UPROBE_SESSION if event.session else AttachType.TRACE_UPROBE_MULTI
    if event.cookies and len(event.cookies) != len(event.offsets):
        raise AttachError(
            f"{event}: there are {len(event.cookies)} cookies for {len(event.offsets)} places", errno.EINVAL
        )
    try:
        pid = 0 if event.pid == -1 else event.pid
        fd = bpf_link.create_uprobe_multi(program.fd, kind, event.path, event.offsets, event.cookies, pid, event.ret)
    except OSError as e:
        why = {
            errno.ENOENT: f"there is no file {event.path}",
            errno.EBADF: f"{event.path} is not a regular file",
            errno.ESRCH: f"there is no process {event.pid}",
        }
        if program.spec.attach_type is not kind:
            why[errno.EINVAL] = f"it was loaded without the attach type {kind.name}, which a section of that name gives"
        raise refused(program, event, e, kind, "CAP_PERFMON", why) from None
    return BpfLink(event, fd)
