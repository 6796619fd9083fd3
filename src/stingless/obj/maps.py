"""Maps that an object declares: BTF-defined ones in `.maps`, and data sections."""

from __future__ import annotations

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind
from stingless.errors import ObjectError
from stingless.obj.elf import SHF_ALLOC, SHF_EXECINSTR, Elf
from stingless.obj.spec import MapSpec

BPF_F_RDONLY_PROG = 1 << 7
_DATA = (".data", ".bss", ".rodata")
_MAX_DATA = 1 << 28  # so that a hostile size costs no memory


def declared_maps(btf: Btf) -> dict[str, MapSpec]:
    """The maps of the `.maps` section: each variable is a struct whose members describe the map."""
    section = btf.find(".maps", Kind.DATASEC)
    specs = {}
    for variable in section.members if section else ():
        var = btf.type(variable.type)
        specs[var.name] = _map_spec(btf, var.name, var.type)
    return specs


def _number(btf: Btf, type_id: int) -> int:
    """`__uint(name, N)` declares `int (*name)[N]`."""
    pointer = btf.resolve(type_id)
    array = btf.resolve(pointer.type) if pointer.kind == Kind.PTR else pointer
    if array.kind != Kind.ARRAY:
        raise ObjectError("a map's attribute is not of the form __uint(name, number)")
    return array.length


def _map_spec(btf: Btf, name: str, type_id: int) -> MapSpec:
    definition = btf.resolve(type_id)
    if definition.kind != Kind.STRUCT:
        raise ObjectError(f"map {name!r} is not a struct but {definition.kind.name.lower()}")
    numbers: dict[str, int] = {}
    types: dict[str, int] = {}
    for member in definition.members:
        if member.name in ("key", "value"):
            pointer = btf.resolve(member.type)
            types[member.name] = pointer.type
            numbers[f"{member.name}_size"] = btf.size_of(pointer.type)
        elif member.name in ("type", "max_entries", "map_flags", "key_size", "value_size"):
            numbers[member.name] = _number(btf, member.type)
        else:
            raise ObjectError(f"map {name!r} has the attribute {member.name!r}, which is not read yet")
    try:
        kind = MapType(numbers["type"])
    except (KeyError, ValueError):
        raise ObjectError(f"map {name!r} has no known type: {numbers.get('type')}") from None
    return MapSpec(
        name,
        kind,
        numbers.get("key_size", 0),
        numbers.get("value_size", 0),
        numbers.get("max_entries", 0),
        numbers.get("map_flags", 0),
        types.get("key", 0),
        types.get("value", 0),
        btf=btf,
    )


def data_maps(elf: Elf) -> dict[str, MapSpec]:
    """One one-entry array for each section of variables or constants."""
    specs = {}
    for section in elf.sections:
        base = "." + section.name.lstrip(".").partition(".")[0]
        if base not in _DATA or not section.flags & SHF_ALLOC or section.flags & SHF_EXECINSTR or not section.size:
            continue
        if section.size > _MAX_DATA:
            raise ObjectError(f"section {section.name!r} is {section.size} bytes; at most {_MAX_DATA} are read")
        constant = base == ".rodata"
        specs[section.name] = MapSpec(
            section.name,
            MapType.ARRAY,
            4,
            section.size,
            1,
            BPF_F_RDONLY_PROG if constant else 0,
            initial=section.data.ljust(section.size, b"\0"),
            frozen=constant,
        )
    return specs
