"""Perf events: a program runs at every overflow of a clock or counter.

Minimum kernel: 4.9.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, PerfEvent(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, sample_freq=99))`.
Source: kernel/events/core.c, `bpf_overflow_handler()`.
"""

from __future__ import annotations

import errno
import struct

from stingless._gen.uapi import ProgramType
from stingless._sys import perf_event
from stingless.cpus import online_cpus
from stingless.errors import AttachError, NotSupportedError, StinglessError
from stingless.events import PerfEvent, RawPerfEvent
from stingless.linux import host, perf_link
from stingless.linux.links import LinkGroup, LinuxLink, require_type
from stingless.linux.programs import LinuxProgram


def attach(program: LinuxProgram, event: PerfEvent | RawPerfEvent) -> LinuxLink:
    require_type(program, event, ProgramType.PERF_EVENT)
    if isinstance(event, RawPerfEvent):
        return _attach_raw(program, event)
    if bool(event.sample_period) == bool(event.sample_freq):
        raise AttachError(f"{event}: give a sample_period or a sample_freq, one of them", errno.EINVAL)
    cpus = online_cpus() if event.pid == -1 and event.cpu == -1 else [event.cpu]
    links: list[LinuxLink] = []
    try:
        for cpu in cpus:
            opened = perf_event.perf_event_open(
                event.type,
                event.config,
                pid=event.pid,
                cpu=cpu,
                sample_period=event.sample_period,
                sample_freq=event.sample_freq,
                inherit=event.inherit,
                group=event.group_fd,
                what=str(event),
            )
            links.append(perf_link.link(program, event, opened, event.cookie))
    except BaseException as e:
        for each in links:
            each.close()
        if isinstance(e, OSError) and not isinstance(e, StinglessError):
            raise _refused(program, event, e) from None
        raise
    return links[0] if len(links) == 1 else LinkGroup(event, links)


def _attach_raw(program: LinuxProgram, event: RawPerfEvent) -> LinuxLink:
    try:
        opened = perf_event.open_attr(event.attr, event.pid, event.cpu, event.group_fd, str(event))
    except OSError as e:
        kind, config = struct.unpack_from("=I4xQ", event.attr)
        raise _refused(program, PerfEvent(kind, config, 1, 0, event.pid, event.cpu), e) from None
    return perf_link.link(program, event, opened)


def _refused(program: LinuxProgram, event: PerfEvent, e: OSError) -> StinglessError:
    code = e.errno or 0
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    if code in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
        advice = "virtual machines often have no hardware counters; use a software clock (type 1, config 0)"
        return NotSupportedError(f"perf event type {event.type} config {event.config}", "", advice, code)
    if code == errno.ESRCH:
        return AttachError(f"{what}: there is no process {event.pid}", code)
    if code == errno.EINVAL and event.sample_freq:
        limit = host.sysctl("kernel.perf_event_max_sample_rate")
        if limit and event.sample_freq > int(limit):
            why = f"{event.sample_freq} Hz is more than kernel.perf_event_max_sample_rate, {limit}"
            return AttachError(f"{what}: {why}", code)
    if code in (errno.EINVAL, errno.ENXIO, errno.ENODEV) and event.cpu >= 0:
        return AttachError(f"{what}: CPU {event.cpu} is not online, or the event does not exist", code)
    return perf_link.refused(program, event, e)
