"""The embedded kernel's C runtime: structures of embedded/runtime/*.h and one class for each thing that it makes.

Nothing here checks what programs and maps are asked for: that is embedded/'s work.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import weakref
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_int, c_int32, c_uint8, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stingless._sys.ringbuf import RingMemory
from stingless._sys.runtime_packet import PacketResult, PacketRun, run_packet
from stingless.cpus import possible_cpus
from stingless.errors import NotSupportedError, ProgramFault

if TYPE_CHECKING:
    from stingless._sys.runtime_careful import Careful
    from stingless._sys.runtime_fixed import Fixed
    from stingless._sys.runtime_maps import Map
    from stingless._sys.runtime_objects import Objects

_MAX_HELPERS = 256
DATA_ROOM = 4096  # ST_DATA_ROOM: what data may grow by
_FAULT_ACCESS = 5
FAULTS = (
    "",
    "an unknown opcode",
    "an unknown helper",
    "the instruction budget",
    "more than 8 call frames",
    "a read of memory that is not the program's",
    "a write to memory that is not the program's",
)


class Task(Structure):
    """`struct st_task`."""

    _fields_ = (
        ("pid", c_int32),
        ("tgid", c_int32),
        ("ppid", c_int32),
        ("uid", c_uint32),
        ("gid", c_uint32),
        ("cpu", c_uint32),
        ("memory", c_int32),
        ("comm", c_char * 16),
        ("cgroup", c_uint64),
        ("start_time", c_uint64),
        ("exit_code", c_int32),
    )


class _Window(Structure):
    _fields_ = (("base", c_void_p), ("size", c_uint64))


class _Env(Structure):
    """`struct st_env`."""

    _fields_ = (
        ("task", c_void_p),
        ("windows", _Window * 4),
        ("window_count", c_uint32),
        ("trace", c_void_p),
        ("fixed", c_void_p),
        ("tail_calls", c_uint32),
        ("data", c_void_p),
        ("data_end", c_void_p),
        ("data_meta", c_void_p),
        ("data_limit", c_void_p),
        ("ctx", c_void_p),
        ("func_ip", c_uint64),
        ("cookie", c_uint64),
        ("cpu", c_uint32),
        ("frames", c_uint32),
        ("stack", c_void_p),
        ("fault", c_uint32),
        ("mac", c_void_p),
        ("network", c_void_p),
        ("data_hard_start", c_void_p),
        ("objects", c_void_p),
        ("careful", c_void_p),
        ("steps", c_uint64),
        ("fault_address", c_uint64),
        ("fault_insn", c_uint32),
        ("machine_frames", c_void_p),
        # helpers
        ("prog", c_void_p),
        ("user_regs", c_void_p),
        ("func_args", c_uint32),
        ("func_returned", c_uint32),
        ("retval", c_int32),
    )


class _Prog(Structure):
    """`struct st_prog`."""

    _fields_ = (
        ("insns", c_void_p),
        ("count", c_uint32),
        ("type", c_uint32),
        ("env_default", POINTER(_Env)),
        ("machine", c_void_p),
        ("runs", c_uint32),
        ("zero_stack", c_uint32),
        ("type_sizes", c_void_p),
        ("type_count", c_uint32),
    )


class _ContextRun(Structure):
    """`struct st_context_run`."""

    _fields_ = (
        ("prog", c_void_p),
        ("ctx", c_void_p),
        ("ctx_size", c_uint64),
        ("task", POINTER(Task)),
        ("repeat", c_uint32),
        ("fault", c_uint32),
        ("retval", c_uint64),
        ("duration", c_uint64),
        ("cookie", c_uint64),
        ("data", c_void_p),
        ("data_size", c_uint64),
        ("data_at", c_int32),
    )


# Result and arguments of each function.
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "st_configure": (None, [c_uint32, c_uint64]),
    "st_configure_cgroups": (None, [c_char_p]),
    "st_kfunc_name": (c_char_p, [c_uint32]),
    "st_timers_forget": (None, [c_void_p]),
    "st_helper_numbers": (c_uint32, [POINTER(c_uint32)]),
    "st_sizes": (None, [POINTER(c_uint32)]),
    "st_run_context": (None, [c_void_p]),
    "st_run_packet": (None, [c_void_p]),
    "st_ring_create": (c_void_p, [c_uint64]),
    "st_ring_destroy": (None, [c_void_p]),
    "st_ring_positions": (c_void_p, [c_void_p]),
    "st_ring_data": (c_void_p, [c_void_p]),
    "st_ring_take_lost": (c_uint64, [c_void_p]),
    "st_ring_copy": (c_uint64, [c_void_p, c_uint64, c_uint32, c_void_p]),
    "st_ring_listen": (None, [c_void_p, c_int]),
    "st_ring_subscribe": (None, [c_void_p, c_void_p]),
    "st_ring_unsubscribe": (None, [c_void_p, c_void_p]),
}


def library_path() -> Path:
    return Path(__file__).with_name(f"libstingless-runtime.{platform.machine()}.so")


def _cgroups() -> tuple[str, int]:
    """Where the cgroup v2 hierarchy is mounted, and the id of this process's cgroup in it (its inode); "" and 0 when
    there is none to see."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        path = next(line[3:] for line in lines if line.startswith("0::")).lstrip("/")
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup2":
                return fields[4], (Path(fields[4]) / path).stat().st_ino
    except (OSError, StopIteration):
        pass
    return "", 0


@cache
def library() -> ctypes.CDLL:
    """The runtime, loaded once.  Raises `NotSupportedError` where it was not built."""
    path = library_path()
    if not path.exists():
        raise NotSupportedError(
            f"the embedded kernel on {platform.system()} {platform.machine()}",
            advice=f"its runtime {path.name} is missing; in a source tree `python hatch_build.py` builds it "
            "(x86_64 and aarch64 Linux)",
        )
    loaded = ctypes.CDLL(str(path))
    sizes = (c_uint32 * 4)()
    try:
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
        loaded.st_sizes(sizes)
    except AttributeError:
        pass  # an older one
    if list(sizes) != [ctypes.sizeof(each) for each in (_Env, Task, _ContextRun, PacketRun)]:
        raise NotSupportedError(
            "the embedded kernel", advice=f"{path.name} is of another version; rebuild it: `python hatch_build.py`"
        )
    mounted, own_cgroup = _cgroups()
    loaded.st_configure(possible_cpus(), own_cgroup)
    loaded.st_configure_cgroups(mounted.encode())
    return loaded


def helper_numbers() -> frozenset[int]:
    """The helpers that the runtime has."""
    numbers = (c_uint32 * _MAX_HELPERS)()
    return frozenset(numbers[: library().st_helper_numbers(numbers)])


def kfunc_numbers() -> dict[str, int]:
    """The kernel functions that the runtime has, by name: the number of a call."""
    loaded, found = library(), dict[str, int]()
    while name := loaded.st_kfunc_name(len(found)):
        found[name.decode()] = _MAX_HELPERS + len(found)
    return found


def _bytes_at(address: int, size: int) -> memoryview:
    return memoryview((c_uint8 * size).from_address(address)).cast("B")


class Ring:
    """`struct st_ring`: `size` bytes, a power of two and a multiple of the page size; 0 for a tee.  A ring that a map
    owns lives as long as `owner`."""

    def __init__(self, size: int, address: int | None = None, owner: object = None) -> None:
        self._library = library()
        self._owner = owner
        self._subscribers: list[Ring] = []
        if address is None:
            address = self._library.st_ring_create(size)
            if not address:
                raise OSError(errno.ENOMEM, f"no memory for a ring of {size} bytes")
            weakref.finalize(self, self._library.st_ring_destroy, address)
        self.address = address
        self._size = size

    def memory(self, *, tagged: bool = False) -> RingMemory:
        """Its records, to read.  `tagged`: the second word of a header is a CPU.  Valid while this object lives."""
        return RingMemory(*self.views(), tagged=tagged)

    def views(self) -> tuple[memoryview, memoryview, memoryview]:
        """The consumer's position, the producers', and the data twice in a row.  Valid while this object lives."""
        positions = self._library.st_ring_positions(self.address)
        data = self._library.st_ring_data(self.address)
        return _bytes_at(positions, 8), _bytes_at(positions + 8, 8), _bytes_at(data, 2 * self._size)

    def take_lost(self) -> int:
        return int(self._library.st_ring_take_lost(self.address))

    def listen(self, event: int) -> None:
        """`event`: an eventfd to write to when the next record comes; -1 to leave."""
        self._library.st_ring_listen(self.address, event)

    def subscribe(self, ring: Ring) -> None:
        self._subscribers.append(ring)  # lives as long as it is written to
        self._library.st_ring_subscribe(self.address, ring.address)

    def unsubscribe(self, ring: Ring) -> None:
        self._library.st_ring_unsubscribe(self.address, ring.address)
        self._subscribers.remove(ring)


# A call of bpf_timer_set_callback().
_SETS_TIMER = b"\x85\0\0\0\xaa\0\0\0"


class Program:
    """`struct st_prog`: resolved instructions, kept alive with the maps that they point to."""

    def __init__(self, code: bytes, type: int, trace: Ring, maps: list[Map], objects: Objects | None = None) -> None:
        self._library = library()
        self.code = code
        self._code = ctypes.create_string_buffer(code, len(code))
        self._careful: Careful | None = None
        self._kept: list[object] = [trace, maps, objects]
        self.map_addresses = [each.address for each in maps]
        self._env = _Env(trace=trace.address, objects=objects.address if objects else None)
        self._prog = _Prog(ctypes.addressof(self._code), len(code) // 8, type, ctypes.pointer(self._env))
        if _SETS_TIMER in code:
            weakref.finalize(self, self._library.st_timers_forget, self.address)

    def set_type_sizes(self, sizes: list[int]) -> None:
        """Bytes of the types that it may allocate, by their number in its BTF."""
        made = (c_uint32 * len(sizes))(*sizes)
        self.keep(made)
        self._prog.type_sizes, self._prog.type_count = ctypes.addressof(made), len(sizes)

    def keep(self, owned: object) -> None:
        """Have `owned` live as long as this program."""
        self._kept.append(owned)

    def know(self, objects: Objects) -> None:
        """From now on it reads these kernel objects."""
        self._kept.append(objects)
        self._env.objects = objects.address

    def fix(self, fixed: Fixed) -> None:
        """From now on it is told this instead of the machine's time and more."""
        self._kept.append(fixed)
        self._env.fixed = fixed.address

    @property
    def address(self) -> int:
        """Of the `struct st_prog`; valid while this object lives."""
        return ctypes.addressof(self._prog)

    @property
    def zero_stack(self) -> bool:
        """It may read stack that it has not written, so each of its frames begins as zeros."""
        return bool(self._prog.zero_stack)

    @zero_stack.setter
    def zero_stack(self, value: bool) -> None:
        self._prog.zero_stack = int(value)

    def twin(self) -> Program:
        """The same program once more, to be watched by itself.  It lives as long as this one."""
        code, env = self.code, self._env
        made = Program.__new__(Program)
        made.__dict__.update(self.__dict__)
        made._code = ctypes.create_string_buffer(code, len(code))
        made._kept = []
        made._env = _Env.from_buffer_copy(env)
        made._prog = _Prog.from_buffer_copy(self._prog)
        made._prog.insns, made._prog.machine = ctypes.addressof(made._code), None
        made._prog.env_default = ctypes.pointer(made._env)
        self.keep(made)
        return made

    @property
    def watched(self) -> bool:
        return self._careful is not None

    def unwatch(self) -> None:
        self._careful, self._env.careful = None, None

    def watch(self, careful: Careful, address: int) -> None:
        """Have all runs watched; `address` is that of the `struct st_careful`."""
        self._careful = careful
        self._env.careful = address

    def check(self, fault: int) -> None:
        if not fault:
            return
        if self._careful is None:
            raise RuntimeError(
                f"the interpreter stopped a verified program: {FAULTS[fault]}; this is a bug of stingless"
            )
        _, insn, address = self._careful.fault
        raise ProgramFault(FAULTS[fault], insn, address if fault >= _FAULT_ACCESS else None)

    def run_at(self, address: int) -> int:
        """R0 of a run on the context at `address`."""
        run = _ContextRun(self.address, address, 0, None, 1)
        self._library.st_run_context(byref(run))
        self.check(run.fault)
        return int(run.retval)

    def run_context(
        self, ctx: bytes, repeat: int = 1, task: Task | None = None, cookie: int = 0
    ) -> tuple[int, bytes, int]:
        """(R0, context after, ns a run)."""
        buffer = ctypes.create_string_buffer(ctx, len(ctx))
        run = _ContextRun(self.address, ctypes.addressof(buffer), len(ctx), None, repeat)
        if task is not None:
            run.task = ctypes.pointer(task)
        run.cookie = cookie
        self._library.st_run_context(byref(run))
        self.check(run.fault)
        return run.retval, buffer.raw[: len(ctx)], run.duration

    def run_context_data(
        self, ctx: bytes, data: bytes, data_at: int, repeat: int = 1, task: Task | None = None
    ) -> tuple[int, bytes, bytes, int]:
        """(R0, context after, data after, ns a run) on a context whose pointers to the start and the end of `data` are
        at `data_at` (-1: it has none)."""
        buffer = ctypes.create_string_buffer(ctx, len(ctx))
        memory = ctypes.create_string_buffer(data, len(data) + DATA_ROOM)
        run = _ContextRun(self.address, ctypes.addressof(buffer), len(ctx), None, repeat)
        if task is not None:
            run.task = ctypes.pointer(task)
        run.data, run.data_size, run.data_at = ctypes.addressof(memory), len(data), data_at
        self._library.st_run_context(byref(run))
        self.check(run.fault)
        return run.retval, buffer.raw[: len(ctx)], memory.raw[: run.data_size], run.duration

    def run_packet(self, frame: bytes, **how: Any) -> PacketResult:
        """See `stingless._sys.runtime_packet.run_packet`."""
        result = run_packet(self._library, self.address, frame, **how)
        self.check(result.fault)
        return result
