"""The `Kernel` protocol: the one seam between everything above and the two kernels below.

Values and keys are bytes here; typed views are made above.  Nothing above this module knows which kernel it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stingless.frozen import field, frozen
from stingless.obj.spec import MapSpec, ObjectSpec, ProgramSpec

if TYPE_CHECKING:
    from stingless._gen.uapi import ProgramType
    from stingless.btf.types import Btf
    from stingless.events import Event
    from stingless.streams.records import Lost, Run

BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK = 0, 1, 2, 4


@frozen
class MapInfo:
    """From `struct bpf_map_info`.  `id` is unique among the kernel's maps."""

    type: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: str
    frozen: bool = False


@frozen
class Entries:
    """Many entries at once: `count` keys and values, packed one after the other."""

    keys: bytes
    values: bytes
    count: int


class Map(Protocol):
    """A created map.  Keys and values are bytes of exactly `spec.key_size` and `value_bytes` length."""

    @property
    def spec(self) -> MapSpec: ...

    @property
    def value_bytes(self) -> int:
        """Bytes of a value as seen from user space: for per-CPU maps round_up(value_size, 8) * possible CPUs."""

    def lookup(self, key: bytes, flags: int = 0) -> bytes | None:
        """The value, or None when there is no such key; with BPF_F_LOCK, read under the value's spin lock.  A queue or
        stack takes b"" and gives its head; a bloom filter takes a value, and gives it back if it may have been
        added."""

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        """Set a value.  Raises `MapError` with EEXIST, ENOENT, E2BIG (full), EINVAL as bpf(2) does."""

    def delete(self, key: bytes) -> None:
        """Remove a key.  Raises `KeyError` when it is missing, `MapError` (EINVAL) where the type cannot delete."""

    def next_key(self, key: bytes | None) -> bytes | None:
        """The key after `key` (None: the first one), or None at the end."""

    def items(self) -> Iterator[tuple[bytes, bytes]]: ...

    def pop(self, key: bytes = b"") -> bytes | None:
        """Remove an entry (of a queue or stack: its head) and return its value; None when there is none."""

    def entries(self) -> Entries:
        """All entries: by batch commands where the kernel has them (5.6), else one by one, with the same result."""

    def take_entries(self) -> Entries:
        """Remove all entries and return them, each with its value at that moment: what programs add meanwhile is either
        in it or stays.  Raises `MapError` where entries cannot be removed."""

    def update_many(self, entries: Entries, flags: int = BPF_ANY) -> None:
        """Set many values.  Raises `MapError` that tells how many were set before the one that failed."""

    def delete_many(self, keys: bytes) -> int:
        """Remove the packed keys; how many of them there were."""

    def freeze(self) -> None:
        """No more changes from user space."""

    def memory(self) -> memoryview:
        """The values of an array or an arena as shared memory: writable unless the map is frozen or read-only.  Raises
        `NotSupportedError` for maps without BPF_F_MMAPABLE."""

    def open_events(self, options: EventOptions) -> EventReader:
        """A reader of a PERF_EVENT_ARRAY or RINGBUF map.  Raises `MapError` for other types, `PrivilegeError`,
        `LoadError`."""

    def open_user_ring(self) -> UserRing:
        """The writer's side of a USER_RINGBUF map.  Raises `MapError` for other types, `NotSupportedError`."""

    def pin(self, path: str | Path) -> None:
        """Keep it under a path of a bpffs.  Raises `FileExistsError` and other `OSError`s."""

    @property
    def info(self) -> MapInfo: ...

    def inner(self, id: int) -> Map:
        """The map of that id, which a map of maps gives as a value.  Raises `LoadError`, `PrivilegeError`."""

    def new_inner(self) -> Map:
        """A new map like the template of a map of maps.  Raises `MapError` when there is none, `LoadError`."""

    @property
    def fd(self) -> int:
        """What identifies it as a value of a map of maps (on Linux, its file descriptor)."""

    @property
    def closed(self) -> bool: ...

    def close(self) -> None: ...


@frozen
class ProgramInfo:
    """What the kernel tells of a loaded program.  `translated` and `jited` are the instructions after the verifier and
    the machine code (empty where the kernel does not tell: privileges, kernel.kptr_restrict, no JIT); run time (ns) and
    count are 0 unless statistics are on."""

    type: int
    id: int
    name: str
    tag: str
    translated: bytes = field(repr=False)
    jited: bytes = field(repr=False)
    verified_insns: int
    run_time_ns: int
    run_count: int
    recursion_misses: int
    map_ids: tuple[int, ...]
    loaded_at: float  # seconds, CLOCK_BOOTTIME
    gpl_compatible: bool
    btf_id: int
    lines: tuple[tuple[int, str, int, str], ...]  # (translated instruction, file, line, text)


@frozen
class RunResult:
    """What BPF_PROG_TEST_RUN tells.  `retval` is 32 bits; `data` the packet and `ctx` the context after the run."""

    retval: int
    data: bytes
    ctx: bytes
    duration_ns: int


def check_repeat(repeat: int) -> int:
    """The kernel counts to 32 bits, and -1 would be four thousand million runs.  Raises `ValueError`."""
    if not 0 <= repeat < 1 << 32:
        raise ValueError(f"repeat is {repeat}: a number of runs, less than {1 << 32}")
    return repeat


class RunContext(Protocol):
    """A context with names: those of `stingless.contexts`."""

    def inputs(self, type: ProgramType) -> tuple[bytes | None, bytes | None]:
        """Data and context for a run of a program of that type.  Raises `TypeError` where it is not for that type."""


def run_inputs(
    spec: ProgramSpec, data: bytes | None, ctx: bytes | RunContext | None
) -> tuple[bytes | None, bytes | None]:
    """Data and context of a run as bytes.  Raises `TypeError`."""
    if ctx is None or isinstance(ctx, bytes | bytearray | memoryview):
        return data, ctx
    if data is not None:
        raise TypeError("data is a part of the context: give it there")
    return ctx.inputs(spec.type)


class Program(Protocol):
    """A verified, loaded program."""

    @property
    def spec(self) -> ProgramSpec: ...

    @property
    def fd(self) -> int:
        """What identifies it as a value of a program array (on Linux, its file descriptor)."""

    def run(self, data: bytes | None = None, ctx: bytes | RunContext | None = None, repeat: int = 1) -> RunResult:
        """Run it once (or `repeat` times, whose mean time is told) on a packet and/or a context: bytes, or one of
        `stingless.contexts`, which has the packet too.  Raises `NotSupportedError` for program types that the kernel
        cannot run so, `LoadError` for what it does not run on."""

    @property
    def info(self) -> ProgramInfo: ...

    def pin(self, path: str | Path) -> None:
        """Keep it under a path of a bpffs.  Raises `FileExistsError` and other `OSError`s."""

    def close(self) -> None: ...


class Link(Protocol):
    """An attachment.  Closing it detaches; so does the end of the process, however it ends."""

    @property
    def event(self) -> Event: ...

    @property
    def note(self) -> str:
        """What the user should know of how it was attached ("" when it is as asked)."""

    @property
    def socket(self) -> int:
        """For a socket filter: the file descriptor to read packets from; -1 otherwise."""

    def close(self) -> None: ...


@frozen
class Record:
    """One event of a perf or ring buffer, or, when `lost` is not 0, a gap of that many events."""

    cpu: int
    data: bytes
    lost: int = 0


@frozen
class EventOptions:
    """How to read a perf event array: a ring of `pages` (a power of two) for each CPU of `cpus` (None: all that are
    online); the reader is woken after `wakeup_events` records or, when it is not 0, when `wakeup_bytes` are there;
    `timed` records come with their time (ns, CLOCK_MONOTONIC).  Ring buffers have no options."""

    pages: int = 8
    wakeup_events: int = 1
    wakeup_bytes: int = 0
    cpus: tuple[int, ...] | None = None
    timed: bool = False

    def __post_init__(self) -> None:
        if self.pages < 1 or self.pages & (self.pages - 1):
            raise ValueError(f"the pages of a perf ring are a power of two, not {self.pages}")


class EventReader(Protocol):
    """Reads the records that programs put in a perf event array or ring buffer map.  One thread at a time."""

    def fileno(self) -> int:
        """A descriptor that is readable when there are records."""

    @property
    def available(self) -> int:
        """Bytes that are there, headers included."""

    @property
    def held(self) -> bool:
        """The next record is still being written: the descriptor is readable, yet there is nothing to read."""

    @property
    def counts_losses(self) -> bool:
        """Whether its gaps are all that was lost.  A ring buffer of Linux does not know."""

    def runs(self, limit: int | None = None) -> Iterator[Run | Lost]:
        """The records that are there, at most `limit`, and the gaps among them.  The memory of a run is the writers'
        again after its step; the room is theirs when the iteration ends.  What it is broken off at, stays."""

    def copy(self, size: int, to: Any, limit: int | None = None) -> int:
        """Copy records of exactly `size` bytes, at most `limit`, to a writable buffer, as far as that goes in one step;
        how many.  `runs()` goes on after them."""

    def lease(self, limit: int | None = None) -> AbstractContextManager[Run]:
        """Of a ring buffer: the records that come next as far as they are alike, at most `limit`, where they lie.
        Their room is the writers' again at the end of the block; after an exception they stay."""

    def poll(self, timeout_ms: int = -1) -> list[Record]:
        """The records there are; waits up to `timeout_ms` (-1: for ever) while there are none."""

    def close(self) -> None: ...


class UserRing(Protocol):
    """Writes records for programs to read by bpf_user_ringbuf_drain().  One thread at a time."""

    @property
    def capacity(self) -> int:
        """Bytes of the ring; a record takes 8 more than its size, rounded up to 8."""

    def fileno(self) -> int:
        """A descriptor that is writable when there may be room."""

    def reserve(self, size: int) -> tuple[int, memoryview] | None:
        """A record's place and its `size` bytes to fill, or None when there is no room now."""

    def commit(self, place: int, discard: bool = False) -> None:
        """Hand a reserved record to the programs, or tell them to skip it."""

    def close(self) -> None: ...


class TraceReader(Protocol):
    """Reads what bpf_trace_printk() wrote, as lines of trace_pipe (without the newline)."""

    def fileno(self) -> int:
        """A descriptor that is readable when there are lines."""

    def readline(self, timeout_ms: int = -1) -> str | None:
        """The next line, or None when none came in time."""

    def close(self) -> None: ...


@frozen
class Probe:
    """The answer to a feature probe: `supported` is True, False, or None when it cannot be told; `why` and `fix` are
    for people ("" when supported)."""

    name: str
    supported: bool | None
    why: str = ""
    fix: str = ""


class Command(Protocol):
    """A command started under a kernel's eye.  It is held before its first instruction until `release()`, so that
    probes attached before that see all of it.  Linux scopes tracing programs attached after `spawn()` to the command
    and its descendants; the embedded kernel traces them with ptrace(2)."""

    @property
    def pid(self) -> int:
        """-1 before `release()`."""

    def release(self) -> None:
        """Let it run.  Idempotent.  Raises `OSError` (ENOENT, EACCES) when it cannot be executed."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status (128 + signal when killed by one), or None when `timeout` seconds passed first."""

    def close(self) -> None:
        """End it, and all its descendants, if still alive."""


class Kernel(Protocol):
    """A kernel that runs programs.  `scoped` False, before `spawn()`, lets tracing programs see more than the command;
    the embedded kernel never does.  `scope_note` tells, after `spawn()`, when they see more ("" when they do not)."""

    scoped: bool
    scope_note: str

    @property
    def name(self) -> str:
        """ "linux" or "embedded"."""

    def resolve(self, spec: ObjectSpec, btf: Btf | None = None) -> ObjectSpec:
        """The object with all it needs of this kernel filled in (see `stingless.obj.resolve`).  `btf` stands for the
        kernel's own types.  Raises `ObjectError`, `NotSupportedError`, `UnknownNameError`."""

    def create_map(self, spec: MapSpec) -> Map:
        """Raises `LoadError`, `PrivilegeError`, `NotSupportedError`."""

    def open_map(self, source: str | Path | int) -> Map:
        """A map that is there already: by the path of its pin, or by its id.  Its spec is as the kernel tells, with
        the BTF that it was made with.  Raises `FileNotFoundError`, `PrivilegeError`, `LoadError`."""

    def load_program(self, spec: ProgramSpec, maps: Mapping[str, Map], target: Program | None = None) -> Program:
        """Verify and load.  `maps` has every map that `spec.map_refs` names; `target` is the program that one of type
        EXT extends.  Raises `VerifierError`, `LoadError`, `PrivilegeError`, `NotSupportedError`."""

    def attach(self, program: Program, event: Event) -> Link:
        """Raises `AttachError`, `UnknownNameError`, `PrivilegeError`, `NotSupportedError`."""

    def attach_struct_ops(self, map: Map, programs: Mapping[str, Program]) -> Link:
        """Register what a STRUCT_OPS map implements, with the loaded programs by name.  Raises as `attach`."""

    def open_events(self, map: Map, pages: int = 8) -> EventReader:
        """A reader of a PERF_EVENT_ARRAY (`pages` per CPU, a power of two) or RINGBUF map."""

    def open_trace(self) -> TraceReader:
        """A reader of bpf_trace_printk() output from now on."""

    def tracepoint_format(self, category: str, name: str) -> str:
        """The text of a tracepoint's format file (tracefs events/CATEGORY/NAME/format).  Raises `UnknownNameError`
        naming the nearest, `PrivilegeError` when it may not be read."""

    def spawn(self, argv: Sequence[str]) -> Command:
        """Prepare a command to trace (one a kernel object).  `argv[0]` is looked up in PATH; stdio is inherited."""

    def probes(self) -> list[Probe]:
        """What this kernel can do here, each found by trying."""

    def close(self) -> None:
        """Detach and free all that this kernel object made and that is still open."""
