"""From the name that a script gives ("c", "pthread", "./a.out", "bash") to a file."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from stingless.errors import UnknownNameError


def _directories() -> Iterator[Path]:
    yield from (Path(p) for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p)
    triple = f"{os.uname().machine}-linux-gnu"
    for base in ("/usr/local/lib", "/lib", "/usr/lib"):
        yield Path(base) / triple
        yield Path(base + "64")
        yield Path(base)


def _is_elf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def resolve_binary(name: str) -> Path:
    """A path with a slash is taken as it is; else a library `libNAME.so*` or of that very name ("libc.so.6", "c.so.6"),
    else a program in PATH.

    Raises `UnknownNameError`.
    """
    if "/" in name:
        # What is below /proc/PID/root may be in another mount namespace, where its links lead elsewhere.
        path = Path(name) if name.startswith("/proc/") and "/root/" in name else Path(name).resolve()
        if _is_elf(path):
            return path
        what = "is not an ELF file" if path.exists() else "does not exist"
        raise UnknownNameError("program or library", name, advice=f"{path} {what}")
    own = rf"(lib)?{re.escape(name)}" if ".so" in name else rf"lib{re.escape(name)}\.so(\.[\d.]+)?"
    pattern = re.compile(own + "$")
    known = []
    for directory in _directories():
        if not directory.is_dir():
            continue
        files = sorted(p for p in directory.iterdir() if p.name.startswith("lib") and ".so" in p.name)
        for path in files:
            if pattern.match(path.name) and _is_elf(path):
                return path.resolve()
        known += [p.name[3:].split(".so")[0] for p in files]
    # A script of that name may come first.
    for part in os.get_exec_path():
        found = shutil.which(name, path=part)
        if found and _is_elf(Path(found)):
            return Path(found).resolve()
    raise UnknownNameError("library or program", name, known)
