"""Sockets as programs see them: struct bpf_sock and struct bpf_tcp_sock of linux/bpf.h."""

from __future__ import annotations

from stingless.embedded.verifier.rejection import Rejected
from stingless.embedded.verifier.scalar import unsigned_bits
from stingless.embedded.verifier.state import SCALAR, SOCK_COMMON, TCP_SOCK, Reg

_SOCK_BYTES, _TCP_SOCK_BYTES = 80, 116
_XDP_SOCK_BYTES = 4
_NARROW = frozenset({4, 8, 12, *range(24, 48, 4), 48, *range(52, 80, 4)})  # family ... rx_queue_mapping
_FULL_ONLY = (0, 8, 12, 16, 20, 76)  # of a struct sock: bound_dev_if, type, protocol, mark, priority, rx_queue_mapping
_DST_PORT = 48
_TCP_U64 = (72, 80)  # bytes_received, bytes_acked


def socket_load(reg: Reg, number: int, off: int, size: int) -> Reg:
    """`size` bytes at `off`.  Raises `Rejected`."""
    at = reg.off + off
    if reg.var.mask:
        raise Rejected(f"R{number} variable offset access into a socket is not allowed")
    at += reg.var.smin
    if not _valid(reg.kind, at, size):
        raise Rejected(f"R{number} invalid {reg.kind} access off={at} size={size}")
    return Reg(SCALAR, unsigned_bits(size * 8))


def _valid(kind: str, at: int, size: int) -> bool:
    if at < 0 or at % size:
        return False
    if kind == TCP_SOCK:
        return at + size <= _TCP_SOCK_BYTES and size == (8 if at in _TCP_U64 else 4)
    if kind == "xdp_sock":
        return at == 0 and size == _XDP_SOCK_BYTES
    if at + size > _SOCK_BYTES or size > 4:
        return False
    field = at & ~3
    if kind == SOCK_COMMON and field in _FULL_ONLY:
        return False
    if field == _DST_PORT:
        return at in (48, 49) if size < 4 else True
    return size == 4 or field in _NARROW
