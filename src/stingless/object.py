"""`load()`: a C file, an object file or a spec to programs and maps in a kernel, and what is done with them there."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from stingless import arguments
from stingless._gen.uapi import MapType
from stingless.errors import ClosedError, ObjectError, UnknownNameError
from stingless.frozen import replace
from stingless.obj.spec import ObjectSpec, ProgramSpec
from stingless.origin import caller

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.events import Event
    from stingless.kernel import Kernel, Link, Map, Program, ProgramInfo, RunContext, RunResult
    from stingless.maps import KeyedMap, TypedMap, Variable
    from stingless.streams import PerfBuffer, RingBuffer, UserRingBuffer

T = TypeVar("T")
M = TypeVar("M", bound="TypedMap")
Bytes = bytes | bytearray | memoryview
Source = str | Path | bytes | ObjectSpec


def open_object(source: str | Path | bytes, *, cflags: Sequence[str] = (), btf: str | Path | None = None) -> ObjectSpec:
    """The spec of a C file (any name that ends in ".c": it is compiled), an object file, or an object's bytes.  No
    kernel is asked.  `btf` is a file with the types that `vmlinux.h` is made from; without it, the running kernel's.

    Raises `CompileError`, `ObjectError`, `OSError`.
    """
    from stingless.obj.reader import read_object

    flags = arguments.names("cflags", cflags)
    if isinstance(source, bytes):
        if flags:
            raise ValueError("cflags are for C files; the source is the bytes of an object file already")
        return read_object(source)
    if isinstance(source, str) and "\n" in source:
        raise ValueError("the source is a file's name, not C text: write that to a file, or give it to BPF(text=...)")
    path = Path(source)
    if path.suffix == ".c":
        from stingless.compile.plain import compile_file

        data = compile_file(path, flags, btf)
    elif flags:
        raise ValueError(f"cflags are for C files; {path} is an object file already")
    else:
        data = path.read_bytes()
    try:
        return read_object(data)
    except ObjectError as error:
        raise ObjectError(f"{path}: {error}") from None


def load(
    source: Source,
    *,
    kernel: Kernel | None = None,
    cflags: Sequence[str] = (),
    btf: str | Path | Btf | None = None,
    variables: Mapping[str, Any] | None = None,
    maps: Mapping[str, Map | TypedMap] | None = None,
    pin_path: str | Path | None = None,
    programs: Sequence[str] | None = None,
    extends: Mapping[str, LoadedProgram | Program] | None = None,
    count_losses: bool = True,
) -> Object:
    """Load programs and maps; nothing is attached yet.

    `source`: as for `open_object`, or a spec (which is copied).  `kernel`: by default the process's own choice.  `btf`:
    a file, or types, that stand for the kernel's own.  `variables`: values of global variables, also of constants.
    `maps`: maps to use in place of those that the object declares.  `pin_path`: the directory in a bpffs for maps that
    are declared with LIBBPF_PIN_BY_NAME: found there or pinned there.  `programs`: which to load; by default all but
    those whose section's name begins with "?".  `extends`: for programs in `freplace/` sections, the loaded program
    that each extends.  `count_losses`: failed reserves and outputs of ring buffers are counted by a few instructions
    that are added to the programs (see `stingless.obj.loss`).

    Raises `CompileError`, `ObjectError`, `VerifierError`, `LoadError`, `PrivilegeError`, `NotSupportedError`,
    `UnknownNameError`; `OSError` for files and pins; `TypeError` and `ValueError` for arguments.
    """
    from stingless import session
    from stingless.btf.types import Btf

    flags, values = arguments.names("cflags", cflags), arguments.named("variables", variables)
    given = arguments.maps(maps)
    chosen = None if programs is None else arguments.names("programs", programs)
    wanted = arguments.kernel(kernel)
    types = btf if isinstance(btf, Btf) else None
    file = Path(btf) if btf is not None and not isinstance(btf, Btf) else None
    if not isinstance(source, ObjectSpec):
        source = open_object(source, cflags=flags, btf=file)
    elif flags:
        raise ValueError("cflags are for C files; the source is a spec already")
    if file is not None:
        from stingless.btf.file import read_btf

        types = read_btf(file)
    targets = arguments.programs(extends, source.programs)
    spec = source.copy()
    for name, value in values.items():
        spec.variables[name].value = value
    used = wanted or session.current().kernel
    if count_losses:
        from stingless.streams.losses import counted

        spec = counted(spec, used)
    loaded = Object(
        used,
        spec,
        btf=types,
        maps=given,
        pins=Path(pin_path) if pin_path is not None else None,
        programs=chosen,
        extends=targets,
    )
    loaded._shared = maps  # as long as it uses them, they are not forgotten
    return loaded


class LoadedProgram:
    """A program in the kernel."""

    def __init__(self, owner: Object, program: Program) -> None:
        self._owner = owner
        self.program = program

    @property
    def spec(self) -> ProgramSpec:
        return self.program.spec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def fd(self) -> int:
        return self.program.fd

    @property
    def info(self) -> ProgramInfo:
        """What the kernel tells of it: id, tag, translated and machine code, lines, run statistics."""
        return self.program.info

    def attach(self, event: Event | None = None, **where: Any) -> Link:
        """Attach it by its section's name.  What that does not say is given by name (`interface=`, `cgroup=`, `pid=`,
        ...: see `stingless.attach.event_of`), or the whole as an `event`.  The link is the object's too, and is closed
        with it.

        Raises `AttachError`, `UnknownNameError`, `PrivilegeError`, `NotSupportedError`, and `ValueError` when the
        section does not say what to attach to.
        """
        if event is None:
            from stingless.attach import event_of

            event = event_of(self.spec, **where)
        elif where:
            raise TypeError(f"attach() takes an event or {', '.join(where)}, not both")
        return self._owner.attach_program(self.program, arguments.event(event))

    def run(self, data: Bytes | None = None, ctx: Bytes | RunContext | None = None, repeat: int = 1) -> RunResult:
        """Run it on a packet and/or a context (BPF_PROG_TEST_RUN): `run(ctx=XdpMd(data=packet, ingress_ifindex=2))`.
        See `stingless.kernel.Program.run` and `stingless.contexts`."""
        context = ctx if hasattr(ctx, "inputs") else arguments.content("ctx", ctx)
        return self.program.run(arguments.content("data", data), context, repeat)

    def pin(self, path: str | Path) -> None:
        """Keep it under a path of a bpffs, also after this process."""
        self.program.pin(path)

    def __repr__(self) -> str:
        return f"<program {self.name!r} {self.spec.type.name} ({self.spec.section})>"


class _Named(dict[str, T]):
    """What an object has, by name; a name that it has not is told with the nearest."""

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        super().__init__(entries)
        self._kind = kind

    def __missing__(self, name: object) -> T:
        raise UnknownNameError(self._kind, str(name), self)


class Object:
    """Loaded programs, maps and variables, and their links; made by `load()`.

    `close()`, or the end of a `with` block, detaches and frees everything; pins stay.
    """

    def __init__(
        self,
        kernel: Kernel,
        spec: ObjectSpec,
        *,
        btf: Btf | None = None,
        maps: Mapping[str, Map] | None = None,
        pins: Path | None = None,
        programs: Sequence[str] | None = None,
        extends: Mapping[str, Program] | None = None,
    ) -> None:
        from stingless.maps import Variable, open_typed
        from stingless.obj.loss import LOSS_MAP
        from stingless.programs import LoadedObject

        self.kernel = kernel
        self.links: list[Link] = []
        self._streams: list[RingBuffer | PerfBuffer | UserRingBuffer] = []
        self._shared: object = maps
        self._closed = True  # until there is something to close
        self._made_at = caller()
        if programs is not None:
            spec = _only(spec, programs)
        targets = extends or {}
        self._loaded = LoadedObject(kernel, spec, btf=btf, maps=maps, pins=pins)
        self._closed = False
        try:
            programs_by_name = {
                name: LoadedProgram(self, self._loaded.program(name, target=targets.get(name)))
                for name, program in self.spec.programs.items()
                if program.autoload
            }
            self.programs: Mapping[str, LoadedProgram] = _Named("program", programs_by_name)
            self._loaded.fill()
            typed = {name: open_typed(map) for name, map in self._loaded.maps.items() if name != LOSS_MAP}
            self.maps: Mapping[str, Any] = _Named("map", typed)
            variables = {
                name: Variable(self._loaded.maps[v.map], v)
                for name, v in self.spec.variable_specs.items()
                if v.map in self._loaded.maps and self.spec.maps[v.map].type is not MapType.STRUCT_OPS
            }
            self.variables: Mapping[str, Variable] = _Named("variable", variables)
        except BaseException:
            self.close()
            raise

    @property
    def spec(self) -> ObjectSpec:
        """What was loaded: with relocations applied and externs filled in."""
        return self._loaded.spec

    def attach_program(self, program: Program, event: Event) -> Link:
        """Attach one of the object's programs to an event; the object closes the link."""
        if self._closed:
            raise ClosedError("the object is closed")
        from stingless import session

        link = self.kernel.attach(program, event)
        self.links.append(link)
        session.attached(self.kernel)
        return link

    def attach(self) -> list[Link]:
        """Attach every program whose section's name says to what, and register struct_ops; the new links.  If one
        fails, the others of this call are detached."""
        from stingless.attach import NotBySectionError, event_of

        before = len(self.links)
        try:
            for program in self.programs.values():
                with contextlib.suppress(NotBySectionError):
                    self.attach_program(program.program, event_of(program.spec))
            for name, map in self._loaded.maps.items():
                if map.spec.type is MapType.STRUCT_OPS:
                    self.attach_struct_ops(name)
        except BaseException:
            for link in self.links[before:]:
                link.close()
            del self.links[before:]
            raise
        return self.links[before:]

    def attach_struct_ops(self, name: str) -> Link:
        """Register what the STRUCT_OPS map of that name implements; closing the link takes it back.

        Raises `UnknownNameError`, `AttachError`, `PrivilegeError`, `NotSupportedError`.
        """
        map = self._map(name)
        programs = {name: program.program for name, program in self.programs.items()}
        link = self.kernel.attach_struct_ops(map, programs)
        self.links.append(link)
        return link

    @overload
    def map(self, name: str) -> KeyedMap[Any, Any]: ...
    @overload
    def map(self, name: str, kind: type[M]) -> M: ...
    def map(self, name: str, kind: type[TypedMap] | None = None) -> TypedMap:
        """`maps[name]` with its static type: `obj.map("flows")[key]`, `obj.map("waiting", QueueMap).push(1)`.

        Raises `UnknownNameError`; `TypeError` when the map is of another kind.
        """
        from stingless.maps import KeyedMap, TypedMap

        self._map(name)
        found = self.maps[name]
        wanted = KeyedMap if kind is None else kind
        if not isinstance(found, wanted):
            raise TypeError(f"map {name!r} is a {type(found).__name__}, not a {wanted.__name__}")
        assert isinstance(found, TypedMap)
        return found

    def ring_buffer(self, name: str, type: Any = None, *, gaps: bool = False) -> RingBuffer:
        """The records of a RINGBUF map, with what was lost.  `type`, `gaps`: see `stingless.streams.RingBuffer`.  The
        object closes it."""
        from stingless.obj.loss import uncounted
        from stingless.streams import RingBuffer
        from stingless.streams.losses import counter

        losses = counter(self._loaded.maps, name, uncounted(each.spec for each in self.programs.values()))
        ring: RingBuffer = RingBuffer(self._map(name), type=type, btf=self.spec.btf, gaps=gaps, losses=losses)
        self._streams.append(ring)
        return ring

    def perf_buffer(self, name: str, type: Any = None, *, gaps: bool = False, **options: Any) -> PerfBuffer:
        """The records of a PERF_EVENT_ARRAY map.  `options`: see `stingless.streams.PerfBuffer`.  The object closes
        it."""
        from stingless.streams import PerfBuffer

        buffer: PerfBuffer = PerfBuffer(self._map(name), type=type, btf=self.spec.btf, gaps=gaps, **options)
        self._streams.append(buffer)
        return buffer

    def user_ring_buffer(self, name: str, type: Any = None) -> UserRingBuffer:
        """The writer of a USER_RINGBUF map (Linux 6.1).  The object closes it."""
        from stingless.streams import UserRingBuffer

        ring = UserRingBuffer(self._map(name), type=type, btf=self.spec.btf)
        self._streams.append(ring)
        return ring

    def _map(self, name: str) -> Map:
        if self._closed:
            raise ClosedError("the object is closed")
        if name not in self._loaded.maps:
            raise UnknownNameError("map", name, self._loaded.maps)
        return self._loaded.maps[name]

    def close(self) -> None:
        """Detach and free everything.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        with contextlib.ExitStack() as stack:  # every one is closed, also after a failure
            stack.callback(self._loaded.close)
            for open in (*self._streams, *self.links):
                stack.callback(open.close)
        self.links.clear()
        self._streams.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            what = f"{self!r} was never closed; it was made at {self._made_at}"
            warnings.warn(what, ResourceWarning, stacklevel=2, source=self)
            self.close()

    def __iter__(self) -> Iterator[LoadedProgram]:
        return iter(self.programs.values())

    def __repr__(self) -> str:
        if self._closed:
            return "<Object, closed>"
        return f"<Object programs=[{', '.join(self.programs)}] maps=[{', '.join(self.maps)}] on {self.kernel.name}>"


def _only(spec: ObjectSpec, names: Sequence[str]) -> ObjectSpec:
    """The object with those programs, and no others, to be loaded."""
    for name in names:
        if name not in spec.programs:
            raise UnknownNameError("program", name, spec.programs)
    return replace(spec, programs={n: replace(p, autoload=n in names) for n, p in spec.programs.items()})
