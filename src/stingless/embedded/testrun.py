"""Packet programs run as BPF_PROG_TEST_RUN runs them: the same inputs, limits, errors and outputs.

What there is none of here are network interfaces: every index but 0 stands for one, and 0 for the loopback, 1.
Source: net/bpf/test_run.c.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys.runtime_packet import Memory
from stingless.errors import LoadError
from stingless.kernel import RunResult

if TYPE_CHECKING:
    from stingless.embedded.programs import EmbeddedProgram

P = ProgramType
ETH_HLEN = 14
XDP_HEADROOM = 256  # XDP_PACKET_HEADROOM
_PAGE, _SHARED_INFO = 4096, 320  # a page; the room of struct skb_shared_info at its end
XDP_ROOM = _PAGE - _SHARED_INFO
XDP_MD, SK_BUFF = struct.Struct("<6I"), 192
MAX_FRAGS = 17
_META_MAX = 216  # what struct xdp_frame leaves of the headroom
SKB_MOST = _PAGE - 64 - _SHARED_INFO  # behind NET_SKB_PAD
NETWORK_HEADER = {b"\x08\x00": 20, b"\x86\xdd": 40}
_GSO_MOST_SEGMENTS, _GSO_MOST = 65535, 65536
LOOPBACK = 1
_AF_INET, _AF_INET6 = 2, 10
_SOCKET_FIELDS = 88  # from there on, struct __sk_buff has fields of the socket

# Programs that see the link header, and those whose packet begins behind it.
SEES_LINK = frozenset({P.SCHED_CLS, P.SCHED_ACT})
SKB = SEES_LINK | {P.SOCKET_FILTER, P.CGROUP_SKB, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT, P.LWT_SEG6LOCAL}

# Of struct __sk_buff, what a caller may set: offset and bytes.  data_end (80) is read by later kernels.
_MAY_SET = ((8, 4), (32, 4), (36, 4), (40, 4), (48, 20), (152, 8), (160, 4), (164, 4), (176, 4), (184, 8))
_MUST_BE_ZERO = bytearray(b"\xff" * SK_BUFF)
for _at, _size in _MAY_SET:
    _MUST_BE_ZERO[_at : _at + _size] = bytes(_size)
_UNSET = int.from_bytes(_MUST_BE_ZERO, "little")
_GIVES = ((8, 4), (32, 4), (36, 4), (40, 4), (48, 20), (152, 8), (160, 4), (164, 4), (184, 8))


def refuse(program: EmbeddedProgram, why: str, code: int = errno.EINVAL) -> LoadError:
    spec = program.spec
    return LoadError(f"program {spec.name!r} ({spec.type.name}) was not run: {why}", code)


def context_bytes(program: EmbeddedProgram, ctx: bytes, size: int, name: str) -> bytes:
    """A context of at most `size` bytes, filled up with zeros; a longer one must end in zeros, as of a later kernel."""
    if len(ctx) > size and any(ctx[size:]):
        raise refuse(program, f"{name} has {size} bytes, not {len(ctx)}", errno.E2BIG)
    return ctx[:size].ljust(size, b"\0")


def run_skb(program: EmbeddedProgram, data: bytes | None, ctx: bytes | None, repeat: int) -> RunResult:
    """On a socket buffer that holds the packet, link header included.  A program that does not see that header loses
    it: it is zeros in the result."""
    if data is None or len(data) < ETH_HLEN:
        raise refuse(program, "a packet has an Ethernet header, 14 bytes at least")
    if len(data) > SKB_MOST:
        raise refuse(program, f"a packet has at most {SKB_MOST} bytes, not {len(data)}")
    pull = 0 if program.spec.type in SEES_LINK else ETH_HLEN
    least = NETWORK_HEADER.get(data[12:14], 0)
    if len(data) < ETH_HLEN + least:
        raise refuse(
            program, f"the network header of its protocol has {least} bytes, of which {len(data) - ETH_HLEN} are there"
        )
    visible = bytearray(context_bytes(program, ctx or b"", SK_BUFF, "struct __sk_buff"))
    if ctx is not None:
        _check_sk_buff(program, visible, len(data) - pull)
    if ctx is not None and not any(visible[160:164]):
        visible[160:164] = (len(data) - pull).to_bytes(4, "little")  # wire_len
    if not any(visible[40:44]):
        visible[40:44] = LOOPBACK.to_bytes(4, "little")
    # gso_size is 16 bits in the kernel.
    given = visible.copy()
    given[178:180] = bytes(2)
    if program.context_bytes > _SOCKET_FIELDS:
        socket = _socket(data)
        given[_SOCKET_FIELDS:140] = _socket_fields(socket.content)
        given[168:176] = socket.address.to_bytes(8, "little")
    result = program.handle.run_packet(data, pull=pull, visible=bytes(given), repeat=repeat)
    after = b""
    if ctx is not None:
        for at, size in _GIVES:
            visible[at : at + size] = result.visible[at : at + size]
        after = bytes(visible)
    return RunResult(result.retval, bytes(pull) + result.data[pull:], after, result.duration)


def _socket(data: bytes) -> Memory:
    """The socket of the packet, which has its addresses: `struct st_socket` of the runtime."""
    content = bytearray(88)
    if data[12:14] == b"\x08\x00":
        content[4], content[24:28], content[52:56] = _AF_INET, data[26:30], data[30:34]
    elif data[12:14] == b"\x86\xdd":
        content[4], content[28:44], content[56:72] = _AF_INET6, data[22:38], data[38:54]
    return Memory(bytes(content))


def _socket_fields(socket: bytes) -> bytes:
    """`family` to `local_port` of struct __sk_buff."""
    here4, here6, there4, there6 = socket[24:28], socket[28:44], socket[52:56], socket[56:72]
    return socket[4:8] + there4 + here4 + there6 + here6 + bytes(8)


def _check_sk_buff(program: EmbeddedProgram, ctx: bytearray, length: int) -> None:
    if wrong := int.from_bytes(ctx, "little") & _UNSET:
        at = (wrong & -wrong).bit_length() // 8
        raise refuse(
            program,
            f"byte {at} of struct __sk_buff is not 0; what can be set are mark, priority, ingress_ifindex, ifindex, cb,"
            " tstamp, wire_len, gso_segs, gso_size and hwtstamp",
        )
    wire, segments = struct.unpack_from("<2I", ctx, 160)
    if wire and not length <= wire <= _GSO_MOST:
        raise refuse(program, f"wire_len is {wire}, and not from {length} (the packet) to {_GSO_MOST}")
    if segments > _GSO_MOST_SEGMENTS:
        raise refuse(program, f"gso_segs is {segments}, more than {_GSO_MOST_SEGMENTS}")


def with_tag(frame: bytes, visible: bytes) -> bytes:
    """The frame with the VLAN tag that is beside it, as it goes over a wire."""
    present, tci, proto = struct.unpack_from("<3I", visible, 20)
    return frame[:12] + struct.pack("<H", proto) + struct.pack(">H", tci) + frame[12:] if present else frame


def run_xdp(program: EmbeddedProgram, data: bytes | None, ctx: bytes | None, repeat: int) -> RunResult:
    """On an XDP frame.  What is after data_end of the context, or does not fit in a page, is in fragments."""
    if program.spec.attach_type in (AttachType.XDP_DEVMAP, AttachType.XDP_CPUMAP):
        raise refuse(program, f"it is for a {program.spec.attach_type.name[4:].lower()}, where no test run leads")
    data = data or b""
    meta, linear, ifindex, queue = 0, len(data), 0, 0
    if ctx is not None:
        given = context_bytes(program, ctx, XDP_MD.size, "struct xdp_md")
        meta, linear, no_meta, ifindex, queue, egress = XDP_MD.unpack(given)
        if no_meta or egress or linear > len(data) or meta > linear or meta % 4 or meta > _META_MAX:
            raise refuse(
                program,
                "in struct xdp_md, data is the length of the metadata before the packet (a multiple of 4, at most 216),"
                f" data_end is the length of both (at most {len(data)}), and data_meta and egress_ifindex are 0",
            )
        if queue:
            raise refuse(program, f"rx_queue_index is {queue}, and the interface has queue 0 only")
    if len(data) - meta < ETH_HLEN:
        raise refuse(program, "a packet has an Ethernet header, 14 bytes at least")
    headroom = XDP_HEADROOM - meta
    linear = min(linear, XDP_ROOM - headroom)
    if len(data) - linear > MAX_FRAGS * _PAGE:
        raise refuse(program, f"more than {MAX_FRAGS} fragments of {_PAGE} bytes", errno.ENOMEM)
    visible = bytearray(XDP_MD.size)
    struct.pack_into("<2I", visible, 12, ifindex or LOOPBACK, queue)
    result = program.handle.run_packet(
        data, headroom=headroom, room=XDP_ROOM, linear=linear, meta=meta, visible=bytes(visible), repeat=repeat
    )
    after = b""
    if ctx is not None:
        after = XDP_MD.pack(result.meta, len(result.data) - result.frags, 0, ifindex, queue, 0)
    return RunResult(result.retval, result.data, after, result.duration)
