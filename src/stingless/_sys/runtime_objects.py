"""Kernel objects of the C runtime: embedded/runtime/objects.h."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable, Mapping
from ctypes import POINTER, Structure, c_uint32, c_void_p
from functools import cache

from stingless._sys import runtime
from stingless.frozen import frozen


@frozen
class Filled:
    """A field of a struct and what fills it: `source` is one of `sources()`, `index` says which of several."""

    struct: str
    source: str
    index: int
    offset: int
    size: int


class _Field(Structure):
    """`struct st_object_field`."""

    _fields_ = tuple((name, c_uint32) for name in ("kind", "source", "index", "offset", "size"))


class _Unread(Structure):
    """`struct st_object_unread`."""

    _fields_ = (("kind", c_uint32), ("offset", c_uint32))


_ROOM = 64


@cache
def _library() -> ctypes.CDLL:
    library = runtime.library()
    library.st_object_names.restype, library.st_object_names.argtypes = c_void_p, [c_uint32]
    library.st_objects_create.restype = c_void_p
    library.st_objects_create.argtypes = [POINTER(c_uint32), POINTER(_Field), c_uint32]
    library.st_objects_destroy.restype, library.st_objects_destroy.argtypes = None, [c_void_p]
    library.st_objects_take_unread.restype = c_uint32
    library.st_objects_take_unread.argtypes = [c_void_p, POINTER(_Unread), c_uint32]
    return library


@cache
def _names(which: int) -> dict[str, int]:
    at, names = _library().st_object_names(which), []
    while name := ctypes.string_at(at):
        names.append(name.decode())
        at += len(name) + 1
    return {name: number for number, name in enumerate(names)}


def kinds() -> frozenset[str]:
    """The structs that objects can be of."""
    return frozenset(_names(0))


def sources() -> frozenset[str]:
    """What fields can be filled with."""
    return frozenset(_names(1))


class Objects:
    """`struct st_objects`: `sizes` are the bytes of each struct that this kernel has."""

    def __init__(self, sizes: Mapping[str, int], fields: Iterable[Filled]) -> None:
        self._library = _library()
        kinds, sources = _names(0), _names(1)
        rows = [_Field(kinds[each.struct], sources[each.source], each.index, each.offset, each.size) for each in fields]
        lengths = [sizes.get(name, 0) for name in kinds]
        address = self._library.st_objects_create(
            (c_uint32 * len(lengths))(*lengths), (_Field * len(rows))(*rows), len(rows)
        )
        if not address:
            raise MemoryError
        self.address: int = address
        weakref.finalize(self, self._library.st_objects_destroy, address)

    def take_unread(self) -> list[tuple[str, int]]:
        """Places (struct, offset) that programs read for the first time, and that nothing is known of."""
        places = (_Unread * _ROOM)()
        names = list(_names(0))
        count = self._library.st_objects_take_unread(self.address, places, _ROOM)
        return [(names[each.kind], each.offset) for each in places[:count]]
