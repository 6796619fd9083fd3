"""Captures: read in the pcap and pcapng formats, written, and run programs over.

pcap in both byte orders, with microseconds or nanoseconds.  Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from stingless.embedded.sources import pcapng
from stingless.embedded.sources.capture import LINKTYPE_ETHERNET, MAX_FRAME
from stingless.embedded.sources.capture import Frame as Frame
from stingless.embedded.sources.capture import PcapError as PcapError

# Magic number as the file's first four bytes: (byte order, nanoseconds of a unit of the second timestamp field).
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_FILE_HEADER, _RECORD_HEADER = 24, 16


def parse(content: bytes) -> Iterator[Frame]:
    """The Ethernet frames of a capture, in order.  Raises `PcapError` where the content is malformed; the frames before
    that place were returned by then."""
    if content[:4] == pcapng.MAGIC:
        yield from pcapng.parse(content)
        return
    if len(content) < _FILE_HEADER:
        raise PcapError(f"a pcap file has a header of {_FILE_HEADER} bytes; this one ends after {len(content)}")
    if content[:4] not in _MAGIC:
        raise PcapError(f"not a pcap file: it starts with {content[:4].hex()}")
    order, unit = _MAGIC[content[:4]]
    major, minor, _, _, _, kind = struct.unpack_from(order + "HHiIII", content, 4)
    if major != 2:
        raise PcapError(f"pcap version {major}.{minor} is not known; version 2 is")
    if kind & 0xFFFF != LINKTYPE_ETHERNET:  # the upper bits tell of a frame check sequence
        raise PcapError(f"link type {kind & 0xFFFF} is not Ethernet (1)")
    record = struct.Struct(order + "IIII")
    at = _FILE_HEADER
    while at < len(content):
        if at + _RECORD_HEADER > len(content):
            raise PcapError(f"the record at byte {at} is cut within its header")
        seconds, fraction, captured, length = record.unpack_from(content, at)
        if captured > MAX_FRAME:
            raise PcapError(f"the record at byte {at} claims {captured} bytes; {MAX_FRAME} are the most")
        at += _RECORD_HEADER
        if at + captured > len(content):
            raise PcapError(f"the frame at byte {at} has {captured} bytes, of which {len(content) - at} are there")
        yield Frame(seconds * 1_000_000_000 + fraction * unit, length, content[at : at + captured])
        at += captured


def read(path: str | Path) -> Iterator[Frame]:
    """The Ethernet frames of a capture file.  Raises `OSError`, `PcapError`."""
    return parse(Path(path).read_bytes())


def write(path: str | Path, frames: Iterable[Frame | tuple[Frame, str]]) -> int:
    """Write Ethernet frames to a capture file, pcapng when its name ends so, else pcap (both with nanoseconds); how
    many there were.  The text of a frame is a comment on it, which only pcapng keeps.  Raises `OSError`."""
    path, count = Path(path), 0

    def commented() -> Iterator[tuple[Frame, str]]:
        nonlocal count
        for each in frames:
            count += 1
            yield each if isinstance(each, tuple) else (each, "")

    with path.open("wb") as file:
        if path.suffix == ".pcapng":
            file.writelines(pcapng.content(commented()))
        else:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, MAX_FRAME, LINKTYPE_ETHERNET))
            for frame, _ in commented():
                seconds, fraction = divmod(frame.time_ns, 10**9)
                file.write(struct.pack("<IIII", seconds, fraction, len(frame.data), frame.length) + frame.data)
    return count
