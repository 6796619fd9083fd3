"""What programs of cgroups may access of their contexts: struct bpf_sock, bpf_sock_addr, bpf_sockopt, bpf_sysctl and
bpf_cgroup_dev_ctx."""

from __future__ import annotations

from typing import Final

from stingless._gen.uapi import AttachType
from stingless.embedded.verifier.context_rule import DATA, DATA_END, SCALAR_FIELD, SOCK, part, wide

_A = AttachType


def device(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if write or not 0 <= off < 12:
        return None
    return SCALAR_FIELD if part(off, size, 0) or size == 4 else None  # access_type also in parts


def sysctl(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    file_pos = 4
    if write:
        return SCALAR_FIELD if off == file_pos and size == 4 else None
    return SCALAR_FIELD if part(off, size, 0) or part(off, size, file_pos) else None


_OPTVAL, _OPTVAL_END, _LEVEL, _OPTNAME, _OPTLEN, _RETVAL = 8, 16, 24, 28, 32, 36


def sockopt(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if off == 0:
        return SOCK if size == 8 and not write else None
    if off in (_OPTVAL, _OPTVAL_END):
        return (DATA if off == _OPTVAL else DATA_END) if size == 8 and not write else None
    if size != 4 or not _LEVEL <= off <= _RETVAL:
        return None
    if off == _RETVAL:
        return SCALAR_FIELD if attach_type == _A.CGROUP_GETSOCKOPT else None
    if write and off != _OPTLEN and attach_type != _A.CGROUP_SETSOCKOPT:
        return None
    return SCALAR_FIELD


# struct bpf_sock
_BOUND_DEV_IF, _MARK, _PRIORITY, _SRC_IP4, _SRC_IP6, _SRC_PORT, _DST_PORT = 0, 16, 20, 24, 28, 44, 48
_DST_IP4, _STATE, _SOCK_BYTES = 52, 72, 80
_SOCK_WHOLE: Final = (_BOUND_DEV_IF, _MARK, _PRIORITY)


def sock(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if off < 0 or off + size > _SOCK_BYTES:
        return None
    field = off & ~3
    if field in _SOCK_WHOLE:
        if attach_type not in (None, _A.CGROUP_INET_SOCK_CREATE, _A.CGROUP_INET_SOCK_RELEASE):
            return None
        return SCALAR_FIELD if size == 4 else None
    if write:
        return None
    if field == _SRC_IP4 and attach_type != _A.CGROUP_INET4_POST_BIND:
        return None
    if _SRC_IP6 <= off < _SRC_PORT and attach_type != _A.CGROUP_INET6_POST_BIND:
        return None
    if field == _SRC_PORT and attach_type not in (_A.CGROUP_INET4_POST_BIND, _A.CGROUP_INET6_POST_BIND):
        return None
    if field == _DST_PORT:
        return SCALAR_FIELD if size == 4 or part(off, size, _DST_PORT, 2) else None
    if off != field and not (_SRC_IP4 <= field < _SRC_PORT or _DST_IP4 <= field < _STATE):
        return None  # only addresses are read from their middle
    return SCALAR_FIELD if size <= 4 else None


# struct bpf_sock_addr
_USER_IP4, _USER_IP6, _USER_PORT, _FAMILY, _MSG_IP4, _MSG_IP6, _SOCK_ADDR_SK = 4, 8, 24, 28, 40, 44, 64
_IP4: Final = {
    _A.CGROUP_INET4_BIND, _A.CGROUP_INET4_CONNECT, _A.CGROUP_INET4_GETPEERNAME, _A.CGROUP_INET4_GETSOCKNAME,
    _A.CGROUP_UDP4_SENDMSG, _A.CGROUP_UDP4_RECVMSG,
}  # fmt: skip
_IP6: Final = {
    _A.CGROUP_INET6_BIND, _A.CGROUP_INET6_CONNECT, _A.CGROUP_INET6_GETPEERNAME, _A.CGROUP_INET6_GETSOCKNAME,
    _A.CGROUP_UDP6_SENDMSG, _A.CGROUP_UDP6_RECVMSG,
}  # fmt: skip


def sock_addr(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if off == _SOCK_ADDR_SK:
        return SOCK if size == 8 and not write else None
    for start, length, where in (
        (_USER_IP4, 4, _IP4),
        (_USER_IP6, 16, _IP6),
        (_MSG_IP4, 4, {_A.CGROUP_UDP4_SENDMSG}),
        (_MSG_IP6, 16, {_A.CGROUP_UDP6_SENDMSG}),
    ):
        if start <= off < start + length:
            if attach_type not in where:
                return None
            if length == 16 and wide(off, size, start):
                return SCALAR_FIELD
            return SCALAR_FIELD if size == 4 or (not write and part(off, size, start, length)) else None
    if off & ~3 == _USER_PORT:
        return SCALAR_FIELD if size == 4 or (not write and size < 4) else None
    return SCALAR_FIELD if not write and size == 4 and (off == 0 or _FAMILY <= off < _MSG_IP4) else None


def sock_addr_returns(attach_type: AttachType | None) -> tuple[int, int]:
    name = attach_type.name if attach_type is not None else ""
    if name.endswith(("RECVMSG", "GETPEERNAME", "GETSOCKNAME")):
        return 1, 1
    return (0, 3) if attach_type in (_A.CGROUP_INET4_BIND, _A.CGROUP_INET6_BIND) else (0, 1)
