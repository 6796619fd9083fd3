"""`LinuxKernel`: the running Linux kernel behind the `Kernel` protocol."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from stingless import cpus
from stingless._sys.bpf_link import raw_tracepoint_open
from stingless._sys.syscall import Fd
from stingless.errors import ClosedError, LoadError, NotSupportedError, StinglessError, UnknownNameError
from stingless.kernel import EventOptions, EventReader, Map, Probe, Program
from stingless.linux import maps_create as _maps
from stingless.linux import program_load
from stingless.linux.maps import LinuxMap
from stingless.linux.programs import LinuxProgram, open_program, prints
from stingless.obj.spec import MapSpec, ObjectSpec, ProgramSpec
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.events import Event
    from stingless.linux.links import LinuxLink
    from stingless.linux.scope import LinuxCommand
    from stingless.linux.trace_pipe import TracePipe
    from stingless.linux.tracefs import Tracefs


T = TypeVar("T", bound=Owned)


class LinuxKernel:
    """Maps, programs and hooks of the kernel we run on.

    Minimum kernel: 5.10 is tested, 4.18 may do.  Privileges: root, or CAP_BPF with CAP_PERFMON and CAP_NET_ADMIN.
    Everything made here is freed by `close()`, and by the end of the process however it ends.
    """

    name = "linux"

    def __init__(self) -> None:
        if cpus.pretended():
            raise NotSupportedError("Linux in a process whose number of CPUs was set", advice="use another process")
        self._made: dict[int, Owned] = {}
        self._btf: tuple[Btf, Fd | None] | None = None
        self.scoped = True
        self.scope_note = "no command was started: programs see the whole system"
        self._command: LinuxCommand | None = None
        self._mark: bytes | None = None
        self._tracefs: Tracefs | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, made: T) -> T:
        self._made[id(made)] = made
        made._home = self._made
        return made

    def _open(self) -> None:
        if self._closed:
            raise ClosedError("the kernel object is closed")

    def resolve(self, spec: ObjectSpec, btf: Btf | None = None) -> ObjectSpec:
        self._open()
        from stingless.obj.resolve import resolve
        from stingless.target.running import RunningKernel

        return resolve(spec, RunningKernel(), btf)

    def create_map(self, spec: MapSpec) -> LinuxMap:
        self._open()
        if spec.struct_ops is not None:
            from stingless.linux import struct_ops

            return self._keep(struct_ops.create(spec, self._btf_fd(spec.btf)))
        btf = self._btf_fd(spec.btf) if spec.key_type or spec.value_type else None
        return self._keep(_maps.create(spec, btf.fileno() if btf is not None else 0))

    def open_map(self, source: str | Path | int) -> LinuxMap:
        self._open()
        from stingless.linux import pins

        return self._keep(pins.open_map(source))

    def load_program(self, spec: ProgramSpec, maps: Mapping[str, Map], target: Program | None = None) -> LinuxProgram:
        """See `stingless.kernel.Kernel`.  `target`: the loaded program that an EXT program replaces a function of, or
        whose function an fentry or fexit program is for (Linux 5.6)."""
        self._open()
        mine: dict[str, LinuxMap] = {}
        for ref in spec.map_refs:
            if ref.map not in maps:
                raise UnknownNameError("map", ref.map, maps, f"which program {spec.name!r} uses")
            found = maps[ref.map]
            if not isinstance(found, LinuxMap):
                raise TypeError(f"map {ref.map!r} is of another kernel: {type(found).__name__}")
            mine[ref.map] = found
        fd, cgroup_id = self._load(spec, mine, target.fd if target is not None else None)
        if self._mark is None and prints(spec):
            from stingless.linux import trace_pipe

            with contextlib.suppress(StinglessError):
                self._mark = trace_pipe.mark(self.tracefs())
        return self._keep(LinuxProgram(self, spec, mine, fd, cgroup_id))

    def _load(self, spec: ProgramSpec, maps: Mapping[str, LinuxMap], target: int | None) -> tuple[Fd, int]:
        """The loaded program, and the cgroup that it is confined to or 0."""
        btf = self._btf_fd(spec.btf)
        if self.scoped and self._command is not None and self._command.cgroup_id:
            from stingless.asm.rewrite import prepend
            from stingless.linux import scope

            if scope.applies(spec):
                cgroup_id = self._command.cgroup_id
                confined = prepend(spec, scope.prologue(cgroup_id))
                try:
                    return program_load.load(confined, maps, btf, target), cgroup_id
                except LoadError:
                    # What the verifier says of the program as it was written is what helps.
                    program_load.load(spec, maps, btf, target).close()
                    raise
        return program_load.load(spec, maps, btf, target), 0

    def verifier_log(self, spec: ProgramSpec, maps: Mapping[str, Map], level: int) -> str:
        """What the verifier says of a program that it takes: at branches (`level` 1) or at each instruction (2).
        Raises as `load_program`."""
        self._open()
        mine = {name: map for name, map in maps.items() if isinstance(map, LinuxMap)}
        return program_load.verifier_log(spec, mine, self._btf_fd(spec.btf), level)

    def open_program(self, source: str | Path | int) -> LinuxProgram:
        """A program that is there already: by the path of its pin, or by its id.  Its spec has what the kernel tells.
        Raises `FileNotFoundError`, `PrivilegeError`, `LoadError`."""
        self._open()
        return self._keep(open_program(self, source))

    def attach(self, program: Program, event: Event) -> LinuxLink:
        self._open()
        if not isinstance(program, LinuxProgram):
            raise TypeError(f"the program is of another kernel: {type(program).__name__}")
        from stingless.linux.attach import attach

        return self._keep(attach(program, event))

    def attaches(self, program: LinuxProgram) -> bool:
        """Whether a raw tracepoint's program can be attached, for a moment, to sys_enter; `attach` tells why not."""
        try:
            raw_tracepoint_open(program.fd, "sys_enter", 0).close()
        except OSError:
            return False
        return True

    def attach_struct_ops(self, map: Map, programs: Mapping[str, Program]) -> LinuxLink:
        """Register the struct that a STRUCT_OPS map implements, with `programs` by name.  Raises `AttachError`,
        `ObjectError`, `UnknownNameError`, `PrivilegeError`, `NotSupportedError`."""
        self._open()
        mine = {name: program for name, program in programs.items() if isinstance(program, LinuxProgram)}
        from stingless.linux import struct_ops

        if not isinstance(map, struct_ops.StructOpsMap) or len(mine) != len(programs):
            raise TypeError(
                f"map {map.spec.name!r} is no STRUCT_OPS map of this kernel, or a program is of another one"
            )

        return self._keep(struct_ops.attach_map(map, mine))

    def open_events(self, map: Map, pages: int = 8) -> EventReader:
        self._open()
        if not isinstance(map, LinuxMap):
            raise TypeError(f"the map is of another kernel: {type(map).__name__}")
        from stingless.linux import readers

        return self._keep(readers.open_events(map, EventOptions(pages)))

    def open_trace(self) -> TracePipe:
        self._open()
        from stingless.linux import trace_pipe

        return self._keep(trace_pipe.open_trace(self.tracefs(), self._mark))

    def tracepoint_format(self, category: str, name: str) -> str:
        self._open()
        tracefs = self.tracefs()
        tracefs.event_id(category, name)
        return tracefs.read(f"events/{category}/{name}/format")

    def spawn(self, argv: Sequence[str]) -> LinuxCommand:
        """Raises `OSError` when its guardian process cannot be started."""
        self._open()
        if self._command is not None:
            raise ValueError("this kernel object has a command already")
        from stingless.linux import scope

        cgroup, why = scope.create_cgroup()
        if not self.scoped:
            self.scope_note = "programs see the whole system"
        elif cgroup is None:
            self.scope_note = f"programs see the whole system, not only the command: {why}"
        else:
            self.scope_note = ""
        try:
            self._command = self._keep(scope.LinuxCommand(argv, cgroup))
        except BaseException:
            if cgroup is not None:
                cgroup.rmdir()
            raise
        return self._command

    def probes(self) -> list[Probe]:
        self._open()
        from stingless.linux import probes

        return probes.all_probes(self)

    def tracefs(self) -> Tracefs:
        """Opened once.  Raises `PrivilegeError`, `NotSupportedError`."""
        if self._tracefs is None:
            from stingless.linux.tracefs import Tracefs

            self._tracefs = self._keep(Tracefs())
        return self._tracefs

    def _btf_fd(self, btf: Btf | None) -> Fd | None:
        """The object's BTF in the kernel, loaded once; None where the kernel refuses it.  Maps and programs keep the
        kernel's own copy alive, so only the descriptor of the last object stays open."""
        if btf is None:
            return None
        if self._btf is None or self._btf[0] is not btf:
            from stingless.linux import btf_objects

            self._forget_btf()
            self._btf = btf, btf_objects.load(btf)
        return self._btf[1]

    def _forget_btf(self) -> None:
        if self._btf is not None and self._btf[1] is not None:
            self._btf[1].close()
        self._btf = None

    def close(self) -> None:
        self._closed = True
        for made in reversed(list(self._made.values())):
            made.close()
        self._forget_btf()
