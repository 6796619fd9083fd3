"""What all tables have, and `TableBase`: a map whose keys and values are ctypes objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from stingless._sys.cvalues import from_bytes, many_from_bytes, to_bytes
from stingless.bcc.tables.batches import Batches
from stingless.bcc.tables.histograms import Histograms
from stingless.kernel import Entries, Map

if TYPE_CHECKING:
    from stingless.bpf import BPF


class Described:
    """What is known of a table: `ttype` (a BPF_MAP_TYPE_ number), `flags`, `max_entries`, `map_fd`, the classes `Key`
    and `Leaf`, and `map_id`: its number in its program.

    A subclass of a table may set `map_fd`, `Key`, `Leaf` and `max_entries` by itself, as scripts do for pinned maps.
    """

    map_fd: int
    Key: Any
    Leaf: Any
    max_entries: int

    def __init__(
        self,
        bpf: BPF | None,
        map_id: int | None,
        map_fd: int,
        keytype: Any,
        leaftype: Any,
        name: str | bytes | None = None,
        *,
        map: Map | None = None,
    ) -> None:
        self.bpf: Any = bpf
        self.map_id = map_id
        self.map_fd = map_fd
        self.Key = keytype
        self.Leaf = leaftype
        if map is not None:
            self._map = map
        spec = self.map.spec
        self.ttype = int(spec.type)
        self.flags = spec.flags
        self.max_entries = spec.max_entries
        self._name = name.encode() if isinstance(name, str) else name or spec.name.encode()

    @property
    def map(self) -> Map:
        """The kernel's map, which takes bytes."""
        found: Map | None = self.__dict__.get("_map")
        if found is None:
            found = self._map = opened(self.map_fd)
        return found

    @property
    def name(self) -> str:
        return self._name.decode()

    def get_fd(self) -> int:
        return self.map_fd

    def leaf_sprintf(self, leaf: Any) -> bytes:
        """A value as text: `{ 0x1 "text" [ 0x2 0x3 ] }`."""
        return _sprintf(self.Leaf, leaf)

    def leaf_scanf(self, leaf_str: str | bytes) -> Any:
        """The value of such a text.  Raises `ValueError`."""
        return _scanf(self.Leaf, leaf_str)

    def _leaf(self, data: bytes) -> Any:
        return from_bytes(self.Leaf, data)

    def _leaf_bytes(self, leaf: Any) -> bytes:
        return _sized(to_bytes(self.Leaf, leaf), self.map.value_bytes)

    def __repr__(self) -> str:
        spec = self.map.spec
        return f"<{type(self).__name__} {spec.name!r} {spec.type.name}, {spec.max_entries} entries>"


def _sprintf(kind: Any, value: Any) -> bytes:
    from stingless._sys.ctext import sprintf

    return sprintf(value if isinstance(value, kind) else from_bytes(kind, to_bytes(kind, value)))


def _scanf(kind: Any, text: str | bytes) -> Any:
    from stingless._sys.ctext import scanf

    return scanf(kind, text.encode() if isinstance(text, str) else text)


def _sized(data: bytes, size: int) -> bytes:
    """For a `Key` or `Leaf` of the user's own that is not of the map's size."""
    if len(data) <= size:
        return data.ljust(size, b"\0")
    if any(data[size:]):
        raise ValueError(f"the map takes {size} bytes, not {len(data)}")
    return data[:size]


def opened(fd: int) -> Map:
    """The map of a descriptor.  Raises `OSError`, `PrivilegeError`, `LoadError`."""
    from stingless import session

    kernel = session.current().kernel
    if kernel.name != "linux":
        return kernel.open_map(fd)
    from stingless._sys.bpf_map import map_info

    return kernel.open_map(map_info(fd).id)


class TableBase(Described, Histograms, Batches, MutableMapping[Any, Any]):
    """A map whose keys are `Key` and values `Leaf` objects: ctypes classes made from the C types, or given to
    `get_table()`.

    A key or value may be given as such an object, another ctypes value, a number or bytes.  A missing key raises
    `KeyError`.  All entries are read at once: iterating, `items()` and `values()` go over what was there at the start,
    so that entries may be added and removed meanwhile.
    """

    def key_sprintf(self, key: Any) -> bytes:
        """A key as text: see `leaf_sprintf()`."""
        return _sprintf(self.Key, key)

    def key_scanf(self, key_str: str | bytes) -> Any:
        return _scanf(self.Key, key_str)

    def _key_bytes(self, key: Any) -> bytes:
        return _sized(to_bytes(self.Key, key), self.map.spec.key_size)

    def __getitem__(self, key: Any) -> Any:
        data = self.map.lookup(self._key_bytes(key))
        if data is None:
            raise KeyError(key)
        return self._leaf(data)

    def __setitem__(self, key: Any, leaf: Any) -> None:
        self.map.update(self._key_bytes(key), self._leaf_bytes(leaf))

    def __delitem__(self, key: Any) -> None:
        try:
            self.map.delete(self._key_bytes(key))
        except KeyError:
            raise KeyError(key) from None

    # All entries

    def _entries(self) -> Entries:
        return self.map.entries()

    def _all_keys(self) -> bytes:
        return self._entries().keys

    def _pairs(self, found: Entries) -> list[tuple[Any, Any]]:
        return list(zip(self._keys_of(found.keys), self._leaves(found.values, found.count), strict=True))

    def _keys_of(self, data: bytes) -> list[Any]:
        return many_from_bytes(self.Key, data, len(data) // self.map.spec.key_size)

    def _leaves(self, data: bytes, count: int) -> list[Any]:
        return many_from_bytes(self.Leaf, data, count)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._keys_of(self._all_keys()))

    def __len__(self) -> int:
        return len(self._all_keys()) // self.map.spec.key_size

    def keys(self) -> Any:
        return iter(self)

    iter = keys

    def next(self, key: Any) -> Any:
        """The key after `key` (None: the first).  Raises `StopIteration` at the end."""
        found = self.map.next_key(None if key is None else self._key_bytes(key))
        if found is None:
            raise StopIteration
        return from_bytes(self.Key, found)

    def items(self) -> Any:
        """All (key, leaf) pairs, as a list."""
        return self._pairs(self._entries())

    def iteritems(self) -> Iterator[tuple[Any, Any]]:
        return iter(self.items())

    def values(self) -> Any:
        """All leaves, as a list."""
        found = self._entries()
        return self._leaves(found.values, found.count)

    def itervalues(self) -> Iterator[Any]:
        return iter(self.values())

    def clear(self) -> None:
        """Remove every key."""
        self.map.delete_many(self._all_keys())

    def zero(self) -> None:
        """Set every value to zero."""
        keys = self._all_keys()
        count = len(keys) // self.map.spec.key_size
        self.map.update_many(Entries(keys, bytes(self.map.value_bytes * count), count))

    def update(self, other: Any = (), /, **named: Any) -> None:
        """Set the entries of a mapping or of (key, leaf) pairs, all at once."""
        if named:
            raise TypeError(f"the keys of table {self.name!r} are no names: {', '.join(named)}")
        pairs: Iterable[tuple[Any, Any]] = other.items() if isinstance(other, Mapping) else other
        packed = [(self._key_bytes(key), self._leaf_bytes(leaf)) for key, leaf in pairs]
        if packed:
            keys, leaves = zip(*packed, strict=True)
            self.map.update_many(Entries(b"".join(keys), b"".join(leaves), len(packed)))
