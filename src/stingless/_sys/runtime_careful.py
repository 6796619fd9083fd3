"""Watched runs of the embedded kernel's interpreter: `struct st_careful` of embedded/runtime/careful.h."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import Structure, c_uint32, c_uint64, c_void_p

from stingless._sys.runtime import Program, Ring

HelperFunction = Callable[[int, int, int, int, int], int]
_HELPER = ctypes.CFUNCTYPE(c_uint64, c_void_p, c_uint64, c_uint64, c_uint64, c_uint64, c_uint64)
STEP_SIZE = 8 + 4 + 4 + 11 * 8
"""Of `struct st_step`: the address of the program, instruction, depth, eleven registers."""


class _Careful(Structure):
    _fields_ = (
        ("budget", c_uint64),
        ("checked", c_uint32),
        ("helper_count", c_uint32),
        ("helpers", c_void_p),
        ("memory", c_void_p),
        ("memory_size", c_uint64),
        ("records", c_void_p),
        ("room", c_uint64),
        ("made", c_uint64),
        ("fault_prog", c_void_p),
        ("fault_address", c_uint64),
        ("fault_insn", c_uint32),
    )


class Careful:
    """How runs are watched; `attach()` it to a program, all of whose runs are watched from then on."""

    def __init__(self, *, checked: bool, budget: int, room: int = 0) -> None:
        self._struct = _Careful(budget, int(checked))
        self._records = ctypes.create_string_buffer(room * STEP_SIZE) if room else None
        if self._records is not None:
            self._struct.records, self._struct.room = ctypes.addressof(self._records), room
        self._helpers: list[object] = []
        self._budget = budget
        self.error: BaseException | None = None
        """What a Python helper raised."""

    def attach(self, program: Program) -> None:
        program.watch(self, ctypes.addressof(self._struct))

    def use_helpers(self, helpers: Mapping[int, HelperFunction]) -> None:
        """Have programs call these Python functions, by number, and no others."""
        count = max(helpers, default=-1) + 1
        table = (c_void_p * max(count, 1))()
        for number, function in helpers.items():
            wrapped = _HELPER(self._guarded(function))
            self._helpers.append(wrapped)
            table[number] = ctypes.cast(wrapped, c_void_p).value
        self._helpers.append(table)
        self._struct.helpers, self._struct.helper_count = ctypes.addressof(table), count

    def _guarded(self, function: HelperFunction) -> Callable[..., int]:
        def call(_: int, a: int, b: int, c: int, d: int, e: int) -> int:
            try:
                return function(a, b, c, d, e) & (1 << 64) - 1
            except BaseException as error:  # there is no way up through C: the run ends, and its caller raises it
                self.error = self.error or error
                self._struct.budget = 0
                return 0

        return call

    def raise_error(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            self._struct.budget = self._budget
            raise error

    @property
    def records(self) -> bytes:
        """The steps made so far, those that there was room for."""
        if self._records is None:
            return b""
        return ctypes.string_at(self._records, min(self._struct.made, self._struct.room) * STEP_SIZE)

    @property
    def made(self) -> int:
        """How many instructions were executed."""
        return int(self._struct.made)

    @property
    def fault(self) -> tuple[int, int, int]:
        """Of the last run that had one: the address of the program, the instruction, the address that it used."""
        found = self._struct
        return found.fault_prog or 0, found.fault_insn, found.fault_address


class RawProgram:
    """Instructions that run on a piece of memory: R1 has its address, R2 its size."""

    def __init__(self, code: bytes, careful: Careful) -> None:
        self._program = Program(code, 0, Ring(0), [])
        self._careful = careful
        careful.attach(self._program)

    def run(self, memory: bytearray) -> int:
        """R0.  `memory` shows what the program writes.  Raises `ProgramFault`, and what a helper raised."""
        found = self._careful._struct
        held = (ctypes.c_uint8 * len(memory)).from_buffer(memory) if memory else None
        found.memory, found.memory_size = ctypes.addressof(held) if held else None, len(memory)
        found.made = 0
        try:
            return self._program.run_at(found.memory or 0)
        finally:
            found.memory, found.memory_size = None, 0
            self._careful.raise_error()
