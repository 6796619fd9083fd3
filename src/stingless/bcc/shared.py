"""Tables that their own object does not make alone: shared between BPF objects, pinned, or of maps.

`BPF_TABLE_PUBLIC` and `BPF_TABLE_SHARED` offer a table to the other BPF objects of this process on the same kernel,
which get it by `BPF_TABLE("extern", ...)`; it lives as long as one of them.  `BPF_TABLE_PINNED` takes the map that is
pinned under its path, or pins a new one there.  `BPF_ARRAY_OF_MAPS` and `BPF_HASH_OF_MAPS` name the table that their
maps are like.  The C side tells all that by declaration tags on the maps (headers/bcc/tables.h).
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from stingless.btf.kinds import Kind
from stingless.errors import ObjectError, UnknownNameError
from stingless.frozen import frozen, replace
from stingless.programs import LoadedObject

if TYPE_CHECKING:
    from stingless.kernel import Kernel, Map
    from stingless.obj.spec import MapSpec, ObjectSpec

_TAG = "bcc:"


@frozen
class Declared:
    """What is said of a table: `kind` as BPF_TABLE() names it, `pin` a path, `template` the table that inner maps are
    like, `scope` "public" or "shared"; each "" where nothing is said."""

    kind: str = ""
    pin: str = ""
    template: str = ""
    scope: str = ""


def declared(spec: ObjectSpec) -> dict[str, Declared]:
    """What an object's text says of its tables, by name, for those that it says something of."""
    found: dict[str, Declared] = {}
    btf = spec.btf
    for type_id in btf.ids(Kind.DECL_TAG) if btf is not None else ():
        assert btf is not None
        tag = btf.type(type_id)
        attribute, _, value = tag.name.removeprefix(_TAG).partition("=")
        if not tag.name.startswith(_TAG) or btf.type(tag.type).kind is not Kind.VAR:
            continue
        name = btf.type(tag.type).name
        before = found.get(name, Declared())
        if attribute == "scope":
            found[name] = replace(before, scope=value)
        elif attribute == "kind":
            head, _, pin = value.partition(":")
            kind, _, template = head.partition("$")
            found[name] = replace(before, kind=kind, pin=pin, template=template)
    return found


def with_templates(spec: ObjectSpec) -> ObjectSpec:
    """The object whose maps of maps know what their maps are like.  Raises `ObjectError`."""
    maps = dict(spec.maps)
    tables = declared(spec)
    for name, said in tables.items():
        if said.template and name in maps:
            template = spec.maps.get(said.template)
            if template is None or tables.get(said.template, Declared()).template:
                there = ", ".join(sorted(spec.maps))
                raise ObjectError(
                    f"table {name!r} has maps like {said.template!r}, which is no table of the same text that holds "
                    f"values; there are: {there}"
                )
            maps[name] = replace(maps[name], inner=template)
    return spec if maps == spec.maps else replace(spec, maps=maps)


class _Entry:
    """A shared map and how many objects use it."""

    def __init__(self, kernel: Kernel, map: Map) -> None:
        self.kernel = kernel  # kept: its id() is part of the entry's name
        self.map = map
        self.users = 1


_lock = threading.Lock()
_entries: dict[tuple[int, str], _Entry] = {}


class SharedMaps:
    """The maps of an object that it does not make alone: `maps`, to be given to its `LoadedObject`.

    Raises `UnknownNameError` for an `extern` table that no other object offers, `LoadError` when what is pinned is
    unlike the table, and what creating and pinning a map raise.
    """

    def __init__(self, kernel: Kernel, spec: ObjectSpec) -> None:
        self.maps: dict[str, Map] = {}
        self._stack = ExitStack()
        try:
            for name, said in declared(spec).items():
                if name in spec.maps:
                    self._take(kernel, spec.maps[name], said)
        except BaseException:
            self.close()
            raise

    def _take(self, kernel: Kernel, spec: MapSpec, said: Declared) -> None:
        if said.kind == "extern":
            self.maps[spec.name] = self._enter(_used(kernel, spec.name))
            return
        if not said.pin and not said.scope:
            return
        map = _pinned(kernel, spec, Path(said.pin)) if said.pin else kernel.create_map(spec)
        if said.scope:
            self.maps[spec.name] = self._enter(_offered(kernel, spec.name, map))
        else:
            self._stack.callback(map.close)
            self.maps[spec.name] = map

    def _enter(self, entry: _Entry) -> Map:
        self._stack.callback(_released, entry)
        return entry.map

    def close(self) -> None:
        """Idempotent."""
        self.maps.clear()
        self._stack.close()


class TablesObject(LoadedObject):
    """An object of bcc's dialect on a kernel, with its shared, pinned and nested tables.  Raises as `LoadedObject` and
    `SharedMaps`, and `ObjectError`."""

    def __init__(self, kernel: Kernel, spec: ObjectSpec) -> None:
        spec = with_templates(spec)
        self._shared = SharedMaps(kernel, spec)
        try:
            super().__init__(kernel, spec, maps=self._shared.maps)
        except BaseException:
            self._shared.close()
            raise

    def close(self) -> None:
        super().close()
        self._shared.close()


def _used(kernel: Kernel, name: str) -> _Entry:
    with _lock:
        entry = _entries.get((id(kernel), name))
        if entry is None:
            there = [known for owner, known in _entries if owner == id(kernel)]
            advice = "a BPF object of this process that is not closed declares it with BPF_TABLE_PUBLIC"
            raise UnknownNameError("shared table", name, there, advice=advice)
        entry.users += 1
        return entry


def _offered(kernel: Kernel, name: str, map: Map) -> _Entry:
    with _lock:
        entry = _entries[id(kernel), name] = _Entry(kernel, map)  # the newest of a name counts
        return entry


def _released(entry: _Entry) -> None:
    with _lock:
        entry.users -= 1
        if entry.users:
            return
        for key in [key for key, found in _entries.items() if found is entry]:
            del _entries[key]
    entry.map.close()


def _pinned(kernel: Kernel, spec: MapSpec, path: Path) -> Map:
    """As in bcc, what is there may have another number of entries and other flags."""
    from stingless.maps.pinning import LAYOUT, pinned_at

    path.parent.mkdir(parents=True, exist_ok=True)
    return pinned_at(kernel, spec, path, LAYOUT)
