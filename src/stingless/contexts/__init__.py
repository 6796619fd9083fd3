"""Contexts to run programs on, made by names.

Each is for `Program.run(ctx=...)`, on either kernel: `program.run(ctx=XdpMd(data=packet, ingress_ifindex=2))`.  What
the run left of it: `context.after(result)`.  Fields are the kernel's; addresses are numbers as they lie, bytes or text
("10.0.0.1"), ports the usual numbers.  An unknown field is a `TypeError` that names the nearest, a value that does not
fit a `ValueError`.

Which kernel runs what so: Linux socket filters, tc, XDP, cgroup_skb, lightweight tunnels, flow dissectors, sk_lookup,
raw tracepoints and SYSCALL programs; the embedded kernel all that have a class here but
writable raw tracepoints.
"""

from __future__ import annotations

from stingless.contexts.base import Context as Context
from stingless.contexts.cgroup import Device as Device
from stingless.contexts.cgroup import Sock as Sock
from stingless.contexts.cgroup import SockAddr as SockAddr
from stingless.contexts.cgroup import SockOpt as SockOpt
from stingless.contexts.cgroup import Sysctl as Sysctl
from stingless.contexts.packet import FlowKeys as FlowKeys
from stingless.contexts.packet import SkBuff as SkBuff
from stingless.contexts.packet import XdpMd as XdpMd
from stingless.contexts.socket import SkLookup as SkLookup
from stingless.contexts.socket import SkMsg as SkMsg
from stingless.contexts.tracing import PerfEventData as PerfEventData
from stingless.contexts.tracing import PtRegs as PtRegs
from stingless.contexts.tracing import RawArguments as RawArguments
from stingless.contexts.tracing import TracepointRecord as TracepointRecord

__all__ = [
    "Context", "Device", "FlowKeys", "PerfEventData", "PtRegs", "RawArguments", "SkBuff", "SkLookup", "SkMsg", "Sock",
    "SockAddr", "SockOpt", "Sysctl", "TracepointRecord", "XdpMd",
]  # fmt: skip
