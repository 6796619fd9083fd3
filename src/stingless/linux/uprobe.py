"""Uprobes and uretprobes: entry or return of a function of a program or library.

Minimum kernel: 4.17 (the uprobe PMU), CONFIG_UPROBES.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, Uprobe("/usr/lib/libc.so.6", 0x1234, pid=os.getpid()))`.
Source: kernel/trace/trace_uprobe.c, `create_local_trace_uprobe()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import ProgramType
from stingless._sys import perf_event
from stingless.errors import AttachError, NotSupportedError
from stingless.events import Uprobe
from stingless.linux import perf_link
from stingless.linux.links import LinuxLink, require_type
from stingless.linux.programs import LinuxProgram

_REF_CTR_SHIFT = 32  # format/ref_ctr_offset of the PMU: config:32-63 (Linux 4.20)


def attach(program: LinuxProgram, event: Uprobe) -> LinuxLink:
    require_type(program, event, ProgramType.KPROBE)
    pmu = perf_link.pmu_type("uprobe")
    if pmu is None:
        raise NotSupportedError("uprobes", "4.17 and CONFIG_UPROBES", "the embedded kernel has uprobes of its own")
    try:
        opened = perf_event.perf_event_open(
            pmu,
            (perf_link.return_bit("uprobe") if event.ret else 0) | event.ref_ctr_offset << _REF_CTR_SHIFT,
            pid=event.pid,
            cpu=0 if event.pid == -1 else -1,
            text=event.path.encode(),
            config2=event.offset,
            what=str(event),
        )
    except OSError as e:
        what = f"program {program.spec.name!r} cannot be attached to {event}"
        code = e.errno or 0
        if code == errno.ENOENT:
            raise AttachError(f"{what}: there is no file {event.path}", code) from None
        if code == errno.ESRCH:
            raise AttachError(f"{what}: there is no process {event.pid}", code) from None
        if code in (errno.EINVAL, errno.ENOTSUP, errno.EIO):
            why = f"offset {event.offset:#x} of {event.path} is not an instruction in a regular file"
            raise AttachError(f"{what}: {why}", code) from None
        raise perf_link.refused(program, event, e) from None
    return perf_link.link(program, event, opened, event.cookie)
