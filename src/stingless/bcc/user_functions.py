"""Programs and libraries, their functions, and the addresses that bcc names places in them by."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from stingless.errors import AttachError


def binary_of(name: str, pid: int = -1) -> str:
    """The file that is meant: a path, a library without "lib" ("c"), or a program in $PATH; with `pid`, the one that
    this process uses.  Raises `UnknownNameError`."""
    from stingless.symbols.libraries import resolve_binary

    if pid > 0:
        if "/" not in name:
            name = _mapped(name, pid) or name
        if name.startswith("/") and _elsewhere(pid):
            seen = f"/proc/{pid}/root{name}"
            name = seen if Path(seen).exists() else name
    return str(resolve_binary(name))


def _mapped(name: str, pid: int) -> str | None:
    """The library of that name that a process has mapped."""
    library = re.compile(rf"/(lib)?{re.escape(name)}[^/]*\.so[^/]*$")
    try:
        with Path(f"/proc/{pid}/maps").open() as lines:
            paths = (line.split(None, 5)[-1].strip() for line in lines)
            # "c" is libc.so.6 or libc-2.31.so, not libcrypto.so.
            exact = (path for path in paths if (m := library.search(path)) and _is_library(m[0], name))
            return next(exact, None)
    except OSError:
        return None


def _is_library(found: str, name: str) -> bool:
    rest = found.lstrip("/").removeprefix("lib").removeprefix(name)
    return name.startswith("lib") or rest.startswith((".", "-"))


def _elsewhere(pid: int) -> bool:
    """Whether a process has another mount namespace."""
    try:
        return Path(f"/proc/{pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
    except OSError:
        return False


def offset_of(path: str, address: int) -> int:
    """Where in the file an address is, as the file's symbols have it.  Raises `AttachError`, `ObjectError`."""
    from stingless.symbols.binary import binary

    offset = binary(path).offset_of(address)
    if offset is None:
        what = f"could not determine the place of address {address:#x} in {path}"
        raise AttachError(f"{what}: it is in no part of it", 22)
    return offset


def functions_and_addresses(name: str, sym_re: bytes) -> Iterator[tuple[bytes, int]]:
    """Functions whose names match from their start."""
    from stingless.symbols.binary import binary

    matches = re.compile(sym_re).match
    seen = set()
    for function, address, _ in binary(binary_of(name)).functions:
        if matches(function) and (function, address) not in seen:
            seen.add((function, address))
            yield function, address


def find_exe(name: bytes) -> bytes | None:
    """A program by its path, or in $PATH."""
    import shutil

    found = shutil.which(os.fsdecode(name))
    return None if found is None else os.fsencode(found)


def find_library(name: str) -> bytes | None:
    """The path of a library, by its name without "lib" and ".so"; None when there is none."""
    from stingless.errors import UnknownNameError
    from stingless.symbols.libraries import resolve_binary

    try:
        path = resolve_binary(name)
    except UnknownNameError:
        return None
    return os.fsencode(path) if "/" in name or ".so" in Path(path).name else None
