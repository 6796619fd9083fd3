"""BPF filters of the clsact qdisc, by rtnetlink(7).  Layouts: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h."""

from __future__ import annotations

import errno
import socket
import struct

from stingless._sys.rtnetlink import Rtnetlink, attribute, attributes

_NEWQDISC, _NEWTFILTER, _DELTFILTER, _GETTFILTER = 36, 44, 45, 46
_F_EXCL, _F_CREATE, _F_DUMP = 0x200, 0x400, 0x300
_TCM = struct.Struct("=BxxxiIII")  # family, index, handle, parent, info
_HEADER_SIZE = 16  # struct nlmsghdr
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_FD, _TCA_BPF_NAME, _TCA_BPF_FLAGS = 6, 7, 8
_DIRECT_ACTION = 1
_CLSACT, _CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
_INGRESS, _EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
_ETH_P_ALL = socket.htons(3)


def add_filter(netlink: Rtnetlink, index: int, egress: bool, prog_fd: int, name: str) -> tuple[int, int]:
    """Put a program behind those that are there, in direct-action mode; the qdisc is made if need be.  Returns the
    filter's priority and handle.  Raises `OSError`."""
    kind = attribute(_TCA_KIND, b"clsact\0")
    try:
        netlink.request(_NEWQDISC, _F_CREATE | _F_EXCL, _TCM.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0) + kind)
    except OSError as e:
        if e.errno != errno.EEXIST:
            raise
    taken = [priority for priority, _ in _filters(netlink, index, egress)]
    place = max(taken, default=0) + 1, 1
    options = attribute(_TCA_BPF_FD, struct.pack("=I", prog_fd)) + attribute(_TCA_BPF_NAME, name.encode() + b"\0")
    options += attribute(_TCA_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
    body = _tcm(index, egress, *place) + attribute(_TCA_KIND, b"bpf\0") + attribute(_TCA_OPTIONS, options)
    netlink.request(_NEWTFILTER, _F_CREATE | _F_EXCL, body)
    return place


def delete_filter(netlink: Rtnetlink, index: int, egress: bool, place: tuple[int, int]) -> None:
    netlink.request(_DELTFILTER, 0, _tcm(index, egress, *place) + attribute(_TCA_KIND, b"bpf\0"))


def _tcm(index: int, egress: bool, priority: int, handle: int) -> bytes:
    return _TCM.pack(0, index, handle, _EGRESS if egress else _INGRESS, priority << 16 | _ETH_P_ALL)


def _filters(netlink: Rtnetlink, index: int, egress: bool) -> list[tuple[int, int]]:
    """(priority, handle) of the filters that are there."""
    found = []
    for message in netlink.request(_GETTFILTER, _F_DUMP, _tcm(index, egress, 0, 0)):
        _, _, handle, _, info = _TCM.unpack_from(message, _HEADER_SIZE)
        if _TCA_KIND in dict(attributes(message[_HEADER_SIZE + _TCM.size :])):
            found.append((info >> 16, handle))
    return found
