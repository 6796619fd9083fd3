"""Traffic control: packets that come to or leave an interface, with the whole socket buffer.

Minimum kernel: 6.6 for a tcx link; before that a filter of the clsact qdisc (4.5), which stays when the process is
killed.  Privileges: CAP_BPF and CAP_NET_ADMIN in the network namespace.
Example: `kernel.attach(program, Tc("eth0", egress=True))`.
Source: kernel/bpf/tcx.c, `tcx_link_attach()`; net/sched/cls_bpf.c, `cls_bpf_change()`.
"""

from __future__ import annotations

import contextlib
import errno

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_link
from stingless._sys.rtnetlink import Rtnetlink
from stingless._sys.tc import add_filter, delete_filter
from stingless.events import Tc
from stingless.linux.link_refusals import refused
from stingless.linux.links import BpfLink, LinuxLink, require_type
from stingless.linux.programs import LinuxProgram
from stingless.linux.xdp import interface_index


class ClsactLink(LinuxLink):
    """A filter of the clsact qdisc.  It keeps a netlink socket, by which it finds the network namespace again."""

    def __init__(self, event: Tc, netlink: Rtnetlink, index: int, program: LinuxProgram) -> None:
        super().__init__(event, (), "a filter of the clsact qdisc: it stays there if this process is killed")
        self._netlink = netlink
        self._index = index
        self._place = add_filter(netlink, index, event.egress, program.fd, program.spec.name)

    def _free(self) -> None:
        with contextlib.suppress(OSError):  # the interface, and its filters, may be gone
            delete_filter(self._netlink, self._index, self._event.egress, self._place)  # type: ignore[union-attr]
        self._netlink.close()


def attach(program: LinuxProgram, event: Tc) -> LinuxLink:
    require_type(program, event, ProgramType.SCHED_CLS)
    index = interface_index(event.interface)
    kind = AttachType.TCX_EGRESS if event.egress else AttachType.TCX_INGRESS
    try:
        return BpfLink(event, bpf_link.create(program.fd, index, kind, 0, "IxxxxQ", 0, 0))
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise refused(program, event, e, kind) from None
    return by_clsact(program, event, index)


def by_clsact(program: LinuxProgram, event: Tc, index: int) -> ClsactLink:
    netlink = Rtnetlink()
    try:
        return ClsactLink(event, netlink, index, program)
    except OSError as e:
        netlink.close()
        why = {
            errno.ENOENT: "this kernel lacks the clsact qdisc (CONFIG_NET_SCH_INGRESS) or BPF filters "
            "(CONFIG_NET_CLS_BPF)"
        }
        raise refused(program, event, e, None, why=why) from None
