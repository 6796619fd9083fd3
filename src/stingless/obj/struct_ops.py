"""Variables of `.struct_ops`: a kernel's struct of functions, implemented by programs."""

from __future__ import annotations

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind, Type
from stingless.errors import ObjectError
from stingless.frozen import frozen
from stingless.obj.data import by_owner
from stingless.obj.elf import STT_SECTION, Elf, Relocation, Section
from stingless.obj.spec import MapSpec, StructOpsSpec

BPF_F_LINK = 1 << 13
SECTIONS = (".struct_ops", ".struct_ops.link", "?.struct_ops", "?.struct_ops.link")


@frozen
class _Variable:
    name: str
    type: Type
    offset: int


def struct_ops_maps(elf: Elf, btf: Btf | None, programs: dict[tuple[int, int], str]) -> dict[str, MapSpec]:
    """One map for each variable; `programs` names functions by (section, byte offset).  Raises `ObjectError`."""
    specs = {}
    for section in elf.sections:
        if section.name not in SECTIONS or not section.size:
            continue
        types = btf.find(section.name, Kind.DATASEC) if btf is not None else None
        if btf is None or types is None:
            raise ObjectError(f"section {section.name!r} has no types in BTF: compile the object with -g")
        by_variable = by_owner(types, elf.relocations.get(section.index, ()))
        for i, member in enumerate(types.members):
            variable = btf.type(member.type)
            struct = btf.resolve(variable.type)
            if struct.kind is not Kind.STRUCT or not struct.name:
                raise ObjectError(f"{variable.name!r} in {section.name} is not of a struct with a name")
            place = _Variable(variable.name, struct, member.offset)
            specs[place.name] = _map_spec(elf, btf, section, place, by_variable.pop(i, []), programs)
    return specs


def _map_spec(
    elf: Elf,
    btf: Btf,
    section: Section,
    variable: _Variable,
    relocations: list[Relocation],
    programs: dict[tuple[int, int], str],
) -> MapSpec:
    struct, start = variable.type, variable.offset
    content = bytearray(section.data[start : start + struct.size])
    if len(content) < struct.size:
        raise ObjectError(f"{variable.name!r} reaches past the end of section {section.name!r}")
    members = {m.offset: m for m in struct.members}
    functions = []
    for relocation in relocations:
        at = relocation.offset - start
        member = members.get(at)
        if member is None or not _is_function(btf, member.type):
            what = f"{variable.name}.{member.name}" if member else f"byte {at} of {variable.name}"
            raise ObjectError(f"{what} is initialised with an address: in struct_ops only functions can be")
        symbol = relocation.symbol
        addend = int.from_bytes(content[at : at + 8], elf.byteorder) if symbol.type == STT_SECTION else 0
        program = programs.get((symbol.section, symbol.value + addend))
        if program is None:
            raise ObjectError(f"{variable.name}.{member.name} is {symbol.name!r}, which is no program of a section")
        functions.append((member.name, program))
        content[at : at + 8] = bytes(8)
    link = section.name.endswith(".link")
    return MapSpec(
        variable.name,
        MapType.STRUCT_OPS,
        4,
        struct.size,
        1,
        BPF_F_LINK if link else 0,
        0,
        struct.id,
        initial=bytes(content),
        autocreate=not section.name.startswith("?"),
        struct_ops=StructOpsSpec(struct.name, tuple(functions), link),
        btf=btf,
    )


def _is_function(btf: Btf, type_id: int) -> bool:
    pointer = btf.resolve(type_id)
    return pointer.kind is Kind.PTR and btf.resolve(pointer.type).kind is Kind.FUNC_PROTO
