"""A program or library: its symbols, with those of its debug information, and where they are in the file."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections import OrderedDict
from functools import cached_property
from pathlib import Path

from stingless.errors import ObjectError
from stingless.symbols.debug_files import debug_file
from stingless.symbols.elf_file import ET_EXEC, ElfFile
from stingless.symbols.table import FUNCTIONS, NAMED, SymbolTable, table_of

_KEPT = 64


class Binary:
    """Raises `OSError`, `ObjectError`; the tables are read when they are asked for."""

    def __init__(self, path: str, stamp: tuple[int, ...]) -> None:
        self.paths = [path]  # those by way of a process last as long as that does
        self.stamp = stamp
        with ElfFile.open(path) as elf:
            self.segments = elf.segments
            self.fixed = elf.type == ET_EXEC  # its addresses are those of memory
            self.machine = elf.machine
            try:
                self.build_id = elf.build_id
            except ObjectError:
                self.build_id = b""
        self.offset_of = elf.offset_of  # it has its segments, and needs its file no more
        self.address_of = elf.address_of

    @cached_property
    def functions(self) -> SymbolTable:
        return self._table(FUNCTIONS)

    @cached_property
    def symbols(self) -> SymbolTable:
        """Functions, variables, and names without a type."""
        return self._table(NAMED)

    def _table(self, types: frozenset[int]) -> SymbolTable:
        for path in self.paths:
            with contextlib.suppress(OSError):
                if _stamp(path) == self.stamp:
                    return _read(path, types)
        raise FileNotFoundError(errno.ENOENT, "the file is not there any more", self.paths[-1])


def _read(path: str, types: frozenset[int]) -> SymbolTable:
    try:
        with ElfFile.open(path) as elf, contextlib.ExitStack() as stack:
            files = [elf]
            if (more := debug_file(elf, path)) is not None:
                files.append(stack.enter_context(more))
            return table_of(files, types)
    except (struct.error, OverflowError, ObjectError) as error:
        raise ObjectError(f"the symbols of {path} cannot be read: {error}") from None


def _stamp(path: str) -> tuple[int, ...]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


_binaries: OrderedDict[tuple[int, ...], Binary] = OrderedDict()


def binary(path: str | os.PathLike[str]) -> Binary:
    """The file as it is now.  Raises `OSError`, `ObjectError`."""
    name = os.fspath(path)
    stamp = _stamp(name)
    found = _binaries.get(stamp)
    if found is None:
        found = _binaries[stamp] = Binary(name, stamp)
        if len(_binaries) > _KEPT:
            _binaries.popitem(last=False)
    if name not in found.paths:
        found.paths = [*found.paths[-3:], name]
    _binaries.move_to_end(stamp)
    return found
