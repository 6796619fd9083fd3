"""The first entries of a map that an object declares: other maps, or programs."""

from __future__ import annotations

from collections.abc import Mapping

from stingless._gen.uapi import MapType
from stingless.errors import UnknownNameError
from stingless.kernel import Map, Program
from stingless.obj.spec import MapSpec


def fill(map: Map, spec: MapSpec, maps: Mapping[str, Map], programs: Mapping[str, Program]) -> None:
    """Put in what `spec.contents` names: after all maps were created and the programs loaded.

    Raises `UnknownNameError` when there is none of that name (a program that was not loaded is left out), `MapError`.
    """
    import sys

    for slot, name in spec.contents:
        if spec.type is MapType.PROG_ARRAY:
            if name not in programs:
                continue
            number = programs[name].fd
        elif name in maps:
            number = maps[name].fd
        else:
            raise UnknownNameError("map", name, maps, f"which map {spec.name!r} holds")
        map.update(slot.to_bytes(spec.key_size, sys.byteorder), number.to_bytes(4, sys.byteorder))
