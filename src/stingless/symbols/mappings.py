"""What of files a process has mapped to run: the lines of /proc/PID/maps."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

_NO_FILE = ("//anon", "/dev/zero", "/anon_hugepage", "[stack", "/SYSV", "[heap]", "[vsyscall]")
DELETED = " (deleted)"
VDSO = "[vdso]"


class Mapping(NamedTuple):
    """Addresses `start` to `end` show the file from `offset` on.  `name` is the path as the process's own mount
    namespace has it, or a name in brackets."""

    start: int
    end: int
    offset: int
    device: str
    inode: int
    name: str


def mappings(pid: int) -> list[Mapping]:
    """The executable mappings of files and of the kernel's own pages, by address.  Raises `OSError`."""
    return parse(Path(f"/proc/{pid}/maps").read_bytes())


def parse(text: bytes) -> list[Mapping]:
    found = []
    for line in text.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6 or b"x" not in fields[1]:
            continue
        name = os.fsdecode(fields[5])
        if not name.startswith(_NO_FILE):
            start, _, end = fields[0].partition(b"-")
            device = fields[3].decode()
            found.append(Mapping(int(start, 16), int(end, 16), int(fields[2], 16), device, int(fields[4]), name))
    return found


def file_of(pid: int, mapping: Mapping, by_process: bool = False) -> str:
    """Where the mapped file can be opened, also from another mount namespace, and after it was deleted or replaced: its
    own name (not with `by_process`), the process's view of it, or what the kernel keeps of it."""
    if mapping.name.startswith("["):
        return mapping.name
    name = mapping.name.removesuffix(DELETED)
    view = f"/proc/{pid}/root{name}"
    kept = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"  # needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE
    for path in (name, view, kept):
        with contextlib.suppress(OSError):
            status = Path(path).stat()
            device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
            # Some file systems show another device in maps than stat(2) does.
            same = device == mapping.device if path is name else True
            if status.st_ino == mapping.inode and same and not (path is name and by_process):
                return path
    return _opened(pid, mapping.inode) or view


def _opened(pid: int, inode: int) -> str | None:
    """A file without a name (memfd) may still be open in the process."""
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    return str(path)
    return None
