"""Captures in the pcapng format: sections in both byte orders, interfaces with any time resolution.

Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction

from stingless.embedded.sources.capture import LINKTYPE_ETHERNET, MAX_FRAME, Frame, PcapError

MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_END, _COMMENT, _RESOLUTION, _OFFSET = 0, 1, 9, 14


def parse(content: bytes) -> Iterator[Frame]:
    """The Ethernet frames, in order.  Raises `PcapError` where the content is malformed."""
    at, order = 0, "<"
    interfaces: list[tuple[int, Fraction, int]] = []  # link type, ns of a unit of time, ns of its start
    while at < len(content):
        if content[at : at + 4] == MAGIC:
            order = _section_order(content, at)
            interfaces = []
        kind, body = _block(content, at, order)
        if kind == _INTERFACE:
            interfaces.append(_interface(body, order, at))
        elif kind in (_ENHANCED, _PACKET, _SIMPLE):
            yield _frame(kind, body, order, interfaces, at)
        at += len(body) + 12


def _section_order(content: bytes, at: int) -> str:
    for order in "<>":
        if content[at + 8 : at + 12] == struct.pack(order + "I", _BYTE_ORDER):
            return order
    raise PcapError(f"the section at byte {at} has no byte order mark")


def _block(content: bytes, at: int, order: str) -> tuple[int, bytes]:
    if at + 12 > len(content):
        raise PcapError(f"the block at byte {at} is cut within its header")
    kind, length = struct.unpack_from(order + "II", content, at)
    if length < 12 or length % 4:
        raise PcapError(f"the block at byte {at} claims {length} bytes; that is a multiple of 4, from 12 on")
    if at + length > len(content):
        raise PcapError(f"the block at byte {at} has {length} bytes, of which {len(content) - at} are there")
    if struct.unpack_from(order + "I", content, at + length - 4)[0] != length:
        raise PcapError(f"the block at byte {at} does not end with its length, {length}")
    return kind, content[at + 8 : at + length - 4]


def _options(body: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == _END:
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def _interface(body: bytes, order: str, at: int) -> tuple[int, Fraction, int]:
    if len(body) < 8:
        raise PcapError(f"the interface at byte {at} is cut")
    kind = struct.unpack_from(order + "H", body)[0]
    unit, start = Fraction(1000), 0
    for code, value in _options(body, 8, order):
        if code == _RESOLUTION and len(value) == 1:
            unit = Fraction(10**9, (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F))
        elif code == _OFFSET and len(value) == 8:
            start = struct.unpack(order + "q", value)[0] * 10**9
    return kind, unit, start


def _frame(kind: int, body: bytes, order: str, interfaces: list[tuple[int, Fraction, int]], at: int) -> Frame:
    header = {_ENHANCED: 20, _PACKET: 20, _SIMPLE: 4}[kind]
    if len(body) < header:
        raise PcapError(f"the packet at byte {at} is cut within its header")
    number = high = low = 0
    if kind == _SIMPLE:
        (length,) = struct.unpack_from(order + "I", body)
        captured = min(length, len(body) - header)
    else:
        number, high, low, captured, length = struct.unpack_from(
            order + ("IIIII" if kind == _ENHANCED else "HxxIIII"), body
        )
    if number >= len(interfaces):
        raise PcapError(f"the packet at byte {at} is of interface {number}, and there are {len(interfaces)} so far")
    link, unit, start = interfaces[number]
    if link != LINKTYPE_ETHERNET:
        raise PcapError(f"link type {link} of interface {number} is not Ethernet (1)")
    if captured > min(MAX_FRAME, len(body) - header):
        raise PcapError(f"the packet at byte {at} claims {captured} bytes; {len(body) - header} are there")
    time = start + int((high << 32 | low) * unit)
    return Frame(time, length, body[header : header + captured])


def content(frames: Iterable[tuple[Frame, str]]) -> Iterator[bytes]:
    """A capture with nanoseconds, piece by piece; the text is a comment on the frame ("" for none)."""
    yield _made(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1))
    yield _made(
        _INTERFACE, struct.pack("<HHI", LINKTYPE_ETHERNET, 0, MAX_FRAME) + _option(_RESOLUTION, b"\x09") + bytes(4)
    )
    for frame, comment in frames:
        body = struct.pack("<IIIII", 0, frame.time_ns >> 32, frame.time_ns & 0xFFFFFFFF, len(frame.data), frame.length)
        body += _padded(frame.data)
        if comment:
            body += _option(_COMMENT, comment.encode()) + bytes(4)
        yield _made(_ENHANCED, body)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _made(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length
