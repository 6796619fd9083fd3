"""Maps of the old `maps` section: records of numbers, `struct bpf_map_def` of libbpf before 1.0, or the longer
`struct bpf_elf_map` of iproute2.

The types of keys and values are in BTF when the object has a struct `____btf_map_NAME` with members `key` and `value`.
"""

from __future__ import annotations

import struct

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind
from stingless.errors import ObjectError
from stingless.frozen import replace
from stingless.obj.elf import STT_SECTION, Elf, Symbol
from stingless.obj.spec import MapSpec, Pinning

LEGACY = "maps"
_SHORT, _IPROUTE2, _LONGEST = 20, 36, 256


def legacy_places(elf: Elf) -> dict[int, str]:
    """The maps' names by byte offset in `maps`."""
    return {s.value: s.name for s in _symbols(elf)}


def _symbols(elf: Elf) -> list[Symbol]:
    section = elf.section(LEGACY)
    if section is None:
        return []
    return [s for s in elf.symbols if s.section == section.index and s.type != STT_SECTION and s.name]


def legacy_maps(elf: Elf, btf: Btf | None) -> dict[str, MapSpec]:
    """The maps of `maps`.  Raises `ObjectError`."""
    section, symbols = elf.section(LEGACY), _symbols(elf)
    if section is None or not section.size:
        return {}
    if not symbols:
        raise ObjectError("section 'maps' has no symbols: its maps have no names (declare them without static)")
    if elf.relocations.get(section.index):
        raise ObjectError("section 'maps' holds addresses, which its records cannot: declare the maps in .maps")
    records = {}
    for symbol in symbols:
        size = symbol.size or len(section.data) // len(symbols)
        records[symbol.name] = section.data[symbol.value : symbol.value + size]
        if not _SHORT <= size <= _LONGEST or len(records[symbol.name]) < size:
            raise ObjectError(f"map {symbol.name!r} in section 'maps' takes {size} bytes, not {_SHORT} or more")
    specs = {name: _map_spec(elf.order, name, record, btf) for name, record in records.items()}
    return _with_inner(elf.order, records, specs)


def _map_spec(order: str, name: str, record: bytes, btf: Btf | None) -> MapSpec:
    kind, key, value, entries, flags = struct.unpack_from(order + "5I", record)
    pinning = Pinning.NONE
    if len(record) == _IPROUTE2:
        # PIN_OBJECT_NS and PIN_GLOBAL_NS: under a directory of the object's, or the common one.
        (scope,) = struct.unpack_from(order + "I", record, 24)
        pinning = Pinning.BY_NAME if scope else Pinning.NONE
    elif any(record[_SHORT:]):
        raise ObjectError(
            f"map {name!r} has more than struct bpf_map_def holds, and that not zero: declare it in .maps"
        )
    try:
        type = MapType(kind)
    except ValueError:
        raise ObjectError(f"map {name!r} has no known type: {kind}") from None
    spec = MapSpec(name, type, key, value, entries, flags, pinning=pinning)
    types = btf.find(f"____btf_map_{name}", Kind.STRUCT) if btf is not None else None
    if btf is None or types is None:
        return spec
    members = {m.name: m.type for m in types.members}
    key_type, value_type = members.get("key", 0), members.get("value", 0)
    if (btf.size_of(key_type), btf.size_of(value_type)) != (key, value):
        raise ObjectError(f"map {name!r}: its sizes are not those of the types in {types.name}")
    return replace(spec, key_type=key_type, value_type=value_type, btf=btf)


def _with_inner(order: str, records: dict[str, bytes], specs: dict[str, MapSpec]) -> dict[str, MapSpec]:
    """iproute2: `inner_id` of a map of maps is the `id` of its template, and the template's `inner_idx` its slot."""
    records = {name: record for name, record in records.items() if len(record) == _IPROUTE2}
    ids = {struct.unpack_from(order + "I", record, 20)[0]: name for name, record in records.items()}
    out = dict(specs)
    for name, record in records.items():
        spec = specs[name]
        (inner_id,) = struct.unpack_from(order + "I", record, 28)
        template = ids.get(inner_id) if inner_id else None
        if inner_id and (template is None or spec.type not in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)):
            raise ObjectError(f"map {name!r}: there is no map with the id {inner_id}, or it takes none")
        if template is not None:
            (slot,) = struct.unpack_from(order + "I", records[template], 32)
            spec = replace(spec, inner=specs[template], contents=((slot, template),))
        out[name] = spec
    return out
