"""Raw tracepoints: a tracepoint's arguments as the kernel passes them.

Minimum kernel: 4.17.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, RawTracepoint("sys_enter"))`.
Source: kernel/trace/bpf_trace.c, `bpf_raw_tracepoint_open()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import ProgramType
from stingless._sys import bpf_link
from stingless.errors import AttachError, NotSupportedError, StinglessError, UnknownNameError
from stingless.events import RawTracepoint
from stingless.linux.link_refusals import attach_type_known
from stingless.linux.links import BpfLink, LinuxLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import privilege


def attach(program: LinuxProgram, event: RawTracepoint) -> LinuxLink:
    require_type(program, event, ProgramType.RAW_TRACEPOINT, ProgramType.RAW_TRACEPOINT_WRITABLE)
    try:
        return BpfLink(event, bpf_link.raw_tracepoint_open(program.fd, event.name, event.cookie))
    except OSError as e:
        raise refused(program, event, e) from None


def refused(program: LinuxProgram, event: RawTracepoint, e: OSError) -> StinglessError:
    code = e.errno or 0
    if code == errno.ENOENT:
        return UnknownNameError("raw tracepoint", event.name, known(program))
    if code == errno.EPERM:
        return privilege(f"attaching program {program.spec.name!r} to {event}", ("CAP_PERFMON",))
    if code == errno.EINVAL and event.cookie and not attach_type_known("BPF_TRACE_KPROBE_SESSION"):  # as old
        return NotSupportedError(f"a cookie for {event}", "6.10", errno=code)
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    if code in (errno.EACCES, errno.EINVAL):
        return AttachError(f"{what}: it reads more arguments than the tracepoint has", code)
    return AttachError(what, code)


def known(program: LinuxProgram) -> list[str]:
    """The names of tracepoints, if tracefs can be read."""
    names = ["sys_enter", "sys_exit"]
    try:
        tracefs = program.kernel.tracefs()
        for category in tracefs.names("events"):
            if category not in ("syscalls", "ftrace", "kprobes", "uprobes"):
                names += tracefs.names(f"events/{category}")
    except (OSError, StinglessError):
        pass
    return names
