"""`python -m tests.context_access`: every aligned load and store of every context, asked of Linux and of our verifier.

`python -m tests.context_access 10` asks about each tenth one."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from stingless._gen.uapi import AttachType, ProgramType
from stingless._sys import bpf_prog
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, encode
from stingless.embedded.verifier.contexts import return_range
from stingless.embedded.verifier.verify import verify
from stingless.errors import VerifierError
from stingless.obj.spec import ProgramSpec

P, A = ProgramType, AttachType
_SIZES = {1: op.B, 2: op.H, 4: op.W, 8: op.DW}
CONTEXTS: tuple[tuple[ProgramType, int, tuple[AttachType | None, ...]], ...] = (
    (P.SOCKET_FILTER, 192, (None,)),
    (P.SCHED_CLS, 192, (None,)),
    (P.XDP, 24, (A.XDP, A.XDP_DEVMAP)),
    (P.CGROUP_SKB, 192, (A.CGROUP_INET_INGRESS, A.CGROUP_INET_EGRESS)),
    (P.LWT_IN, 192, (None,)),
    (P.LWT_XMIT, 192, (None,)),
    (P.SK_SKB, 192, (A.SK_SKB_STREAM_VERDICT, A.SK_SKB_STREAM_PARSER)),
    (P.SK_MSG, 80, (A.SK_MSG_VERDICT,)),
    (P.SK_LOOKUP, 72, (A.SK_LOOKUP,)),
    (P.FLOW_DISSECTOR, 192, (A.FLOW_DISSECTOR,)),
    (P.CGROUP_DEVICE, 12, (A.CGROUP_DEVICE,)),
    (P.CGROUP_SYSCTL, 8, (A.CGROUP_SYSCTL,)),
    (P.CGROUP_SOCKOPT, 40, (A.CGROUP_SETSOCKOPT, A.CGROUP_GETSOCKOPT)),
    (
        P.CGROUP_SOCK,
        80,
        (
            A.CGROUP_INET_SOCK_CREATE,
            A.CGROUP_INET_SOCK_RELEASE,
            A.CGROUP_INET4_POST_BIND,
            A.CGROUP_INET6_POST_BIND,
        ),
    ),
    (
        P.CGROUP_SOCK_ADDR,
        72,
        (
            A.CGROUP_INET4_BIND,
            A.CGROUP_INET6_CONNECT,
            A.CGROUP_UDP4_SENDMSG,
            A.CGROUP_UDP6_SENDMSG,
            A.CGROUP_UDP6_RECVMSG,
            A.CGROUP_INET4_GETSOCKNAME,
            A.CGROUP_UNIX_CONNECT,
        ),
    ),
)


def _spec(type: ProgramType, attach: AttachType | None, off: int, size: int, write: bool) -> ProgramSpec:
    code = [
        Instruction(op.ALU64 | op.MOV | op.K, 2, 0, 0, 0),
        Instruction((op.STX if write else op.LDX) | op.MEM | _SIZES[size], 1 if write else 2, 2 if write else 1, off),
        Instruction(op.ALU64 | op.MOV | op.K, 0, 0, 0, 1),
        Instruction(op.JMP | op.EXIT),
    ]  # fmt: skip
    return ProgramSpec("access", "", type, encode(code), "GPL", attach)


def _linux(spec: ProgramSpec) -> bool:
    try:
        attach = 0 if spec.attach_type is None else int(spec.attach_type)
        bpf_prog.prog_load(spec.type, spec.code, spec.license, expected_attach_type=attach).close()
    except OSError:
        return False
    return True


def _embedded(spec: ProgramSpec) -> bool:
    try:
        verify(spec, {}, frozenset())
    except VerifierError:
        return False
    return True


def differences(every: int = 1) -> Iterator[str]:
    """What Linux takes and we refuse, or the other way round."""
    count = 0
    for type, length, attaches in CONTEXTS:
        for attach in attaches:
            for off in range(-8, length + 8):
                for size in (1, 2, 4, 8):
                    for write in (False, True):
                        count += 1
                        if count % every:
                            continue
                        spec = _spec(type, attach, off, size, write)
                        one, other = _linux(spec), _embedded(spec)
                        if one != other:
                            asked = f"{'store' if write else 'load'} off={off} size={size}"
                            yield f"{type.name} {attach and attach.name} {asked}: Linux {one}, embedded {other}"


def return_differences() -> Iterator[str]:
    for type, _, attaches in CONTEXTS:
        for attach in attaches:
            allowed = return_range(type, attach)
            for value in (-1, 0, 1, 2, 3, 4):
                code = [Instruction(op.ALU64 | op.MOV | op.K, 0, 0, 0, value), Instruction(op.JMP | op.EXIT)]
                spec = ProgramSpec("returns", "", type, encode(code), "GPL", attach)
                mine = allowed is None or allowed[0] <= value <= allowed[1]
                if _linux(spec) != mine:
                    yield f"{type.name} {attach and attach.name} returns {value}: Linux {not mine}, embedded {mine}"


if __name__ == "__main__":
    found = [*differences(int(sys.argv[1]) if len(sys.argv) > 1 else 1), *return_differences()]
    print("\n".join(found[:100]))
    print(len(found), "differences")
