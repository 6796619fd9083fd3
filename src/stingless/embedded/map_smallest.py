"""The smallest map of each type, to find out whether it can be made."""

from __future__ import annotations

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind, Type
from stingless.btf.writer import BtfBuilder
from stingless.embedded import map_rules
from stingless.obj.spec import MapSpec

T = MapType
_RING = 1 << 16


def smallest(kind: MapType, name: str = "probe") -> MapSpec:
    flags = {T.LPM_TRIE: map_rules.NO_PREALLOC, T.ARENA: map_rules.MMAPABLE}.get(kind, 0)
    inner = MapSpec("inner", T.ARRAY, 4, 4, 1) if kind in map_rules.OF_MAPS else None
    if kind in map_rules.STORAGES:
        btf, number = _number()
        return MapSpec(name, kind, 4, 4, 0, map_rules.NO_PREALLOC, number, number, btf=btf)
    if kind in map_rules.RINGS or kind is T.ARENA:
        return MapSpec(name, kind, 0, 0, 1 if kind is T.ARENA else _RING, flags)
    if kind in map_rules.CGROUP_STORAGES:
        return MapSpec(name, kind, 8, 4, 0)
    key = 0 if kind in map_rules.KEYLESS else 8 if kind is T.LPM_TRIE else 4
    return MapSpec(name, kind, key, 8 if kind is T.STACK_TRACE else 4, 1, flags, inner=inner)


def _number() -> tuple[Btf, int]:
    """Types with an `int`, and its id."""
    builder = BtfBuilder()
    number = builder.add(Type(0, Kind.INT, "int", 4, bits=32, signed=True))
    return builder.build(), number
