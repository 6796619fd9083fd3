"""Symbols of a running process: by address, with the module (the mapped file) that it is in; and by name."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stingless.errors import ObjectError
from stingless.symbols import perf_map
from stingless.symbols.binary import Binary, binary
from stingless.symbols.elf_file import ElfFile
from stingless.symbols.mappings import VDSO, Mapping, file_of, mappings
from stingless.symbols.table import SymbolTable, table_of

_OFTEN = 0.01  # seconds after which the process may be another program
_AGAIN = 0.05  # seconds after which what was not found is looked for in the process once more
_KEPT = 1 << 16  # answers


class Found(NamedTuple):
    """`offset` from the symbol's beginning.  Without a symbol (`name` None): the address as the module's file has it,
    and without a module (None) too, the address itself."""

    name: bytes | None
    offset: int
    module: bytes | None


class Module:
    """A mapped file.  Its symbols are read when one is asked for."""

    def __init__(self, name: str, path: str) -> None:
        self.name = os.fsencode(name)
        self.path = path
        self._binary: Binary | None = None
        try:
            if path != VDSO:
                self._binary = binary(path)
        except (OSError, ObjectError):
            pass  # its name can be told all the same

    def address(self, mapping: Mapping, at: int) -> int:
        """As the file has it."""
        offset = at - mapping.start + mapping.offset
        if self.path == VDSO:
            return at - mapping.start
        if self._binary is None:
            return at
        found = self._binary.address_of(offset)
        return offset if found is None else found

    def functions(self) -> SymbolTable | None:
        try:
            if self.path == VDSO:
                return vdso_functions()
            return self._binary.functions if self._binary is not None else None
        except (OSError, ObjectError):
            return None

    def start_of(self, mapping: Mapping, name: bytes) -> int | None:
        """The address in memory of a function."""
        table = self.functions()
        start = None if table is None else table.address(name)
        if start is None:
            return None
        if self._binary is None:
            return mapping.start + start
        first = self._binary.address_of(mapping.offset)
        return None if first is None else start - first + mapping.start


class ProcessSymbols:
    """The symbols of a process.  One that is not there has none; one that has ended keeps what was read."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._exe_link = Path(f"/proc/{pid}/exe")
        self._exe: tuple[int, int] | None = None
        self._read_at = self._followed_at = 0.0
        self._known: dict[int, Found] = {}
        self._mappings: list[Mapping] = []
        self._starts: list[int] = []
        self._modules: dict[str, Module] = {}
        self._jit: SymbolTable | None = None
        self._jit_name = b""
        self._jit_stamp: tuple[int, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Read what the process has mapped now."""
        self._exe = self._program()
        self._read_at = self._followed_at = time.monotonic()
        self._known.clear()
        try:
            found = mappings(self.pid)
        except OSError:
            return
        if found != self._mappings and (found or not self._mappings):
            self._mappings = found
            self._starts = [mapping.start for mapping in found]
            known, self._modules = self._modules, {}
            for mapping in found:
                if mapping.name not in self._modules:
                    path = file_of(self.pid, mapping)
                    old = known.get(mapping.name)
                    same = old is not None and old.path == path
                    self._modules[mapping.name] = old if old and same else Module(mapping.name, path)
        self._read_jit()

    def _program(self) -> tuple[int, int] | None:
        try:
            status = self._exe_link.stat()
        except OSError:
            return self._exe
        return status.st_dev, status.st_ino

    def _read_jit(self) -> None:
        for name, path in perf_map.places(self.pid):
            try:
                stamp = perf_map.stamp(path)
                if stamp != self._jit_stamp:
                    self._jit = perf_map.read(path)
                    self._jit_name, self._jit_stamp = os.fsencode(name), stamp
                return
            except OSError:
                continue

    def find(self, address: int) -> Found:
        now = time.monotonic()
        if now - self._followed_at > _OFTEN:
            self._follow(now)
        found = self._known.get(address)
        if found is None:
            found = self._find(address)
            if found.name is None and found.module in (None, self._jit_name):
                # Code that came since.
                if not self._follow(now):
                    if now - self._read_at < _AGAIN:
                        return found
                    self.refresh()
                return self._find(address)
            if len(self._known) < _KEPT:
                self._known[address] = found
        return found

    def _follow(self, now: float) -> bool:
        """Whether the process has become another program, which was read then."""
        self._followed_at = now
        if self._program() == self._exe:
            return False
        self._modules.clear()
        self._mappings.clear()
        self._jit, self._jit_stamp = None, ()
        self.refresh()
        return True

    def _find(self, address: int) -> Found:
        missed = None
        at = bisect_right(self._starts, address) - 1
        if at >= 0 and address < self._mappings[at].end:
            mapping = self._mappings[at]
            module = self._modules[mapping.name]
            inside = module.address(mapping, address)
            table = module.functions()
            if table is not None and (symbol := table.find(inside)):
                return Found(symbol.name, inside - symbol.start, module.name)
            missed = Found(None, inside, module.name)
        if self._jit is not None:
            if symbol := self._jit.find(address):
                return Found(symbol.name, address - symbol.start, self._jit_name)
            missed = missed or Found(None, address, self._jit_name)
        return missed or Found(None, address, None)

    def address(self, module: bytes, name: bytes) -> int | None:
        """Where a function of a module (its path as `Found` has it) is in memory."""
        wanted = os.fsdecode(module)
        if module == self._jit_name and self._jit is not None:
            return self._jit.address(name)
        for mapping in self._mappings:
            if mapping.name == wanted:
                return self._modules[wanted].start_of(mapping, name)
        return None


@cache
def vdso_functions() -> SymbolTable | None:
    """Those of the kernel's own page of code for user space, the same in all processes."""
    own = os.getpid()
    for mapping in mappings(own):
        if mapping.name == VDSO:
            with Path("/proc/self/mem").open("rb", buffering=0) as memory:
                memory.seek(mapping.start)
                return table_of([ElfFile.of(memory.read(mapping.end - mapping.start))])
    return None
