"""What the embedded kernel runs programs at, and what to take instead of the rest."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from stingless import events
from stingless._gen.uapi import ProgramType
from stingless.errors import AttachError, NotSupportedError
from stingless.events import Event
from stingless.obj.spec import ProgramSpec

_TYPES: Mapping[type[Event], ProgramType] = {
    events.Kprobe: ProgramType.KPROBE,
    events.Uprobe: ProgramType.KPROBE,
    events.UprobeMulti: ProgramType.KPROBE,
    events.KprobeMulti: ProgramType.KPROBE,
    events.Usdt: ProgramType.KPROBE,
    events.Tracepoint: ProgramType.TRACEPOINT,
    events.RawTracepoint: ProgramType.RAW_TRACEPOINT,
    events.PerfEvent: ProgramType.PERF_EVENT,
    events.Xdp: ProgramType.XDP,
    events.Tc: ProgramType.SCHED_CLS,
    events.SocketFilter: ProgramType.SOCKET_FILTER,
}
_LINUX = "it needs the Linux kernel: run as root with `--kernel linux`"
_INSTEAD: Mapping[type[Event], str] = {
    events.Tracing: "take a kprobe or ksyscall of a system call, or a raw tracepoint",
    events.TracingMulti: "take a kprobe or ksyscall program for each system call",
    events.Netkit: "take a tc program at an end of a veth pair",
    events.Netfilter: "take a tc program at an end of a veth pair",
}


def check(spec: ProgramSpec, event: Event) -> None:
    """Raise `NotSupportedError` for an event that is not there, `AttachError` when the program is of another type."""
    wanted = _TYPES.get(type(event))
    section = f"section {spec.section!r}" if spec.section else spec.type.name
    if wanted is None:
        asked = "fentry, fexit and LSM programs" if isinstance(event, events.Tracing) else event
        what = f"{asked} (program {spec.name!r}, {section}) on the embedded kernel"
        raise NotSupportedError(what, advice=_INSTEAD.get(type(event), _LINUX))
    if isinstance(event, events.SocketFilter) and event.socket >= 0:
        raise NotSupportedError(f"{event} on the embedded kernel", advice="give an interface, not a socket")
    if spec.type is not wanted:
        raise AttachError(
            f"{event}: program {spec.name!r} is a {spec.type.name}, and this event runs {wanted.name} programs; change"
            " its section or its type",
            errno.EINVAL,
        )
