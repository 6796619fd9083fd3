"""Kprobes and kretprobes: entry, any instruction, or return of a kernel function.

Minimum kernel: 4.17 (the kprobe PMU), CONFIG_KPROBES.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, Kprobe("vfs_read"))`.
Source: kernel/trace/trace_kprobe.c, `create_local_trace_kprobe()`.
"""

from __future__ import annotations

import difflib
import errno

from stingless._gen.uapi import ProgramType
from stingless._sys import perf_event
from stingless.errors import AttachError, StinglessError, UnknownNameError
from stingless.events import Kprobe
from stingless.linux import host, perf_link
from stingless.linux.links import LinuxLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.syscalls import kernel_name, syscall_of, table

_WRAPPER = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}


def attach(program: LinuxProgram, event: Kprobe) -> LinuxLink:
    require_type(program, event, ProgramType.KPROBE)
    pmu = perf_link.pmu_type("kprobe")
    if pmu is None:
        return _without_kprobes(program, event)
    for function in candidates(event.function):
        try:
            opened = perf_event.perf_event_open(
                pmu,
                perf_link.return_bit("kprobe") if event.ret else 0,
                cpu=0,
                text=function.encode(),
                config2=event.offset,
                what=str(event),
            )
        except OSError as e:
            if e.errno == errno.ENOENT:
                continue
            raise _refused(program, event, e) from None
        return perf_link.link(program, event, opened, event.cookie)
    raise UnknownNameError("kernel function", event.function, host.kernel_functions(), "see /proc/kallsyms")


def candidates(function: str) -> list[str]:
    """Names to try: `sys_clone` is `__x64_sys_clone` since Linux 4.17."""
    call = syscall_of(function)
    if call is None or not function.startswith(("sys_", "SyS_")):
        return [function]
    return [_WRAPPER[host.machine()] + kernel_name(call), function]


def _refused(program: LinuxProgram, event: Kprobe, e: OSError) -> StinglessError:
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    if e.errno == errno.EILSEQ:
        return AttachError(f"{what}: offset {event.offset} is not the start of an instruction", e.errno)
    if e.errno in (errno.EINVAL, errno.EADDRNOTAVAIL):
        why = "the kernel forbids a probe there (a function marked notrace or NOKPROBE, or an offset beyond its end)"
        return AttachError(f"{what}: {why}; see /sys/kernel/debug/kprobes/blacklist", e.errno)
    return perf_link.refused(program, event, e)


def _without_kprobes(program: LinuxProgram, event: Kprobe) -> LinuxLink:
    if syscall_of(event.function) is not None and event.offset == 0:
        from stingless.linux import syscall_probe

        return syscall_probe.attach(program, event)
    near = difflib.get_close_matches(event.function, [f"sys_{name}" for name in table().numbers])
    nearest = f" (the nearest: {', '.join(near)})" if "sys_" in event.function else ""
    raise AttachError(
        f"program {program.spec.name!r} cannot be attached to {event}: this kernel is built without kprobes "
        f"(CONFIG_KPROBES). Here a system call's function can be probed{nearest}, through its tracepoint; for another "
        "function take a tracepoint (`stingless doctor` tells what works here), a raw tracepoint, fentry where it is "
        "allowed, or a kernel that has kprobes",
        errno.EOPNOTSUPP,
    )
