"""The context of each program type: what R1 points to at the start, and which loads and stores in it are allowed.

The layouts are those of linux/bpf.h; the registers of kprobes and perf events differ by machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from stingless._gen.uapi import AttachType, ProgramType

# Bytes of bpf_user_pt_regs_t.
PT_REGS_BYTES = {"x86_64": 21 * 8, "aarch64": 34 * 8}

# (offset, size, write, attach type) -> "scalar", "half", "data", "data_end" or "data_meta", or None when refused.
Rule = Callable[[int, int, bool, AttachType | None], str | None]

SCALAR_FIELD = "scalar"
HALF_FIELD = "half"  # a store of which 16 bits are kept

# struct xdp_md: six 32-bit fields.
_XDP_POINTERS = {0: "data", 4: "data_end", 8: "data_meta"}
_XDP_EGRESS_IFINDEX = 20
_XDP_BYTES = 24

# struct __sk_buff: offsets.
_SKB_MARK, _SKB_QUEUE, _SKB_PRIORITY, _SKB_TC_INDEX = 8, 12, 32, 44
_SKB_CB, _SKB_HASH = 48, 68
_SKB_TC_CLASSID, _SKB_DATA, _SKB_DATA_END = 72, 76, 80
_SKB_FAMILY, _SKB_DATA_META = 88, 140
_SKB_FLOW_KEYS, _SKB_TSTAMP, _SKB_WIRE_LEN = 144, 152, 160
_SKB_SK, _SKB_GSO_SIZE, _SKB_TSTAMP_TYPE, _SKB_HWTSTAMP = 168, 176, 180, 184
_SKB_POINTERS = {_SKB_DATA: "data", _SKB_DATA_END: "data_end", _SKB_DATA_META: "data_meta"}

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


def _skb_common(off: int, size: int, write: bool) -> str | None:
    """What every program type with a __sk_buff has in common, before its own exclusions."""
    if off == _SKB_HWTSTAMP:
        return SCALAR_FIELD if size == 8 and not write else None
    if off < 0 or off % size or off + size > _SKB_TSTAMP_TYPE:
        return None
    field = off & ~3
    if _SKB_CB <= off < _SKB_HASH:
        return SCALAR_FIELD if off + size <= _SKB_HASH else None
    if field in _SKB_POINTERS:
        return _SKB_POINTERS[off] if size == 4 and not write else None
    if _SKB_FAMILY <= off < _SKB_DATA_META:
        return None  # addresses of a socket: neither kernel gives them to these program types
    if _SKB_TSTAMP <= off < _SKB_WIRE_LEN:
        return SCALAR_FIELD if off == _SKB_TSTAMP and size == 8 else None
    if _SKB_FLOW_KEYS <= off < _SKB_TSTAMP or _SKB_SK <= off < _SKB_GSO_SIZE:
        return None
    if size > 4 or (write and size != 4):
        return None
    return SCALAR_FIELD


def _sk_buff(pointers: tuple[str, ...], refused: tuple[int, ...], writable: tuple[int, ...]) -> Rule:
    def rule(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
        role = _skb_common(off, size, write)
        field = off & ~3
        if role is None or field in refused or (role != SCALAR_FIELD and role not in pointers):
            return None
        if write and field not in writable and not _SKB_CB <= off < _SKB_HASH:
            return None
        return role

    return rule


def _sched(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if off == _SKB_TSTAMP_TYPE:
        return SCALAR_FIELD if size == 1 and not write else None
    role = _SCHED_COMMON(off, size, write, attach_type)
    return HALF_FIELD if role and write and off in (_SKB_QUEUE, _SKB_TC_INDEX, _SKB_TC_CLASSID) else role


_SOCKET_FILTER = _sk_buff((), (_SKB_TC_CLASSID, _SKB_TSTAMP, _SKB_WIRE_LEN, _SKB_HWTSTAMP), ())
_SCHED_COMMON = _sk_buff(
    ("data", "data_end", "data_meta"),
    (),
    (_SKB_MARK, _SKB_QUEUE, _SKB_PRIORITY, _SKB_TC_INDEX, _SKB_TC_CLASSID, _SKB_TSTAMP),
)
_CGROUP_SKB = _sk_buff(("data", "data_end"), (_SKB_TC_CLASSID, _SKB_WIRE_LEN), (_SKB_MARK, _SKB_PRIORITY, _SKB_TSTAMP))

RULES: dict[ProgramType, Rule] = {
    ProgramType.SOCKET_FILTER: _SOCKET_FILTER,
    ProgramType.KPROBE: _kprobe,
    ProgramType.SCHED_CLS: _sched,
    ProgramType.SCHED_ACT: _sched,
    # The first eight bytes of a tracepoint's record are the kernel's own.
    ProgramType.TRACEPOINT: _read_only(TRACEPOINT_BYTES, first=8),
    ProgramType.XDP: _xdp,
    ProgramType.PERF_EVENT: _perf_event,
    ProgramType.CGROUP_SKB: _CGROUP_SKB,
    ProgramType.RAW_TRACEPOINT: _read_only(RAW_TRACEPOINT_BYTES),
    ProgramType.SYSCALL: _syscall,
}

# Program types that may write to packets; those that may load from them with LD_ABS and LD_IND.
WRITES_PACKETS = (ProgramType.SCHED_CLS, ProgramType.SCHED_ACT, ProgramType.XDP)
LOADS_ABSOLUTE = (ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS, ProgramType.SCHED_ACT)


def return_range(type_: ProgramType, attach_type: AttachType | None) -> tuple[int, int] | None:
    """The values that a program of this type may return, where Linux limits them."""
    if type_ == ProgramType.CGROUP_SKB:
        return (0, 3) if attach_type == AttachType.CGROUP_INET_EGRESS else (0, 1)
    return None
