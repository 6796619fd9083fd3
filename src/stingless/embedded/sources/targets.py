"""What the ptrace event source can attach to, and why not to the rest."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from stingless import syscalls
from stingless._sys.tracer import ANY, LinkKind
from stingless.errors import AttachError
from stingless.events import (
    PERF_COUNT_SW_CPU_CLOCK,
    PERF_COUNT_SW_TASK_CLOCK,
    PERF_TYPE_SOFTWARE,
    Event,
    Kprobe,
    PerfEvent,
    RawTracepoint,
    Tracepoint,
    Uprobe,
)
from stingless.frozen import frozen

_THERE_ARE = (
    "the embedded kernel has the system call functions (sys_X, __x64_sys_X), tracepoints syscalls:sys_enter_X and"
    " sys_exit_X, raw_syscalls:sys_enter and sys_exit, sched:sched_process_exec, _fork and _exit,"
    " signal:signal_generate and _deliver, raw tracepoints sys_enter, sys_exit, sched_process_exec, _fork and _exit,"
    " uprobes and uretprobes, and perf events of the software clocks (cpu-clock, task-clock)"
)
_SCHED = {
    "sched_process_exec": LinkKind.EXEC,
    "sched_process_fork": LinkKind.FORK,
    "sched_process_exit": LinkKind.PROCESS_EXIT,
}
_SIGNAL = {"signal_generate": LinkKind.SIGNAL_GENERATE, "signal_deliver": LinkKind.SIGNAL_DELIVER}
TASKS = {
    "sched_process_exec": LinkKind.RAW_EXEC,
    "sched_process_fork": LinkKind.RAW_FORK,
    "sched_process_exit": LinkKind.RAW_PROCESS_EXIT,
}  # raw tracepoints with tasks as arguments
_RAW = {"sys_enter": LinkKind.RAW_ENTER, "sys_exit": LinkKind.RAW_EXIT, **TASKS}
_RAW_SYSCALLS = {"sys_enter": LinkKind.SYSCALLS_ENTER, "sys_exit": LinkKind.SYSCALLS_EXIT}
_SHORTEST_PERIOD = 100_000  # ns: a sample costs two switches between the tracer and the thread

# What an instruction may not begin with: a breakpoint is somebody else's.
_BREAKPOINT = {"x86_64": b"\xcc", "aarch64": b"\x00\x00\x20\xd4"}


@frozen
class Target:
    """What to attach to, in the runtime's terms.  `note` is for the user."""

    kind: LinkKind
    number: int = ANY
    pid: int = ANY
    cpu: int = ANY
    period: int = 0
    file: tuple[int, int, int] = (0, 0, 0)
    path: bytes = b""
    code: bytes = b""
    counter: int = 0
    note: str = ""


def target_of(event: Event) -> Target:
    """Raises `AttachError`."""
    match event:
        case Kprobe():
            return _kprobe(event)
        case Tracepoint():
            return _tracepoint(event)
        case RawTracepoint():
            kind = _RAW.get(event.name)
            if kind is None:
                raise _no_such(event, event.name, _RAW, "raw tracepoint")
            return Target(kind)
        case Uprobe():
            return _uprobe(event)
        case PerfEvent():
            return _perf_event(event)
    raise AttachError(f"{event}: {_THERE_ARE}", errno.EINVAL)


def _no_such(event: Event, name: str, known: Iterable[str], what: str) -> AttachError:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    nearest = f"; the nearest: {', '.join(near)}" if near else ""
    return AttachError(f"{event}: there is no {what} {name!r} here{nearest}; {_THERE_ARE}", errno.ENOENT)


def _kprobe(event: Kprobe) -> Target:
    call = syscalls.syscall_of(event.function)
    if call is None:
        # Compare what is left of a name like tcp_v4_connect or do_sys_openat2 with the calls.
        words = event.function.rpartition("sys_")[2]
        names = {f"sys_{name}" for name in syscalls.table().numbers}
        near = [f"sys_{word}" for word in words.split("_") if f"sys_{word}" in names]
        near += difflib.get_close_matches(f"sys_{words}", sorted(names), n=3, cutoff=0.5)
        nearest = f"; the nearest: {', '.join(dict.fromkeys(near))}" if near else ""
        raise AttachError(
            f"{event}: {event.function!r} is not a system call's function{nearest}; {_THERE_ARE}", errno.ENOENT
        )
    if event.offset:
        raise AttachError(
            f"{event}: only the entry of a system call can be probed, not an offset into it", errno.EINVAL
        )
    if event.ret:
        kind = LinkKind.KRETPROBE
    else:
        kind = LinkKind.KPROBE if syscalls.takes_regs(event.function) else LinkKind.KPROBE_DIRECT
    return Target(kind, syscalls.number_of(call))


def _tracepoint(event: Tracepoint) -> Target:
    if event.category == "sched" and event.name in _SCHED:
        return Target(_SCHED[event.name])
    if event.category == "signal" and event.name in _SIGNAL:
        return Target(_SIGNAL[event.name])
    if event.category == "raw_syscalls" and event.name in _RAW_SYSCALLS:
        return Target(_RAW_SYSCALLS[event.name])
    if event.category == "syscalls":
        edge, name = syscalls.split_tracepoint(event.name)
        calls = syscalls.table()
        call = calls.find(name)
        if edge and call is not None:
            return Target(LinkKind.SYS_ENTER if edge == "enter" else LinkKind.SYS_EXIT, calls.numbers[call])
        known = [f"sys_{edge or 'enter'}_{calls.kernel_names.get(each, each)}" for each in calls.numbers]
    else:
        known = list({"sched": _SCHED, "raw_syscalls": _RAW_SYSCALLS, "signal": _SIGNAL}.get(event.category, ()))
    raise _no_such(event, event.name, known, f"tracepoint of category {event.category!r} named")


def _uprobe(event: Uprobe) -> Target:
    path = Path(event.path)
    try:
        path = path.resolve(strict=True)
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            file.seek(event.offset)
            code = file.read(16)
    except OSError as error:
        raise AttachError(f"{event}: {event.path} cannot be read", error.errno or errno.ENOENT) from error
    if not code:
        raise AttachError(f"{event}: offset {event.offset:#x} is behind the end of the file", errno.EINVAL)
    if code.startswith(_BREAKPOINT[syscalls.table().machine]):
        raise AttachError(f"{event}: there is a breakpoint instruction at offset {event.offset:#x}", errno.EINVAL)
    return Target(
        LinkKind.URETPROBE if event.ret else LinkKind.UPROBE,
        pid=event.pid,
        file=(status.st_dev, status.st_ino, event.offset),
        path=os.fsencode(path),
        code=code.ljust(16, b"\0"),
        counter=event.ref_ctr_offset,
    )


def _perf_event(event: PerfEvent) -> Target:
    if event.type != PERF_TYPE_SOFTWARE or event.config not in (PERF_COUNT_SW_CPU_CLOCK, PERF_COUNT_SW_TASK_CLOCK):
        raise AttachError(
            f"{event}: hardware counters and other events need the Linux kernel; {_THERE_ARE}", errno.EOPNOTSUPP
        )
    if bool(event.sample_freq) == bool(event.sample_period) or event.sample_freq < 0 or event.sample_period < 0:
        raise AttachError(f"{event}: give either sample_period (ns) or sample_freq (Hz)", errno.EINVAL)
    period = event.sample_period or 1_000_000_000 // event.sample_freq
    note = ""
    if period < _SHORTEST_PERIOD:
        period, note = _SHORTEST_PERIOD, f"samples are taken every {_SHORTEST_PERIOD} ns: the embedded kernel's fastest"
    return Target(LinkKind.SAMPLE, pid=event.pid, cpu=event.cpu, period=period, note=note)
