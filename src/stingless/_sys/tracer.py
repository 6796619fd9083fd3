"""The ptrace event source of the C runtime: embedded/runtime/tracer.h."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from ctypes import POINTER, Structure, byref, c_char_p, c_int32, c_uint8, c_uint32, c_uint64, c_void_p
from enum import IntEnum
from functools import cache

from stingless._sys import runtime

ANY = -1


class LinkKind(IntEnum):
    """`enum st_link_kind`."""

    KPROBE = 0
    KPROBE_DIRECT = 1
    KRETPROBE = 2
    SYS_ENTER = 3
    SYS_EXIT = 4
    SYSCALLS_ENTER = 5
    SYSCALLS_EXIT = 6
    RAW_ENTER = 7
    RAW_EXIT = 8
    UPROBE = 9
    URETPROBE = 10
    SAMPLE = 11
    EXEC = 12
    FORK = 13
    PROCESS_EXIT = 14
    RAW_EXEC = 15
    RAW_FORK = 16
    RAW_PROCESS_EXIT = 17
    SIGNAL_GENERATE = 18
    SIGNAL_DELIVER = 19


class Report(IntEnum):
    """`enum st_report`: what `Tracer.run()` returns for."""

    DONE = 0
    STARTED = 1
    EXEC_FAILED = 2
    EXITED = 3
    UNREAD = 4


class _Attach(Structure):
    """`struct st_attach`."""

    _fields_ = (
        ("program", c_void_p),
        ("kind", c_uint32),
        ("number", c_int32),
        ("pid", c_int32),
        ("cpu", c_int32),
        ("period", c_uint64),
        ("device", c_uint64),
        ("inode", c_uint64),
        ("offset", c_uint64),
        ("path", c_char_p),
        ("code", c_uint8 * 16),
        ("cookie", c_uint64),
        ("counter", c_uint64),
    )


_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "st_tracer_create": (c_void_p, []),
    "st_tracer_destroy": (None, [c_void_p]),
    "st_tracer_attach": (c_int32, [c_void_p, POINTER(_Attach)]),
    "st_tracer_detach": (None, [c_void_p, c_uint32]),
    "st_tracer_start": (c_int32, [c_void_p, c_char_p, POINTER(c_char_p), POINTER(c_char_p)]),
    "st_tracer_follow": (c_int32, [c_void_p, c_int32]),
    "st_tracer_run": (c_int32, [c_void_p]),
    "st_tracer_close": (None, [c_void_p]),
    "st_tracer_status": (c_int32, [c_void_p]),
    "st_tracer_error": (c_int32, [c_void_p]),
    "st_tracer_counts": (None, [c_void_p, POINTER(c_uint64), POINTER(c_uint64)]),
}


@cache
def _library() -> ctypes.CDLL:
    library = runtime.library()
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _strings(values: Sequence[bytes]) -> ctypes.Array[c_char_p]:
    return (c_char_p * (len(values) + 1))(*values, None)


class Tracer:
    """`struct st_tracer`.  `start()` and `run()` belong to one thread; the rest may be called from any."""

    def __init__(self) -> None:
        self._library = _library()
        self._address = self._library.st_tracer_create()
        if not self._address:
            raise MemoryError
        self._kept: tuple[object, ...] = ()

    def attach(
        self,
        program: int,
        kind: LinkKind,
        *,
        number: int = ANY,
        pid: int = ANY,
        cpu: int = ANY,
        period: int = 0,
        file: tuple[int, int, int] = (0, 0, 0),
        path: bytes = b"",
        code: bytes = b"",
        cookie: int = 0,
        counter: int = 0,
    ) -> int:
        """Attach the `struct st_prog` at address `program`; `file` is (device, inode, offset), `counter` the offset of
        a semaphore in it.  The link's number."""
        what = _Attach(program, kind, number, pid, cpu, period, *file, path, (c_uint8 * 16)(*code), cookie, counter)
        link = int(self._library.st_tracer_attach(self._address, byref(what)))
        if link < 0:
            raise OSError(-link, os.strerror(-link))
        return link

    def detach(self, link: int) -> None:
        """The program does not run any more when this returns."""
        self._library.st_tracer_detach(self._address, link)

    def start(self, path: bytes, argv: Sequence[bytes], environment: Mapping[bytes, bytes]) -> int:
        """Start a command, held before its first instruction until `run()`.  Its pid.  Raises `OSError`."""
        arguments = _strings(argv)
        variables = _strings([name + b"=" + value for name, value in environment.items()])
        self._kept = (path, arguments, variables)
        pid = int(self._library.st_tracer_start(self._address, path, arguments, variables))
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid

    def follow(self, pid: int) -> None:
        """Attach to a process that is there, instead of `start()`.  Raises `OSError` (ESRCH, EPERM)."""
        result = int(self._library.st_tracer_follow(self._address, pid))
        if result < 0:
            raise OSError(-result, os.strerror(-result))

    def run(self) -> Report:
        """Trace until there is something to report."""
        return Report(self._library.st_tracer_run(self._address))

    def close(self) -> None:
        """Kill all that is traced, or leave the process that was followed.  `run()` reports DONE when that is done."""
        self._library.st_tracer_close(self._address)

    def destroy(self) -> None:
        """Free it; not while a thread is in `run()`."""
        address, self._address = self._address, None
        if address:
            self._library.st_tracer_destroy(address)

    @property
    def status(self) -> int:
        """The command's, as of waitpid(2), once EXITED was reported."""
        return int(self._library.st_tracer_status(self._address))

    @property
    def error(self) -> int:
        """The errno of EXEC_FAILED."""
        return int(self._library.st_tracer_error(self._address))

    @property
    def counts(self) -> tuple[int, int]:
        """(how often tasks stopped, how often programs ran)"""
        stops, events = c_uint64(), c_uint64()
        self._library.st_tracer_counts(self._address, byref(stops), byref(events))
        return stops.value, events.value
