"""What captures of all formats have in common."""

from __future__ import annotations

from stingless.errors import StinglessError
from stingless.frozen import frozen

LINKTYPE_ETHERNET = 1
MAX_FRAME = 1 << 18  # the largest snapshot length that capture tools write


class PcapError(StinglessError, ValueError):
    """A capture file is malformed, or of a kind that is not read here."""


@frozen
class Frame:
    """One captured frame: `time_ns` since the epoch; `length` is that on the wire, `data` may be cut shorter."""

    time_ns: int
    length: int
    data: bytes
