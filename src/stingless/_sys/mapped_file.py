"""A file's bytes without copying them, by mmap(2)."""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any, cast

_KEEP_NO_FD: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}


def map_file(path: str) -> bytes:
    """The file as something that can be sliced and searched as bytes can (an `mmap.mmap`, unmapped when nobody has it
    any more).  Raises `OSError`; the kernel's BTF in sysfs can be mapped since Linux 6.16 (commit a539e2a6d51d)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        return cast(bytes, mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ, **_KEEP_NO_FD))
    except ValueError as error:  # empty
        raise OSError(str(error)) from None
    finally:
        os.close(fd)
