"""Maps of the embedded kernel's C runtime: `struct st_map` of embedded/runtime/map.h.

Nothing here checks what maps are asked for: that is embedded/'s work.
"""

from __future__ import annotations

import ctypes
import errno
import os
import weakref
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_int, c_uint8, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any, NamedTuple

from stingless._sys import runtime
from stingless._sys.runtime import Ring


class Field(NamedTuple):
    """`struct st_field`: a special field of a value.  `kind` is one of `enum st_field_kind`."""

    offset: int
    size: int
    kind: int
    type: int = 0


class _Field(Structure):
    _fields_ = (("offset", c_uint32), ("size", c_uint32), ("kind", c_uint32), ("type", c_uint32))


class Socket:
    """`struct st_socket`: what programs see of a socket; alive as long as this object."""

    def __init__(self, visible: bytes, cookie: int) -> None:
        self._memory = ctypes.create_string_buffer(visible.ljust(80, b"\0") + cookie.to_bytes(8, "little"), 88)
        self.address = ctypes.addressof(self._memory)


class _Spec(Structure):
    """`struct st_map_spec`."""

    _fields_ = (
        ("type", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("flags", c_uint32),
        ("field_count", c_uint32),
        ("extra", c_uint64),
        ("fields", POINTER(_Field)),
    )


# Result and arguments of each function.
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "st_map_set_seed": (None, [c_void_p, c_uint64]),
    "st_map_create": (c_int, [POINTER(_Spec), POINTER(c_void_p)]),
    "st_map_destroy": (None, [c_void_p]),
    "st_map_value_bytes": (c_uint64, [c_void_p]),
    "st_map_get": (c_int, [c_void_p, c_void_p, c_void_p, c_uint64]),
    "st_map_set": (c_int, [c_void_p, c_void_p, c_void_p, c_uint64]),
    "st_map_delete": (c_int, [c_void_p, c_void_p]),
    "st_map_contains": (c_int, [c_void_p, c_void_p]),
    "st_map_next": (c_int, [c_void_p, c_void_p, c_void_p]),
    "st_map_take": (c_int, [c_void_p, c_void_p, c_void_p, c_uint64]),
    "st_map_items": (c_uint64, [c_void_p, c_void_p, c_void_p, c_uint64]),
    "st_map_take_items": (c_uint64, [c_void_p, POINTER(c_uint32), c_void_p, c_void_p, c_uint64]),
    "st_map_set_many": (c_int, [c_void_p, c_void_p, c_void_p, c_uint64, c_uint64, POINTER(c_uint64)]),
    "st_map_delete_many": (c_int, [c_void_p, c_void_p, c_uint64, POINTER(c_uint64)]),
    "st_map_memory": (c_void_p, [c_void_p]),
    "st_map_ring": (c_void_p, [c_void_p]),
    "st_arena_alloc": (c_uint64, [c_void_p, c_uint64, c_uint32]),
    "st_arena_free": (None, [c_void_p, c_uint64, c_uint32]),
    "st_storage_forget": (None, [c_uint32, c_uint64]),
    "st_synchronize": (None, []),
}


@cache
def _library() -> ctypes.CDLL:
    library = runtime.library()
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Map:
    """`struct st_map`; freed when nothing refers to it any more."""

    def __init__(
        self,
        type: int,
        key_size: int,
        value_size: int,
        max_entries: int,
        flags: int = 0,
        extra: int = 0,
        fields: Sequence[Field] = (),
    ) -> None:
        self._library = _library()
        described = (_Field * len(fields))(*(_Field(*field) for field in fields))
        spec = _Spec(type, key_size, value_size, max_entries, flags, len(fields), extra, described)
        made = c_void_p()
        result = self._library.st_map_create(byref(spec), byref(made))
        if result:
            raise OSError(-result, os.strerror(-result))
        assert made.value is not None
        self.address: int = made.value
        weakref.finalize(self, self._library.st_map_destroy, self.address)
        self._key_size = key_size
        self.value_bytes = int(self._library.st_map_value_bytes(self.address))
        self.frozen = False  # to user space, which keeps to it itself
        self._held: dict[bytes, object] = {}
        self._ring: Ring | None = None

    def set_seed(self, seed: int) -> None:
        """What keys are spread with, and so their order; before there are any."""
        self._library.st_map_set_seed(self.address, seed)

    def _check(self, result: int) -> None:
        if result:
            raise OSError(-result, os.strerror(-result))

    def get(self, key: bytes, flags: int = 0) -> bytes:
        value = ctypes.create_string_buffer(self.value_bytes)
        self._check(self._library.st_map_get(self.address, key, value, flags))
        return value.raw

    def contains(self, value: bytes) -> bool:
        """Of a bloom filter."""
        return not self._library.st_map_contains(self.address, value)

    def set(self, key: bytes, value: bytes, flags: int) -> None:
        self._check(self._library.st_map_set(self.address, key, value, flags))

    def delete(self, key: bytes) -> None:
        self._check(self._library.st_map_delete(self.address, key))

    def next(self, key: bytes | None) -> bytes:
        following = ctypes.create_string_buffer(self._key_size)
        self._check(self._library.st_map_next(self.address, key, following))
        return following.raw

    def take(self, key: bytes, flags: int = 0) -> bytes:
        value = ctypes.create_string_buffer(self.value_bytes)
        self._check(self._library.st_map_take(self.address, key, value, flags))
        return value.raw

    def items(self) -> tuple[bytes, bytes, int]:
        """Keys and values, each one after the other, and how many there are."""
        room = 0
        keys = values = ctypes.create_string_buffer(0)
        while True:
            count = int(self._library.st_map_items(self.address, keys, values, room))
            if count <= room:
                break
            room = count + count // 8
            keys = ctypes.create_string_buffer(room * self._key_size)
            values = ctypes.create_string_buffer(room * self.value_bytes)
        return (
            ctypes.string_at(keys, count * self._key_size),
            ctypes.string_at(values, count * self.value_bytes),
            count,
        )

    def take_items(self) -> tuple[bytes, bytes, int]:
        """The same of a hash, which loses them: what is added meanwhile is either in it or stays."""
        keys: list[bytes] = []
        values: list[bytes] = []
        total, room, position = 0, 4096, c_uint32(0)
        while position.value != 0xFFFFFFFF:
            to_keys = ctypes.create_string_buffer(room * self._key_size)
            to_values = ctypes.create_string_buffer(room * self.value_bytes)
            count = int(self._library.st_map_take_items(self.address, byref(position), to_keys, to_values, room))
            keys.append(ctypes.string_at(to_keys, count * self._key_size))
            values.append(ctypes.string_at(to_values, count * self.value_bytes))
            total += count
            if not count:
                room *= 2  # one bucket has more
        return b"".join(keys), b"".join(values), total

    def set_many(self, keys: bytes, values: bytes, count: int, flags: int) -> tuple[int, int]:
        """Errno or 0, and how many were set."""
        done = c_uint64()
        result = self._library.st_map_set_many(self.address, keys, values, count, flags, byref(done))
        return -result, done.value

    def delete_many(self, keys: bytes, count: int) -> int:
        """How many were there."""
        removed = c_uint64()
        self._check(self._library.st_map_delete_many(self.address, keys, count, byref(removed)))
        return removed.value

    def values(self, size: int) -> memoryview:
        """The first `size` bytes of an array's values; they live as long as the view does."""
        shared: Any = (c_uint8 * size).from_address(self.memory)
        shared.owner = self
        return memoryview(shared).cast("B")

    @property
    def memory(self) -> int:
        """The address of an array's first value."""
        return int(self._library.st_map_memory(self.address))

    def allocate(self, address: int, pages: int) -> int:
        """Of an arena: the address of so many free pages, or 0."""
        return int(self._library.st_arena_alloc(self.address, address, pages))

    def give_back(self, address: int, pages: int) -> None:
        """Of an arena."""
        self._library.st_arena_free(self.address, address, pages)

    def ring(self, size: int) -> Ring:
        """A RINGBUF's ring of `size` bytes, or (0) the tee of a PERF_EVENT_ARRAY."""
        if self._ring is None:
            self._ring = Ring(size, self._library.st_map_ring(self.address), self)
        return self._ring

    def hold(self, key: bytes, word: int, owner: object = None) -> None:
        """Of a table: put in what programs find under `key`.  `owner` lives as long as they can reach it."""
        before = self._held.get(key)
        self.set(key, word.to_bytes(8, "little"), 0)
        self._held[key] = owner
        if before is not None:
            self._library.st_synchronize()  # a program that runs may have it still

    def drop(self, key: bytes) -> None:
        """Of a table.  Raises ENOENT."""
        self.delete(key)
        if self._held.pop(key, None) is not None:
            self._library.st_synchronize()

    def held(self, key: bytes) -> int:
        """Of a table.  Raises ENOENT."""
        return int.from_bytes(self.get(key), "little")

    def set_program(self, index: int, program: runtime.Program | None) -> None:
        """Of a PROG_ARRAY."""
        key = index.to_bytes(4, "little")
        if program is not None:
            self.hold(key, program.address, program)
            return
        try:
            self.drop(key)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def forget_object(type: int, number: int) -> None:
    """A thread, file, socket or cgroup is gone: its values go from all maps of that type."""
    _library().st_storage_forget(type, number)
