"""One compiled program text: its functions, loaded when they are asked for, and its tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import AttachType, MapType, ProgramType
from stingless.bcc.constants import (
    DEBUG_BPF,
    DEBUG_BPF_REGISTER_STATE,
    DEBUG_LLVM_IR,
    DEBUG_PREPROCESSOR,
    ProgramTypes,
)
from stingless.bcc.names import Name, text_of
from stingless.errors import (
    ClosedError,
    LoadError,
    NotSupportedError,
    ObjectError,
    StinglessError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from stingless.bcc.tables.events import EventTable
    from stingless.compile.dialect.tracepoints import Field
    from stingless.kernel import Kernel, Map, Program
    from stingless.obj.spec import ObjectSpec, ProgramSpec
    from stingless.session import Session


_COMPILATION = DEBUG_LLVM_IR | DEBUG_PREPROCESSOR  # what a cached object does not tell


class Function:
    """A loaded function.  `fd` identifies it in program arrays; `sock` is the socket of an attached socket filter."""

    def __init__(self, bpf: Any, name: str, program: Program) -> None:
        self.bpf = bpf
        self.name = name.encode()
        self.program = program
        self.sock = -1

    @property
    def fd(self) -> int:
        return self.program.fd


class Module(ProgramTypes):
    """What `BPF` is before anything is attached."""

    def __init__(self, debug: int, kernel: Kernel | None) -> None:
        self.debug = debug
        self._given = kernel
        self.funcs: dict[bytes, Function] = {}
        self.tables: dict[str, Any] = {}
        self.event_tables: list[EventTable] = []  # those that were opened
        self._closed = False
        self._data: bytes | None = None  # the object file

    @cached_property
    def _session(self) -> Session:
        from stingless import session

        return session.current() if self._given is None else session.Session(self._given)

    @property
    def kernel(self) -> Kernel:
        """The kernel that the programs run on."""
        return self._session.kernel

    @property
    def module(self) -> Module:
        """What `bcc.lib` takes for a module."""
        return self

    def _load(self, spec: ObjectSpec) -> None:
        from stingless.bcc.shared import TablesObject

        if any(each.type is MapType.RINGBUF for each in spec.maps.values()):
            from stingless.streams.losses import counted

            spec = counted(spec, self.kernel)
        if self.debug:
            from stingless.bcc.debug import show_object

            show_object(spec, self.debug)
        self.spec = spec
        self._object = TablesObject(self.kernel, spec)

    # From text to an object

    def _compile(self, source: str, name: str, cflags: Sequence[str]) -> ObjectSpec:
        return self._read(self._compiled(source, name, cflags), name, source)

    def _read(self, data: bytes | None, name: str, source: str) -> ObjectSpec:
        from stingless.obj.records import with_records

        self._data = data
        if data is None:
            from stingless.obj.spec import ObjectSpec

            return ObjectSpec({}, {})
        from stingless.obj.reader import read_object
        from stingless.obj.source import with_source

        spec = read_object(data)
        return with_records(with_source(spec, name, source) if source else spec, self._fields_of)

    def _compiled(self, source: str, name: str, cflags: Sequence[str]) -> bytes | None:
        """The object; None for no text at all, of a script that wants answers of `BPF` only."""
        if not source.strip() and not self.debug:
            return None
        from stingless.bcc import saved

        if (data := saved.find(source, cflags)) is not None:
            return data
        from stingless.compile.cache import ObjectCache, object_key

        try:
            with contextlib.closing(ObjectCache()) as cache:
                key = object_key(source, name, cflags) if not self.debug & _COMPILATION else None
                data = cache.get(key) if key else None
                if data is None:
                    data = self._run_clang(source, name, cflags)
                    if key:
                        cache.put(key, data)
                return data
        except NotSupportedError as error:
            raise saved.not_there(error) from None

    def save(self, path: str | Path) -> None:
        """Write the compiled object, for `BPF(object_file=)`: it runs on other kernels, and needs no compiler there.
        Raises `OSError`, and `ObjectError` when there is no program."""
        from stingless.cli.output import write

        if self._data is None:
            raise ObjectError("this BPF object has no program to save")
        write(Path(path), self._data)

    def _run_clang(self, source: str, name: str, cflags: Sequence[str]) -> bytes:
        from stingless.compile.bcc import BccRun

        run = BccRun(source, self._fields_of, name, cflags)
        try:
            # Choosing the kernel and importing what is needed next takes about as long as clang, which works meanwhile.
            self._session  # noqa: B018
            import stingless.obj.source  # noqa: F401

            return run.output()
        finally:
            if self.debug & _COMPILATION:
                from stingless.bcc.debug import show_compilation

                show_compilation(run, self.debug)
            run.close()

    def _fields_of(self, category: str, event: str) -> Sequence[Field]:
        from stingless.compile.dialect.tracepoints import parse_format

        return parse_format(self.kernel.tracepoint_format(category, event))

    # Functions

    def load_func(
        self, func_name: Name, prog_type: int, device: Name | None = None, attach_type: int | None = -1
    ) -> Function:
        """Verify and load a function for a program type (`BPF.KPROBE`, `BPF.XDP`, ...).  `attach_type` is needed for
        types that serve several (BPFAttachType); for the tracing ones the function's name tells it, and its target.

        Raises `UnknownNameError`, `VerifierError`, `LoadError`, `PrivilegeError`, `NotSupportedError`."""
        name = text_of(func_name)
        self._check_open()
        if device is not None:
            self._refuse_offload(text_of(device))
        found = self.funcs.get(name.encode())
        if found is None:
            kind = ProgramType(prog_type)
            given = None if attach_type is None or attach_type < 0 else AttachType(attach_type)
            found = self.funcs[name.encode()] = Function(self, name, self._load_program(name, kind, given))
        return found

    def _load_program(self, name: str, kind: ProgramType, attach_type: AttachType | None = None) -> Program:
        fields: dict[str, Any] = {} if attach_type is None else {"attach_type": attach_type}
        if kind in (ProgramType.TRACING, ProgramType.LSM) and name in self._object.spec.programs:
            from stingless.bcc.targets import target_of

            fields = target_of(name) | fields
        try:
            program = self._object.program(name, kind, **fields)
        except StinglessError as error:
            if self.debug & (DEBUG_BPF | DEBUG_BPF_REGISTER_STATE) and (log := getattr(error, "log", "")):
                from stingless.bcc.debug import show

                show(f"the verifier's log of {name}", log)
            if isinstance(error, LoadError):
                error.message = f"Failed to load BPF program {name}: {error.message}"
            raise
        if self.debug & (DEBUG_BPF | DEBUG_BPF_REGISTER_STATE):
            from stingless.bcc.debug import show_verification

            show_verification(self.kernel, program, self._object.maps, self.debug)
        return program

    def _refuse_offload(self, device: str) -> None:
        from stingless.errors import NotSupportedError

        advice = "load it without device= and attach it in the driver's mode (XDP_FLAGS_DRV_MODE)"
        raise NotSupportedError(f"loading programs into the network card {device}", advice=advice)

    def load_funcs(self, prog_type: int = ProgramType.KPROBE) -> list[Function]:
        """Load every function for one type."""
        return [self.load_func(name, prog_type) for name in self.spec.programs]

    def _program_spec(self, func_name: Name) -> ProgramSpec:
        name = text_of(func_name)
        if name not in self.spec.programs:
            raise UnknownNameError("function", name, self.spec.programs)
        return self.spec.programs[name]

    def dump_func(self, func_name: Name) -> bytes:
        """The instructions of a function, 8 bytes each, as they are loaded."""
        from stingless.linux.program_load import resolved_code

        name = self._program_spec(func_name).name
        return resolved_code(self._object.spec.programs[name], self._object.maps)  # type: ignore[arg-type]

    def disassemble_func(self, func_name: Name) -> str:
        """The instructions of a function as text."""
        from stingless.bcc.disassembler import disassemble_prog

        return disassemble_prog(text_of(func_name).encode(), self.dump_func(func_name))

    # Tables

    def get_table(self, name: Name, keytype: Any = None, leaftype: Any = None, reducer: Any = None) -> Any:
        """The table of that name; `keytype` and `leaftype` (ctypes) in place of what the text declares, `reducer` a
        function of two leaves that makes one of all CPUs' leaves.  Raises `UnknownNameError` (a `KeyError`) that
        names the nearest."""
        key = text_of(name)
        self._check_open()
        plain = keytype is None and leaftype is None and reducer is None
        if plain and key in self.tables:
            return self.tables[key]
        if key not in self._object.maps:
            raise UnknownNameError("table", key, self)
        table = self._make_table(self._object.maps[key], keytype, leaftype, reducer)
        if plain:
            self.tables[key] = table
        return table

    def __getitem__(self, name: Name) -> Any:
        return self.get_table(name)

    def __setitem__(self, name: Name, table: Any) -> None:
        self.tables[text_of(name)] = table

    def __delitem__(self, name: Name) -> None:
        del self.tables[text_of(name)]

    def __contains__(self, name: Name) -> bool:
        return text_of(name) in self._object.maps

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._object.maps if not name.startswith("."))

    def _make_table(self, map: Map, keytype: Any = None, leaftype: Any = None, reducer: Any = None) -> Any:
        from stingless.bcc.tables.make import make_table

        name = map.spec.name
        return make_table(
            self,
            map,
            keytype,
            leaftype,
            reducer,
            name=name,
            map_id=list(self._object.maps).index(name) if name in self._object.maps else None,
            event_type=event_marker(self.spec, name),
        )

    def decode_table(self, table_name: Name, sizeinfo: bool = False) -> str:
        """The layout of a table's keys and values in C; with `sizeinfo`, offsets and sizes."""
        from stingless.bcc.disassembler import decode_map

        table = self.get_table(table_name)
        return decode_map(text_of(table_name).encode(), table, table.map.spec.type, sizeinfo)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this BPF object was closed (cleanup() was called before)")


def event_marker(spec: ObjectSpec, table: str) -> int:
    """BTF id of the type that programs submit to a table (0: not known)."""
    from stingless.compile.dialect.events import event_type

    return event_type(spec.btf, table) if spec.btf else 0


def find_source(name: str) -> Path:
    """A source file, looked for beside the script too.  Raises `FileNotFoundError`."""
    import sys

    beside = Path(sys.argv[0] if sys.argv else "").absolute().parent / name
    for path in (Path(name), beside):
        if path.is_file():
            return path
    raise FileNotFoundError(2, f"Could not find file; it is neither here nor at {beside}", name)
