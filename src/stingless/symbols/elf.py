"""Symbols of an ELF program or library: name to offset in the file, which is what a uprobe wants."""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

from stingless.errors import ObjectError, UnknownNameError

_SHT_SYMTAB, _SHT_DYNSYM, _PT_LOAD, _STT_FUNC, _STT_IFUNC = 2, 11, 1, 2, 10


@lru_cache(maxsize=16)
def function_offsets(path: str) -> dict[str, int]:
    """Functions of an ELF file and their offsets in it (bytes).  Raises `ObjectError` for a malformed file."""
    data = Path(path).read_bytes()
    try:
        return _functions(data)
    except (struct.error, IndexError, OverflowError) as error:
        raise ObjectError(f"{path} is not a well-formed ELF file: {error}") from None


def _functions(data: bytes) -> dict[str, int]:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ObjectError("not a 64-bit little-endian ELF file")
    phoff, shoff = struct.unpack_from("<QQ", data, 32)
    phentsize, phnum, shentsize, shnum = struct.unpack_from("<HHHH", data, 54)
    loads = []
    for i in range(phnum):
        kind, _, offset, vaddr, _, filesz = struct.unpack_from("<IIQQQQ", data, phoff + i * phentsize)
        if kind == _PT_LOAD:
            loads.append((vaddr, filesz, offset))
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shentsize) for i in range(shnum)]
    found: dict[str, int] = {}
    for _, kind, _, _, offset, size, link, *_ in heads:
        if kind not in (_SHT_SYMTAB, _SHT_DYNSYM) or link >= len(heads):
            continue
        strings = data[heads[link][4] : heads[link][4] + heads[link][5]]
        for name, info, _, shndx, value, _ in struct.iter_unpack("<IBBHQQ", data[offset : offset + size // 24 * 24]):
            if info & 15 not in (_STT_FUNC, _STT_IFUNC) or not shndx:
                continue
            spot = next((value - v + o for v, n, o in loads if v <= value < v + n), None)
            if spot is not None:
                found[strings[name : strings.find(b"\0", name)].decode("utf-8", "replace")] = spot
    return found


def function_offset(path: str, name: str) -> int:
    """Offset in the file of a function.  Raises `UnknownNameError` naming the nearest ones."""
    offsets = function_offsets(path)
    if name not in offsets:
        raise UnknownNameError(f"function in {path}", name, offsets)
    return offsets[name]
