"""Contexts of programs that see packets."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from stingless._gen.uapi import ProgramType
from stingless.contexts.base import Context, Field
from stingless.kernel import RunResult

P = ProgramType


class XdpMd(Context):
    """`struct xdp_md`.  `data` is the packet, from its link header on; `metadata` the bytes before it (a multiple of
    4); `linear`: how many bytes of the packet are together, when the rest is to be in fragments (Linux 5.18)."""

    STRUCT = "struct xdp_md"
    SIZE = 24
    TYPES = frozenset({P.XDP})
    FIELDS: ClassVar = {
        "ingress_ifindex": Field(12),
        "rx_queue_index": Field(16),
        "egress_ifindex": Field(20),
    }
    HAS_DATA = True

    def __init__(self, data: bytes = b"", *, metadata: bytes = b"", linear: int | None = None, **fields: Any) -> None:
        super().__init__(data=data, **fields)
        self.metadata = bytes(metadata)
        self.linear = linear

    def _inputs(self) -> tuple[bytes | None, bytes | None]:
        content = self._content.copy()
        assert self.data is not None
        end = len(self.metadata) + (len(self.data) if self.linear is None else self.linear)
        content[0:8] = len(self.metadata).to_bytes(4, "little") + end.to_bytes(4, "little")
        return self.metadata + self.data, bytes(content)

    def after(self, result: RunResult) -> Self:
        made = super().after(result)
        meta, end = (int.from_bytes(result.ctx[at : at + 4], "little") for at in (0, 4))
        made.metadata, made.data = result.data[:meta], result.data[meta:]
        made.linear = None if end == len(result.data) else end - meta
        return made


class SkBuff(Context):
    """`struct __sk_buff`.  `data` is the packet, from its link header on; what else the kernel tells of it, it finds
    out itself."""

    STRUCT = "struct __sk_buff"
    SIZE = 192
    TYPES = frozenset(
        {
            P.SOCKET_FILTER, P.SCHED_CLS, P.SCHED_ACT, P.CGROUP_SKB, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT,
            P.LWT_SEG6LOCAL, P.SK_SKB,
        }
    )  # fmt: skip
    FIELDS: ClassVar = {
        "mark": Field(8),
        "priority": Field(32),
        "ingress_ifindex": Field(36),
        "ifindex": Field(40),
        "cb": Field(48, 4, 5),
        "tstamp": Field(152, 8),
        "wire_len": Field(160),
        "gso_segs": Field(164),
        "gso_size": Field(176),
        "hwtstamp": Field(184, 8),
    }
    DERIVED = frozenset(
        {
            "len", "pkt_type", "queue_mapping", "protocol", "vlan_present", "vlan_tci", "vlan_proto", "tc_index",
            "hash", "tc_classid", "data_end", "napi_id", "family", "remote_ip4", "local_ip4", "remote_ip6", "local_ip6",
            "remote_port", "local_port", "data_meta", "sk", "tstamp_type",
        }
    )  # fmt: skip
    HAS_DATA = True

    def __init__(self, data: bytes = b"", **fields: Any) -> None:
        super().__init__(data=data, **fields)


class FlowKeys(Context):
    """`struct bpf_flow_keys`, which a flow dissector fills for the packet `data`.  Given are `flags` only."""

    STRUCT = "struct bpf_flow_keys"
    SIZE = 56
    TYPES = frozenset({P.FLOW_DISSECTOR})
    FIELDS: ClassVar = {"flags": Field(48)}
    SHOWN: ClassVar = {
        "nhoff": Field(0, 2),
        "thoff": Field(2, 2),
        "addr_proto": Field(4, 2),
        "is_frag": Field(6, 1),
        "is_first_frag": Field(7, 1),
        "is_encap": Field(8, 1),
        "ip_proto": Field(9, 1),
        "n_proto": Field(10, 2, 1, "port"),
        "sport": Field(12, 2, 1, "port"),
        "dport": Field(14, 2, 1, "port"),
        "ipv4_src": Field(16, 4, 1, "ip4"),
        "ipv4_dst": Field(20, 4, 1, "ip4"),
        "ipv6_src": Field(16, 16, 1, "ip6"),
        "ipv6_dst": Field(32, 16, 1, "ip6"),
        "flow_label": Field(52),
    }
    HAS_DATA = True

    def __init__(self, data: bytes = b"", **fields: Any) -> None:
        super().__init__(data=data, **fields)

    def after(self, result: RunResult) -> Self:
        made = super().after(result)
        made._content = bytearray(result.data.ljust(self.SIZE, b"\0"))
        made.data = self.data
        return made
