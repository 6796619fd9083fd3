"""Maps of the embedded kernel: the `Map` protocol over the C runtime, with the results that bpf(2) gives."""

from __future__ import annotations

import copy
import errno
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stingless._gen.uapi import MapType
from stingless._sys import runtime_maps
from stingless.embedded import map_rules
from stingless.errors import LoadError, MapError, NotSupportedError
from stingless.kernel import BPF_ANY, BPF_F_LOCK, Entries, EventOptions, EventReader, MapInfo, UserRing
from stingless.obj.spec import MapSpec
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless.embedded.programs import EmbeddedProgram

R = TypeVar("R")
_IDS = count(1)
_RECORDS = (MapType.RINGBUF, MapType.PERF_EVENT_ARRAY, MapType.USER_RINGBUF, MapType.ARENA)
_SPIN_LOCK = 1  # enum st_field_kind
_WITHOUT_WALK = (MapType.RINGBUF, MapType.USER_RINGBUF, MapType.ARENA)


class EmbeddedMap(Owned):
    """A map.  See `stingless.kernel.Map`.  Programs that use it keep its memory after `close()`."""

    def __init__(self, spec: MapSpec, program_of: Callable[[int], EmbeddedProgram | None]) -> None:
        spec = map_rules.checked(spec)
        self._spec = spec
        self._id = next(_IDS)
        self._program_of = program_of
        key_size, entries = map_rules.runtime_sizes(spec)
        self.fields = self._special_fields(spec)
        try:
            self.handle = runtime_maps.Map(
                spec.type, key_size, spec.value_size, entries, spec.flags, spec.extra, self.fields
            )
        except OSError as error:
            raise LoadError(f"map {spec.name!r}: {_why_not(error, spec)}", error.errno or 0) from None
        self._value_bytes = spec.value_size if spec.type in map_rules.TABLES else self.handle.value_bytes
        if spec.initial is not None and spec.type is MapType.ARRAY:
            self.handle.set(bytes(4), spec.initial, BPF_ANY)
        self.handle.frozen = spec.frozen

    @staticmethod
    def _special_fields(spec: MapSpec) -> tuple[runtime_maps.Field, ...]:
        if spec.btf is None or not spec.value_type:
            return ()
        from stingless.embedded.map_fields import special_fields

        return special_fields(spec)

    def another(self) -> EmbeddedMap:
        """The same map once more, as an object that is closed by itself."""
        self._open(f"map {self._spec.name!r}")
        found = copy.copy(self)
        found._home = None
        return found

    @property
    def spec(self) -> MapSpec:
        return self._spec

    @property
    def value_bytes(self) -> int:
        return self._value_bytes

    def lookup(self, key: bytes, flags: int = 0) -> bytes | None:
        """Queues and stacks take an empty key, and give their head without removing it."""
        if self._spec.type is MapType.BLOOM_FILTER:
            self._check("looking up", map_rules.WRONLY)
            self._check_value(key)
            return key if self.handle.contains(key) else None
        key = self._key("looking up", key, map_rules.WRONLY)
        return self._found(lambda: self.handle.get(key, flags), "looking up", key)

    def pop(self, key: bytes = b"") -> bytes | None:
        doing = "taking from"
        if self._spec.type in _RECORDS:
            raise self._failed(doing, errno.EOPNOTSUPP)
        if self._spec.type not in map_rules.QUEUES | map_rules.HASHES | {MapType.BLOOM_FILTER}:
            return self._look_and_delete(key)
        key = self._key(doing, key, map_rules.RDONLY | map_rules.WRONLY)
        if self._spec.type is MapType.BLOOM_FILTER:
            raise self._failed(doing, errno.EOPNOTSUPP)
        return self._found(lambda: self.handle.take(key), doing, key)

    def _look_and_delete(self, key: bytes) -> bytes | None:
        found = self.lookup(key)
        if found is not None:
            try:
                self.delete(key)
            except KeyError:  # a trie's longer prefix; or somebody else was quicker
                return None
        return found

    def _found(self, read: Callable[[], bytes], doing: str, key: bytes) -> bytes | None:
        try:
            return read()
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise self._failed(doing, error.errno, key) from None

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        doing = "updating"
        self._check_lock(doing, flags)
        key = self._key(doing, key, map_rules.RDONLY)
        self._check_value(value)
        try:
            self.handle.set(key, value, flags)
        except OSError as error:
            raise self._failed(doing, error.errno, key) from None

    def delete(self, key: bytes) -> None:
        doing = "deleting from"
        key = self._key(doing, key, map_rules.RDONLY)
        if self._spec.type is MapType.BLOOM_FILTER:
            raise self._failed(doing, errno.EOPNOTSUPP)
        try:
            self.handle.delete(key)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise KeyError(key) from None
            raise self._failed(doing, error.errno, key) from None

    def next_key(self, key: bytes | None) -> bytes | None:
        self._check("walking")
        if self._spec.type is MapType.BLOOM_FILTER or self._spec.type in _WITHOUT_WALK:
            raise self._failed("walking", errno.EOPNOTSUPP)
        if key is not None:
            key = self._key("walking", key)
        try:
            return self.handle.next(key)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise self._failed("walking", error.errno) from None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries.  What is added or removed meanwhile may or may not be seen; nothing is given twice."""
        found = self.entries()
        k, v = self._spec.key_size, self._value_bytes
        return ((found.keys[at * k : at * k + k], found.values[at * v : at * v + v]) for at in range(found.count))

    def entries(self) -> Entries:
        self._check("reading", map_rules.WRONLY)
        if self._spec.type in map_rules.QUEUES:
            raise self._failed("reading", errno.EINVAL)
        if self._spec.type is MapType.BLOOM_FILTER or self._spec.type in _RECORDS:
            raise self._failed("reading", errno.EOPNOTSUPP)
        return Entries(*self.handle.items())

    def take_entries(self) -> Entries:
        if self._spec.type in map_rules.HASHES:
            self._check("taking from", map_rules.RDONLY | map_rules.WRONLY)
            return Entries(*self.handle.take_items())
        k = self._spec.key_size
        packed = self.entries().keys
        taken = [(key, self.pop(key)) for key in (packed[at : at + k] for at in range(0, len(packed), k))]
        found = [(key, value) for key, value in taken if value is not None]
        return Entries(b"".join([key for key, _ in found]), b"".join([value for _, value in found]), len(found))

    def update_many(self, entries: Entries, flags: int = BPF_ANY) -> None:
        self._check_many(entries)
        if self._spec.type in _RECORDS:
            raise self._failed("updating", errno.EOPNOTSUPP)
        code, done = self.handle.set_many(entries.keys, entries.values, entries.count, flags)
        if code:
            k = self._spec.key_size
            told = self._failed("updating", code, entries.keys[done * k : done * k + k])
            raise self._stopped(told, done, entries.count)

    def _check_lock(self, doing: str, flags: int) -> None:
        if flags & BPF_F_LOCK and not any(each.kind == _SPIN_LOCK for each in self.fields):
            raise MapError(f"{doing} map {self._spec.name!r}: its values have no bpf_spin_lock", errno.EINVAL)

    def _check_many(self, entries: Entries) -> None:
        k, v = self._spec.key_size, self._value_bytes
        if len(entries.keys) != entries.count * k or len(entries.values) != entries.count * v:
            raise MapError(
                f"map {self._spec.name!r}: {entries.count} entries are {entries.count * k} and {entries.count * v} "
                f"bytes of keys and values, not {len(entries.keys)} and {len(entries.values)}",
                errno.EINVAL,
            )
        self._check("updating", map_rules.RDONLY)

    def _stopped(self, told: MapError, done: int, count: int) -> MapError:
        error = MapError(f"{told.message}; {done} of {count} entries were set before it", told.errno or 0)
        error.done = done
        return error

    def delete_many(self, keys: bytes) -> int:
        k = self._whole_keys(keys)
        try:
            return self.handle.delete_many(keys, len(keys) // k)
        except OSError as error:
            raise self._failed("deleting from", error.errno) from None

    def _whole_keys(self, keys: bytes) -> int:
        """The size of a key."""
        k = self._spec.key_size
        if not k or len(keys) % k:
            raise MapError(f"map {self._spec.name!r}: {len(keys)} bytes are no whole keys of {k} bytes", errno.EINVAL)
        self._check("deleting from", map_rules.RDONLY)
        return k

    def freeze(self) -> None:
        self._open(f"map {self._spec.name!r}")
        if self.handle.frozen:
            raise self._failed("freezing", errno.EPERM)
        self.handle.frozen = True

    def memory(self) -> memoryview:
        self._open(f"map {self._spec.name!r}")
        spec = self._spec
        if spec.type is not MapType.ARRAY or not spec.flags & map_rules.MMAPABLE:
            raise NotSupportedError(
                f"the memory of map {spec.name!r} ({spec.type.name}, flags {spec.flags:#x})",
                advice="only arrays that were created with BPF_F_MMAPABLE can be mapped",
            )
        found = self.handle.values(spec.max_entries * ((spec.value_size + 7) // 8 * 8))
        return found.toreadonly() if self.handle.frozen or spec.flags & map_rules.RDONLY_PROG else found

    def pin(self, path: str | Path) -> None:
        raise NotSupportedError("pinning", advice="maps of the embedded kernel end with the process")

    @property
    def info(self) -> MapInfo:
        self._open(f"map {self._spec.name!r}")
        spec = self._spec
        return MapInfo(
            spec.type,
            self._id,
            spec.key_size,
            spec.value_size,
            spec.max_entries,
            spec.flags,
            spec.name[:15],
            self.handle.frozen,
        )

    @property
    def fd(self) -> int:
        """Its id: there are no descriptors."""
        self._open(f"map {self._spec.name!r}")
        return self._id

    def inner(self, id: int) -> EmbeddedMap:
        raise MapError(f"map {self._spec.name!r} is a {self._spec.type.name}, which holds no maps", errno.EINVAL)

    def new_inner(self) -> EmbeddedMap:
        return self.inner(0)

    def _check_value(self, value: bytes) -> None:
        if len(value) != self._value_bytes:
            raise MapError(
                f"map {self._spec.name!r}: a value has {self._value_bytes} bytes, not {len(value)}", errno.EINVAL
            )

    def _check(self, doing: str, forbidding: int = 0) -> None:
        """`forbidding`: the access flags that refuse this to user space."""
        self._open(f"map {self._spec.name!r}")
        frozen = self.handle.frozen and forbidding & map_rules.RDONLY
        if frozen or self._spec.flags & forbidding:
            raise self._failed(doing, errno.EPERM)

    def _key(self, doing: str, key: bytes, forbidding: int = 0) -> bytes:
        self._check(doing, forbidding)
        kind = self._spec.type
        if kind in _RECORDS:
            invalid = doing == ("looking up" if kind is MapType.ARENA else "deleting from")
            raise self._failed(doing, errno.EINVAL if invalid else errno.EOPNOTSUPP)
        if len(key) != self._spec.key_size:
            raise MapError(
                f"map {self._spec.name!r}: "
                + (
                    f"a {kind.name} has no keys"
                    if kind in map_rules.KEYLESS
                    else f"a key has {self._spec.key_size} bytes, not {len(key)}"
                ),
                errno.EINVAL,
            )
        return key

    def _failed(self, doing: str, code: int | None, key: bytes = b"") -> MapError:
        what = f"{doing} map {self._spec.name!r}" + (f", key {key.hex()}" if key else "")
        if code in (errno.E2BIG, errno.ENOSPC):
            why = f"it is full or the index is too high (max_entries is {self._spec.max_entries})"
        elif code == errno.EBADF:
            why = "this is no descriptor of what it takes"
        elif code == errno.EOPNOTSUPP:
            why = f"a {self._spec.type.name} has no such operation"
        elif code == errno.EPERM:
            why = "it is frozen (constant data)" if self.handle.frozen else "its flags forbid that to user space"
        elif code == errno.EINVAL and doing.startswith("deleting"):
            why = f"the entries of a {self._spec.type.name} cannot be deleted"
        else:
            return MapError(what, code or 0)
        return MapError(f"{what}: {why}", code)

    def open_events(self, options: EventOptions) -> EventReader:
        from stingless.embedded.readers import open_events

        return open_events(self, options)

    def open_user_ring(self) -> UserRing:
        from stingless.embedded.map_objects import open_user_ring

        return open_user_ring(self)

    def _free(self) -> None:
        del self.handle

    def __repr__(self) -> str:
        return f"<EmbeddedMap {self._spec.name!r} {self._spec.type.name}>"


def _why_not(error: OSError, spec: MapSpec) -> str:
    if error.errno == errno.EBUSY:
        return f"the addresses from {spec.extra:#x} on (map_extra) are taken in this process"
    return f"no memory for {spec.max_entries} entries"
