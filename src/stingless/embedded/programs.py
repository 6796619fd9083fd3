"""Programs of the embedded kernel: verified, resolved, and run by the interpreter or as machine code."""

from __future__ import annotations

import copy
import errno
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import ProgramType
from stingless._sys import runtime
from stingless.asm import opcodes as op
from stingless.btf.kinds import Kind
from stingless.embedded import contextrun, ctx_access, testrun
from stingless.embedded.helpers import supported_kfuncs
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import LoadError, NotSupportedError
from stingless.kernel import ProgramInfo, RunContext, RunResult, check_repeat, run_inputs
from stingless.obj.spec import ProgramSpec
from stingless.owned import Owned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stingless._sys.runtime import Ring, Task
    from stingless.btf.types import Btf
    from stingless.embedded.batch import ManyResult
    from stingless.embedded.jit.tiers import Tiers
    from stingless.embedded.objects.known import KnownObjects
    from stingless.embedded.verifier.result import VerifierResult

P = ProgramType
PACKET = testrun.SKB | {P.XDP}
TRACING = frozenset({P.KPROBE, P.TRACEPOINT, P.RAW_TRACEPOINT, P.PERF_EVENT})
SUPPORTED = PACKET | TRACING | contextrun.SUPPORTED | {P.SYSCALL}

# The longest context of a type.
_CONTEXT_ROOM = {P.RAW_TRACEPOINT: 12 * 8, P.SYSCALL: 1 << 16}
_CHECKED_BUDGET = 1 << 32  # instructions of a watched run
_TRACING_ROOM = 8192  # PERF_MAX_TRACE_SIZE

# The mode of a load, and what it becomes where the load may fault: see interp.c.
_MODE = 0xE0
_CHECKED = {op.MEM: 0x20, op.MEMSX: 0x40}


# Of packet sources a socket filter sees all, as of a raw packet socket.
_WITHOUT_LINK = frozenset({P.CGROUP_SKB, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT, P.LWT_SEG6LOCAL})
_ALLOCATES = ("bpf_obj_new_impl",)


def _struct_sizes(btf: Btf) -> list[int]:
    """By type number; 0 for what is no struct."""
    return [0, *(btf.size_of(i) if btf.kind(i) is Kind.STRUCT else 0 for i in range(1, len(btf)))]


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
        engine: str = "interpreter",
    ) -> None:
        self._spec = spec
        self.fd = fd
        self.context_bytes = verified.max_ctx_offset
        self._verified_insns = verified.insns_processed
        self._loaded_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.maps = dict(maps)
        self._maps = tuple(maps[name] for name in dict.fromkeys(ref.map for ref in spec.map_refs))
        code = bytearray(spec.code)
        for ref in spec.map_refs:
            handle = maps[ref.map].handle
            address = handle.address if ref.offset is None else handle.memory + ref.offset
            at = ref.insn * 8
            code[at + 1] &= 0x0F
            struct.pack_into("<I", code, at + 4, address & 0xFFFFFFFF)
            struct.pack_into("<I", code, at + 12, address >> 32)
        for insn in verified.checked_loads:
            code[insn * 8] = code[insn * 8] & ~_MODE | _CHECKED[code[insn * 8] & _MODE]
        for insn, name in verified.kfunc_calls:
            code[insn * 8 + 1] &= 0x0F
            struct.pack_into("<hI", code, insn * 8 + 2, 0, supported_kfuncs()[name])
        ctx_access.rewrite(code, spec.type, verified.packet_pointer_loads)
        handles = [maps[name].handle for name in sorted({ref.map for ref in spec.map_refs})]
        self.objects = objects
        native = objects.native if objects is not None else None
        self.handle = runtime.Program(bytes(code), spec.type, trace, handles, native)
        if spec.btf is not None and any(name in _ALLOCATES for _, name in verified.kfunc_calls):
            self.handle.set_type_sizes(_struct_sizes(spec.btf))
        self.handle.zero_stack = verified.reads_unwritten_stack
        self._tiers: Tiers | None = None
        if engine == "checked":
            from stingless._sys.runtime_careful import Careful

            Careful(checked=True, budget=_CHECKED_BUDGET).attach(self.handle)
        elif engine != "interpreter":
            from stingless.embedded.jit import tiers

            self._tiers = tiers.watch(self.handle) if engine == "auto" else tiers.Tiers(self.handle)
            if engine == "jit":
                self._tiers.compile()

    def know(self, objects: KnownObjects | None) -> None:
        """Let it read kernel objects, also when it did not ask for the current task."""
        if objects is not None and self.objects is None:
            self.objects = objects
            self.handle.know(objects.native)

    @property
    def spec(self) -> ProgramSpec:
        return self._spec

    @property
    def engine(self) -> str:
        """What runs it now: "interpreter", "checked" (the interpreter with checks), or "jit-O0" or "jit-O2", machine
        code made quickly or well."""
        if self.handle.watched:
            return "checked"
        level = self._tiers.level if self._tiers is not None else None
        return "interpreter" if level is None else f"jit-O{level}"

    def compile(self, *, wait: bool = True, timeout: float | None = None) -> bool:
        """Have machine code made of it, without waiting until it has run often; with `wait`, wait for the optimised
        code, at most `timeout` seconds.  True when that is what runs now; False also for a program that only the
        interpreter can run, or without llvmlite."""
        self._open(f"program {self._spec.name!r}")
        if self.engine == "checked":
            return False
        if self._tiers is None:
            from stingless.embedded.jit import tiers

            self._tiers = tiers.Tiers(self.handle)
        if wait:
            return self._tiers.wait(timeout)
        self._tiers.request()
        return self._tiers.level == 2

    @property
    def info(self) -> ProgramInfo:
        """Of the fields of `ProgramInfo`, those that this kernel has: no statistics."""
        import hashlib

        from stingless.embedded.verifier.helpers import GPL_COMPATIBLE

        self._open(f"program {self._spec.name!r}")
        spec = self._spec
        places = ((each.insn, spec.source_at(each.insn) or ("", 0, "")) for each in spec.line_info)
        return ProgramInfo(
            type=spec.type,
            id=self.fd,
            name=spec.name[:15],
            tag=hashlib.sha1(spec.code, usedforsecurity=False).hexdigest()[:16],
            translated=spec.code,
            jited=self._tiers.machine_code if self._tiers is not None else b"",
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
        self,
        data: bytes | None = None,
        ctx: bytes | RunContext | None = None,
        repeat: int = 1,
        *,
        task: Task | None = None,
    ) -> RunResult:
        """As BPF_PROG_TEST_RUN; and, which Linux cannot, for tracing, cgroup and socket programs on their contexts (see
        `stingless.contexts`), and on behalf of `task` instead of the caller."""
        self._open(f"program {self._spec.name!r}")
        repeat = max(check_repeat(repeat), 1)
        data, ctx = run_inputs(self._spec, data, ctx)
        if self._spec.type is P.XDP:
            return testrun.run_xdp(self, data, ctx, repeat)
        if self._spec.type in testrun.SKB:
            return testrun.run_skb(self, data, ctx, repeat)
        if self._spec.type in contextrun.SUPPORTED:
            return contextrun.run(self, data, ctx, repeat, task)
        if data is not None:
            raise self._not_run("this type takes a context and no packet")
        room = _CONTEXT_ROOM.get(self._spec.type, _TRACING_ROOM)
        if ctx is not None and len(ctx) > room:
            raise self._not_run(f"a context has at most {room} bytes, not {len(ctx)}")
        if len(ctx or b"") < self.context_bytes:
            raise self._not_run(f"it uses {self.context_bytes} bytes of its context; {len(ctx or b'')} were given")
        retval, after, duration = self.handle.run_context(ctx or b"", repeat, task)
        if self.objects is not None:
            self.objects.look()
        return RunResult(retval & 0xFFFFFFFF, b"", after if ctx else b"", duration)

    def run_many(self, packets: Iterable[bytes], *, keep: bool = True) -> ManyResult:
        """Run once on each Ethernet frame, as `run(data)` does, in one call.  Without `keep`, what the program made of
        the packets is not kept.  Packet programs only."""
        from stingless.embedded.batch import run_many

        self._open(f"program {self._spec.name!r}")
        return run_many(self, packets, keep)

    def prepare(self, data: bytes) -> Callable[[], int]:
        """A function that runs the program on the packet `data`, anew each time, and returns the verdict: for when even
        `run()` costs too much.  Packet programs only; not for several threads at once."""
        from stingless.embedded.batch import prepare

        self._open(f"program {self._spec.name!r}")
        return prepare(self, data)

    def trace(
        self,
        data: bytes | None = None,
        ctx: bytes | None = None,
        *,
        task: Task | None = None,
        limit: int = 1 << 16,
    ) -> tuple[RunResult, NDArray[Any]]:
        """Run once as `run()` does, in the interpreter, and record the first `limit` instructions: an array of
        `stingless.embedded.trace.STEP`."""
        from stingless._sys.runtime_careful import Careful
        from stingless.embedded.trace import steps

        self._open(f"program {self._spec.name!r}")
        careful = Careful(checked=False, budget=_CHECKED_BUDGET, room=limit)
        watched = copy.copy(self)
        watched._home = None
        watched.handle = self.handle.twin()
        careful.attach(watched.handle)
        try:
            return watched.run(data, ctx, task=task), steps(careful.records)
        finally:
            watched.handle.unwatch()

    def _not_run(self, why: str) -> LoadError:
        return LoadError(f"program {self._spec.name!r} ({self._spec.type.name}) was not run: {why}", errno.EINVAL)

    def run_packet(self, frame: bytes, ifindex: int) -> tuple[int, bytes]:
        """Run on one Ethernet frame of a packet source.  Returns the verdict and the frame as the program left it."""
        return self.run_frame(frame, ifindex)[:2]

    def run_frame(self, frame: bytes, ifindex: int) -> tuple[int, bytes, int]:
        """The same, and how many ns it took.  Frames of any length are taken, and a VLAN tag that a program puts beside
        the packet is in the frame.  Types that do not see the link header lose it, unless it is a socket filter."""
        if self._spec.type is P.XDP:
            room = max(testrun.XDP_ROOM, testrun.XDP_HEADROOM + len(frame))
            visible = bytes(12) + ifindex.to_bytes(4, "little")
            result = self.handle.run_packet(frame, headroom=testrun.XDP_HEADROOM, room=room, visible=visible)
        else:
            pull = min(testrun.ETH_HLEN, len(frame)) if self._spec.type in _WITHOUT_LINK else 0
            result = self.handle.run_packet(frame, visible=bytes(40) + ifindex.to_bytes(4, "little"), pull=pull)
        return result.retval, testrun.with_tag(result.data[result.meta :], result.visible), result.duration

    def _free(self) -> None:
        self._tiers = None
        del self.handle

    def __repr__(self) -> str:
        return f"<EmbeddedProgram {self._spec.name!r} {self._spec.type.name}>"
