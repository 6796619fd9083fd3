"""`python -m tests.packet_campaign 10000 [SEED [CAPTURE]]`: packets on Linux (BPF_PROG_TEST_RUN) and on the embedded
kernel; the first differences, and how many there are."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from itertools import islice

from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.sources.pcap import read
from stingless.linux.kernel import LinuxKernel
from tests.packet_programs import OPERATIONS, Case, Runner, cases

_SEEN = struct.Struct("<q10I32s")
_OP = struct.Struct("<iiQQQ32s")


def compare(kind: str, count: int, seed: int = 1, captured: Sequence[bytes] = ()) -> list[tuple[Case, object, object]]:
    """The cases whose results differ: (case, on Linux, embedded)."""
    with LinuxKernel() as linux, EmbeddedKernel() as embedded:
        runners = Runner(linux, kind), Runner(embedded, kind)
        found = []
        for case in islice(cases(seed, kind, captured), count):
            one, other = (runner.run(case) for runner in runners)
            if one != other:
                found.append((case, one, other))
        return found


def explain(case: Case, linux: object, embedded: object) -> str:
    frame, ctx, script = case
    lines = [f"frame {len(frame)} B {frame[:40].hex()} ctx {ctx and ctx.hex()}"]
    if not (isinstance(linux, tuple) and isinstance(embedded, tuple) and len(linux) == len(embedded) == 4):
        return "\n  ".join([*lines, f"{linux!r:.80}", f"{embedded!r:.80}"])
    for name, one, other in zip(("retval", "data", "ctx"), linux, embedded, strict=False):
        if one != other:
            lines.append(f"{name}: {one!r:.200} != {other!r:.200}")
    for i in range(OPERATIONS):
        code, size, a, b, c, _ = _OP.unpack_from(script, i * _OP.size)
        one, other = (_SEEN.unpack_from(out[3], i * _SEEN.size) for out in (linux, embedded))
        sign = "==" if one == other else "!!"
        lines.append(f"{sign} {code} size={size} {a:#x} {b:#x} {c:#x}: {one[:11]} {'' if one == other else other[:11]}")
        if one[:11] == other[:11] and one != other:
            lines.append(f"   {one[11].hex()} {other[11].hex()}")
    return "\n  ".join(lines)


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    captured = [frame.data for frame in read(sys.argv[3])] if len(sys.argv) > 3 else []
    for kind in ("tc", "xdp"):
        found = compare(kind, total // 2, seed, captured)
        print(f"{kind}: {total // 2} packets, {len(found)} differ")
        for each in found[:5]:
            print(" ", explain(*each))
