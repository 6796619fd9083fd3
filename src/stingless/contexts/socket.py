"""Contexts of programs of socket maps and socket lookups."""

from __future__ import annotations

from typing import Any, ClassVar

from stingless._gen.uapi import ProgramType
from stingless.contexts.base import Context, Field, words

P = ProgramType


class SkMsg(Context):
    """`struct sk_msg_md`: a message `data` that is sent through a socket of a map.  The embedded kernel only."""

    STRUCT = "struct sk_msg_md"
    SIZE = 80
    TYPES = frozenset({P.SK_MSG})
    FIELDS: ClassVar = {
        "family": Field(16),
        "remote_ip4": Field(20, 4, 1, "ip4"),
        "local_ip4": Field(24, 4, 1, "ip4"),
        "remote_ip6": Field(28, 16, 1, "ip6"),
        "local_ip6": Field(44, 16, 1, "ip6"),
        "remote_port": Field(60, 4, 1, "port"),
        "local_port": Field(64),
    }
    SHOWN: ClassVar = words("size", 68)
    HAS_DATA = True

    def __init__(self, data: bytes = b"", **fields: Any) -> None:
        super().__init__(data=data, **fields)
        self._content[68:72] = len(data).to_bytes(4, "little")


class SkLookup(Context):
    """`struct bpf_sk_lookup`: a connection or datagram that a listening socket is looked for.  `family` and the
    addresses are numbers or text; ports the usual numbers.  Linux 5.13 for test runs."""

    STRUCT = "struct bpf_sk_lookup"
    SIZE = 72
    TYPES = frozenset({P.SK_LOOKUP})
    FIELDS: ClassVar = {
        "family": Field(8),
        "protocol": Field(12),
        "remote_ip4": Field(16, 4, 1, "ip4"),
        "remote_ip6": Field(20, 16, 1, "ip6"),
        "remote_port": Field(36, 4, 1, "port"),
        "local_ip4": Field(40, 4, 1, "ip4"),
        "local_ip6": Field(44, 16, 1, "ip6"),
        "local_port": Field(60),
        "ingress_ifindex": Field(64),
    }
    SHOWN: ClassVar = {"cookie": Field(0, 8)}
