"""Sections of variables and constants: one-entry arrays, and the variables in them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind, Type
from stingless.errors import ObjectError
from stingless.frozen import replace
from stingless.obj.elf import SHF_ALLOC, STT_OBJECT, Elf, Relocation, Section, Symbol
from stingless.obj.spec import MapSpec, VariableSpec

BPF_F_RDONLY_PROG, BPF_F_MMAPABLE = 1 << 7, 1 << 10
ARENA = ".addr_space.1"  # where clang puts variables of the address space 1
_DATA = (".data", ".bss", ".rodata")
_MAX_DATA = 1 << 28  # so that a hostile size costs no memory
_STATIC = 0


def is_data(section: Section) -> bool:
    name = section.name
    named = any(name == base or name.startswith(base + ".") for base in _DATA)
    return named and bool(section.flags & SHF_ALLOC) and not section.is_code and section.size > 0


def data_maps(elf: Elf, btf: Btf | None) -> dict[str, MapSpec]:
    """One one-entry array for each section of variables or constants.  It can be mapped into memory when it has
    variables that are not static, as with libbpf."""
    sections = [section for section in elf.sections if is_data(section) or section.name == ARENA]
    size = sum(section.size for section in sections)
    if size > _MAX_DATA:
        raise ObjectError(f"the object's data sections are {size} bytes; at most {_MAX_DATA} are read")
    return {section.name: _data_map(section, btf) for section in sections if is_data(section)}


def _data_map(section: Section, btf: Btf | None) -> MapSpec:
    constant = section.name.startswith(".rodata")
    types = btf.find(section.name, Kind.DATASEC) if btf is not None else None
    flags = BPF_F_RDONLY_PROG if constant else 0
    if btf is not None and types is not None and any(v.linkage != _STATIC for v, _, _ in _variables(btf, types)):
        flags |= BPF_F_MMAPABLE
    return MapSpec(
        section.name,
        MapType.ARRAY,
        4,
        section.size,
        1,
        flags,
        0,
        types.id if types is not None else 0,
        initial=_content(section),
        frozen=constant,
        btf=btf if types is not None else None,
    )


def _content(section: Section) -> bytes:
    return section.data or bytes(section.size)


def _variables(btf: Btf, section: Type) -> list[tuple[Type, int, int]]:
    """(variable, offset, size) of each."""
    return [(btf.type(m.type), m.offset, m.size) for m in section.members]


def variables(elf: Elf, btf: Btf | None, maps: dict[str, MapSpec]) -> dict[str, VariableSpec]:
    """The variables of the data sections and of the arena: by BTF, or without it by the ELF symbols.  Where names are
    not unique, as of static variables of objects that were linked, a global one or the first has it."""
    arena = next((m.name for m in maps.values() if m.type is MapType.ARENA), "")
    found: dict[str, VariableSpec] = {}
    objects: dict[int, list[Symbol]] = {}
    for symbol in elf.symbols:
        if symbol.type == STT_OBJECT and symbol.name:
            objects.setdefault(symbol.section, []).append(symbol)
    for section in elf.sections:
        name = arena if section.name == ARENA else section.name
        if not (is_data(section) or (section.name == ARENA and arena)) or name not in maps:
            continue
        types = btf.find(section.name, Kind.DATASEC) if btf is not None else None
        constant = maps[name].frozen
        if btf is not None and types is not None:
            for variable, offset, size in sorted(_variables(btf, types), key=lambda row: row[0].linkage == _STATIC):
                spec = VariableSpec(variable.name, name, offset, size, variable.type, constant, btf)
                found.setdefault(variable.name, spec)
        elif btf is None:
            for symbol in objects.get(section.index, ()):
                if symbol.value + symbol.size > section.size:
                    raise ObjectError(f"variable {symbol.name!r} reaches past the end of section {section.name!r}")
                spec = VariableSpec(symbol.name, name, symbol.value, symbol.size, 0, constant)
                found.setdefault(symbol.name, spec)
    return found


def with_arena(elf: Elf, maps: dict[str, MapSpec]) -> dict[str, MapSpec]:
    """The maps, the arena with the content of its variables."""
    section = elf.section(ARENA)
    arenas = [m for m in maps.values() if m.type is MapType.ARENA]
    if len(arenas) > 1:
        raise ObjectError(f"an object has one arena at most: {', '.join(repr(m.name) for m in arenas)}")
    if section is None or not section.size:
        return maps
    if not arenas:
        raise ObjectError("there are __arena variables, but no map of the type BPF_MAP_TYPE_ARENA in .maps")
    arena = replace(arenas[0], initial=_content(section))
    return {**maps, arena.name: arena}


def by_owner(section: Type, relocations: Iterable[Relocation]) -> dict[int, list[Relocation]]:
    """Relocations of a data section by the number of the variable (of the section's BTF) that they are in."""
    starts = [m.offset for m in section.members]
    found: dict[int, list[Relocation]] = {}
    for relocation in relocations:
        number = bisect_right(starts, relocation.offset) - 1
        if number < 0 or relocation.offset >= starts[number] + section.members[number].size:
            raise ObjectError(f"an address at byte {relocation.offset} of {section.name} is in no variable")
        found.setdefault(number, []).append(relocation)
    return found
