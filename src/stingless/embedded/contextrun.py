"""Runs on the contexts of cgroup, socket and flow dissector programs.

As BPF_PROG_TEST_RUN where Linux has it (flow dissectors, sk_lookup); elsewhere the context is the struct's bytes, and
the data what its pointers lead to: a message, the value of an option, or of a setting "NAME NUL VALUE NUL NEW-VALUE".
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless._sys.runtime_packet import Memory
from stingless.embedded.testrun import ETH_HLEN, SK_BUFF, context_bytes, refuse
from stingless.kernel import RunResult

if TYPE_CHECKING:
    from stingless._sys.runtime import Task
    from stingless.embedded.programs import EmbeddedProgram

P = ProgramType
_NONE = -2  # no data; -1: data, and no pointers to it

# Bytes of the struct, and where its two pointers to the data are.
_STRUCTS = {
    P.CGROUP_DEVICE: ("struct bpf_cgroup_dev_ctx", 12, _NONE),
    P.CGROUP_SOCK: ("struct bpf_sock", 80, _NONE),
    P.CGROUP_SOCK_ADDR: ("struct bpf_sock_addr", 72, _NONE),
    P.CGROUP_SYSCTL: ("struct bpf_sysctl", 8, -1),
    P.CGROUP_SOCKOPT: ("struct bpf_sockopt", 40, 8),
    P.SK_MSG: ("struct sk_msg_md", 80, 0),
}
_POINTERS = {P.CGROUP_SOCK_ADDR: (64, 72), P.CGROUP_SOCKOPT: (0, 24), P.SK_MSG: (0, 16)}  # bytes that hold pointers
# Where the pointer to the socket is, and where the context has what is known of it (family, type, protocol).
_SOCKETS: dict[ProgramType, tuple[int, tuple[int | None, int | None, int | None]]] = {
    P.CGROUP_SOCK_ADDR: (64, (28, 32, 36)),
    P.CGROUP_SOCKOPT: (0, (None, None, None)),
    P.SK_MSG: (72, (16, None, None)),
}
_SOCKET_BYTES = 88  # struct st_socket
SUPPORTED = frozenset(_STRUCTS) | {P.FLOW_DISSECTOR, P.SK_LOOKUP, P.SK_SKB}

_FLOW_KEYS_AT, _FLOW_KEYS = 144, 56
_SK_LOOKUP, _AF_INET, _AF_INET6 = 72, 2, 10


def run(program: EmbeddedProgram, data: bytes | None, ctx: bytes | None, repeat: int, task: Task | None) -> RunResult:
    """Raises `LoadError`."""
    type = program.spec.type
    if type is P.FLOW_DISSECTOR:
        return _flow_dissector(program, data, ctx, repeat)
    if type is P.SK_LOOKUP:
        return _sk_lookup(program, data, ctx, repeat, task)
    if type is P.SK_SKB:
        return _sk_skb(program, data, ctx, repeat)
    name, size, data_at = _STRUCTS[type]
    if data is not None and data_at == _NONE:
        raise refuse(program, "this type takes a context and no data")
    if ctx is None:
        raise refuse(program, f"it needs {name} as a context ({size} bytes): see stingless.contexts")
    given = context_bytes(program, ctx, size, name)
    start, end = _POINTERS.get(type, (0, 0))
    if any(given[start:end]):
        raise refuse(program, f"bytes {start} to {end - 1} of {name} are pointers: leave them 0")
    if type in _SOCKETS:
        socket = _socket(type, given)
        at = _SOCKETS[type][0]
        given = given[:at] + socket.address.to_bytes(8, "little") + given[at + 8 :]
    if data_at == _NONE:
        retval, after, duration = program.handle.run_context(given, repeat, task)
        return RunResult(retval & 0xFFFFFFFF, b"", _without_socket(type, after), duration)
    if type is P.SK_MSG:
        given = given[:68] + len(data or b"").to_bytes(4, "little") + given[72:]
    retval, after, left, duration = program.handle.run_context_data(given, data or b"", data_at, repeat, task)
    return RunResult(retval & 0xFFFFFFFF, left, _without_socket(type, after), duration)


def _socket(type: ProgramType, ctx: bytes) -> Memory:
    """The socket that the context is of: nothing is known of it but what the context tells."""
    content = bytearray(_SOCKET_BYTES)
    for to, at in zip((4, 8, 12), _SOCKETS[type][1], strict=True):
        if at is not None:
            content[to : to + 4] = ctx[at : at + 4]
    return Memory(bytes(content))


def _without_socket(type: ProgramType, ctx: bytes) -> bytes:
    if type not in _SOCKETS:
        return ctx
    at = _SOCKETS[type][0]
    return ctx[:at] + bytes(8) + ctx[at + 8 :]


def _flow_dissector(program: EmbeddedProgram, data: bytes | None, ctx: bytes | None, repeat: int) -> RunResult:
    if data is None or len(data) < ETH_HLEN:
        raise refuse(program, "a packet has an Ethernet header, 14 bytes at least")
    given = context_bytes(program, ctx or b"", _FLOW_KEYS, "struct bpf_flow_keys")
    if any(given[:48]) or any(given[52:]):
        raise refuse(program, "of struct bpf_flow_keys only flags can be given")
    start = struct.pack("<HHHBBBB", ETH_HLEN, ETH_HLEN, 0, 0, 0, 0, 0) + data[12:14]
    keys = Memory(start + given[len(start) :])
    visible = bytes(_FLOW_KEYS_AT) + keys.address.to_bytes(8, "little")
    result = program.handle.run_packet(data, visible=visible, repeat=repeat)
    left = keys.content
    network, transport = struct.unpack_from("<2H", left)
    network = min(max(network, ETH_HLEN), len(data))
    transport = min(max(transport, network), len(data))
    return RunResult(
        result.retval,
        struct.pack("<2H", network, transport) + left[4:],
        given if ctx is not None else b"",
        result.duration,
    )


def _sk_lookup(
    program: EmbeddedProgram, data: bytes | None, ctx: bytes | None, repeat: int, task: Task | None
) -> RunResult:
    if data is not None:
        raise refuse(program, "this type takes a context and no data")
    if ctx is None:
        raise refuse(program, "it needs struct bpf_sk_lookup as a context: see stingless.contexts.SkLookup")
    given = context_bytes(program, ctx, _SK_LOOKUP, "struct bpf_sk_lookup")
    cookie, family = struct.unpack_from("<QI", given)
    (local_port,) = struct.unpack_from("<I", given, 60)
    if cookie:
        raise refuse(program, "cookie, which is a pointer for the program, must be 0")
    if local_port > 0xFFFF:
        raise refuse(program, f"local_port is {local_port}, more than 65535", errno.ERANGE)
    if family not in (_AF_INET, _AF_INET6):
        raise refuse(program, f"family is {family}, and not AF_INET (2) or AF_INET6 (10)", errno.EAFNOSUPPORT)
    retval, _, duration = program.handle.run_context(given, repeat, task)
    return RunResult(retval & 0xFFFFFFFF, b"", given, duration)


def _sk_skb(program: EmbeddedProgram, data: bytes | None, ctx: bytes | None, repeat: int) -> RunResult:
    visible = context_bytes(program, ctx or b"", SK_BUFF, "struct __sk_buff")
    result = program.handle.run_packet(data or b"", visible=visible, repeat=repeat)
    return RunResult(result.retval, result.data, result.visible if ctx is not None else b"", result.duration)
