"""Many packets in one call of the embedded kernel's runtime, and one packet again and again: `struct st_batch`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import Structure, byref, c_uint32, c_uint64, c_void_p

from stingless._sys.runtime import Program, library
from stingless.frozen import frozen


class _Batch(Structure):
    _fields_ = (
        ("prog", c_void_p),
        ("frames", c_void_p),
        ("ends", c_void_p),
        ("count", c_uint64),
        ("buffer", c_void_p),
        ("buffer_size", c_uint64),
        ("headroom", c_uint32),
        ("pull", c_uint32),
        ("ifindex", c_uint32),
        ("fault", c_uint32),
        ("verdicts", c_void_p),
        ("after", c_void_p),
        ("room", c_uint64),
        ("after_ends", c_void_p),
        ("done", c_uint64),
        ("used", c_uint64),
        ("base", c_uint64),
        ("duration", c_uint64),
    )


@frozen
class BatchResult:
    """`verdicts`: 32 bits each, `ends` 64: where each packet ends in `data`."""

    verdicts: bytes
    data: bytes
    ends: bytes
    duration: int


class Batch:
    """`ends`: 64 bits each, where each frame ends in `frames`.  Each lies `headroom` bytes into a buffer of `room`."""

    def __init__(
        self, program: Program, frames: bytes, ends: bytes, *, headroom: int, room: int, pull: int, ifindex: int
    ) -> None:
        self._run = library().st_run_batch
        self._run.restype, self._run.argtypes = c_uint64, [c_void_p]
        self._program = program
        count = len(ends) // 8
        self._buffer = ctypes.create_string_buffer(room)
        self._verdicts = ctypes.create_string_buffer(4 * count)
        self._frames, self._ends = (
            ctypes.create_string_buffer(frames, len(frames)),
            ctypes.create_string_buffer(ends, len(ends)),
        )
        self._struct = _Batch(
            program.address,
            ctypes.addressof(self._frames),
            ctypes.addressof(self._ends),
            count,
            ctypes.addressof(self._buffer),
            room,
            headroom,
            pull,
            ifindex,
            0,
            ctypes.addressof(self._verdicts),
        )

    def run(self, *, keep: bool) -> BatchResult:
        """With `keep`, `data` is what the program made of the packets."""
        found = self._struct
        ends, after = ctypes.create_string_buffer(8 * found.count), None
        parts: list[bytes] = []
        found.done = found.duration = found.base = 0
        if keep:
            found.after_ends, found.room = ctypes.addressof(ends), len(self._frames) + len(self._buffer)
            after = ctypes.create_string_buffer(found.room)
            found.after = ctypes.addressof(after)
        while found.done < found.count:
            found.used = 0
            self._run(byref(found))
            self._program.check(found.fault)
            if after is not None:
                parts.append(ctypes.string_at(after, found.used))
                found.base += found.used
        found.after = None
        return BatchResult(self._verdicts.raw, b"".join(parts), ends.raw, found.duration)

    def repeated(self) -> Callable[[], int]:
        """A function that runs the frames anew and returns the last verdict; nothing is kept."""
        found, run, address = self._struct, self._run, ctypes.addressof(self._struct)
        found.after = None

        def call() -> int:
            found.done = 0
            verdict: int = run(address)
            if found.fault:
                self._program.check(found.fault)  # and so this object lives as long as the function
            return verdict

        return call
