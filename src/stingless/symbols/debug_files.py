"""Where else a program's symbols are: files of debug information, and the small table inside of stripped programs.

Looked for in this order: a copy of the program below $BCC_SYMFS; /usr/lib/debug/.build-id (or below
$BCC_DEBUGINFO_ROOT); the file that .gnu_debuglink names, beside the program, in .debug or below /usr/lib/debug; the
section .gnu_debugdata.  Source: GDB's manual, "Debugging Information in Separate Files" and "MiniDebugInfo".
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from stingless.errors import ObjectError
from stingless.symbols.elf_file import ElfFile

_ROOT = "/usr/lib/debug"
_IN_PROCESS = re.compile(r"/proc/\d+/root(?=/)")
_LARGEST = 128 << 20  # bytes that .gnu_debugdata may have when it is unpacked


def debug_file(file: ElfFile, path: str) -> ElfFile | None:
    """The first of them, open; `path` is where the program was found."""
    for candidate in (*_copies(file, path), *_by_build_id(file), *_by_link(file, path)):
        with contextlib.suppress(OSError, ObjectError):
            return ElfFile.open(candidate)
    return _inside(file)


def _copies(file: ElfFile, path: str) -> Iterator[str]:
    root = os.environ.get("BCC_SYMFS")
    if root:
        copy = root + _IN_PROCESS.sub("", path)
        with contextlib.suppress(OSError, ObjectError), ElfFile.open(copy) as other:
            if not file.build_id or other.build_id == file.build_id:
                yield copy


def _by_build_id(file: ElfFile) -> Iterator[str]:
    if len(file.build_id) > 1:
        name = file.build_id.hex()
        yield f"{os.environ.get('BCC_DEBUGINFO_ROOT', _ROOT)}/.build-id/{name[:2]}/{name[2:]}.debug"


def _by_link(file: ElfFile, path: str) -> Iterator[str]:
    section = file.section(".gnu_debuglink")
    if section is None:
        return
    data = file.content(section)
    end = data.find(b"\0")
    if end < 0 or len(data) < (end + 4 & ~3) + 4:
        return
    name = os.fsdecode(data[:end])
    (checksum,) = struct.unpack_from("<I", data, end + 4 & ~3)
    directory, root = Path(path).parent, ""
    if inside := _IN_PROCESS.match(path):
        root = inside[0]
    for candidate in (
        directory / name,
        directory / ".debug" / name,
        Path(f"{root}{_ROOT}{str(directory)[len(root) :]}") / name,
    ):
        with contextlib.suppress(OSError):
            if not candidate.samefile(path) and zlib.crc32(candidate.read_bytes()) == checksum:
                yield str(candidate)


def _inside(file: ElfFile) -> ElfFile | None:
    section = file.section(".gnu_debugdata")
    if section is None:
        return None
    import lzma

    try:
        unpacked = lzma.LZMADecompressor(memlimit=_LARGEST).decompress(file.content(section), _LARGEST)
        return ElfFile.of(unpacked)
    except (lzma.LZMAError, ObjectError, EOFError):
        return None
