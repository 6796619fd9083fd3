"""Functions of a program or library by name, and where they are in the file, which is what a uprobe wants."""

from __future__ import annotations

from stingless.errors import UnknownNameError
from stingless.symbols.binary import binary


def function_offsets(path: str) -> dict[str, int]:
    """Functions of an ELF file and their offsets in it (bytes).  Raises `ObjectError` for a malformed one."""
    file = binary(path)
    found = {}
    for name, start, _ in file.functions:
        offset = file.offset_of(start)
        if offset is not None:
            found[name.decode("utf-8", "surrogateescape")] = offset
    return found


def function_offset(path: str, name: str) -> int:
    """Offset in the file of a function.  Raises `UnknownNameError` naming the nearest ones."""
    file = binary(path)
    encoded = name.encode("utf-8", "surrogateescape")
    # Functions written in assembly may have no type.
    for table in (file.functions, file.symbols):
        for symbol in table.named(encoded):
            offset = file.offset_of(symbol.start)
            if offset is not None:
                return offset
    raise UnknownNameError(f"function in {path}", name, function_offsets(path))
