"""Programs of the embedded kernel: verified, resolved, and run by the interpreter."""

from __future__ import annotations

import errno
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless._sys import runtime
from stingless.embedded import ctx_access
from stingless.embedded.maps import EmbeddedMap
from stingless.embedded.verifier.helpers import GPL_COMPATIBLE
from stingless.errors import LoadError, NotSupportedError
from stingless.kernel import ProgramInfo, RunResult, check_repeat
from stingless.obj.spec import ProgramSpec
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless._sys.runtime import Ring, Task
    from stingless.embedded.objects.known import KnownObjects
    from stingless.embedded.verifier import VerifierResult

P = ProgramType
PACKET = frozenset({P.XDP, P.SOCKET_FILTER, P.SCHED_CLS, P.SCHED_ACT})
TRACING = frozenset({P.KPROBE, P.TRACEPOINT, P.RAW_TRACEPOINT, P.PERF_EVENT})
SUPPORTED = PACKET | TRACING | {P.SYSCALL}

# The longest context of a type.
_CONTEXT_ROOM = {P.RAW_TRACEPOINT: 12 * 8, P.SYSCALL: 1 << 16}
_TRACING_ROOM = 8192  # PERF_MAX_TRACE_SIZE

_ETH_HLEN = 14
_HEADROOM = 256  # XDP_PACKET_HEADROOM
_FRAME_ROOM = 4096 - 320  # a page without the room of struct skb_shared_info


class EmbeddedProgram(Owned):
    """A loaded program.  See `stingless.kernel.Program`.  `fd` is what the value of a PROG_ARRAY holds."""

    def __init__(
        self,
        spec: ProgramSpec,
        fd: int,
        maps: Mapping[str, EmbeddedMap],
        verified: VerifierResult,
        trace: Ring,
        objects: KnownObjects | None = None,
    ) -> None:
        self._spec = spec
        self.fd = fd
        self._context_bytes = verified.max_ctx_offset
        self._verified_insns = verified.insns_processed
        self._loaded_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._maps = tuple(maps[name] for name in dict.fromkeys(ref.map for ref in spec.map_refs))
        code = bytearray(spec.code)
        for ref in spec.map_refs:
            handle = maps[ref.map].handle
            address = handle.address if ref.offset is None else handle.memory + ref.offset
            at = ref.insn * 8
            code[at + 1] &= 0x0F
            struct.pack_into("<I", code, at + 4, address & 0xFFFFFFFF)
            struct.pack_into("<I", code, at + 12, address >> 32)
        ctx_access.rewrite(code, spec.type, verified.packet_pointer_loads)
        handles = [maps[name].handle for name in sorted({ref.map for ref in spec.map_refs})]
        self.objects = objects
        native = objects.native if objects is not None else None
        self.handle = runtime.Program(bytes(code), spec.type, trace, handles, native)

    @property
    def spec(self) -> ProgramSpec:
        return self._spec

    @property
    def info(self) -> ProgramInfo:
        """Of the fields of `ProgramInfo`, those that an interpreter has: no machine code, and no statistics."""
        import hashlib

        self._open(f"program {self._spec.name!r}")
        spec = self._spec
        places = ((each.insn, spec.source_at(each.insn) or ("", 0, "")) for each in spec.line_info)
        return ProgramInfo(
            type=spec.type,
            id=self.fd,
            name=spec.name[:15],
            tag=hashlib.sha1(spec.code, usedforsecurity=False).hexdigest()[:16],
            translated=spec.code,
            jited=b"",
            verified_insns=self._verified_insns,
            run_time_ns=0,
            run_count=0,
            recursion_misses=0,
            map_ids=tuple(map.info.id for map in self._maps),
            loaded_at=self._loaded_at,
            gpl_compatible=spec.license in GPL_COMPATIBLE,
            btf_id=0,
            lines=tuple((insn, file, line, text.strip()) for insn, (file, line, text) in places),
        )

    def pin(self, path: str | Path) -> None:
        raise NotSupportedError(
            "pinning on the embedded kernel", "", "its programs end with the process; load them on Linux itself"
        )

    def run(
        self, data: bytes | None = None, ctx: bytes | None = None, repeat: int = 1, *, task: Task | None = None
    ) -> RunResult:
        """As BPF_PROG_TEST_RUN; and, which Linux cannot, for KPROBE, TRACEPOINT and PERF_EVENT programs on a context
        of bytes, and on behalf of `task` instead of the caller."""
        self._open(f"program {self._spec.name!r}")
        repeat = max(check_repeat(repeat), 1)
        if self._spec.type in PACKET:
            return self._run_packet(data, ctx, repeat)
        if data is not None:
            raise self._not_run("this type takes a context and no packet")
        room = _CONTEXT_ROOM.get(self._spec.type, _TRACING_ROOM)
        if ctx is not None and len(ctx) > room:
            raise self._not_run(f"a context has at most {room} bytes, not {len(ctx)}")
        if len(ctx or b"") < self._context_bytes:
            raise self._not_run(f"it uses {self._context_bytes} bytes of its context; {len(ctx or b'')} were given")
        retval, after, duration = self.handle.run_context(ctx or b"", repeat, task)
        if self.objects is not None:
            self.objects.look()
        return RunResult(retval & 0xFFFFFFFF, b"", after if ctx else b"", duration)

    def _not_run(self, why: str) -> LoadError:
        return LoadError(f"program {self._spec.name!r} ({self._spec.type.name}) was not run: {why}", errno.EINVAL)

    def _run_packet(self, data: bytes | None, ctx: bytes | None, repeat: int) -> RunResult:
        if data is None or len(data) < _ETH_HLEN:
            raise self._not_run("a packet has an Ethernet header, 14 bytes at least")
        if self._spec.type is P.XDP:
            return self._run_xdp(data, ctx, repeat)
        if ctx is not None and len(ctx) > ctx_access.SK_BUFF_SIZE:
            raise self._not_run(f"struct __sk_buff has {ctx_access.SK_BUFF_SIZE} bytes, not {len(ctx)}")
        # As on Linux, a socket filter sees the packet from its network header on, and its link header is lost.
        pull = _ETH_HLEN if self._spec.type is P.SOCKET_FILTER else 0
        visible = (ctx or b"").ljust(ctx_access.SK_BUFF_SIZE, b"\0")
        retval, after, seen, duration, _ = self.handle.run_packet(
            data,
            headroom=_HEADROOM,
            room=max(_FRAME_ROOM, _HEADROOM + len(data)),
            ifindex=int.from_bytes(visible[40:44], "little") or 1,
            pull=pull,
            visible=visible,
            repeat=repeat,
        )
        return RunResult(retval, bytes(pull) + after[pull:], seen[: len(ctx)] if ctx else b"", duration)

    def _run_xdp(self, data: bytes, ctx: bytes | None, repeat: int) -> RunResult:
        meta, ifindex = 0, 1
        if ctx is not None:
            if len(ctx) > ctx_access.XDP_MD_SIZE:
                raise self._not_run(f"struct xdp_md has {ctx_access.XDP_MD_SIZE} bytes, not {len(ctx)}")
            meta, end, no_meta, ifindex, queue, egress = struct.unpack("<6I", ctx.ljust(ctx_access.XDP_MD_SIZE, b"\0"))
            if no_meta or egress or end != len(data) or meta > end or meta % 4 or meta > 252:
                raise self._not_run(
                    "in struct xdp_md, data is the length of the metadata before the packet (a multiple of 4), data_end"
                    f" is the length of both ({len(data)}), and data_meta and egress_ifindex are 0"
                )
            if queue or len(data) - meta < _ETH_HLEN:
                raise self._not_run("rx_queue_index must be 0, and the packet must have 14 bytes at least")
        if len(data) - meta > _FRAME_ROOM - _HEADROOM:
            raise self._not_run(f"an XDP packet has at most {_FRAME_ROOM - _HEADROOM} bytes, not {len(data) - meta}")
        retval, after, _, duration, meta_after = self.handle.run_packet(
            data, headroom=_HEADROOM - meta, room=_FRAME_ROOM, ifindex=ifindex or 1, meta=meta, repeat=repeat
        )
        seen = b""
        if ctx is not None:
            seen = struct.pack("<6I", meta_after, len(after), 0, ifindex or 1, 0, 0)[: len(ctx)]
        return RunResult(retval, after, seen, duration)

    def run_packet(self, frame: bytes, ifindex: int) -> tuple[int, bytes]:
        """Run on one Ethernet frame of a packet source.  Returns the verdict and the frame as the program left it."""
        retval, after, _, _, meta = self.handle.run_packet(
            frame, headroom=_HEADROOM, room=max(_FRAME_ROOM, _HEADROOM + len(frame)), ifindex=ifindex
        )
        return retval, after[meta:]

    def _free(self) -> None:
        del self.handle

    def __repr__(self) -> str:
        return f"<EmbeddedProgram {self._spec.name!r} {self._spec.type.name}>"
