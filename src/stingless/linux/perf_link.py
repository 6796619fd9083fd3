"""Programs on perf events: kprobes, uprobes, tracepoints and counters are all attached so.

Minimum kernel: 4.1; kprobe and uprobe PMUs from 4.17 on.  Privileges: CAP_PERFMON.
Source: kernel/events/core.c, `perf_event_set_bpf_prog()`.
"""

from __future__ import annotations

import errno
from pathlib import Path

from stingless._sys import perf_event
from stingless._sys.syscall import Fd
from stingless.errors import AttachError, StinglessError
from stingless.events import Event
from stingless.linux.links import LinuxLink
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import privilege

_PMUS = Path("/sys/bus/event_source/devices")


def pmu_type(name: str) -> int | None:
    """The perf event type of a PMU ("kprobe", "uprobe"), or None where the kernel has none."""
    try:
        return int((_PMUS / name / "type").read_text())
    except OSError:
        return None


def return_bit(name: str) -> int:
    """The bit of `config` that asks for the return of the function; format/retprobe says "config:N"."""
    return 1 << int((_PMUS / name / "format" / "retprobe").read_text().strip().removeprefix("config:"))


def link(program: LinuxProgram, event: Event, opened: list[Fd], note: str = "") -> LinuxLink:
    """Put the program on the events and start them; on failure all are closed."""
    try:
        for fd in opened:
            perf_event.set_bpf(fd, program.fd)
            perf_event.enable(fd)
    except OSError as e:
        for fd in opened:
            fd.close()
        raise refused(program, event, e) from None
    return LinuxLink(event, opened, note)


def refused(program: LinuxProgram, event: Event, e: OSError) -> StinglessError:
    code = e.errno or 0
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    if code in (errno.EPERM, errno.EACCES) and e.filename is None:
        denied = privilege(f"attaching program {program.spec.name!r} to {event}", ("CAP_PERFMON",))
        if code == errno.EPERM or "lacks" in denied.message:
            return denied
        return AttachError(f"{what}: it reads beyond the end of the event's context", code)
    if code == errno.EMFILE:
        return AttachError(f"{what}: too many open files; raise `ulimit -n`", code)
    if code == errno.E2BIG:
        return AttachError(f"{what}: too many programs are attached there", code)
    return AttachError(what, code)
