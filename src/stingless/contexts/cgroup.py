"""Contexts of programs that are attached to cgroups.  Only the embedded kernel runs these on a context."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from stingless._gen.uapi import ProgramType
from stingless.contexts.base import Context, Field, words
from stingless.kernel import RunResult

P = ProgramType


class Device(Context):
    """`struct bpf_cgroup_dev_ctx`: `access_type` is BPF_DEVCG_ACC_* << 16 | BPF_DEVCG_DEV_*, which `access` ("rwm") and
    `kind` ("c" or "b") make too."""

    STRUCT = "struct bpf_cgroup_dev_ctx"
    SIZE = 12
    TYPES = frozenset({P.CGROUP_DEVICE})
    FIELDS: ClassVar = words("access_type major minor")

    def __init__(self, *, access: str = "", kind: str = "", **fields: Any) -> None:
        super().__init__(**fields)
        if access or kind:
            if not kind or kind not in "bc" or set(access) - set("mrw"):
                raise ValueError(f"access is of the letters m, r and w, and kind b or c: not {access!r} and {kind!r}")
            bits = sum(1 << "mrw".index(letter) for letter in set(access))
            self._set("access_type", bits << 16 | "bc".index(kind) + 1)


class Sock(Context):
    """`struct bpf_sock`, of a socket that is created, released or bound."""

    STRUCT = "struct bpf_sock"
    SIZE = 80
    TYPES = frozenset({P.CGROUP_SOCK})
    FIELDS: ClassVar = {
        **words("bound_dev_if family type protocol mark priority"),
        "src_ip4": Field(24, 4, 1, "ip4"),
        "src_ip6": Field(28, 16, 1, "ip6"),
        "src_port": Field(44),
        "dst_port": Field(48, 2, 1, "port"),
        "dst_ip4": Field(52, 4, 1, "ip4"),
        "dst_ip6": Field(56, 16, 1, "ip6"),
        "state": Field(72),
        "rx_queue_mapping": Field(76, 4, 1, "signed"),
    }


class SockAddr(Context):
    """`struct bpf_sock_addr`: an address that a socket is bound or connected to, or sends to."""

    STRUCT = "struct bpf_sock_addr"
    SIZE = 72
    TYPES = frozenset({P.CGROUP_SOCK_ADDR})
    FIELDS: ClassVar = {
        "user_family": Field(0),
        "user_ip4": Field(4, 4, 1, "ip4"),
        "user_ip6": Field(8, 16, 1, "ip6"),
        "user_port": Field(24, 4, 1, "port"),
        "family": Field(28),
        "type": Field(32),
        "protocol": Field(36),
        "msg_src_ip4": Field(40, 4, 1, "ip4"),
        "msg_src_ip6": Field(44, 16, 1, "ip6"),
    }


class SockOpt(Context):
    """`struct bpf_sockopt`: `data` is the option's value; `optlen` its length, unless another one is given."""

    STRUCT = "struct bpf_sockopt"
    SIZE = 40
    TYPES = frozenset({P.CGROUP_SOCKOPT})
    FIELDS: ClassVar = {
        "level": Field(24, 4, 1, "signed"),
        "optname": Field(28, 4, 1, "signed"),
        "optlen": Field(32, 4, 1, "signed"),
        "retval": Field(36, 4, 1, "signed"),
    }
    HAS_DATA = True

    def __init__(self, *, optval: bytes = b"", **fields: Any) -> None:
        super().__init__(data=optval, **{"optlen": len(optval), **fields})

    @property
    def optval(self) -> bytes:
        return self.data or b""


class Sysctl(Context):
    """`struct bpf_sysctl`: reading (or, with `write`, writing) of the setting `name` ("net/ipv4/ip_forward")."""

    STRUCT = "struct bpf_sysctl"
    SIZE = 8
    TYPES = frozenset({P.CGROUP_SYSCTL})
    FIELDS: ClassVar = words("write file_pos")
    HAS_DATA = True

    def __init__(self, *, name: str = "", value: bytes = b"", new_value: bytes = b"", **fields: Any) -> None:
        for what, text in (("name", name.encode()), ("value", value), ("new_value", new_value)):
            if b"\0" in text:
                raise ValueError(f"{what} has a NUL")
        self.name, self.value, self.new_value = name, value, new_value
        super().__init__(data=b"\0".join((name.encode(), value, new_value)), **{"write": bool(new_value), **fields})

    def after(self, result: RunResult) -> Self:
        made = super().after(result)
        made.new_value = result.data.split(b"\0", 2)[2]
        return made
