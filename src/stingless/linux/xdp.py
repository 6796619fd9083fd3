"""XDP: packets as they arrive at an interface, before the network stack.

Minimum kernel: 5.9 (bpf links for XDP).  Privileges: CAP_BPF and CAP_NET_ADMIN in the network namespace.
Example: `kernel.attach(program, Xdp("eth0", flags=2))` (2 is XDP_FLAGS_SKB_MODE, for drivers without XDP).
Source: net/core/dev.c, `bpf_xdp_link_attach()`.
"""

from __future__ import annotations

import errno
import socket

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless.errors import AttachError, StinglessError, UnknownNameError
from stingless.events import Xdp
from stingless.linux.links import BpfLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import privilege

_SKB_MODE, _MODES = 2, 2 | 4 | 8


def interface_index(name: str) -> int:
    """Raises `UnknownNameError`."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        known = [n for _, n in socket.if_nameindex()]
        raise UnknownNameError("network interface", name, known, "of this network namespace") from None


def attach(program: LinuxProgram, event: Xdp) -> BpfLink:
    require_type(program, event, ProgramType.XDP)
    index = interface_index(event.interface)
    try:
        # A bpf link never replaces a program (XDP_FLAGS_UPDATE_IF_NOEXIST is implied), so only the mode is passed on.
        return BpfLink(event, bpf_link.create(program.fd, index, AttachType.XDP, event.flags & _MODES))
    except OSError as e:
        raise _refused(program, event, e) from None


def _refused(program: LinuxProgram, event: Xdp, e: OSError) -> StinglessError:
    code = e.errno or 0
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    if code == errno.EPERM:
        return privilege(f"attaching program {program.spec.name!r} to {event}", ("CAP_NET_ADMIN",))
    if code in (errno.EBUSY, errno.EEXIST):
        return AttachError(f"{what}: another XDP program is there; detach it first (`ip link` shows it)", code)
    kind = program.spec.attach_type
    if code == errno.EINVAL and kind in (AttachType.XDP_DEVMAP, AttachType.XDP_CPUMAP):
        where = kind.name.removeprefix("XDP_")
        return AttachError(f"{what}: it is for the entries of a {where}, whose values take its descriptor", code)
    if code in (errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE) and not event.flags & _SKB_MODE:
        why = "the driver does not take it (no XDP, or not with this MTU or offload)"
        return AttachError(f"{what}: {why}; try generic mode, Xdp({event.interface!r}, flags=2)", code)
    return AttachError(what, code)
