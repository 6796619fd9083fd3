"""What to do about a header that is not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stingless.errors import CompilerMessage
from stingless.frozen import replace

_MISSING = re.compile(r"'(?P<header>[^']+)' file not found")
_KERNEL = ("linux/", "net/", "asm/", "asm-generic/", "trace/", "crypto/", "scsi/", "kernel/", "drivers/")


def with_hints(diagnostics: Sequence[CompilerMessage], directories: Sequence[Path]) -> list[CompilerMessage]:
    """Each message about a missing header, with what to include in its place."""
    hinted = []
    for message in diagnostics:
        missing = _MISSING.search(message.message)
        hint = _hint(missing["header"], directories) if missing else ""
        hinted.append(replace(message, message=f"{message.message}; {hint}") if hint else message)
    return hinted


def _hint(header: str, directories: Sequence[Path]) -> str:
    name = header.removeprefix("uapi/")
    if name != header and any((d / name).is_file() for d in directories):
        return f"here it is <{name}>"
    import difflib

    parent = Path(name).parent
    beside = {f.name for d in directories if (d / parent).is_dir() for f in (d / parent).glob("*.h")}
    near = difflib.get_close_matches(Path(name).name, sorted(beside), n=1, cutoff=0.8)
    if near:
        return f"did you mean <{parent / near[0]}>?"
    if name.startswith(_KERNEL):
        return 'a kernel-internal header is not needed: #include "vmlinux.h" has the kernel\'s types'
    return ""
