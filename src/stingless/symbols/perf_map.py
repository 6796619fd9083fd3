"""Symbols of code made at run time (Java, Node.js, Python), which its process writes to /tmp/perf-PID.map.

A line is "START SIZE NAME", the numbers hexadecimal.  Source: tools/perf/Documentation/jit-interface.txt.
"""

from __future__ import annotations

import re
from pathlib import Path

from stingless.symbols.table import SymbolTable

_LINE = re.compile(rb"^(?:0x)?([0-9a-f]{1,16})[ \t]+(?:0x)?([0-9a-f]{1,16})[ \t]+(\S.*)$", re.MULTILINE | re.IGNORECASE)


def places(pid: int) -> tuple[tuple[str, str], ...]:
    """Where the map may be, as (name, path): in the process's own view, and in ours, in this order."""
    own = f"/tmp/perf-{_own_number(pid)}.map"
    return (own, f"/proc/{pid}/root{own}"), (f"/tmp/perf-{pid}.map", f"/tmp/perf-{pid}.map")


def _own_number(pid: int) -> int:
    """The process's number in its own PID namespace."""
    try:
        with Path(f"/proc/{pid}/status").open() as lines:
            for line in lines:
                if line.startswith("NStgid:"):
                    return int(line.split()[-1])
    except OSError:
        pass
    return pid


def stamp(path: str) -> tuple[int, ...]:
    """Raises `OSError`."""
    status = Path(path).stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def parse(content: bytes) -> SymbolTable:
    """Later lines, for code that took the place of other code, are the ones that count."""
    import numpy as np

    starts, sizes, names, texts, at = [], [], [], [], 0
    for line in _LINE.finditer(content):
        starts.append(int(line[1], 16))
        sizes.append(int(line[2], 16))
        names.append(at)
        texts.append(line[3])
        at += len(line[3]) + 1
    order = np.argsort(np.array(starts, np.uint64), kind="stable")
    columns = (np.array(starts, np.uint64)[order], np.array(sizes, np.uint64)[order], np.array(names, np.uint32)[order])
    return SymbolTable(*columns, b"\0".join(texts) + b"\0")


def read(path: str) -> SymbolTable:
    """Raises `OSError`."""
    return parse(Path(path).read_bytes())
