"""The parts of an ELF file that names of code come from: its segments, sections and notes.

Only what is asked for is read.  32 and 64 bits, little-endian.  Source: elf(5).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from stingless.errors import ObjectError

ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_NOTE = 1, 4
PF_X = 1
SHT_SYMTAB, SHT_NOTE, SHT_NOBITS, SHT_DYNSYM = 2, 7, 8, 11
NT_GNU_BUILD_ID = 3
_LARGEST = 1 << 31  # bytes of one part; more is a damaged file
_PAGE = 4096


class Segment(NamedTuple):
    """A PT_LOAD header: `address` in memory (before the load bias), `offset` in the file, sizes in bytes."""

    address: int
    offset: int
    file_size: int
    memory_size: int
    flags: int


class Section(NamedTuple):
    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int


class Note(NamedTuple):
    owner: bytes
    kind: int
    content: bytes


class ElfFile:
    """Raises `ObjectError` for what is malformed, when that part is looked at."""

    def __init__(self, file: BinaryIO | io.RawIOBase) -> None:
        self._file = file
        head = self.read(0, 64, short=True)
        if head[:4] != b"\x7fELF" or len(head) < 52 or head[4] not in (1, 2) or head[5] != 1:
            raise ObjectError("not a little-endian ELF file")
        self.wide = head[4] == 2
        if self.wide and len(head) < 64:
            raise ObjectError("not a well-formed ELF file: its header is cut off")
        form = "<HHIQQQIHHHHHH" if self.wide else "<HHIIIIIHHHHHH"
        fields = struct.unpack_from(form, head, 16)
        self.type: int = fields[0]
        self.machine: int = fields[1]
        self._phoff, self._shoff = fields[4], fields[5]
        self._phentsize, self._phnum, self._shentsize, self._shnum, self._shstrndx = fields[8:13]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Raises `OSError`, `ObjectError`."""
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115
        try:
            return cls(file)
        except BaseException as error:
            file.close()
            if isinstance(error, ObjectError):
                raise ObjectError(f"{os.fspath(path)}: {error}") from None
            raise

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(io.BytesIO(content))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, offset: int, size: int, short: bool = False) -> bytes:
        """`size` bytes of the file; fewer only with `short`."""
        if size > _LARGEST or offset >= 1 << 63:
            raise ObjectError(f"not a well-formed ELF file: a part of {size} bytes at {offset:#x}")
        self._file.seek(offset)
        parts: list[bytes] = []
        left = size
        while left > 0 and (part := self._file.read(left)):
            parts.append(part)
            left -= len(part)
        if left > 0 and not short:
            raise ObjectError(f"not a well-formed ELF file: it ends before {offset + size:#x}")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _table(self, offset: int, entry_size: int, count: int, smallest: int) -> Iterator[bytes]:
        if not count:
            return
        if entry_size < smallest:
            raise ObjectError(f"not a well-formed ELF file: entries of {entry_size} bytes")
        data = self.read(offset, entry_size * count)
        for i in range(count):
            yield data[i * entry_size : (i + 1) * entry_size]

    @cached_property
    def _program_headers(self) -> list[tuple[int, Segment]]:
        found = []
        for entry in self._table(self._phoff, self._phentsize, self._phnum, 56 if self.wide else 32):
            if self.wide:
                kind, flags, offset, address, _, filesz, memsz = struct.unpack_from("<IIQQQQQ", entry)
            else:
                kind, offset, address, _, filesz, memsz, flags = struct.unpack_from("<IIIIIII", entry)
            found.append((kind, Segment(address, offset, filesz, memsz, flags)))
        return found

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """What is loaded."""
        return tuple(segment for kind, segment in self._program_headers if kind == PT_LOAD)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        form = struct.Struct("<IIQQQQI" if self.wide else "<IIIIIII")
        heads = [
            form.unpack_from(entry)
            for entry in self._table(self._shoff, self._shentsize, self._shnum, 64 if self.wide else 40)
        ]
        names = b""
        if self._shstrndx < len(heads):
            _, kind, _, _, offset, size, _ = heads[self._shstrndx]
            names = b"" if kind == SHT_NOBITS else self.read(offset, size)
        return tuple(Section(_string(names, head[0]), *head[1:]) for head in heads)

    def section(self, name: str) -> Section | None:
        return next((each for each in self.sections if each.name == name), None)

    def content(self, section: Section) -> bytes:
        return b"" if section.kind == SHT_NOBITS else self.read(section.offset, section.size)

    def notes(self, section: Section) -> Iterator[Note]:
        return _notes(self.content(section))

    @cached_property
    def build_id(self) -> bytes:
        """b"" when there is none."""
        for kind, segment in self._program_headers:
            if kind == PT_NOTE:
                for note in _notes(self.read(segment.offset, segment.file_size)):
                    if note.owner == b"GNU\0" and note.kind == NT_GNU_BUILD_ID:
                        return note.content
        # A file of debug information has no content in its segments.
        section = self.section(".note.gnu.build-id")
        notes = self.notes(section) if section else ()
        return next((note.content for note in notes if note.kind == NT_GNU_BUILD_ID), b"")

    # Addresses and offsets

    def offset_of(self, address: int) -> int | None:
        """Where an address (as the file has it) is in the file."""
        for each in self.segments:
            if each.address <= address < each.address + each.file_size:
                return address - each.address + each.offset
        return None

    def address_of(self, offset: int) -> int | None:
        """The inverse.  Memory is mapped in whole pages, so that a page may belong to two segments: code goes first."""
        for each in sorted(self.segments, key=lambda segment: not segment.flags & PF_X):
            if each.offset <= offset < each.offset + each.file_size:
                return offset - each.offset + each.address
        for each in sorted(self.segments, key=lambda segment: not segment.flags & PF_X):
            if each.offset & -_PAGE <= offset < (each.offset + each.file_size + _PAGE - 1) & -_PAGE:
                return offset - each.offset + each.address
        return None


def _string(strings: bytes, at: int) -> str:
    return strings[at : strings.find(b"\0", at)].decode("utf-8", "replace")


def _notes(data: bytes) -> Iterator[Note]:
    at = 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("<III", data, at)
        start = at + 12 + (name_size + 3 & ~3)
        yield Note(data[at + 12 : at + 12 + name_size], kind, data[start : start + size])
        at = start + (size + 3 & ~3)
