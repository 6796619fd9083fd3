"""When programs get machine code.

The interpreter runs a program first.  Once it has run often, a background thread makes machine code of it, quickly
(level 0) and then well (level 2); each is swapped in while the program runs.  `compile()` does that at once.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from contextlib import suppress
from functools import cache

from stingless._gen.uapi import MapType
from stingless._sys import runtime, runtime_machine
from stingless.embedded.jit.emit import CannotTranslate, Surroundings, module
from stingless.embedded.jit.machine import MachineCode, inlines
from stingless.errors import NotSupportedError

_LOOKUPS = {
    MapType.ARRAY: "st_lookup_array",
    MapType.PERCPU_ARRAY: "st_lookup_array",
    MapType.HASH: "st_lookup_hash",
    MapType.PERCPU_HASH: "st_lookup_hash",
    MapType.LRU_HASH: "st_lookup_lru_hash",
    MapType.LRU_PERCPU_HASH: "st_lookup_lru_hash",
}


class Tiers:
    """The machine code of one program: none at first, and better with time.  `wait()` for it."""

    def __init__(self, program: runtime.Program) -> None:
        self.program = weakref.ref(program)
        self.level: int | None = None
        """Of the code that runs now: 0 or 2; None: the interpreter."""
        self.refusal: Exception | None = None
        """Why there is no machine code of it, after it was tried."""
        self.code: MachineCode | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()

    @property
    def machine_code(self) -> bytes:
        """The instructions of the code that runs now."""
        return self.code.text() if self.code is not None else b""

    def compile(self, level: int = 2) -> None:
        """Make machine code at `level` and swap it in.  Raises `NotSupportedError` without llvmlite, and
        `CannotTranslate` for an instruction that only the interpreter has."""
        with self._lock:
            program = self.program()
            if program is None or (self.level is not None and self.level >= level):
                return
            try:
                code = translate(program, level)
            except (NotSupportedError, CannotTranslate) as refusal:
                self.refusal = refusal
                self._done.set()
                raise
            runtime_machine.install(program, code.address, code)
            self.code, self.level = code, level
            if level == 2:
                self._done.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Start to make machine code of level 2 in the background if that is not under way, and wait for it.  False
        when there is none: `timeout` passed, or there cannot be any."""
        if not self._done.is_set():
            _worker.add(self)
        return self._done.wait(timeout) and self.level == 2

    def request(self) -> None:
        """Have the background thread make machine code."""
        if not self._done.is_set():
            _worker.add(self)


def translate(program: runtime.Program, level: int) -> MachineCode:
    """Machine code of a program that was verified."""
    ir, linked = module(program.code, _surroundings(program, level))
    return MachineCode(ir, level, linked)


def _surroundings(program: runtime.Program, level: int) -> Surroundings:
    lookups = {}
    if level and inlines():
        for address in program.map_addresses:
            name = _LOOKUPS.get(MapType(runtime_machine.map_type(address)))
            if name is not None:
                lookups[address] = name, runtime_machine.descriptor(address)
    functions, cpu = runtime_machine.functions(), runtime_machine.CPU_OFFSET
    return Surroundings(runtime_machine.helper, functions, cpu, lookups, program.zero_stack)


class _Worker:
    """One thread for all programs, which ends when there is nothing to do, and when the main thread ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._todo: deque[tuple[int, Tiers]] = deque()
        self._thread: threading.Thread | None = None

    def add(self, tiers: Tiers) -> None:
        with self._lock:
            if any(each is tiers for _, each in self._todo):
                return
            self._todo.extend([(0, tiers), (2, tiers)])
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="stingless-jit")
                self._thread.start()

    def _next(self) -> tuple[int, Tiers] | None:
        with self._lock:
            if not self._todo or not threading.main_thread().is_alive():
                self._thread = None
                return None
            # all of them quickly, then all of them well
            self._todo = deque(sorted(self._todo, key=lambda each: each[0]))
            return self._todo.popleft()

    def _run(self) -> None:
        while (following := self._next()) is not None:
            level, tiers = following
            with suppress(NotSupportedError, CannotTranslate):  # then it is interpreted; `refusal` says why
                tiers.compile(level)


_worker = _Worker()
_hot: weakref.WeakValueDictionary[int, Tiers] = weakref.WeakValueDictionary()


@cache
def _listen() -> None:
    def hot(address: int) -> None:
        tiers = _hot.get(address)
        if tiers is not None:
            tiers.request()

    runtime_machine.when_hot(hot)


def watch(program: runtime.Program) -> Tiers:
    """Machine code for `program` once the interpreter has run it often.  Keep what is returned."""
    _listen()
    tiers = Tiers(program)
    _hot[program.address] = tiers
    return tiers
