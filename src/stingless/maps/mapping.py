"""Maps with keys: Python mappings over a kernel's hash maps, arrays, and what is like them."""

from __future__ import annotations

import gc
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from stingless._gen.uapi import MapType
from stingless.btf.values import integer, raw
from stingless.kernel import BPF_ANY, Entries
from stingless.maps.base import TypedMap, typed
from stingless.maps.keys import KeyCodec

if TYPE_CHECKING:
    import numpy as np

K = TypeVar("K")
V = TypeVar("V")
_MISSING = object()
_INDEXED = frozenset(
    {
        MapType.ARRAY,
        MapType.PERCPU_ARRAY,
        MapType.PROG_ARRAY,
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.ARRAY_OF_MAPS,
        MapType.DEVMAP,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.REUSEPORT_SOCKARRAY,
        MapType.STRUCT_OPS,
        MapType.INSN_ARRAY,
        MapType.STACK_TRACE,
    }
)


class _Items(ItemsView[K, V]):
    """The entries, as they were when it was made."""

    def __init__(self, mapping: KeyedMap[K, V]) -> None:
        super().__init__(mapping)
        with _many_objects():
            self._pairs = list(zip(*mapping._read(), strict=True))

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class _Values(ValuesView[V]):
    """The values, as they were when it was made."""

    def __init__(self, mapping: KeyedMap[Any, V]) -> None:
        super().__init__(mapping)
        with _many_objects():
            self._values: list[V] = mapping._read()[1]

    def __iter__(self) -> Iterator[V]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _Keys(KeysView[K]):
    """The keys, as they were when it was made."""

    def __init__(self, mapping: KeyedMap[K, Any]) -> None:
        super().__init__(mapping)
        self._all: list[K] = list(iter(mapping))

    def __iter__(self) -> Iterator[K]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


@contextmanager
def _many_objects() -> Iterator[None]:
    """The collector would look through what is made again and again, and find nothing: half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class KeyedMap(TypedMap, MutableMapping[K, V]):
    """A map as a `MutableMapping`.

    Errors: `KeyError` with the key when it is missing; `TypeError` or `ValueError` naming the field when a key or value
    does not fit; `MapError` with the kernel's errno, such as E2BIG when the map is full; `ClosedError`.

    Iteration is over what was there when it began, and `keys()`, `values()` and `items()` are what was there when they
    were called: an entry that is removed meanwhile is still given, none is given twice, and the map may be changed.
    `len()` has to read the map.
    """

    def __init__(self, map: Any) -> None:
        super().__init__(map)
        self._keys: KeyCodec | None = None

    @property
    def key_codec(self) -> KeyCodec:
        if self._keys is None:
            spec = self.spec
            codec = typed(spec, spec.key_type, spec.key_size)
            if codec is None:
                codec = integer(4) if spec.type in _INDEXED and spec.key_size == 4 else raw(spec.key_size)
            self._keys = KeyCodec(codec)
        return self._keys

    @property
    def key_type(self) -> Any:
        """The class of keys that are records: `map.key_type(port=80)`.  None for others."""
        return getattr(self.key_codec.codec, "cls", None)

    # What kinds of maps do differently.

    def _encode_key(self, key: Any) -> bytes:
        return self.key_codec.encode(key)

    def _decode_keys(self, data: bytes, count: int) -> list[Any]:
        return self.key_codec.decode_many(data, count)

    def _encode_value(self, value: Any) -> bytes:
        return self.value_codec.encode(value)

    def _decode_value(self, data: bytes) -> Any:
        return self.value_codec.decode(data)

    def _decode_values(self, data: bytes, count: int) -> list[Any]:
        return self.value_codec.decode_many(data, count)

    def _encode_keys(self, keys: Iterable[Any]) -> bytes:
        return self.key_codec.encode_many(keys)

    def _encode_values(self, values: Iterable[Any]) -> bytes:
        return self.value_codec.encode_many(values)

    # One entry

    def __getitem__(self, key: K) -> V:
        found = self.map.lookup(self._encode_key(key))
        if found is None:
            raise KeyError(key)
        return cast(V, self._decode_value(found))

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def put(self, key: K, value: V, flags: int = BPF_ANY) -> None:
        """Set a value with flags: BPF_NOEXIST (only a new key, else EEXIST), BPF_EXIST (only one that is there, else
        ENOENT), BPF_F_LOCK (with the value's spin lock held).  Raises `MapError`."""
        self.map.update(self._encode_key(key), self._encode_value(value), flags)

    def __delitem__(self, key: K) -> None:
        try:
            self.map.delete(self._encode_key(key))
        except KeyError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        try:
            encoded = self._encode_key(key)
        except (TypeError, ValueError):
            return False  # nothing like that can be in it
        return self.map.lookup(encoded) is not None

    def pop(self, key: K, default: Any = _MISSING) -> Any:
        """Remove a key and give its value: in one step where the kernel has that (Linux 5.14 for hash maps)."""
        found = self.map.pop(self._encode_key(key))
        if found is not None:
            return self._decode_value(found)
        if default is _MISSING:
            raise KeyError(key)
        return default

    # All entries

    def _read(self) -> tuple[list[Any], list[Any]]:
        found = self.map.entries()
        return self._decode_keys(found.keys, found.count), self._decode_values(found.values, found.count)

    def __iter__(self) -> Iterator[K]:
        found = self.map.entries()
        return iter(self._decode_keys(found.keys, found.count))

    def __len__(self) -> int:
        return self.map.entries().count

    def keys(self) -> KeysView[K]:
        return _Keys(self)

    def items(self) -> ItemsView[K, V]:
        return _Items(self)

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def clear(self) -> None:
        """Remove all keys.  Raises `MapError` (EINVAL) where a map cannot delete: an array."""
        self.map.delete_many(self.map.entries().keys)

    # Many entries

    def update(self, other: Any = (), /, *, flags: int = BPF_ANY, **named: Any) -> None:
        """Set the entries of a mapping, or of pairs, in one go.  Raises `MapError` whose `.done` tells how many were
        set before the one that failed."""
        pairs: Iterable[tuple[Any, Any]] = other.items() if isinstance(other, Mapping) else other
        keys, values = [], []
        for key, value in [*pairs, *named.items()]:
            keys.append(key)
            values.append(value)
        self._update_packed(self._encode_keys(keys), self._encode_values(values), len(keys), flags)

    def update_many(self, keys: Any, values: Any, flags: int = BPF_ANY) -> None:
        """Set many entries: from NumPy arrays without a Python loop, or from sequences.  Raises `MapError` whose
        `.done` tells how many were set, `TypeError`, `ValueError`."""
        encoded_keys, count = self._packed_keys(keys)
        encoded_values, number = self._packed_values(values)
        if count != number:
            raise ValueError(f"{count} keys and {number} values")
        self._update_packed(encoded_keys, encoded_values, count, flags)

    def _update_packed(self, keys: bytes, values: bytes, count: int, flags: int) -> None:
        self.map.update_many(Entries(keys, values, count), flags)

    def delete_many(self, keys: Any) -> int:
        """Remove keys (a NumPy array or a sequence); how many of them were there."""
        return self.map.delete_many(self._packed_keys(keys)[0])

    def _packed_keys(self, keys: Any) -> tuple[bytes, int]:
        from stingless.maps.bulk import packed

        if (found := packed(keys, self.key_codec.codec, "keys")) is not None:
            return found
        many = list(keys)
        return self._encode_keys(many), len(many)

    def _packed_values(self, values: Any) -> tuple[bytes, int]:
        from stingless.maps.bulk import packed

        if (found := packed(values, self.value_codec, "values")) is not None:
            return found
        many = list(values)
        return self._encode_values(many), len(many)

    def to_numpy(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """All keys and all values, as arrays of `key_codec.codec.dtype` and `value_codec.dtype`: structured for
        records."""
        from stingless.maps.bulk import array_of

        found = self.map.entries()
        return array_of(found.keys, self.key_codec.codec, found.count), self._values_array(found)

    def _values_array(self, found: Entries) -> np.ndarray[Any, Any]:
        from stingless.maps.bulk import array_of

        return array_of(found.values, self.value_codec, found.count)

    def items_array(self) -> np.ndarray[Any, Any]:
        """All entries as one structured array with the fields `key` and `value`."""
        import numpy as np

        keys, values = self.to_numpy()
        fields = [("key", keys.dtype, keys.shape[1:]), ("value", values.dtype, values.shape[1:])]
        made = np.empty(len(keys), fields)
        made["key"], made["value"] = keys, values
        return made


class HashMap(KeyedMap[K, V]):
    """HASH, LRU_HASH and RHASH."""


class ArrayMap(KeyedMap[int, V]):
    """ARRAY: keys are the indices, all of which are always there; nothing can be deleted."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.spec.max_entries))

    def __len__(self) -> int:
        return self.spec.max_entries

    def view(self) -> np.ndarray[Any, Any]:
        """The values themselves, as a NumPy array of shape (max_entries,): what programs write is seen at once, and
        what is written here is seen by programs.  Read-only when the map is frozen.  It is good after `close()` too.

        Raises `NotSupportedError` when the map was made without BPF_F_MMAPABLE (Linux 5.5).
        """
        import numpy as np

        from stingless.maps.bulk import padded

        return np.frombuffer(self.map.memory(), padded(self.value_codec))["value"]
