"""The context of each program type: what R1 points to at the start, and which loads and stores in it are allowed.

The layouts are those of linux/bpf.h; the registers of kprobes and perf events differ by machine.
"""

from __future__ import annotations

import os

from stingless._gen.uapi import AttachType, ProgramType
from stingless.embedded.verifier import context_cgroup, context_skb, context_socket
from stingless.embedded.verifier.context_rule import SCALAR_FIELD, Rule

# Bytes of bpf_user_pt_regs_t.
PT_REGS_BYTES = {"x86_64": 21 * 8, "aarch64": 34 * 8}

# struct xdp_md: six 32-bit fields.
_XDP_POINTERS = {0: "data", 4: "data_end", 8: "data_meta"}
_XDP_EGRESS_IFINDEX = 20
_XDP_BYTES = 24

TRACEPOINT_BYTES = 8192
RAW_TRACEPOINT_BYTES = 12 * 8
SYSCALL_BYTES = 65535


def _pt_regs_bytes() -> int:
    # A machine without a row gets the smallest one: fewer programs pass, none that should not.
    return PT_REGS_BYTES.get(os.uname().machine, min(PT_REGS_BYTES.values()))


def _read_only(bytes_: int, first: int = 0) -> Rule:
    """A block of numbers, read aligned in any size."""

    def rule(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
        return SCALAR_FIELD if not write and first <= off and off + size <= bytes_ and off % size == 0 else None

    return rule


def _kprobe(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    return _read_only(_pt_regs_bytes())(off, size, write, attach_type)


def _perf_event(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    # struct bpf_perf_event_data: the registers (whole ones only), then sample_period and addr (parts of them too).
    regs = _pt_regs_bytes()
    if write or off < 0 or off % size or off + size > regs + 16 or (off < regs and size != 8):
        return None
    return SCALAR_FIELD


def _syscall(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    # The context is what the caller of BPF_PROG_TEST_RUN passes; its length is checked then.
    return SCALAR_FIELD if off >= 0 and off + size <= SYSCALL_BYTES and off % size == 0 else None


def _xdp(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if write or size != 4 or off % 4 or not 0 <= off < _XDP_BYTES:
        return None
    if off == _XDP_EGRESS_IFINDEX and attach_type != AttachType.XDP_DEVMAP:
        return None
    return _XDP_POINTERS.get(off, SCALAR_FIELD)


RULES: dict[ProgramType, Rule] = {
    ProgramType.SOCKET_FILTER: context_skb.socket_filter,
    ProgramType.KPROBE: _kprobe,
    ProgramType.SCHED_CLS: context_skb.sched,
    ProgramType.SCHED_ACT: context_skb.sched,
    # The first eight bytes of a tracepoint's record are the kernel's own.
    ProgramType.TRACEPOINT: _read_only(TRACEPOINT_BYTES, first=8),
    ProgramType.XDP: _xdp,
    ProgramType.PERF_EVENT: _perf_event,
    ProgramType.CGROUP_SKB: context_skb.cgroup_skb,
    ProgramType.RAW_TRACEPOINT: _read_only(RAW_TRACEPOINT_BYTES),
    ProgramType.SYSCALL: _syscall,
    ProgramType.LWT_IN: context_skb.lwt,
    ProgramType.LWT_OUT: context_skb.lwt,
    ProgramType.LWT_XMIT: context_skb.lwt,
    ProgramType.LWT_SEG6LOCAL: context_skb.lwt,
    ProgramType.SK_SKB: context_skb.sk_skb,
    ProgramType.FLOW_DISSECTOR: context_skb.flow_dissector,
    ProgramType.SK_MSG: context_socket.sk_msg,
    ProgramType.SK_LOOKUP: context_socket.sk_lookup,
    ProgramType.CGROUP_SOCK: context_cgroup.sock,
    ProgramType.CGROUP_SOCK_ADDR: context_cgroup.sock_addr,
    ProgramType.CGROUP_SOCKOPT: context_cgroup.sockopt,
    ProgramType.CGROUP_SYSCTL: context_cgroup.sysctl,
    ProgramType.CGROUP_DEVICE: context_cgroup.device,
}

# Program types that may write to packets; those that may load from them with LD_ABS and LD_IND.
WRITES_PACKETS = (
    ProgramType.SCHED_CLS, ProgramType.SCHED_ACT, ProgramType.XDP, ProgramType.LWT_XMIT, ProgramType.SK_SKB,
    ProgramType.SK_MSG, ProgramType.CGROUP_SOCKOPT,
)  # fmt: skip
LOADS_ABSOLUTE = (ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS, ProgramType.SCHED_ACT)


_YES_OR_NO = (
    ProgramType.CGROUP_SOCK, ProgramType.CGROUP_DEVICE, ProgramType.CGROUP_SYSCTL, ProgramType.CGROUP_SOCKOPT,
    ProgramType.SK_LOOKUP,
)  # fmt: skip


def return_range(type_: ProgramType, attach_type: AttachType | None) -> tuple[int, int] | None:
    """The values that a program of this type may return, where Linux limits them."""
    if type_ == ProgramType.CGROUP_SKB:
        return (0, 3) if attach_type == AttachType.CGROUP_INET_EGRESS else (0, 1)
    if type_ == ProgramType.CGROUP_SOCK_ADDR:
        return context_cgroup.sock_addr_returns(attach_type)
    return (0, 1) if type_ in _YES_OR_NO else None
