"""Objects of a script's programs that were compiled before, so that the script runs where no compiler is.

`stingless build SCRIPT -o DIR` fills a directory, and where $STINGLESS_OBJECTS names it (as `stingless run --objects
DIR` does), `BPF()` takes its objects from there, by the text and the flags that the script gives.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stingless.errors import NotSupportedError

VARIABLE = "STINGLESS_OBJECTS"


def file_name(text: str, cflags: Sequence[str]) -> str:
    """The name of an object's file: a hash of what it was made from."""
    from hashlib import sha256

    state = sha256()
    for part in (text, *cflags):
        encoded = part.encode("utf-8", "surrogateescape")
        state.update(len(encoded).to_bytes(8, "little") + encoded)
    return f"{state.hexdigest()[:32]}.bpf.o"


def find(text: str, cflags: Sequence[str]) -> bytes | None:
    """The object saved for that text, if there is one."""
    directory = os.environ.get(VARIABLE)
    path = Path(directory, file_name(text, cflags)) if directory else None
    return path.read_bytes() if path and path.is_file() else None


def not_there(error: NotSupportedError) -> NotSupportedError:
    """The error of a machine without a compiler, saying that the object was looked for too."""
    directory = os.environ.get(VARIABLE)
    if not directory:
        return error
    count = sum(1 for _ in Path(directory).glob("*.bpf.o"))
    advice = (
        f"{directory} ({VARIABLE}) has {count} objects, and none is of this text: the script makes another one "
        f"with these arguments or on this kernel; build it with the same arguments (stingless build SCRIPT -o DIR "
        f"-- ARGS), or have a compiler: {error}"
    )
    return NotSupportedError("compiling a program", advice=advice)
