"""What programs may access of struct __sk_buff, by program type."""

from __future__ import annotations

from stingless._gen.uapi import AttachType
from stingless.embedded.verifier.context_rule import FLOW_KEYS, HALF_FIELD, SCALAR_FIELD, SOCK_COMMON_OR_NULL, Rule

# struct __sk_buff: offsets.
_SKB_MARK, _SKB_QUEUE, _SKB_PRIORITY, _SKB_TC_INDEX = 8, 12, 32, 44
_SKB_CB, _SKB_HASH = 48, 68
_SKB_TC_CLASSID, _SKB_DATA, _SKB_DATA_END = 72, 76, 80
_SKB_FAMILY, _SKB_REMOTE_PORT, _SKB_DATA_META = 88, 132, 140
_SKB_SOCKET = tuple(range(_SKB_FAMILY, _SKB_DATA_META, 4))  # family to local_port
_SKB_FLOW_KEYS, _SKB_TSTAMP, _SKB_WIRE_LEN = 144, 152, 160
_SKB_SK, _SKB_GSO_SIZE, _SKB_TSTAMP_TYPE, _SKB_HWTSTAMP = 168, 176, 180, 184
_SKB_POINTERS = {_SKB_DATA: "data", _SKB_DATA_END: "data_end", _SKB_DATA_META: "data_meta"}


def _skb_common(off: int, size: int, write: bool) -> str | None:
    """What every program type with a __sk_buff has in common, before its own exclusions."""
    if off == _SKB_HWTSTAMP:
        return SCALAR_FIELD if size == 8 and not write else None
    if off == _SKB_SK:
        return SOCK_COMMON_OR_NULL if size == 8 and not write else None
    if off < 0 or off % size or off + size > _SKB_TSTAMP_TYPE:
        return None
    field = off & ~3
    if _SKB_CB <= off < _SKB_HASH:
        return SCALAR_FIELD if off + size <= _SKB_HASH else None
    if field in _SKB_POINTERS:
        return _SKB_POINTERS[off] if size == 4 and not write else None
    if _SKB_TSTAMP <= off < _SKB_WIRE_LEN:
        return SCALAR_FIELD if off == _SKB_TSTAMP and size == 8 else None
    if _SKB_FLOW_KEYS <= off < _SKB_TSTAMP or _SKB_SK <= off < _SKB_GSO_SIZE:
        return None
    if size > 4 or (size != 4 and (write or _SKB_FAMILY < field < _SKB_REMOTE_PORT)):
        return None  # addresses are not read in parts
    return SCALAR_FIELD


def _sk_buff(
    pointers: tuple[str, ...], refused: tuple[int, ...], writable: tuple[int, ...], *, writes_cb: bool = True
) -> Rule:
    def rule(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
        role = _skb_common(off, size, write)
        field = off & ~3
        if role is None or field in refused or (role not in (SCALAR_FIELD, SOCK_COMMON_OR_NULL, *pointers)):
            return None
        if write and field not in writable and not (writes_cb and _SKB_CB <= off < _SKB_HASH):
            return None
        return role

    return rule


def sched(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if off == _SKB_TSTAMP_TYPE:
        return SCALAR_FIELD if size == 1 and not write else None
    role = _SCHED_COMMON(off, size, write, attach_type)
    return HALF_FIELD if role and write and off in (_SKB_QUEUE, _SKB_TC_INDEX, _SKB_TC_CLASSID) else role


def flow_dissector(off: int, size: int, write: bool, attach_type: AttachType | None) -> str | None:
    if write:
        return None
    if off == _SKB_FLOW_KEYS:
        return FLOW_KEYS if size == 8 else None
    return _SKB_POINTERS.get(off) if size == 4 and off != _SKB_DATA_META else None


_LATE = (_SKB_TSTAMP, _SKB_TSTAMP + 4, _SKB_WIRE_LEN, _SKB_HWTSTAMP)
socket_filter = _sk_buff((), (_SKB_TC_CLASSID, *_SKB_SOCKET, *_LATE), ())
_SCHED_COMMON = _sk_buff(
    ("data", "data_end", "data_meta"),
    _SKB_SOCKET,
    (_SKB_MARK, _SKB_QUEUE, _SKB_PRIORITY, _SKB_TC_INDEX, _SKB_TC_CLASSID, _SKB_TSTAMP),
)
cgroup_skb = _sk_buff(("data", "data_end"), (_SKB_TC_CLASSID, _SKB_WIRE_LEN), (_SKB_MARK, _SKB_PRIORITY, _SKB_TSTAMP))
sk_skb = _sk_buff(
    ("data", "data_end"),
    (_SKB_TC_CLASSID, _SKB_MARK, *_LATE),
    (_SKB_TC_INDEX, _SKB_PRIORITY),
    writes_cb=False,
)
lwt = _sk_buff(("data", "data_end"), (_SKB_TC_CLASSID, *_SKB_SOCKET, *_LATE), (_SKB_MARK, _SKB_PRIORITY))
