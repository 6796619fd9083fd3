"""Netfilter: a program among the rules of a hook; it returns 0 to drop a packet and 1 to let it go on.

Minimum kernel: 6.4, CONFIG_NETFILTER_BPF_LINK.  Privileges: CAP_BPF and CAP_NET_ADMIN in the network namespace.
Example: `kernel.attach(program, Netfilter(NFPROTO_IPV4, NETFILTER_HOOKS.index("local_in"), priority=-128))`.
Source: net/netfilter/nf_bpf_link.c, `bpf_nf_link_attach()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.events import Netfilter
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram


def attach(program: LinuxProgram, event: Netfilter) -> BpfLink:
    require_type(program, event, ProgramType.NETFILTER)
    try:
        fd = bpf_link.create_netfilter(program.fd, event.family, event.hook, event.priority, event.flags)
    except OSError as e:
        why = {
            errno.EBUSY: f"another program is there at priority {event.priority}",
            errno.EAFNOSUPPORT: f"family {event.family} is neither IPv4 (2) nor IPv6 (10), or not in this kernel",
            errno.ERANGE: f"priority {event.priority} is the kernel's own",
            errno.EPROTO: f"there is no hook {event.hook}",
        }
        raise refused(program, event, e, AttachType.NETFILTER, why=why) from None
    return BpfLink(event, fd)
