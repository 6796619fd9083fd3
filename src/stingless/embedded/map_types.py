"""The class that serves a map type on the embedded kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stingless._gen.uapi import MapType
from stingless.embedded import map_rules
from stingless.embedded.maps import EmbeddedMap
from stingless.obj.spec import MapSpec

if TYPE_CHECKING:
    from stingless.embedded.programs import EmbeddedProgram


def create(
    spec: MapSpec,
    program_of: Callable[[int], EmbeddedProgram | None],
    map_of: Callable[[int], EmbeddedMap | None],
) -> EmbeddedMap:
    """`program_of` and `map_of` find what a value names.  Raises `LoadError`, `NotSupportedError`."""
    if spec.type in map_rules.TABLES:
        from stingless.embedded.map_tables import EmbeddedTable

        return EmbeddedTable(spec, program_of, map_of)
    from stingless.embedded import map_objects

    if spec.type in map_rules.STORAGES:
        return map_objects.EmbeddedStorage(spec, program_of)
    if spec.type in map_rules.CGROUP_STORAGES:
        return map_objects.EmbeddedCgroupStorage(spec, program_of)
    if spec.type is MapType.ARENA:
        arena = map_objects.EmbeddedArena(spec, program_of)
        arena.fill(spec.initial or b"")
        return arena
    return EmbeddedMap(spec, program_of)
