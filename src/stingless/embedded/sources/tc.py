"""tc programs at a veth interface, in either direction, over the same wire as XDP programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless.embedded.sources.packets import PacketProgram, XdpLink
from stingless.events import Tc

if TYPE_CHECKING:
    from stingless._sys.rtnetlink import LinkInfo
    from stingless.embedded.sources.wire import Wire

TC_ACT_OK, TC_ACT_RECLASSIFY, TC_ACT_SHOT, TC_ACT_PIPE, TC_ACT_STOLEN, TC_ACT_QUEUED = range(6)
TC_ACT_REDIRECT, TC_ACT_TRAP = 7, 8
_ENDS = frozenset({TC_ACT_SHOT, TC_ACT_STOLEN, TC_ACT_QUEUED, TC_ACT_REDIRECT, TC_ACT_TRAP})


class TcLink(XdpLink):
    """A program that decides about every frame that arrives at a veth interface or (egress) leaves it.

    As on Linux it goes on with TC_ACT_OK, TC_ACT_PIPE, TC_ACT_RECLASSIFY and whatever is no action, and a VLAN tag that
    the program pushed is in the frame.  TC_ACT_REDIRECT has nowhere to go here and drops."""

    def __init__(self, program: PacketProgram, event: Tc) -> None:
        self._egress = event.egress
        super().__init__(program, event)

    def _wire_in(self, link: LinkInfo) -> Wire:
        from stingless.embedded.sources.wire import Wire

        return Wire(link, None, self._decide) if self._egress else Wire(link, self._decide)

    def _decide(self, frame: bytes) -> tuple[bytes | None, bytes | None]:
        try:
            verdict, after = self._program.run_packet(frame, self._index)
        except Exception as error:  # the wire must go on: the frame is dropped, and the note tells
            self._failure = error
            verdict, after = TC_ACT_SHOT, frame
        self.verdicts[verdict] += 1
        return (None if verdict in _ENDS else after), None

    @property
    def note(self) -> str:
        way = "leave" if self._egress else "arrive at"
        parts = [f"the packets that {way} {self._event.interface} pass through this process"]
        if redirected := self.verdicts[TC_ACT_REDIRECT]:
            parts.append(f"{redirected} were dropped because TC_ACT_REDIRECT has nowhere to go here")
        if self._wire.lost:
            parts.append(f"{self._wire.lost} were lost because a queue was full or they had become too large")
        if self._failure is not None:
            parts.append(f"running the program failed: {self._failure!r}")
        return "; ".join(parts)
