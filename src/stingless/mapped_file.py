"""Large files of the kernel's that are only read here and there."""

from __future__ import annotations

import os
from pathlib import Path


def file_bytes(path: str | os.PathLike[str]) -> bytes:
    """The file's bytes, mapped where the system can (then slices, `find` and `len` are all that works), else read.
    Raises `OSError`.  Only for files that do not change: what is cut off a mapped file, nobody can read and live."""
    try:
        from stingless._sys.mapped_file import map_file

        return map_file(os.fspath(path))
    except (ImportError, OSError):
        return Path(path).read_bytes()
