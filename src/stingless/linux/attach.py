"""From an event to the module that attaches to it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from stingless import events
from stingless.linux.links import LinuxLink
from stingless.linux.programs import LinuxProgram

_MODULES: Mapping[type[events.Event], str] = {
    events.Kprobe: "kprobe",
    events.KprobeMulti: "kprobe_multi",
    events.Uprobe: "uprobe",
    events.UprobeMulti: "uprobe_multi",
    events.Usdt: "usdt",
    events.Tracepoint: "tracepoint",
    events.RawTracepoint: "raw_tracepoint",
    events.PerfEvent: "perf_event",
    events.RawPerfEvent: "perf_event",
    events.Tracing: "tracing",
    events.TracingMulti: "tracing_multi",
    events.Freplace: "freplace",
    events.Iter: "iter",
    events.Xdp: "xdp",
    events.Tc: "tc",
    events.Netkit: "netkit",
    events.Netfilter: "netfilter",
    events.Cgroup: "cgroup",
    events.Netns: "netns",
    events.Sockmap: "sockmap",
    events.SocketFilter: "socket_filter",
    events.Reuseport: "sk_reuseport",
    events.Lirc: "lirc",
}


def attach(program: LinuxProgram, event: events.Event) -> LinuxLink:
    """Raises `AttachError`, `UnknownNameError`, `PrivilegeError`, `NotSupportedError`."""
    module = import_module(f"stingless.linux.{_MODULES[type(event)]}")
    link: LinuxLink = module.attach(program, event)
    return link
