"""What a section's name says of the programs in it, as libbpf reads it.

A name is matched whole, or, where the table has a "+" behind it, followed by nothing or by "/" and what to attach to.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from stingless._gen.uapi import AttachType as A
from stingless._gen.uapi import ProgramType as P

BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS = 1 << 4, 1 << 5
_S, _F = BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS


class SectionKind(NamedTuple):
    """`target` is what the name says after the slash; `btf_target` the kernel function or type to look up by it, ""
    for programs that are loaded without; `flags` those of the load command."""

    type: P
    attach: A | None = None
    flags: int = 0
    autoload: bool = True
    target: str = ""
    btf_target: str = ""


# Names -> program type, attach type.  A name that ends with "+" takes a target; with ".s" it sleeps.
_TABLE: dict[tuple[P, A | None], str] = {
    (P.SOCKET_FILTER, None): "socket",
    (P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT): "sk_reuseport",
    (P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE): "sk_reuseport/migrate",
    (
        P.KPROBE,
        None,
    ): "kprobe+ kretprobe+ uprobe+ uprobe.s+ uretprobe+ uretprobe.s+ ksyscall+ kretsyscall+ usdt+ usdt.s+",
    (P.KPROBE, A.TRACE_KPROBE_MULTI): "kprobe.multi+ kretprobe.multi+",
    (P.KPROBE, A.TRACE_KPROBE_SESSION): "kprobe.session+",
    (P.KPROBE, A.TRACE_UPROBE_MULTI): "uprobe.multi+ uprobe.multi.s+ uretprobe.multi+ uretprobe.multi.s+",
    (P.KPROBE, A.TRACE_UPROBE_SESSION): "uprobe.session+ uprobe.session.s+",
    (P.SCHED_CLS, None): "tc classifier",
    (P.SCHED_CLS, A.TCX_INGRESS): "tc/ingress tcx/ingress",
    (P.SCHED_CLS, A.TCX_EGRESS): "tc/egress tcx/egress",
    (P.SCHED_CLS, A.NETKIT_PRIMARY): "netkit/primary",
    (P.SCHED_CLS, A.NETKIT_PEER): "netkit/peer",
    (P.SCHED_ACT, None): "action",
    (P.TRACEPOINT, None): "tracepoint+ tracepoint.s+ tp+ tp.s+",
    (P.RAW_TRACEPOINT, None): "raw_tracepoint+ raw_tracepoint.s+ raw_tp+ raw_tp.s+",
    (P.RAW_TRACEPOINT_WRITABLE, None): "raw_tracepoint.w+ raw_tp.w+",
    (P.TRACING, A.TRACE_RAW_TP): "tp_btf+ tp_btf.s+",
    (P.TRACING, A.TRACE_FENTRY): "fentry+ fentry.s+",
    (P.TRACING, A.TRACE_FEXIT): "fexit+ fexit.s+",
    (P.TRACING, A.MODIFY_RETURN): "fmod_ret+ fmod_ret.s+",
    (P.TRACING, A.TRACE_FSESSION): "fsession+ fsession.s+",
    (P.TRACING, A.TRACE_FENTRY_MULTI): "fentry.multi+ fentry.multi.s+",
    (P.TRACING, A.TRACE_FEXIT_MULTI): "fexit.multi+ fexit.multi.s+",
    (P.TRACING, A.TRACE_FSESSION_MULTI): "fsession.multi+ fsession.multi.s+",
    (P.TRACING, A.TRACE_ITER): "iter+ iter.s+",
    (P.EXT, None): "freplace+",
    (P.LSM, A.LSM_MAC): "lsm+ lsm.s+",
    (P.LSM, A.LSM_CGROUP): "lsm_cgroup+",
    (P.SYSCALL, None): "syscall",
    (P.XDP, A.XDP): "xdp xdp.frags",
    (P.XDP, A.XDP_DEVMAP): "xdp/devmap xdp.frags/devmap",
    (P.XDP, A.XDP_CPUMAP): "xdp/cpumap xdp.frags/cpumap",
    (P.PERF_EVENT, None): "perf_event",
    (P.LWT_IN, None): "lwt_in",
    (P.LWT_OUT, None): "lwt_out",
    (P.LWT_XMIT, None): "lwt_xmit",
    (P.LWT_SEG6LOCAL, None): "lwt_seg6local",
    (P.SOCK_OPS, A.CGROUP_SOCK_OPS): "sockops",
    (P.SK_SKB, None): "sk_skb",
    (P.SK_SKB, A.SK_SKB_STREAM_PARSER): "sk_skb/stream_parser",
    (P.SK_SKB, A.SK_SKB_STREAM_VERDICT): "sk_skb/stream_verdict",
    (P.SK_SKB, A.SK_SKB_VERDICT): "sk_skb/verdict",
    (P.SK_MSG, A.SK_MSG_VERDICT): "sk_msg",
    (P.LIRC_MODE2, A.LIRC_MODE2): "lirc_mode2",
    (P.FLOW_DISSECTOR, A.FLOW_DISSECTOR): "flow_dissector",
    (P.CGROUP_SKB, None): "cgroup/skb",
    (P.CGROUP_SKB, A.CGROUP_INET_INGRESS): "cgroup_skb/ingress",
    (P.CGROUP_SKB, A.CGROUP_INET_EGRESS): "cgroup_skb/egress",
    (P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE): "cgroup/sock cgroup/sock_create",
    (P.CGROUP_SOCK, A.CGROUP_INET_SOCK_RELEASE): "cgroup/sock_release",
    (P.CGROUP_SOCK, A.CGROUP_INET4_POST_BIND): "cgroup/post_bind4",
    (P.CGROUP_SOCK, A.CGROUP_INET6_POST_BIND): "cgroup/post_bind6",
    (P.CGROUP_SYSCTL, A.CGROUP_SYSCTL): "cgroup/sysctl",
    (P.CGROUP_SOCKOPT, A.CGROUP_GETSOCKOPT): "cgroup/getsockopt",
    (P.CGROUP_SOCKOPT, A.CGROUP_SETSOCKOPT): "cgroup/setsockopt",
    (P.CGROUP_DEVICE, A.CGROUP_DEVICE): "cgroup/dev",
    (P.STRUCT_OPS, None): "struct_ops+ struct_ops.s+",
    (P.SK_LOOKUP, A.SK_LOOKUP): "sk_lookup",
    (P.NETFILTER, A.NETFILTER): "netfilter",
} | {
    # cgroup/bind4, cgroup/connect_unix, ...: a hook and a family are the attach type's own name.
    (P.CGROUP_SOCK_ADDR, A[f"CGROUP_{family}_{hook}"]): f"cgroup/{hook.lower()}{suffix}"
    for family, suffix, hooks in (
        ("INET4", "4", "BIND CONNECT GETPEERNAME GETSOCKNAME"),
        ("INET6", "6", "BIND CONNECT GETPEERNAME GETSOCKNAME"),
        ("UDP4", "4", "SENDMSG RECVMSG"),
        ("UDP6", "6", "SENDMSG RECVMSG"),
        ("UNIX", "_unix", "CONNECT SENDMSG RECVMSG GETPEERNAME GETSOCKNAME"),
    )
    for hook in hooks.split()
}
_PREFIX = {
    A.LSM_MAC: "bpf_lsm_",
    A.LSM_CGROUP: "bpf_lsm_",
    A.TRACE_RAW_TP: "btf_trace_",
    A.TRACE_ITER: "bpf_iter_",
}
_BY_MANY = (A.TRACE_FENTRY_MULTI, A.TRACE_FEXIT_MULTI, A.TRACE_FSESSION_MULTI)
_UNKNOWN = SectionKind(P.UNSPEC)


@cache
def _names() -> dict[str, tuple[P, A | None]]:
    return {name: kind for kind, names in _TABLE.items() for name in names.split()}


def section_kind(section: str) -> SectionKind:
    """What the section's name says.  UNSPEC when it says nothing, as for the functions of the bcc dialect, whose type
    the attach call tells.  A "?" in front of a name means that the program is not loaded unless asked for."""
    autoload = not section.startswith("?")
    name = section if autoload else section[1:]
    head, _, target = name.partition("/")
    known = _names()
    if name in known and not name.endswith("+"):
        head, target, kind = name, "", known[name]
    elif head + "+" in known:
        kind = known[head + "+"]
    else:
        return _UNKNOWN._replace(autoload=autoload)
    flags = _S if head.endswith(".s") or kind[0] is P.SYSCALL else _F if head.startswith("xdp.frags") else 0
    return SectionKind(*kind, flags, autoload, target, _btf_target(*kind, target))


def _btf_target(type: P, attach: A | None, target: str) -> str:
    """The name to look up: a module before a colon stays in front of the kernel's prefix of such names."""
    if type not in (P.TRACING, P.LSM, P.EXT) or attach in _BY_MANY or not target:
        return ""
    module, colon, name = target.rpartition(":")
    return module + colon + (_PREFIX.get(attach, "") if attach is not None else "") + name


def untyped(what: str, section: str) -> str:
    """What to tell of a program whose section's name tells no type."""
    from difflib import get_close_matches

    names = sorted({name.rstrip("+") for name in _names()})
    near = get_close_matches(section, names, 3, 0.5) or ["xdp", "tracepoint/CATEGORY/NAME"]
    return (
        f"{what} has no type: its section {section!r} does not tell one; give the section a name that does, as "
        f"{' or '.join(map(repr, near))}, or set the program's `type` in the spec"
    )
