"""What an instruction's 64-bit load refers to: a map, or a place in a data section."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from stingless.btf.types import Btf
from stingless.errors import ObjectError
from stingless.obj.data import ARENA
from stingless.obj.elf import STT_OBJECT, STT_SECTION, Elf, Section, Symbol
from stingless.obj.legacy_maps import LEGACY, legacy_places
from stingless.obj.maps import MAPS, map_places
from stingless.obj.spec import MapRef, MapSpec

_JUMPTABLES = ".jumptables"


class DataReferences:
    """Raises `ObjectError` for places that are no map."""

    def __init__(self, elf: Elf, btf: Btf | None, maps: dict[str, MapSpec], arena: str) -> None:
        self._elf = elf
        self._maps = maps
        self._arena = arena
        self._declared = {MAPS: map_places(btf) if btf is not None else {}, LEGACY: legacy_places(elf)}
        self._addresses = {
            index: sorted(r.offset for r in rows)
            for index, rows in elf.relocations.items()
            if not elf.sections[index].is_code
        }
        self._objects: dict[int, list[tuple[int, int]]] = {}
        for symbol in elf.symbols:
            if symbol.section in self._addresses and symbol.type == STT_OBJECT:
                self._objects.setdefault(symbol.section, []).append((symbol.value, symbol.value + symbol.size))
        for rows in self._objects.values():
            rows.sort()

    def find(self, function: str, at: int, symbol: Symbol, section: Section, imm: int) -> MapRef:
        """What `symbol` in `section` and the immediate of the load at slot `at` mean."""
        offset = symbol.value + imm
        declared = self._declared.get(section.name)
        if declared is not None:
            name = declared.get(offset if symbol.type == STT_SECTION else symbol.value)
            if name not in self._maps:
                raise ObjectError(f"function {function!r} uses {symbol.name!r} in section {section.name!r}, not a map")
            return MapRef(at, name)
        if section.name == _JUMPTABLES:
            raise ObjectError(f"function {function!r} jumps by a table: compile with -fno-jump-tables")
        name = self._arena if section.name == ARENA else section.name
        if name not in self._maps:
            raise ObjectError(f"function {function!r} uses {symbol.name!r} in section {section.name!r}, not a map")
        if not 0 <= offset <= section.size:
            raise ObjectError(f"function {function!r} uses byte {offset} of section {section.name!r} ({section.size})")
        if self._holds_addresses(section.index, offset):
            raise ObjectError(
                f"function {function!r} uses a variable in section {section.name!r} that holds addresses, which are "
                "not known before the load: use an index, or a switch"
            )
        return MapRef(at, name, offset)

    def _holds_addresses(self, section: int, offset: int) -> bool:
        """Whether the variable there has relocations; where no variable is known, whether the section has."""
        addresses = self._addresses.get(section)
        if not addresses:
            return False
        objects = self._objects.get(section, [])
        number = bisect_right(objects, (offset, 1 << 64)) - 1
        start, end = objects[number] if number >= 0 and offset < objects[number][1] else (0, 1 << 64)
        return bisect_left(addresses, start) < bisect_left(addresses, end)
