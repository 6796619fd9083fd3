"""Tracepoints: the kernel's own stable events, listed under tracefs events/.

Minimum kernel: 4.7.  Privileges: CAP_BPF and CAP_PERFMON, and access to tracefs.
Example: `kernel.attach(program, Tracepoint("sched", "sched_process_exec"))`.
Source: kernel/trace/bpf_trace.c, `tracepoint_prog_func_proto()`.
"""

from __future__ import annotations

from stingless._gen.uapi import ProgramType
from stingless._sys import perf_event
from stingless.events import Tracepoint
from stingless.linux import perf_link
from stingless.linux.links import LinuxLink, require_type
from stingless.linux.programs import LinuxProgram


def attach(program: LinuxProgram, event: Tracepoint) -> LinuxLink:
    require_type(program, event, ProgramType.TRACEPOINT)
    number = program.kernel.tracefs().event_id(event.category, event.name)
    try:
        # A program on a tracepoint runs on every CPU, whichever the event was opened for.
        opened = perf_event.perf_event_open(perf_event.PERF_TYPE_TRACEPOINT, number, cpu=0, what=str(event))
    except OSError as e:
        raise perf_link.refused(program, event, e) from None
    return perf_link.link(program, event, opened, event.cookie)
