"""Maps that an object declares in `.maps`: variables whose struct types describe them, attribute by attribute."""

from __future__ import annotations

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind, Member, Type
from stingless.errors import ObjectError
from stingless.frozen import replace
from stingless.obj.data import by_owner
from stingless.obj.elf import STT_FUNC, STT_SECTION, Elf, Relocation
from stingless.obj.spec import MapSpec, Pinning

MAPS = ".maps"
_NUMBERS = ("type", "max_entries", "map_flags", "numa_node", "key_size", "value_size", "pinning")
_OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
_LARGEST = 1 << 31


def declared_maps(btf: Btf, elf: Elf, programs: dict[tuple[int, int], str]) -> dict[str, MapSpec]:
    """The maps of `.maps`, with what initialisers put in them.  `programs` names the functions that are programs by
    (section, byte offset).  Raises `ObjectError`."""
    section = btf.find(MAPS, Kind.DATASEC)
    if section is None:
        return {}
    specs = {}
    for member in section.members:
        variable = btf.type(member.type)
        specs[variable.name] = _map_spec(btf, variable.name, _definition(btf, variable.name, variable.type))
    for name, contents in _contents(btf, elf, section, specs, programs).items():
        specs[name] = replace(specs[name], contents=tuple(sorted(contents.items())))
    return specs


def map_places(btf: Btf) -> dict[int, str]:
    """The maps' names by byte offset in `.maps`."""
    section = btf.find(MAPS, Kind.DATASEC)
    return {m.offset: btf.type(m.type).name for m in section.members} if section else {}


def _definition(btf: Btf, name: str, type_id: int) -> Type:
    found = btf.resolve(type_id)
    if found.kind is not Kind.STRUCT:
        raise ObjectError(f"map {name!r} is not a struct but {found.kind.name.lower()}")
    return found


def _map_spec(btf: Btf, name: str, definition: Type, outer: str = "") -> MapSpec:
    numbers: dict[str, int] = {}
    types = {"key": 0, "value": 0}
    extra, values = 0, None
    for member in definition.members:
        attribute = member.name
        if attribute in types:
            types[attribute] = _pointed(btf, name, member)
            _set(numbers, name, attribute + "_size", _size(btf, name, attribute, types[attribute]))
        elif attribute in _NUMBERS:
            _set(numbers, name, attribute, _number(btf, name, member))
        elif attribute == "map_extra":
            extra = _long(btf, name, member)
        elif attribute == "values":
            values = member
        else:
            known = ", ".join((*_NUMBERS, "key", "value", "map_extra", "values"))
            raise ObjectError(f"map {name!r} has the attribute {attribute!r}, which is not known; there are: {known}")
    try:
        kind = MapType(numbers["type"])
    except (KeyError, ValueError):
        raise ObjectError(f"map {name!r} has no known type: {numbers.get('type')}") from None
    inner = None
    if values is not None:
        if outer:
            raise ObjectError(f"map {outer!r} has maps of maps inside: there is one level only")
        inner = _inner(btf, name, kind, values)
        _set(numbers, name, "value_size", 4)
    pinning = numbers.get("pinning", 0)
    if pinning not in Pinning.__members__.values() or (pinning and outer):
        raise ObjectError(f"map {name!r} has pinning {pinning}: " + ("inner maps have none" if outer else "0 or 1"))
    return MapSpec(
        name,
        kind,
        numbers.get("key_size", 0),
        numbers.get("value_size", 0),
        numbers.get("max_entries", 0),
        numbers.get("map_flags", 0),
        types["key"],
        types["value"],
        extra=extra,
        numa_node=numbers.get("numa_node"),
        pinning=Pinning(pinning),
        inner=inner,
        btf=btf,
    )


def _set(numbers: dict[str, int], name: str, attribute: str, value: int) -> None:
    """Sizes may be said twice, by number and by type."""
    if numbers.setdefault(attribute, value) not in (value, 0):
        raise ObjectError(f"map {name!r} has two values of {attribute}: {numbers[attribute]} and {value}")
    numbers[attribute] = value


def _number(btf: Btf, name: str, member: Member) -> int:
    """`__uint(name, N)` declares `int (*name)[N]`."""
    pointer = btf.resolve(member.type)
    array = btf.resolve(pointer.type) if pointer.kind is Kind.PTR else pointer
    if pointer.kind is not Kind.PTR or array.kind is not Kind.ARRAY:
        raise ObjectError(f"map {name!r}: attribute {member.name!r} is not of the form __uint({member.name}, number)")
    return array.length


def _long(btf: Btf, name: str, member: Member) -> int:
    """`__ulong(name, N)` declares an enum of one enumerator."""
    found = btf.resolve(member.type)
    if found.kind is Kind.PTR:
        return _number(btf, name, member)
    if found.kind not in (Kind.ENUM, Kind.ENUM64) or len(found.values) != 1:
        raise ObjectError(f"map {name!r}: attribute {member.name!r} is of neither form __uint(...) nor __ulong(...)")
    return found.values[0][1] & 0xFFFFFFFFFFFFFFFF


def _pointed(btf: Btf, name: str, member: Member) -> int:
    """`__type(name, T)` declares `T *name`."""
    pointer = btf.resolve(member.type)
    if pointer.kind is not Kind.PTR:
        raise ObjectError(f"map {name!r}: attribute {member.name!r} is not of the form __type({member.name}, type)")
    return pointer.type


def _size(btf: Btf, name: str, attribute: str, type_id: int) -> int:
    found, size = btf.resolve(type_id), btf.size_of(type_id)
    if found.kind in (Kind.VOID, Kind.FWD, Kind.FUNC_PROTO, Kind.FUNC) or size > _LARGEST:
        raise ObjectError(f"map {name!r}: the {attribute}'s type has no size ({found.kind.name.lower()} {found.name})")
    return size


def _inner(btf: Btf, name: str, kind: MapType, values: Member) -> MapSpec | None:
    """`__array(values, T)` declares `T *values[]`: T describes the inner maps, or is the type of programs."""
    array = btf.resolve(values.type)
    pointer = btf.resolve(array.type) if array.kind is Kind.ARRAY else array
    if array.kind is not Kind.ARRAY or array.length or pointer.kind is not Kind.PTR:
        raise ObjectError(f"map {name!r}: attribute 'values' is not of the form __array(values, type)")
    if kind is MapType.PROG_ARRAY:
        if btf.resolve(pointer.type).kind is not Kind.FUNC_PROTO:
            raise ObjectError(f"map {name!r}: a program array has functions: __array(values, int (void *))")
        return None
    if kind not in _OF_MAPS:
        raise ObjectError(f"map {name!r} is neither a map of maps nor a program array: it has no values")
    return _map_spec(btf, f"{name}.inner", _definition(btf, f"{name}.inner", pointer.type), outer=name)


def _contents(
    btf: Btf, elf: Elf, section: Type, specs: dict[str, MapSpec], programs: dict[tuple[int, int], str]
) -> dict[str, dict[int, str]]:
    """What `.values = { [0] = &x }` says, by map and slot."""
    place = elf.section(MAPS)
    found: dict[str, dict[int, str]] = {}
    maps = map_places(btf)
    owners = by_owner(section, elf.relocations.get(place.index, ()) if place else ())
    for number, relocations in owners.items():
        owner = section.members[number]
        variable = btf.type(owner.type)
        spec = specs[variable.name]
        values = next((m for m in btf.resolve(variable.type).members if m.name == "values"), None)
        start = owner.offset + values.offset if values else 0
        for relocation in relocations:
            if values is None or relocation.offset < start or (relocation.offset - start) % 8:
                raise ObjectError(f"map {variable.name!r} is initialised in another place than .values")
            slot = (relocation.offset - start) // 8
            found.setdefault(variable.name, {})[slot] = _referred(elf, spec, relocation, maps, programs)
        if spec.type is MapType.HASH_OF_MAPS and spec.key_size != 4:
            raise ObjectError(f"map {spec.name!r} with initial maps needs keys of 4 bytes, not {spec.key_size}")
    return found


def _referred(
    elf: Elf, spec: MapSpec, relocation: Relocation, maps: dict[int, str], programs: dict[tuple[int, int], str]
) -> str:
    """The map or program that an initialiser names."""
    symbol = relocation.symbol
    target = elf.section_of(symbol)
    offset = symbol.value
    if symbol.type == STT_SECTION and (place := elf.section(MAPS)) is not None:
        offset += int.from_bytes(place.data[relocation.offset : relocation.offset + 8], elf.byteorder)
    if spec.type is MapType.PROG_ARRAY:
        name = programs.get((symbol.section, offset))
        wanted = "a program"
    else:
        name = maps.get(offset) if target is not None and target.name == MAPS and symbol.type != STT_FUNC else None
        wanted = "a map of .maps"
    if name is None:
        raise ObjectError(f"map {spec.name!r} is initialised with {symbol.name!r}, which is not {wanted}")
    return name
