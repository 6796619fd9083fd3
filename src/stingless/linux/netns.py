"""Network namespaces: programs that choose the socket of a packet, or dissect its headers.

Minimum kernel: 5.9 for SK_LOOKUP, 5.8 for FLOW_DISSECTOR links.
Privileges: CAP_BPF, and CAP_NET_ADMIN in the namespace.
Example: `kernel.attach(program, Netns(AttachType.SK_LOOKUP, "/run/netns/blue"))`.
Source: kernel/bpf/net_namespace.c, `netns_bpf_link_create()`.
"""

from __future__ import annotations

import errno
import os

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.errors import AttachError
from stingless.events import Netns
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram

_OWN = "/proc/thread-self/ns/net"


def attach(program: LinuxProgram, event: Netns) -> BpfLink:
    wanted = ProgramType.SK_LOOKUP if event.attach_type is AttachType.SK_LOOKUP else ProgramType.FLOW_DISSECTOR
    require_type(program, event, wanted)
    path = event.path or _OWN
    try:
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as e:
        raise AttachError(
            f"program {program.spec.name!r} cannot be attached to {event}: {path}: {e.strerror}",
            e.errno or errno.ENOENT,
        ) from None
    try:
        return BpfLink(event, bpf_link.create(program.fd, namespace, event.attach_type))
    except OSError as e:
        why = {
            errno.EINVAL: f"{path} is not a network namespace",
            errno.EEXIST: "a program is there that was attached without a link",
            errno.E2BIG: "as many programs as a namespace takes are there already (a flow dissector: one)",
        }
        raise refused(program, event, e, event.attach_type, why=why) from None
    finally:
        os.close(namespace)
