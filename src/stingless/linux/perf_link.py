"""Programs on perf events: kprobes, uprobes, tracepoints and counters are all attached so.

Minimum kernel: 4.1; kprobe and uprobe PMUs from 4.17 on.  Privileges: CAP_PERFMON.
Source: kernel/events/core.c, `perf_event_set_bpf_prog()`.
"""

from __future__ import annotations

import errno
from functools import cache
from pathlib import Path

from stingless._gen.uapi import ProgramType
from stingless._sys import bpf_link, bpf_prog, perf_event
from stingless._sys.syscall import Fd
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.errors import AttachError, NotSupportedError, StinglessError
from stingless.events import Event
from stingless.linux.links import BpfLink, LinuxLink
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


def link(program: LinuxProgram, event: Event, opened: Fd, cookie: int = 0, note: str = "") -> LinuxLink:
    """Put the program on the perf event and start it; on failure it is closed."""
    try:
        held = _put(program, opened, cookie)
        if held is None:
            return LinuxLink(event, [opened], note)
        opened.close()  # the bpf link keeps the event
        return BpfLink(event, held, note)
    except OSError as e:
        opened.close()
        if cookie and e.errno == errno.EINVAL and not bpf_links():
            raise NotSupportedError(f"a cookie for {event}", "5.15", errno=errno.EINVAL) from None
        raise refused(program, event, e) from None
    except BaseException:
        opened.close()
        raise


def _put(program: LinuxProgram, opened: Fd, cookie: int) -> Fd | None:
    """The bpf link, or None on a kernel that has none for perf events, where the event's descriptor holds both."""
    try:
        held = bpf_link.create_perf_event(program.fd, opened.fileno(), cookie)
    except OSError as e:
        if e.errno != errno.EINVAL or cookie or bpf_links():
            raise
        perf_event.set_bpf(opened, program.fd)
        held = None
    try:
        perf_event.enable(opened)
    except BaseException:
        if held is not None:
            held.close()
        raise
    return held


@cache
def bpf_links() -> bool:
    """Whether perf events can have bpf links (5.15).  A kernel that has them looks for the event and says EBADF; one
    that does not refuses the attach type."""
    program = bpf_prog.prog_load(ProgramType.TRACEPOINT, encode([mov_imm(0, 0), exit_()]), "GPL")
    try:
        bpf_link.create_perf_event(program.fileno(), (1 << 32) - 1, 0).close()
    except OSError as e:
        return e.errno != errno.EINVAL
    finally:
        program.close()
    return True


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
