"""SO_REUSEPORT groups: a program chooses which of the sockets that share a port gets a packet or connection.

Minimum kernel: 4.19 (5.3 to detach).  Privileges: CAP_BPF and CAP_NET_ADMIN for the program.
Example: `kernel.attach(program, Reuseport(sock.fileno()))`; the socket has SO_REUSEPORT set.
Source: net/core/filter.c, `reuseport_attach_bpf()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import ProgramType
from stingless.events import Reuseport
from stingless.linux.link_refusals import refused
from stingless.linux.links import require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.socket_filter import OptionLink

_SO_ATTACH_REUSEPORT_EBPF, _SO_DETACH_REUSEPORT_BPF = 52, 68  # asm-generic/socket.h


def attach(program: LinuxProgram, event: Reuseport) -> OptionLink:
    require_type(program, event, ProgramType.SK_REUSEPORT, ProgramType.SOCKET_FILTER)
    try:
        return OptionLink(event, event.socket, program.fd, _SO_ATTACH_REUSEPORT_EBPF, _SO_DETACH_REUSEPORT_BPF)
    except OSError as e:
        why = {
            errno.EINVAL: "set SO_REUSEPORT on the socket before",
            errno.ENOTSUP: "only TCP and UDP sockets over IPv4 or IPv6 share ports",
            errno.EBADF: "there is no open socket of that descriptor",
        }
        raise refused(program, event, e, None, why=why) from None
