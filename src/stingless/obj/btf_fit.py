"""An object's `.BTF` made fit for the kernel: what the compiler could not know, and what the kernel does not take.

Source: kernel/bpf/btf.c, btf_datasec_check_meta(), btf_func_check().
"""

from __future__ import annotations

from stingless.btf.types import Btf, Kind
from stingless.errors import ObjectError
from stingless.obj.btf_edit import BtfEdit
from stingless.obj.elf import STB_LOCAL, STT_FUNC, STT_SECTION, Elf
from stingless.obj.spec import ExternSpec
from stingless.obj.undefined import KCONFIG, KSYMS, define_externs

_MAX_SECTION = 1 << 31
_LONGEST_STRING = 1 << 16
_STATIC, _GLOBAL = 0, 1


def open_btf(data: bytes) -> Btf:
    """The object's types.  Raises `ObjectError`."""
    btf = Btf(data)
    if max(map(len, btf.strings().split(b"\0")), default=0) > _LONGEST_STRING:
        raise ObjectError(f"BTF has a string of more than {_LONGEST_STRING} bytes")
    return btf


def fit_for_kernel(btf: Btf, elf: Elf, externs: dict[str, ExternSpec]) -> Btf:
    """The types with sizes and offsets in data sections, externs defined, and hidden functions and variables static,
    so that the verifier takes those for parts of their callers."""
    edit = BtfEdit(btf)
    hidden = {s.name for s in elf.symbols if s.hidden and s.bind != STB_LOCAL}
    places: dict[int, dict[str, int]] = {}
    for symbol in elf.symbols:
        if symbol.type != STT_SECTION:
            places.setdefault(symbol.section, {})[symbol.name] = symbol.value
    for type_id in btf.ids(Kind.DATASEC):
        _complete_section(edit, btf, elf, type_id, places, hidden)
    define_externs(edit, btf, externs)
    if any(s.type == STT_FUNC for s in elf.symbols if s.name in hidden):
        for type_id in btf.ids(Kind.FUNC):
            found = btf.type(type_id)
            if found.name in hidden and found.linkage == _GLOBAL:
                edit.set(type_id, 1, Kind.FUNC << 24 | _STATIC)
    return edit.btf()


def _complete_section(
    edit: BtfEdit, btf: Btf, elf: Elf, type_id: int, places: dict[int, dict[str, int]], hidden: set[str]
) -> None:
    """clang leaves the section's size and the offsets of its global variables 0: only the ELF tables know them."""
    section = btf.type(type_id)
    found = elf.section(section.name)
    if found is None or section.name in (KCONFIG, KSYMS):
        return
    spots = places.get(found.index, {})
    rows = []
    for member in section.members:
        variable = btf.type(member.type)
        if variable.kind is not Kind.VAR:
            raise ObjectError(f"section {section.name!r} has {variable.name!r} in BTF, which is no variable")
        known = section.size != 0 or variable.linkage == _STATIC  # a linker, or the compiler, has told already
        offset = member.offset if known else spots.get(variable.name, member.offset)
        rows.append((offset, member.type, member.size or btf.size_of(variable.type)))
        if variable.name in hidden and variable.linkage == _GLOBAL:
            edit.set(member.type, 3, _STATIC)
    size = found.size
    if size > _MAX_SECTION or any(offset + length > size for offset, _, length in rows):
        raise ObjectError(f"section {section.name!r} has {size} bytes, which its variables do not fit")
    edit.set(type_id, 2, size, *(word for offset, var, length in sorted(rows) for word in (var, offset, length)))
