"""Packet programs on many packets in one call, and on one packet again and again without what `run()` costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stingless._gen.uapi import ProgramType
from stingless._sys.runtime_batch import Batch
from stingless.embedded import testrun
from stingless.errors import NotSupportedError
from stingless.frozen import frozen

if TYPE_CHECKING:
    from stingless.embedded.programs import EmbeddedProgram

_SKB_HEADROOM = 1 << 10
_GROWS = 1 << 12  # bytes that a socket buffer may grow by


@frozen
class ManyResult:
    """`retvals` are the verdicts, uint32; `data` what the program made of the packets, one after another, of which
    packet i ends at `ends[i]` (uint64; both empty when they were not kept); `duration_ns` all the time that it took."""

    retvals: NDArray[np.uint32]
    data: bytes
    ends: NDArray[np.uint64]
    duration_ns: int

    def packets(self) -> list[bytes]:
        return [self.data[start:end] for start, end in pairwise([0, *self.ends.tolist()])]


def _batch(program: EmbeddedProgram, packets: list[bytes]) -> Batch:
    is_xdp = program.spec.type is ProgramType.XDP
    if not is_xdp and program.spec.type not in testrun.SKB:
        raise NotSupportedError(
            f"runs of a {program.spec.type.name} program on packets", advice="run() gives it a context"
        )
    pull = 0 if is_xdp or program.spec.type in testrun.SEES_LINK else testrun.ETH_HLEN
    headroom = testrun.XDP_HEADROOM if is_xdp else _SKB_HEADROOM
    most = testrun.XDP_ROOM - headroom if is_xdp else testrun.SKB_MOST
    longest = max(map(len, packets), default=0)
    if longest > most:
        raise testrun.refuse(program, f"one of the packets has {longest} bytes, more than {most}")
    shortest = min(map(len, packets), default=most)
    if shortest < testrun.ETH_HLEN:
        raise testrun.refuse(program, f"a packet has an Ethernet header, 14 bytes at least, not {shortest}")
    if not is_xdp and shortest < testrun.ETH_HLEN + max(testrun.NETWORK_HEADER.values()):
        for number, packet in enumerate(packets):
            if len(packet) < testrun.ETH_HLEN + testrun.NETWORK_HEADER.get(packet[12:14], 0):
                raise testrun.refuse(program, f"packet {number} ends within the network header of its protocol")
    return Batch(
        program.handle,
        b"".join(packets),
        np.fromiter(accumulate(map(len, packets)), np.uint64, len(packets)).tobytes(),
        headroom=headroom,
        room=testrun.XDP_ROOM if is_xdp else headroom + longest + _GROWS,
        pull=pull,
        ifindex=testrun.LOOPBACK,
    )


def run_many(program: EmbeddedProgram, packets: Iterable[bytes], keep: bool) -> ManyResult:
    given = list(packets)
    result = _batch(program, given).run(keep=keep)
    ends = np.frombuffer(result.ends, np.uint64) if keep else np.zeros(0, np.uint64)
    return ManyResult(np.frombuffer(result.verdicts, np.uint32), result.data, ends, result.duration)


def prepare(program: EmbeddedProgram, data: bytes) -> Callable[[], int]:
    return _batch(program, [data]).repeated()
