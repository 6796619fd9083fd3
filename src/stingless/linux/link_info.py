"""What the kernel tells of a link.

Minimum kernel: 5.8.  Source: kernel/bpf/syscall.c, `bpf_link_get_info_by_fd()`; `struct bpf_link_info` in linux/bpf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from stingless._gen.uapi import AttachType, LinkType
from stingless._sys import bpf_link
from stingless.frozen import field, frozen

_UNION = 16  # where the part of a kind begins
_NAMED = {LinkType.RAW_TRACEPOINT: "tp_name", LinkType.ITER: "target_name"}
_FIELDS: dict[LinkType, tuple[tuple[str, int, str], ...]] = {  # name, offset in the union, struct code
    LinkType.RAW_TRACEPOINT: (("cookie", 16, "Q"),),
    LinkType.TRACING: (("attach_type", 0, "I"), ("target_obj_id", 4, "I"), ("target_btf_id", 8, "I")),
    LinkType.CGROUP: (("cgroup_id", 0, "Q"), ("attach_type", 8, "I")),
    LinkType.NETNS: (("netns_ino", 0, "I"), ("attach_type", 4, "I")),
    LinkType.XDP: (("ifindex", 0, "I"),),
    LinkType.STRUCT_OPS: (("map_id", 0, "I"),),
    LinkType.NETFILTER: (("pf", 0, "I"), ("hooknum", 4, "I"), ("priority", 8, "i"), ("flags", 12, "I")),
    LinkType.KPROBE_MULTI: (("count", 8, "I"), ("flags", 12, "I"), ("missed", 16, "Q")),
    LinkType.UPROBE_MULTI: (("count", 36, "I"), ("flags", 40, "I"), ("pid", 44, "I")),
    LinkType.PERF_EVENT: (("perf_type", 0, "I"),),
    LinkType.TCX: (("ifindex", 0, "I"), ("attach_type", 4, "I")),
    LinkType.NETKIT: (("ifindex", 0, "I"), ("attach_type", 4, "I")),
    LinkType.SOCKMAP: (("map_id", 0, "I"), ("attach_type", 4, "I")),
    LinkType.TRACING_MULTI: (("attach_type", 0, "I"), ("count", 4, "I")),
}


@frozen
class LinkInfo:
    """`details` holds what the kind of link has besides, under the kernel's names: "ifindex", "cgroup_id",
    "attach_type", ..."""

    type: LinkType
    id: int
    program_id: int
    details: Mapping[str, int | str] = field(default_factory=dict)


def of_fd(fd: int) -> LinkInfo:
    """Raises `OSError`."""
    raw, _ = bpf_link.info(fd)
    number, link_id, program_id = struct.unpack_from("=III", raw)
    try:
        kind = LinkType(number)
    except ValueError:
        kind = LinkType.UNSPEC  # of a newer kernel
    details: dict[str, int | str] = {}
    if kind in _NAMED:
        raw, details[_NAMED[kind]] = bpf_link.info(fd, _UNION)
    for name, offset, code in _FIELDS.get(kind, ()):
        (value,) = struct.unpack_from("=" + code, raw, _UNION + offset)
        details[name] = AttachType(value) if name == "attach_type" and value in list(AttachType) else value
    return LinkInfo(kind, link_id, program_id, details)
