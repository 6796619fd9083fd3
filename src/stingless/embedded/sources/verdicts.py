"""What becomes of a packet by what a program says: for captures, and for whoever else runs programs over packets."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import partial

from stingless._gen.uapi import ProgramType
from stingless.embedded.sources.capture import Frame
from stingless.errors import LoadError
from stingless.frozen import frozen
from stingless.kernel import Program

P = ProgramType
_XDP = ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT")
_TC = (
    "TC_ACT_OK", "TC_ACT_RECLASSIFY", "TC_ACT_SHOT", "TC_ACT_PIPE", "TC_ACT_STOLEN", "TC_ACT_QUEUED", "TC_ACT_REPEAT",
    "TC_ACT_REDIRECT", "TC_ACT_TRAP",
)  # fmt: skip
_GO_ON = {"XDP_PASS", "XDP_TX", "XDP_REDIRECT", "TC_ACT_OK", "TC_ACT_RECLASSIFY", "TC_ACT_PIPE", "TC_ACT_REDIRECT"}
_GO_ON |= {"TC_ACT_UNSPEC", "accept", "pass", "BPF_OK", "BPF_REDIRECT", "BPF_LWT_REROUTE"}
_LWT = {0: "BPF_OK", 2: "BPF_DROP", 7: "BPF_REDIRECT", 128: "BPF_LWT_REROUTE"}
_SEES_LINK = frozenset({P.XDP, P.SCHED_CLS, P.SCHED_ACT})
TYPES = frozenset({P.XDP, P.SOCKET_FILTER, P.SCHED_CLS, P.SCHED_ACT, P.CGROUP_SKB, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT})


@frozen
class Verdict:
    """What a program said of `frame`: the number, its name ("XDP_TX"; "accept" and "drop" for socket filters), and
    what goes on: the frame as the program left it, or None.  `ns` is how long the run took."""

    frame: Frame
    value: int
    name: str
    left: Frame | None
    ns: int


def name(type: ProgramType, value: int) -> str:
    """Of what a program of that type returned."""
    if type is P.XDP:
        return _XDP[value] if value < len(_XDP) else f"XDP {value} (as XDP_ABORTED)"
    if type is P.SOCKET_FILTER:
        return "accept" if value else "drop"
    if type is P.CGROUP_SKB:
        return "pass" if value & 1 else "drop"
    if type in (P.SCHED_CLS, P.SCHED_ACT):
        return "TC_ACT_UNSPEC" if value == 0xFFFFFFFF else _TC[value] if value < len(_TC) else f"TC_ACT {value}"
    return _LWT.get(value, f"BPF_DROP ({value})")


def apply(program: Program, frames: Iterable[Frame], ifindex: int = 1) -> Iterator[Verdict]:
    """Run a packet program on each frame, on either kernel, as if it arrived at interface `ifindex` (on Linux, one that
    exists).  Raises `LoadError` for a frame that the kernel does not run programs on, and other types of programs."""
    type = program.spec.type
    if type not in TYPES:
        known = ", ".join(sorted(each.name for each in TYPES))
        raise LoadError(f"program {program.spec.name!r} is a {type.name}; packets are for {known}", 22)
    # The embedded kernel knows more of the packet than a test run tells: a VLAN tag that is beside it.
    run = getattr(program, "run_frame", None) or partial(_test_run, program)
    for frame in frames:
        value, data, ns = run(frame.data, ifindex)
        said = name(type, value)
        left = None
        if said in _GO_ON:
            if type is P.SOCKET_FILTER:
                data = data[:value]  # it says how much of the packet there is to read
            elif type not in _SEES_LINK:
                data = frame.data[:14] + data[14:]
            left = Frame(frame.time_ns, max(frame.length + len(data) - len(frame.data), len(data)), data)
        yield Verdict(frame, value, said, left, ns)


def _test_run(program: Program, data: bytes, ifindex: int) -> tuple[int, bytes, int]:
    if program.spec.type is P.XDP:
        result = program.run(data, struct.pack("<6I", 0, len(data), 0, 0 if ifindex == 1 else ifindex, 0, 0))
        return result.retval, result.data[int.from_bytes(result.ctx[:4], "little") :], result.duration_ns
    # A socket filter is to see the link header, as of a raw packet socket; a test run takes one off.
    extra = data[:14] if program.spec.type is P.SOCKET_FILTER else b""
    result = program.run(extra + data, None if ifindex == 1 else _sk_buff(ifindex))
    return result.retval, result.data[len(extra) :], result.duration_ns


def _sk_buff(ifindex: int) -> bytes:
    return bytes(40) + ifindex.to_bytes(4, "little") + bytes(148)
