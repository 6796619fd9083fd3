"""What an object leaves for the kernel to provide: `__kconfig` and `__ksym` externs.

The sections `.kconfig` and `.ksyms` are in BTF alone; the ELF symbols tell which externs are weak.
"""

from __future__ import annotations

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind, Type
from stingless.errors import ObjectError
from stingless.frozen import replace
from stingless.obj.btf_edit import BtfEdit
from stingless.obj.elf import SHN_UNDEF, STB_LOCAL, STB_WEAK, Elf
from stingless.obj.spec import ExternSpec, MapSpec

KCONFIG, KSYMS = ".kconfig", ".ksyms"
_GLOBAL = 1  # linkage of a function or variable that is defined
_LARGEST = 1 << 20
BPF_F_RDONLY_PROG, BPF_F_MMAPABLE = 1 << 7, 1 << 10


def read_externs(btf: Btf, elf: Elf) -> dict[str, ExternSpec]:
    """The externs, with those of `.kconfig` laid out in a map: by alignment, size and name, as libbpf does."""
    weak = {
        s.name: s.bind == STB_WEAK for s in elf.symbols if s.section == SHN_UNDEF and s.bind != STB_LOCAL and s.name
    }
    found = {}
    for section in (KCONFIG, KSYMS):
        externs = [_extern(btf, section, type_id, weak) for type_id in _members(btf, section)]
        if section == KCONFIG:
            externs = _laid_out(btf, externs)
        found.update({extern.name: extern for extern in externs})
    return found


def _members(btf: Btf, section: str) -> list[int]:
    found = btf.find(section, Kind.DATASEC)
    return [m.type for m in found.members] if found else []


def _extern(btf: Btf, section: str, type_id: int, weak: dict[str, bool]) -> ExternSpec:
    found = btf.type(type_id)
    # One without a symbol is used by no instruction.
    optional = weak.get(found.name, True)
    if found.kind is Kind.FUNC and section == KSYMS:
        return ExternSpec(found.name, section, _prototype(btf, found).id, optional, function=True)
    if found.kind is not Kind.VAR:
        kind = found.kind.name.lower()
        raise ObjectError(f"extern {found.name!r} of section {section} is a {kind}, which cannot be there")
    inner = btf.resolve(found.type)
    if section == KSYMS:
        return ExternSpec(found.name, section, inner.id, optional)
    size = btf.size_of(inner.id)
    if not 0 < size <= _LARGEST:
        raise ObjectError(f"extern {found.name!r} of .kconfig has {size} bytes")
    return ExternSpec(found.name, section, found.type, optional, size=size)


def _prototype(btf: Btf, function: Type) -> Type:
    found = btf.type(function.type)
    if found.kind is not Kind.FUNC_PROTO:
        raise ObjectError(f"function {function.name!r} has no prototype in BTF")
    return found


def _laid_out(btf: Btf, externs: list[ExternSpec]) -> list[ExternSpec]:
    align = {e.name: btf.align_of(e.type) for e in externs}
    out, at = [], 0
    for extern in sorted(externs, key=lambda e: (-align[e.name], e.size, e.name)):
        at += -at % align[extern.name]
        out.append(replace(extern, offset=at))
        at += extern.size
    if at > _LARGEST:
        raise ObjectError(f"the externs of .kconfig have {at} bytes together")
    return out


def kconfig_map(btf: Btf, externs: dict[str, ExternSpec]) -> dict[str, MapSpec]:
    """The map that holds the `.kconfig` externs; none without."""
    size = max((e.offset + e.size for e in externs.values() if e.section == KCONFIG), default=0)
    section = btf.find(KCONFIG, Kind.DATASEC)
    if not size or section is None:
        return {}
    flags = BPF_F_RDONLY_PROG | BPF_F_MMAPABLE
    return {
        KCONFIG: MapSpec(
            KCONFIG, MapType.ARRAY, 4, size, 1, flags, 0, section.id, initial=bytes(size), frozen=True, btf=btf
        )
    }


def define_externs(edit: BtfEdit, btf: Btf, externs: dict[str, ExternSpec]) -> None:
    """The kernel takes no externs in BTF: they become variables that are defined, those of `.ksyms` ints, and its
    functions global ones."""
    config = btf.find(KCONFIG, Kind.DATASEC)
    if config is not None:
        rows = []
        for member in config.members:
            extern = externs[btf.type(member.type).name]
            edit.set(member.type, 3, _GLOBAL)
            rows.append((extern.offset, member.type, extern.size))
        size = max((offset + length for offset, _, length in rows), default=0)
        edit.set(config.id, 2, size, *(word for offset, var, length in sorted(rows) for word in (var, offset, length)))
    symbols = btf.find(KSYMS, Kind.DATASEC)
    if symbols is not None:
        words = [4 * len(symbols.members)]
        integer = _int(edit, btf)
        stand_in = 0
        for i, member in enumerate(symbols.members):
            found, type_id = btf.type(member.type), member.type
            if found.kind is Kind.FUNC:
                name = edit.string("dummy_ksym")
                stand_in = type_id = stand_in or edit.add(name, Kind.VAR << 24, integer, _GLOBAL)
                edit.set(found.id, 1, Kind.FUNC << 24 | _GLOBAL)
                proto = _prototype(btf, found)
                for place, parameter in enumerate(proto.members):
                    if parameter.type and not parameter.name:  # a function with a body has names
                        edit.set(proto.id, 3 + 2 * place, name)
            else:
                edit.set(found.id, 2, integer, _GLOBAL)
            words += [type_id, 4 * i, 4]
        edit.set(symbols.id, 2, *words)


def _int(edit: BtfEdit, btf: Btf) -> int:
    known = next((i for i in btf.ids(Kind.INT) if btf.type(i).size == 4), 0)
    return known or edit.add(edit.string("int"), Kind.INT << 24, 4, 1 << 24 | 32)
