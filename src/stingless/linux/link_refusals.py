"""Why the kernel refused an attachment, put in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType
from stingless.errors import AttachError, NotSupportedError, StinglessError
from stingless.linux.programs import LinuxProgram
from stingless.linux.refusals import ENOTSUPP, privilege

if TYPE_CHECKING:
    from stingless.events import Event

# First kernel with a kind of attachment by bpf link, and what it must be built with.
SINCE: Mapping[AttachType, tuple[str, str]] = {
    AttachType.TRACE_ITER: ("an iterator", "5.8"),
    AttachType.SK_LOOKUP: ("a socket look-up program", "5.9"),
    AttachType.FLOW_DISSECTOR: ("a flow dissector link", "5.8"),
    AttachType.TRACE_KPROBE_MULTI: ("a kprobe.multi link", "5.18 and CONFIG_FPROBE"),
    AttachType.LSM_CGROUP: ("an LSM program of a cgroup", "6.0 and CONFIG_BPF_LSM"),
    AttachType.NETFILTER: ("a netfilter link", "6.4 and CONFIG_NETFILTER_BPF_LINK"),
    AttachType.TCX_INGRESS: ("a tcx link", "6.6"),
    AttachType.TCX_EGRESS: ("a tcx link", "6.6"),
    AttachType.TRACE_UPROBE_MULTI: ("a uprobe.multi link", "6.6 and CONFIG_UPROBES"),
    AttachType.NETKIT_PRIMARY: ("a netkit link", "6.7 and CONFIG_NETKIT"),
    AttachType.NETKIT_PEER: ("a netkit link", "6.7 and CONFIG_NETKIT"),
    AttachType.TRACE_KPROBE_SESSION: ("a kprobe.session link", "6.10 and CONFIG_FPROBE"),
    AttachType.TRACE_UPROBE_SESSION: ("a uprobe.session link", "6.13 and CONFIG_UPROBES"),
    AttachType.TRACE_FSESSION: ("an fsession link", "7.0"),
    AttachType.TRACE_FENTRY_MULTI: ("an fentry.multi link", "7.2"),
    AttachType.TRACE_FEXIT_MULTI: ("an fexit.multi link", "7.2"),
    AttachType.TRACE_FSESSION_MULTI: ("an fsession.multi link", "7.2"),
}


def attach_type_known(name: str) -> bool | None:
    """Whether the kernel's own types name the attach type ("BPF_NETFILTER"); None when that cannot be told."""
    from stingless.btf.kernel import kernel_btf
    from stingless.btf.types import Kind

    try:
        found = kernel_btf().find("bpf_attach_type", Kind.ENUM)
    except (OSError, StinglessError):
        return None
    return None if found is None else any(each == name for each, _ in found.values)


def refused(
    program: LinuxProgram,
    event: Event,
    e: OSError,
    attach_type: AttachType | None = None,
    capability: str = "CAP_NET_ADMIN",
    why: Mapping[int, str] | None = None,
) -> StinglessError:
    """`why`: what an errno means for this event."""
    code = e.errno or 0
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    if code == errno.EPERM and not (why and code in why):
        return privilege(f"attaching program {program.spec.name!r} to {event}", (capability,))
    if attach_type is not None and attach_type in SINCE and code in (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP):
        feature, since = SINCE[attach_type]
        lacking = code != errno.EINVAL or attach_type_known(f"BPF_{attach_type.name}") is False
        if lacking and not (why and code in why):
            return NotSupportedError(f"{event}: {feature}", since, errno=code)
    reason = (why or {}).get(code) or (os.strerror(code) if code != ENOTSUPP else "the kernel does not do that")
    return AttachError(f"{what}: {reason}", code)
