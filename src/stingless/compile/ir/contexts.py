"""What a program is given, by its first parameter's type and, for those that share one, by its name."""

from __future__ import annotations

from enum import Enum, auto


class Context(Enum):
    """What pointers that are read from a context are."""

    TRACING = auto()  # addresses in the kernel or in a process: nothing that may be read directly
    TYPED = auto()  # pointers to structs of the kernel, whose types the verifier knows
    SAMPLE = auto()  # as TRACING, from a context of which the verifier makes another
    NETWORK = auto()  # packets and sockets: all that such a context has may be read directly


_NETWORK = (
    *("__sk_buff", "xdp_md", "sk_msg_md", "sk_reuseport_md", "bpf_sock_ops", "bpf_sock_addr", "bpf_sock"),
    *("bpf_sockopt", "bpf_sysctl", "bpf_sk_lookup", "bpf_cgroup_dev_ctx", "bpf_flow_keys"),
)
_SAMPLE = "bpf_perf_event_data"
VIRTUAL = (*_NETWORK, _SAMPLE)
"""Structs whose fields are the verifier's invention: it makes another access of each, whose offset must be in it."""
_TYPED_NAMES = ("kfunc__", "kretfunc__", "kmod_ret__", "lsm__", "bpf_iter__")


def context_of(function: str, struct: str) -> Context:
    """`function` is the program's name without "@", `struct` what its first parameter points to ("" no struct)."""
    if struct in _NETWORK:
        return Context.NETWORK
    if struct == _SAMPLE:
        return Context.SAMPLE
    if function.startswith(_TYPED_NAMES) or struct.startswith("bpf_iter__") or struct == "bpf_nf_ctx":
        return Context.TYPED
    return Context.TRACING
