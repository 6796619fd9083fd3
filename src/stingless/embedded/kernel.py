"""`EmbeddedKernel`: verifier, interpreter, maps and event sources in this process, behind the `Kernel` protocol."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar, get_args

from stingless._gen.uapi import ProgramType
from stingless._sys import runtime
from stingless.embedded import attach, readers
from stingless.embedded.maps import EmbeddedMap
from stingless.embedded.programs import SUPPORTED, EmbeddedProgram
from stingless.embedded.readers import EmbeddedTraceReader, PerfReader, RingReader
from stingless.errors import ClosedError, LoadError, NotSupportedError, UnknownNameError
from stingless.events import Event, KprobeMulti, RawTracepoint, SocketFilter, Tc, UprobeMulti, Usdt, Xdp
from stingless.kernel import Command, EventOptions, Link, Map, Probe, Program
from stingless.obj.spec import MapSpec, ObjectSpec, ProgramSpec
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.embedded.fixed import Fixed
    from stingless.embedded.objects.known import KnownObjects
    from stingless.embedded.sources.many import ManyLinks
    from stingless.embedded.sources.packets import SocketFilterLink, XdpLink
    from stingless.embedded.sources.tracer import Tracer, TracerLink

T = TypeVar("T", bound=Owned)
Engine = Literal["auto", "interpreter", "jit", "checked"]

_TRACE_HELPERS = (6, 177)  # trace_printk, trace_vprintk
_TASK_HELPERS = (35, 158)  # get_current_task, get_current_task_btf


class EmbeddedKernel:
    """A kernel of our own: no privileges, no kernel features but ptrace(2).

    Programs see the command that `spawn()` starts, packets at interfaces of the caller's network namespace, and what
    `Program.run()` gives them.  What bpf_get_current_task() leads to is laid out as `btf` tells: by default as in the
    machine's kernel, or as the BTF last given to `resolve()`.  Raises `NotSupportedError` where the C runtime was not
    built.

    `fixed` sets time, random numbers, CPUs and the task that programs see, for runs that can be repeated.

    `engine` is what runs programs: "interpreter"; "jit", machine code from the first run on (`load_program()` takes the
    time to make it, and raises `NotSupportedError` without llvmlite); "auto", first the one and then the other for
    programs that run often; or "checked", the interpreter with a check of every access besides the verifier's: `run()`
    raises `ProgramFault` instead of touching memory that is not the program's.  Default: $STINGLESS_ENGINE, or "auto".
    """

    name = "embedded"

    def __init__(self, btf: Btf | None = None, *, engine: Engine | None = None, fixed: Fixed | None = None) -> None:
        self._fixed = fixed.native() if fixed is not None else None
        self.engine = _engine(engine)
        self.scoped = True
        self.scope_note = ""
        self._made: dict[int, Owned] = {}
        self._links: dict[int, Owned] = {}
        self._fds = count(1000)
        self._tracer: Tracer | None = None
        self._closed = False
        self.trace = runtime.Ring(0)
        self._backlog: runtime.Ring | None = None
        self._traced = False
        self._btf = btf
        self._objects: KnownObjects | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        if self._closed:
            raise ClosedError("the kernel object is closed")

    def _keep(self, made: T) -> T:
        self._made[id(made)] = made
        made._home = self._made
        return made

    def resolve(self, spec: ObjectSpec, btf: Btf | None = None) -> ObjectSpec:
        """Against the types and the configuration of the machine's kernel where it shows them, for what programs see of
        a traced command is of that kernel."""
        self._open()
        from stingless.embedded.target import EmbeddedTarget
        from stingless.obj.resolve import resolve

        if btf is not None and btf is not self._btf:
            self._btf, self._objects = btf, None
        return resolve(spec, EmbeddedTarget(), btf)

    def create_map(self, spec: MapSpec) -> EmbeddedMap:
        self._open()
        from stingless.embedded.map_types import create

        made = create(spec, self._program, self._map)
        if self._fixed is not None and self._fixed.has_random:
            made.handle.set_seed(self._fixed.random)
        return self._keep(made)

    def open_map(self, source: str | Path | int) -> EmbeddedMap:
        """By the id of one of this kernel object's maps.  There are no pins."""
        self._open()
        found = self._map(source) if isinstance(source, int) else None
        if found is not None:
            return self._keep(found.another())
        raise FileNotFoundError(errno.ENOENT, f"there is no map {source}; the embedded kernel has no pins")

    def _map(self, id: int) -> EmbeddedMap | None:
        for each in list(self._made.values()):
            if isinstance(each, EmbeddedMap) and each.fd == id:
                return each
        return None

    def _program(self, fd: int) -> EmbeddedProgram | None:
        return next((each for each in self._made.values() if isinstance(each, EmbeddedProgram) and each.fd == fd), None)

    def load_program(
        self, spec: ProgramSpec, maps: Mapping[str, Map], target: Program | None = None
    ) -> EmbeddedProgram:
        self._open()
        what = f"program {spec.name!r}"
        if spec.type is ProgramType.UNSPEC:
            from stingless.obj.sections import untyped

            raise LoadError(untyped(what, spec.section), errno.EINVAL)
        if spec.type not in SUPPORTED:
            raise NotSupportedError(f"program type {spec.type.name} on the embedded kernel", advice=f"needed by {what}")
        if spec.core_relocations or spec.extern_refs:
            from stingless.embedded.target import EmbeddedTarget
            from stingless.obj.resolve import resolve_program

            spec = resolve_program(spec, EmbeddedTarget(), self._btf)
        mine: dict[str, EmbeddedMap] = {}
        for ref in spec.map_refs:
            if ref.map not in maps:
                raise UnknownNameError("map", ref.map, maps, f"which {what} uses")
            found = maps[ref.map]
            if not isinstance(found, EmbeddedMap):
                raise TypeError(f"map {ref.map!r} is of another kernel: {type(found).__name__}")
            found._open(f"map {ref.map!r}")
            mine[ref.map] = found

        from stingless.embedded.helpers import supported_helpers, supported_kfuncs
        from stingless.embedded.target import EmbeddedTarget
        from stingless.embedded.verifier.verify import verify

        specs = {name: map.spec for name, map in mine.items()}
        result = verify(
            spec, specs, supported_helpers(), lambda: self._btf or EmbeddedTarget().btf, kfuncs=supported_kfuncs()
        )
        if not self._traced and _calls(spec.code, _TRACE_HELPERS):
            self._traced = True
            self._backlog = readers.trace_ring(self.trace)
        objects = self._known_objects() if _calls(spec.code, _TASK_HELPERS) else None
        made = EmbeddedProgram(spec, next(self._fds), mine, result, self.trace, objects, self.engine)
        if self._fixed is not None:
            made.handle.fix(self._fixed)
        return self._keep(made)

    def _known_objects(self) -> KnownObjects | None:
        """None where there is no BTF to lay them out by."""
        if self._objects is None:
            from stingless.embedded.objects.known import KnownObjects
            from stingless.embedded.target import EmbeddedTarget

            btf = self._btf or EmbeddedTarget().btf
            self._objects = KnownObjects(btf) if btf is not None else None
        return self._objects

    @property
    def time_ns(self) -> int:
        """What the clocks will tell next, where that is fixed; may be set.  Raises `ValueError` where it is not."""
        if self._fixed is None or not self._fixed.has_time:
            raise ValueError("the time is the machine's: make the kernel with EmbeddedKernel(fixed=Fixed(time_ns=...))")
        return int(self._fixed.time)

    @time_ns.setter
    def time_ns(self, value: int) -> None:
        _ = self.time_ns
        assert self._fixed is not None
        self._fixed.time = value

    @property
    def unread(self) -> tuple[str, ...]:
        """The places of kernel objects that programs read and that are not known here (they read as zero there), as
        "task_struct.sched_class": each once.  They are told by the logger "stingless" too."""
        return tuple(self._objects.unread) if self._objects is not None else ()

    def attach_struct_ops(self, map: Map, programs: Mapping[str, Program]) -> Link:
        """There is no kernel struct to implement here."""
        raise NotSupportedError(f"struct_ops (map {map.spec.name!r}) on the embedded kernel", "5.6", "use Linux")

    @property
    def tracer(self) -> Tracer:
        """What traces the command: made when first needed."""
        self._open()
        if self._tracer is None:
            from stingless.embedded.sources.tracer import Tracer

            self._tracer = Tracer(self)
        return self._tracer

    def attach(self, program: Program, event: Event) -> Link:
        self._open()
        if not isinstance(program, EmbeddedProgram):
            raise TypeError(f"program {program.spec.name!r} is of another kernel: {type(program).__name__}")
        program._open(f"program {program.spec.name!r}")
        attach.check(program.spec, event)
        link: XdpLink | SocketFilterLink | TracerLink | ManyLinks
        if isinstance(event, Xdp | Tc | SocketFilter):
            from stingless.embedded.sources import packets

            link = packets.attach(self, program, event)
        elif isinstance(event, KprobeMulti | UprobeMulti | Usdt):
            from stingless.embedded.sources import many

            link = many.attach(self.tracer, program, event)
        else:
            if isinstance(event, RawTracepoint) and event.name.startswith("sched_"):
                program.know(self._known_objects())  # its arguments are tasks
            link = self.tracer.attach(program, event)
        self._links[id(link)] = link
        link._home = self._links
        return link

    def open_events(self, map: Map, pages: int = 8) -> RingReader | PerfReader:
        self._open()
        if not isinstance(map, EmbeddedMap):
            raise TypeError(f"map {map.spec.name!r} is of another kernel: {type(map).__name__}")
        map._open(f"map {map.spec.name!r}")
        return self._keep(readers.open_events(map, EventOptions(pages)))

    def open_trace(self) -> EmbeddedTraceReader:
        self._open()
        ring, self._backlog, self._traced = self._backlog, None, True
        return self._keep(EmbeddedTraceReader(self.trace, ring or readers.trace_ring(self.trace)))

    def tracepoint_format(self, category: str, name: str) -> str:
        from stingless.embedded.tracepoint_format import tracepoint_format

        return tracepoint_format(category, name)

    def spawn(self, argv: Sequence[str]) -> Command:
        return self.tracer.spawn(argv)

    def follow(self, pid: int) -> Command:
        """Trace a process of the same user that runs already, instead of a command: with all its threads, and all that
        it starts.  It is attached to by `release()`, and left as it was found by `close()`.  The first event for a
        process, as `Uprobe(pid=...)`, follows that at once.  Raises `NotSupportedError` for a second one; `release()`
        raises `ProcessLookupError` and `PrivilegeError`."""
        return self.tracer.follow(pid)

    def probes(self) -> list[Probe]:
        from stingless.embedded.probes import probes

        self._open()
        return probes()

    def close(self) -> None:
        self._closed = True
        for link in reversed(list(self._links.values())):
            link.close()
        if self._tracer is not None:
            self._tracer.close()
            self._tracer = None
        for made in reversed(list(self._made.values())):
            made.close()
        if self._backlog is not None:
            self.trace.unsubscribe(self._backlog)
            self._backlog = None


def _engine(asked: str | None) -> str:
    found = asked or os.environ.get("STINGLESS_ENGINE") or "auto"
    if found not in get_args(Engine):
        raise UnknownNameError("engine", found, get_args(Engine))
    return found


def _calls(code: bytes, helpers: Sequence[int]) -> bool:
    call = b"\x85\x00\x00\x00"
    return any(
        code[at : at + 4] == call and int.from_bytes(code[at + 4 : at + 8], "little") in helpers
        for at in range(0, len(code), 8)
    )
