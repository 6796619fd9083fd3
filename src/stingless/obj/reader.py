"""An object's bytes to an `ObjectSpec`: functions linked with the sub-programs they call, maps, variables, lines."""

from __future__ import annotations

from stingless._gen.uapi import MapType, ProgramType
from stingless.btf.types import Btf, Kind
from stingless.errors import ObjectError
from stingless.frozen import replace
from stingless.obj.btf_ext import Records
from stingless.obj.btf_fit import fit_for_kernel, open_btf
from stingless.obj.data import data_maps, variables, with_arena
from stingless.obj.elf import SHT_PROGBITS, Elf, parse_elf
from stingless.obj.functions import Function, Functions
from stingless.obj.legacy_maps import legacy_maps
from stingless.obj.link import Linker
from stingless.obj.maps import MAPS, declared_maps
from stingless.obj.references import DataReferences
from stingless.obj.sections import section_kind
from stingless.obj.spec import ExternSpec, MapSpec, ObjectSpec, ProgramSpec, VariableSpec
from stingless.obj.struct_ops import struct_ops_maps
from stingless.obj.undefined import kconfig_map, read_externs

_LONGEST_LICENSE = 63
_EXCEPTION_CALLBACK = "exception_callback:"


def read_object(data: bytes) -> ObjectSpec:
    """Parse an ELF object made by clang -target bpf, or by its code generator, of either byte order.  Raises
    `ObjectError`."""
    elf = parse_elf(data)
    btf, externs, records = _types(elf)
    functions = Functions(elf)
    programs = functions.program_places()
    maps = data_maps(elf, btf) | legacy_maps(elf, btf)
    if btf is not None:
        maps |= declared_maps(btf, elf, programs) | kconfig_map(btf, externs)
    elif elf.section(MAPS) is not None:
        raise ObjectError("the object declares maps in .maps but has no BTF: compile it with -g")
    maps = with_arena(elf, maps | struct_ops_maps(elf, btf, programs))
    arena = next((m.name for m in maps.values() if m.type is MapType.ARENA), "")
    linker = Linker(elf, functions, records, DataReferences(elf, btf, maps, arena), externs, _callbacks(btf))
    license_text = _license(elf)
    specs = {f.name: _program(linker, f, license_text, btf) for f in functions.programs}
    return ObjectSpec(
        maps,
        _with_struct_ops(specs, maps),
        license_text,
        _variables(elf, btf, maps),
        externs,
        elf.byteorder,
        btf,
    )


def _types(elf: Elf) -> tuple[Btf | None, dict[str, ExternSpec], Records]:
    section, ext = elf.section(".BTF"), elf.section(".BTF.ext")
    if section is None or section.type != SHT_PROGBITS:
        return None, {}, Records()
    original = open_btf(section.data)
    if original.order != elf.order:
        raise ObjectError("the byte order of BTF is not that of the ELF object")
    externs = read_externs(original, elf)
    btf = fit_for_kernel(original, elf, externs)
    return btf, externs, Records(btf, ext.data if ext is not None else b"")


def _license(elf: Elf) -> str:
    """None means that there is none: helpers for GPL programs are refused then."""
    section = elf.section("license")
    return section.data[:_LONGEST_LICENSE].split(b"\0")[0].decode("utf-8", "replace") if section is not None else ""


def _callbacks(btf: Btf | None) -> dict[str, str]:
    """Programs that name a function for exceptions by a declaration tag, as `__exception_cb(name)` does."""
    found = {}
    for type_id in btf.ids(Kind.DECL_TAG) if btf is not None else ():
        tag = btf.type(type_id) if btf is not None else None
        if tag is not None and tag.name.startswith(_EXCEPTION_CALLBACK) and btf is not None:
            found[btf.type(tag.type).name] = tag.name.removeprefix(_EXCEPTION_CALLBACK)
    return found


def _program(linker: Linker, function: Function, license_text: str, btf: Btf | None) -> ProgramSpec:
    section = function.section.name
    kind = section_kind(section)
    linked = linker.program(function)
    return ProgramSpec(
        function.name,
        section.removeprefix("?"),
        kind.type,
        linked.code,
        license_text,
        kind.attach,
        kind.btf_target,
        linked.map_refs,
        linked.line_info,
        linked.func_info,
        attach_to=kind.target,
        flags=kind.flags,
        autoload=kind.autoload,
        extern_refs=linked.extern_refs,
        core_relocations=linked.core_relocations,
        btf=btf,
    )


def _with_struct_ops(programs: dict[str, ProgramSpec], maps: dict[str, MapSpec]) -> dict[str, ProgramSpec]:
    """Programs of struct_ops know what they implement; those that no map uses cannot be loaded."""
    users: dict[str, tuple[str, bool]] = {}
    for spec in maps.values():
        for _, name in spec.struct_ops.functions if spec.struct_ops is not None else ():
            type_name = spec.struct_ops.type_name if spec.struct_ops is not None else ""
            users[name] = (type_name, spec.autocreate or users.get(name, ("", False))[1])
    out = {}
    for name, program in programs.items():
        if program.type is ProgramType.STRUCT_OPS:
            type_name, wanted = users.get(name, ("", False))
            program = replace(program, attach_target=type_name, autoload=wanted)
        elif name in users:
            raise ObjectError(f"program {name!r} implements a struct_ops but is in section {program.section!r}")
        out[name] = program
    return out


def _variables(elf: Elf, btf: Btf | None, maps: dict[str, MapSpec]) -> dict[str, VariableSpec]:
    found = variables(elf, btf, maps)
    for spec in maps.values():
        if spec.struct_ops is not None and spec.name not in found:
            found[spec.name] = VariableSpec(spec.name, spec.name, 0, spec.value_size, spec.value_type, False, btf)
    return found
