"""BTF in files: as it is, or as the section `.BTF` of an ELF file of any machine (an object, a kernel, a module)."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from stingless.btf.types import Btf
from stingless.errors import ObjectError

_ELF = b"\x7fELF"
# Of ELF64 and ELF32: where the file header has e_shoff; e_shentsize, e_shnum and e_shstrndx; and a section header's
# form: name, type, flags, addr, offset, size, link.
_CLASSES = {2: ("Q", 40, 58, "IIQQQQI"), 1: ("I", 32, 46, "IIIIIII")}
_SHT_NOBITS = 8
_SHF_COMPRESSED = 1 << 11


def read_btf(path: str | os.PathLike[str], base: Btf | None = None) -> Btf:
    """The file's types; `base` for a module's.  Raises `OSError`, `ObjectError`."""
    data = Path(path).read_bytes()
    try:
        if data[:4] == _ELF:
            found = elf_section(data, b".BTF")
            if found is None:
                raise ObjectError("it has no section .BTF: compile it with -g, or name another file")
            data = found
        return Btf(data, base)
    except ObjectError as error:
        raise ObjectError(f"{os.fspath(path)}: {error}") from None


def elf_section(data: bytes, name: bytes) -> bytes | None:
    """The first section of that name.  Raises `ObjectError` for a damaged file."""
    try:
        form, offset_at, counts_at, header_form = _CLASSES[data[4]]
        order = {1: "<", 2: ">"}[data[5]]
        (table,) = struct.unpack_from(order + form, data, offset_at)
        entry, count, names_index = struct.unpack_from(order + "HHH", data, counts_at)
        header = struct.Struct(order + header_form)

        def section(index: int) -> tuple[int, ...]:
            found: tuple[int, ...] = header.unpack_from(data, table + index * entry)
            return found

        if not count and table:  # more than 65280: the number is in the first header
            count = section(0)[5]
        if names_index == 0xFFFF:
            names_index = section(0)[6]
        if count and (entry < header.size or count * entry > len(data)):
            raise ObjectError(
                f"the ELF file says that it has {count} sections, which its {len(data)} bytes do not hold"
            )
        names_at = section(names_index)[4] if count else 0
        for index in range(count):
            name_off, kind, flags, _, offset, size, _ = section(index)
            if data[names_at + name_off : names_at + name_off + len(name) + 1] == name + b"\0":
                if flags & _SHF_COMPRESSED or kind == _SHT_NOBITS:
                    raise ObjectError(f"the ELF section {name.decode()} is compressed or has no bytes")
                if offset + size > len(data):
                    raise ObjectError(f"the ELF section {name.decode()} lies outside of the file: it is truncated")
                return data[offset : offset + size]
    except (struct.error, KeyError, IndexError, OverflowError) as error:
        raise ObjectError(f"the ELF file is damaged or truncated ({len(data)} bytes): {error}") from None
    return None
