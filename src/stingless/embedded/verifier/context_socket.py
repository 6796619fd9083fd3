"""What programs of socket maps and lookups may access: struct sk_msg_md, sk_reuseport_md and bpf_sk_lookup."""

from __future__ import annotations

from stingless._gen.uapi import AttachType
from stingless.embedded.verifier.context_rule import DATA, DATA_END, SCALAR_FIELD, SOCK, SOCK_OR_NULL, part

_FAMILY, _MSG_SK = 16, 72


def sk_msg(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if write:
        return None
    if off == _MSG_SK:
        return SOCK if size == 8 else None
    if off in (0, 8):
        return (DATA_END if off else DATA) if size == 8 else None
    return SCALAR_FIELD if size == 4 and _FAMILY <= off < _MSG_SK else None


_LOOKUP_FAMILY, _LOOKUP_REMOTE_PORT, _LOOKUP_LOCAL_IP4, _LOOKUP_END = 8, 36, 40, 68


def sk_lookup(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if off == 0:
        return SOCK_OR_NULL if size == 8 and not write else None
    if write or not _LOOKUP_FAMILY <= off < _LOOKUP_END or size > 4:
        return None
    if _LOOKUP_REMOTE_PORT <= off < _LOOKUP_LOCAL_IP4:  # 16 bits, and as many zeros
        whole = off == _LOOKUP_REMOTE_PORT and size == 4
        return SCALAR_FIELD if whole or part(off, size, off & ~1, 2) else None
    return SCALAR_FIELD
