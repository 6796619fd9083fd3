"""`BPF`: the front door, with bcc's API.

A program text in bcc's dialect is compiled, its maps are created, and its functions are loaded when they are attached.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

# Most of the package is imported while clang works on the program: see `BPF._compile`.
from stingless._gen.uapi import MapType, ProgramType
from stingless.errors import AttachError, ClosedError, CompileError, UnknownNameError
from stingless.events import Event, Kprobe, PerfEvent, RawTracepoint, SocketFilter, Tracepoint, Uprobe, Xdp

if TYPE_CHECKING:
    from stingless.bcc.tables import Table
    from stingless.compile.dialect.tracepoints import Field
    from stingless.kernel import Kernel, Link, Map, Program, TraceReader
    from stingless.obj.spec import ObjectSpec
    from stingless.session import Session

_SLICE_MS = 200  # a waiting reader comes back this often, so that signals are handled


class Function:
    """A loaded function.  `fd` identifies it in program arrays; `sock` is the socket of an attached socket filter."""

    def __init__(self, bpf: BPF, name: str, program: Program) -> None:
        self.bpf = bpf
        self.name = name.encode()
        self.program = program
        self.sock = -1

    @property
    def fd(self) -> int:
        return self.program.fd


class BPF:
    """Programs in bcc's C dialect and their tables.

    `text` or `src_file` is the C; `object_file` is an object compiled before, loaded with no source at hand.  `cflags`
    go to clang.  Functions named `kprobe__NAME`, `kretprobe__NAME`, `tracepoint__CATEGORY__EVENT` and
    `raw_tracepoint__EVENT` are attached at once, as in bcc.  `bpf["name"]` is a table.

    Raises `CompileError`, `ObjectError`, `VerifierError`, `LoadError`, `AttachError`, `PrivilegeError`.
    """

    SOCKET_FILTER = ProgramType.SOCKET_FILTER
    KPROBE = ProgramType.KPROBE
    SCHED_CLS = ProgramType.SCHED_CLS
    SCHED_ACT = ProgramType.SCHED_ACT
    TRACEPOINT = ProgramType.TRACEPOINT
    XDP = ProgramType.XDP
    PERF_EVENT = ProgramType.PERF_EVENT
    RAW_TRACEPOINT = ProgramType.RAW_TRACEPOINT
    XDP_FLAGS_UPDATE_IF_NOEXIST = 1 << 0
    XDP_FLAGS_SKB_MODE = 1 << 1
    XDP_FLAGS_DRV_MODE = 1 << 2
    XDP_FLAGS_HW_MODE = 1 << 3

    def __init__(
        self,
        src_file: str | bytes = "",
        text: str | bytes | None = None,
        cflags: Sequence[str] = (),
        object_file: str | Path | None = None,
        kernel: Kernel | None = None,
    ) -> None:
        if sum(bool(source) for source in (src_file, text, object_file)) != 1:
            raise ValueError("BPF() needs exactly one of text=, src_file= and object_file=, and that not empty")
        if isinstance(cflags, str | bytes):
            raise TypeError(f"cflags is a list of arguments for clang: [{cflags!r}], not {cflags!r}")
        self._given = kernel
        self.links: dict[tuple[str, str], Link] = {}
        self.funcs: dict[str, Function] = {}
        self.tables: dict[str, Table] = {}
        self._trace: TraceReader | None = None
        self._closed = False
        if object_file is not None:
            from stingless.obj.reader import read_object

            self.spec = read_object(Path(object_file).read_bytes())
        else:
            name = _text(src_file) if src_file else "main.c"
            source = _source(Path(name).read_bytes() if src_file else text or "", name)
            self.spec = self._compile(source, name, cflags)
        from stingless.bcc.autoload import autoload
        from stingless.programs import LoadedObject

        if any(spec.type is MapType.RINGBUF for spec in self.spec.maps.values()):
            from stingless.streams.losses import counted

            self.spec = counted(self.spec, self.kernel)
        self._object = LoadedObject(self.kernel, self.spec)
        atexit.register(self.cleanup)
        try:
            autoload(self, self.spec.programs)
        except BaseException:
            self.cleanup()
            raise

    @cached_property
    def _session(self) -> Session:
        from stingless import session

        return session.current() if self._given is None else session.Session(self._given)

    @property
    def kernel(self) -> Kernel:
        """The kernel that the programs run on."""
        return self._session.kernel

    def _compile(self, source: str, name: str, cflags: Sequence[str]) -> ObjectSpec:
        from stingless.compile.cache import ObjectCache, object_key

        with contextlib.closing(ObjectCache()) as cache:
            key = object_key(source, name, cflags)
            data = cache.get(key) if key else None
            if data is None:
                data = self._run_clang(source, name, cflags)
                if key:
                    cache.put(key, data)
        from stingless.obj.reader import read_object
        from stingless.obj.source import with_source

        return with_source(read_object(data), name, source)

    def _run_clang(self, source: str, name: str, cflags: Sequence[str]) -> bytes:
        from stingless.compile.bcc import BccRun

        run = BccRun(source, self._fields_of, name, cflags)
        try:
            # Choosing the kernel and importing what is needed next takes about as long as clang, which works meanwhile.
            self._session  # noqa: B018
            import stingless.obj.source  # noqa: F401

            return run.output()
        finally:
            run.close()

    def _fields_of(self, category: str, event: str) -> Sequence[Field]:
        from stingless.compile.dialect.tracepoints import parse_format

        return parse_format(self.kernel.tracepoint_format(category, event))

    # Functions and tables

    def load_func(self, func_name: str | bytes, prog_type: int) -> Function:
        """Verify and load a function for a program type (`BPF.KPROBE`, `BPF.XDP`, ...)."""
        name = _text(func_name)
        self._check_open()
        if name not in self.funcs:
            self.funcs[name] = Function(self, name, self._object.program(name, ProgramType(prog_type)))
        return self.funcs[name]

    def load_funcs(self, prog_type: int = ProgramType.KPROBE) -> list[Function]:
        """Load every function for one type."""
        return [self.load_func(name, prog_type) for name in self.spec.programs]

    def get_table(self, name: str | bytes) -> Table:
        """The table of that name.  Raises `UnknownNameError` (a `KeyError`) that names the nearest."""
        key = _text(name)
        self._check_open()
        if key not in self.tables:
            if key not in self._object.maps:
                raise UnknownNameError("table", key, self)
            self.tables[key] = self._make_table(self._object.maps[key])
        return self.tables[key]

    __getitem__ = get_table

    def __contains__(self, name: str | bytes) -> bool:
        return _text(name) in self._object.maps

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._object.maps if not name.startswith("."))

    def _make_table(self, map: Map) -> Table:
        from stingless._sys.cvalues import c_type, integer_type
        from stingless.bcc.tables import EventTable, ProgramTable, Table

        spec, btf = map.spec, self.spec.btf
        key = c_type(btf, spec.key_type) if btf and spec.key_type else integer_type(spec.key_size)
        leaf = c_type(btf, spec.value_type) if btf and spec.value_type else integer_type(spec.value_size)
        if spec.type == MapType.PROG_ARRAY:
            return ProgramTable(self, map, key, leaf)
        if spec.type not in (MapType.PERF_EVENT_ARRAY, MapType.RINGBUF):
            return Table(self, map, key, leaf)
        table = EventTable(self, map, key, leaf)
        if btf and (marker := event_marker(self.spec, spec.name)):
            table.event_type = c_type(btf, marker)
        return table

    # Attaching

    def _attach(self, event: Event, fn_name: str | bytes, kind: ProgramType) -> Link:
        function = self.load_func(fn_name, kind)
        key = (str(event), _text(fn_name))
        if key in self.links:
            raise AttachError(f"{key[1]} is attached to {key[0]} already", 17)
        link = self.kernel.attach(function.program, event)
        self.links[key] = link
        self._session.attached()
        if link.note:
            print(f"stingless: {link.note}", file=sys.stderr)
        return link

    def _detach(self, event: Event, fn_name: str | bytes | None = None) -> None:
        keys = [k for k in self.links if k[0] == str(event) and (fn_name is None or k[1] == _text(fn_name))]
        if not keys:
            raise UnknownNameError("attached probe", str(event), (k[0] for k in self.links))
        for key in keys:
            self.links.pop(key).close()

    def attach_kprobe(self, event: str | bytes, fn_name: str | bytes, event_off: int = 0) -> Link:
        """Run a function at the entry of a kernel function.  `sys_NAME` means the system call on every architecture."""
        return self._attach(Kprobe(self._kernel_function(event), event_off), fn_name, ProgramType.KPROBE)

    def attach_kretprobe(self, event: str | bytes, fn_name: str | bytes) -> Link:
        """Run a function when a kernel function returns."""
        return self._attach(Kprobe(self._kernel_function(event), ret=True), fn_name, ProgramType.KPROBE)

    def detach_kprobe(self, event: str | bytes, fn_name: str | bytes | None = None) -> None:
        self._detach(Kprobe(self._kernel_function(event)), fn_name)

    def detach_kretprobe(self, event: str | bytes, fn_name: str | bytes | None = None) -> None:
        self._detach(Kprobe(self._kernel_function(event), ret=True), fn_name)

    def attach_uprobe(
        self,
        name: str | bytes,
        sym: str | bytes = "",
        fn_name: str | bytes = "",
        addr: int | None = None,
        pid: int = -1,
    ) -> Link:
        """Run a function at the entry of a user function: `name` is a library ("c"), program or path; `sym` the symbol,
        or `addr` its offset in the file."""
        return self._attach(self._user_function(name, sym, addr, pid, False), fn_name, ProgramType.KPROBE)

    def attach_uretprobe(
        self,
        name: str | bytes,
        sym: str | bytes = "",
        fn_name: str | bytes = "",
        addr: int | None = None,
        pid: int = -1,
    ) -> Link:
        """Run a function when a user function returns."""
        return self._attach(self._user_function(name, sym, addr, pid, True), fn_name, ProgramType.KPROBE)

    def detach_uprobe(self, name: str | bytes, sym: str | bytes = "", addr: int | None = None, pid: int = -1) -> None:
        self._detach(self._user_function(name, sym, addr, pid, False))

    def detach_uretprobe(
        self, name: str | bytes, sym: str | bytes = "", addr: int | None = None, pid: int = -1
    ) -> None:
        self._detach(self._user_function(name, sym, addr, pid, True))

    def attach_tracepoint(self, tp: str | bytes, fn_name: str | bytes) -> Link:
        """Run a function at a tracepoint "category:event"."""
        return self._attach(_tracepoint(tp), fn_name, ProgramType.TRACEPOINT)

    def detach_tracepoint(self, tp: str | bytes) -> None:
        self._detach(_tracepoint(tp))

    def attach_raw_tracepoint(self, tp: str | bytes, fn_name: str | bytes) -> Link:
        return self._attach(RawTracepoint(_text(tp)), fn_name, ProgramType.RAW_TRACEPOINT)

    def detach_raw_tracepoint(self, tp: str | bytes) -> None:
        self._detach(RawTracepoint(_text(tp)))

    def attach_perf_event(
        self,
        ev_type: int,
        ev_config: int,
        fn_name: str | bytes,
        sample_period: int = 0,
        sample_freq: int = 0,
        pid: int = -1,
        cpu: int = -1,
    ) -> Link:
        """Run a function on samples of a perf event (`stingless.events.PERF_TYPE_SOFTWARE`, ...)."""
        event = PerfEvent(int(ev_type), int(ev_config), sample_period, sample_freq, pid, cpu)
        return self._attach(event, fn_name, ProgramType.PERF_EVENT)

    def detach_perf_event(self, ev_type: int, ev_config: int) -> None:
        head = f"perf_event:{int(ev_type)}:{int(ev_config)}@"
        for key in [k for k in self.links if k[0].startswith(head)]:
            self.links.pop(key).close()

    @staticmethod
    def attach_xdp(dev: str | bytes, fn: Function, flags: int = 0) -> None:
        """Run a function on each packet that arrives at an interface."""
        fn.bpf._attach(Xdp(_text(dev), flags), fn.name, ProgramType.XDP)

    def remove_xdp(self, dev: str | bytes, flags: int = 0) -> None:
        self._detach(Xdp(_text(dev), flags))

    @staticmethod
    def attach_raw_socket(fn: Function, dev: str | bytes) -> None:
        """Open a raw packet socket on an interface that delivers what the function lets through; `fn.sock` is its file
        descriptor (non-blocking)."""
        link = fn.bpf._attach(SocketFilter(_text(dev)), fn.name, ProgramType.SOCKET_FILTER)
        fn.sock = link.socket

    def _kernel_function(self, event: str | bytes) -> str:
        from stingless.syscalls import syscall_of

        name = _text(event)
        if name.startswith(("sys_", "SyS_")) and (call := syscall_of(name)):
            return str(self.get_syscall_fnname(call))
        return name

    def _user_function(self, name: str | bytes, sym: str | bytes, addr: int | None, pid: int, ret: bool) -> Uprobe:
        from stingless.symbols.elf import function_offset
        from stingless.symbols.libraries import resolve_binary

        path = str(resolve_binary(_text(name)))
        symbol = _text(sym)
        if not symbol and addr is None:
            raise ValueError("a uprobe needs sym= or addr=")
        offset = addr if addr is not None else function_offset(path, symbol)
        return Uprobe(path, offset, ret, pid, symbol)

    @staticmethod
    def get_syscall_prefix() -> bytes:
        import os

        return {"x86_64": b"__x64_sys_", "aarch64": b"__arm64_sys_"}.get(os.uname().machine, b"sys_")

    @staticmethod
    def get_syscall_fnname(name: str | bytes) -> Any:
        """The kernel function of a system call: "clone" -> "__x64_sys_clone"."""
        prefix = BPF.get_syscall_prefix()
        if isinstance(name, bytes):
            return prefix + name
        return prefix.decode() + name

    # Reading

    def trace_open(self, nonblocking: bool = False) -> TraceReader:
        """The reader of bpf_trace_printk() output."""
        self._check_open()
        if self._trace is None:
            self._trace = self.kernel.open_trace()
        return self._trace

    def trace_readline(self, nonblocking: bool = False) -> bytes:
        """The next line of the trace pipe; b"" when `nonblocking` and there is none."""
        reader = self.trace_open()
        self._session.waiting()
        while True:
            line = reader.readline(0 if nonblocking else _SLICE_MS)
            if line is not None:
                self._session.record_seen()
                if not line.strip():
                    continue  # a format that ends in a newline makes an empty line since Linux 5.9
                return line.encode("utf-8", "surrogateescape")
            if nonblocking:
                return b""

    def trace_fields(self, nonblocking: bool = False) -> Any:
        """(task, pid, cpu, flags, timestamp, message) of the next line; six times None when `nonblocking` and there is
        none."""
        from stingless.bcc.trace import parse_trace_line

        while True:
            line = self.trace_readline(nonblocking)
            if not line and nonblocking:
                return (None,) * 6
            if fields := parse_trace_line(line):
                return fields

    def trace_print(self, fmt: str | None = None) -> None:
        """Print lines as they come until Ctrl-C; `fmt` is a format of the six fields ("{0} {5}")."""
        while True:
            if fmt is None:
                print(self.trace_readline().decode("utf-8", "replace"), flush=True)
                continue
            fields = self.trace_fields()
            print(
                fmt.format(*(f.decode("utf-8", "replace") if isinstance(f, bytes) else f for f in fields)), flush=True
            )

    def perf_buffer_poll(self, timeout: int = -1) -> None:
        """Deliver the records of all open perf buffers; waits up to `timeout` ms for the first."""
        self._poll(timeout, MapType.PERF_EVENT_ARRAY)

    def ring_buffer_poll(self, timeout: int = -1) -> int:
        """Deliver the records of all open ring buffers; waits up to `timeout` ms for the first."""
        return self._poll(timeout, MapType.RINGBUF)

    def ring_buffer_consume(self) -> None:
        self._poll(0, MapType.RINGBUF)

    def _poll(self, timeout: int, kind: MapType) -> int:
        from stingless.bcc.tables import EventTable

        self._check_open()
        tables = [t for t in self.tables.values() if isinstance(t, EventTable) and t.map.spec.type == kind]
        self._session.waiting()
        deadline = None if timeout < 0 else time.monotonic() + timeout / 1000
        while True:
            left = _SLICE_MS if deadline is None else min(_SLICE_MS, max(0, int((deadline - time.monotonic()) * 1000)))
            # The first table waits, the others are looked at; several tables share the time.
            count = sum(t.deliver(left // len(tables)) for t in tables)
            if count:
                self._session.record_seen()
                return count
            if not tables:
                time.sleep(left / 1000)
            if deadline is not None and time.monotonic() >= deadline:
                return 0

    # The end

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this BPF object was closed (cleanup() was called before)")

    def cleanup(self) -> None:
        """Detach and close everything.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        for link in self.links.values():
            with contextlib.suppress(OSError):
                link.close()
        self.links.clear()
        from stingless.bcc.tables import EventTable

        for table in self.tables.values():
            if isinstance(table, EventTable):
                table.close()
        if self._trace is not None:
            self._trace.close()
        self._object.close()
        atexit.unregister(self.cleanup)

    close = cleanup

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()


def event_marker(spec: ObjectSpec, table: str) -> int:
    """BTF id of the type that programs submit to a table (0: not known): the dialect leaves a variable of that type."""
    from stingless.btf.types import Kind
    from stingless.compile.dialect.events import MARKER

    found = spec.btf.find(MARKER + table, Kind.VAR) if spec.btf else None
    return found.type if found else 0


def _text(value: str | bytes) -> str:
    if not isinstance(value, str | bytes):
        raise TypeError(f"a name or a text is str or bytes, not {value!r}")
    return value.decode() if isinstance(value, bytes) else value


def _source(text: str | bytes, name: str) -> str:
    if not isinstance(text, bytes):
        return _text(text)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        bad = f"byte {text[error.start]:#04x} is not UTF-8; convert the text, as with `iconv -f latin1 -t utf-8`"
        raise CompileError(f"{name}:{line}: {bad}") from None


def _tracepoint(tp: str | bytes) -> Tracepoint:
    category, colon, name = _text(tp).partition(":")
    if not colon or not name:
        raise ValueError(f"a tracepoint is named category:event, not {_text(tp)!r}")
    return Tracepoint(category, name)
