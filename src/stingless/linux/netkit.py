"""netkit: packets at a netkit pair, in the place where the network namespace is changed.

Minimum kernel: 6.7, CONFIG_NETKIT.  Privileges: CAP_BPF and CAP_NET_ADMIN in the network namespace.
Example: `kernel.attach(program, Netkit("nk0"))`.
Source: drivers/net/netkit.c, `netkit_link_attach()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.events import Netkit
from stingless.linux.link_refusals import attach_type_known, refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.xdp import interface_index


def attach(program: LinuxProgram, event: Netkit) -> BpfLink:
    require_type(program, event, ProgramType.SCHED_CLS)
    index = interface_index(event.interface)
    kind = AttachType.NETKIT_PEER if event.peer else AttachType.NETKIT_PRIMARY
    try:
        return BpfLink(event, bpf_link.create(program.fd, index, kind, 0, "IxxxxQ", 0, 0))
    except OSError as e:
        why = {errno.EACCES: "it is the peer of its pair: programs are attached at the primary interface"}
        if attach_type_known("BPF_NETKIT_PRIMARY"):
            why[errno.ENXIO] = why[errno.EINVAL] = f"{event.interface} is no netkit interface"
        raise refused(program, event, e, kind, why=why) from None
