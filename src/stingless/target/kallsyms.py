"""Addresses of the kernel's symbols: /proc/kallsyms, read as a stream for the names that are wanted."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from io import FileIO
from pathlib import Path

from stingless.errors import NotSupportedError, PrivilegeError

PATH = Path("/proc/kallsyms")
_CHUNK = 1 << 20


def addresses(names: Collection[str], path: Path = PATH) -> dict[str, tuple[int, ...]]:
    """The addresses of each name that is there; more than one where several symbols share it.

    Raises `PrivilegeError` when the kernel shows zeros to this process, `NotSupportedError` without CONFIG_KALLSYMS.
    """
    found: dict[str, set[int]] = {}
    shown = False
    try:
        with path.open("rb", buffering=0) as file:
            for lines in _pieces(file):
                shown = shown or not lines.startswith(b"0000000000000000 ")
                for name in names:
                    for address in _in(lines, name.encode()):
                        found.setdefault(name, set()).add(address)
    except FileNotFoundError:
        raise NotSupportedError("addresses of kernel symbols", "CONFIG_KALLSYMS", f"{path} does not exist") from None
    if found and not shown:
        try:
            setting = Path("/proc/sys/kernel/kptr_restrict").read_text().strip()
        except OSError:
            setting = "not readable"
        raise PrivilegeError(
            f"the addresses of {', '.join(sorted(found))} are hidden from this process: {path} shows zeros "
            f"(kernel.kptr_restrict is {setting}); run as root, with kernel.kptr_restrict below 2",
            errno.EPERM,
        )
    return {name: tuple(sorted(all_of)) for name, all_of in found.items()}


def has_symbol(name: str, path: Path = PATH) -> bool:
    """Whether the kernel has a symbol of that name; ordinary users may ask too."""
    try:
        with path.open("rb", buffering=0) as file:
            return any(_in(lines, name.encode()) for lines in _pieces(file))
    except OSError:
        return False


def _pieces(file: FileIO) -> Iterator[bytes]:
    """The file in pieces of whole lines."""
    rest = b""
    while chunk := file.read(_CHUNK):
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield whole + newline


def _in(lines: bytes, name: bytes) -> list[int]:
    """Addresses of the lines "ADDRESS TYPE NAME[.llvm.123][\tMODULE]" of that name."""
    found = []
    at = lines.find(b" " + name)
    while at >= 0:
        end = at + 1 + len(name)
        # With LTO, clang adds ".llvm." and a number to local symbols.
        if lines[end : end + 1] in (b"\n", b"\t") or lines.startswith(b".llvm.", end):
            start = lines.rfind(b"\n", 0, at) + 1
            found.append(int(lines[start : lines.index(b" ", start)], 16))
        at = lines.find(b" " + name, end)
    return found
