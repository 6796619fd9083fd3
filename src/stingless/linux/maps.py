"""Maps by bpf(2): one class serves every type whose keys and values are bytes.

Minimum kernel: 4.4 for the basic types; many entries at once go by batches from 5.6 on.  Privileges: CAP_BPF.
Source: kernel/bpf/syscall.c, `map_lookup_elem()`, `bpf_map_do_batch()`; kernel/bpf/hashtab.c, arraymap.c.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from stingless._gen.uapi import MapType
from stingless._sys import bpf_map, map_memory
from stingless._sys.syscall import Fd
from stingless.cpus import possible_cpus
from stingless.errors import MapError, NotSupportedError
from stingless.kernel import BPF_ANY, BPF_F_LOCK, Entries, EventOptions, EventReader, MapInfo, UserRing
from stingless.linux.refusals import ENOTSUPP
from stingless.obj.spec import MapSpec
from stingless.owned import Owned
from stingless.sizes import MMAPABLE

PER_CPU = frozenset(
    {
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.PERCPU_CGROUP_STORAGE,
    }
)
_RINGS = {MapType.RINGBUF, MapType.USER_RINGBUF, MapType.ARENA}
_KEYLESS = {MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER} | _RINGS
_UNSUPPORTED = (errno.EINVAL, ENOTSUPP, errno.EOPNOTSUPP)
_BATCH_BYTES = 8 << 20


class LinuxMap(Owned):
    """A map in the kernel.  See `stingless.kernel.Map`."""

    def __init__(self, spec: MapSpec, fd: Fd, frozen: bool = False) -> None:
        self._spec = spec
        self._fd = fd
        self._frozen = frozen
        self._memory: memoryview | None = None
        self.batches = True  # until the kernel says that it has none for this type
        self._value_bytes = spec.value_size
        if spec.type in PER_CPU:
            self._value_bytes = (spec.value_size + 7) // 8 * 8 * possible_cpus()

    @property
    def spec(self) -> MapSpec:
        return self._spec

    @property
    def value_bytes(self) -> int:
        return self._value_bytes

    @property
    def fd(self) -> int:
        """The file descriptor: what a PROG_ARRAY's or a map of maps' value holds."""
        return self._fd.fileno()

    @property
    def info(self) -> MapInfo:
        found = bpf_map.map_info(self.fd)
        return MapInfo(
            found.type,
            found.id,
            found.key_size,
            found.value_size,
            found.max_entries,
            found.flags,
            found.name,
            bpf_map.is_frozen(self.fd),
        )

    # One entry

    def lookup(self, key: bytes, flags: int = 0) -> bytes | None:
        """Queues and stacks take an empty key, and give their head without removing it; a bloom filter takes a value,
        and gives it back if it may have been added."""
        try:
            if self._spec.type is MapType.BLOOM_FILTER:
                self._check_value(key)
                bpf_map.map_contains_value(self.fd, key)
                return key
            return bpf_map.map_lookup(self.fd, self._key(key), self._value_bytes, flags)
        except MapError:
            raise
        except OSError as e:
            if e.errno == errno.ENOENT:
                return None
            raise self._failed("looking up", e, key) from None

    def pop(self, key: bytes = b"") -> bytes | None:
        """Hash maps before Linux 5.14, and types that cannot do it in one step, look up and then delete."""
        wanted = self._key(key)
        try:
            return bpf_map.map_lookup_and_delete(self.fd, wanted, self._value_bytes)
        except OSError as e:
            if e.errno == errno.ENOENT:
                return None
            if e.errno not in _UNSUPPORTED or wanted is None:
                raise self._failed("taking from", e, key) from None
        found = self.lookup(key)
        if found is not None:
            try:
                self.delete(key)
            except KeyError:  # somebody else was quicker
                return None
        return found

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        self._check_value(value)
        wanted = self._key(key)
        try:
            bpf_map.map_update(self.fd, wanted, value, flags)
        except OSError as e:
            raise self._failed("updating", e, key) from None

    def delete(self, key: bytes) -> None:
        wanted = self._key(key)
        try:
            bpf_map.map_delete(self.fd, wanted)
        except OSError as e:
            if e.errno == errno.ENOENT:
                raise KeyError(key) from None
            if e.errno == ENOTSUPP:
                e.errno = errno.EINVAL
            raise self._failed("deleting from", e, key) from None

    def next_key(self, key: bytes | None) -> bytes | None:
        wanted = None if key is None else self._key(key)
        try:
            return bpf_map.map_next_key(self.fd, wanted, self._spec.key_size)
        except OSError as e:
            if e.errno == errno.ENOENT:
                return None
            raise self._failed("walking", e) from None

    # Many entries

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries.  What is added or removed meanwhile may or may not be seen; nothing is given twice."""
        found = self.entries()
        k, v = self._spec.key_size, self._value_bytes
        return ((found.keys[at * k : at * k + k], found.values[at * v : at * v + v]) for at in range(found.count))

    def entries(self) -> Entries:
        if self.batches and self._spec.type not in _KEYLESS:
            try:
                return self._read_batches()
            except OSError as e:
                if e.errno not in _UNSUPPORTED:
                    raise self._failed("reading", e) from None
                self.batches = False
        pairs = list(self._walk())
        return Entries(b"".join([k for k, _ in pairs]), b"".join([v for _, v in pairs]), len(pairs))

    def take_entries(self) -> Entries:
        if self.batches and self._spec.type not in _KEYLESS:
            try:
                return self._read_batches(take=True)
            except OSError as e:
                if e.errno not in _UNSUPPORTED:
                    raise self._failed("taking from", e) from None
        k = self._spec.key_size
        packed = self.entries().keys
        keys: list[bytes] = []
        values: list[bytes] = []
        for key in (packed[at : at + k] for at in range(0, len(packed), k)):
            if (value := self.pop(key)) is not None:
                keys.append(key)
                values.append(value)
        return Entries(b"".join(keys), b"".join(values), len(keys))

    def _read_batches(self, take: bool = False) -> Entries:
        k, v = self._spec.key_size, self._value_bytes
        room = max(1, min(self._spec.max_entries, _BATCH_BYTES // (k + v)))
        keys: list[bytes] = []
        values: list[bytes] = []
        total = 0
        position: bytes | None = None
        while True:
            try:
                found = bpf_map.map_lookup_batch(self.fd, position, k, v, room, take)
            except OSError as e:
                if e.errno != errno.ENOSPC or room > 1 << 24:
                    raise
                room *= 2  # one bucket of a hash has more
                continue
            keys.append(found[0])
            values.append(found[1])
            total += found[2]
            position = found[3]
            if position is None:
                break
        read = Entries(b"".join(keys), b"".join(values), total)
        # A trie goes from key to key: it starts again when the key that it is at is deleted.
        return _without_repeats(read, k, v) if self._spec.type is MapType.LPM_TRIE else read

    def _walk(self) -> Iterator[tuple[bytes, bytes]]:
        # A key that is deleted under the walk sends it back to the start, so what was seen is remembered; and it is
        # bounded, since others could go on for ever with that.
        seen = set()
        key = self.next_key(None)
        for _ in range(8 * self._spec.max_entries + 1024):
            if key is None:
                return
            if key not in seen:
                seen.add(key)
                value = self.lookup(key)
                if value is not None:
                    yield key, value
            key = self.next_key(key)

    def update_many(self, entries: Entries, flags: int = BPF_ANY) -> None:
        k, v = self._spec.key_size, self._value_bytes
        if len(entries.keys) != entries.count * k or len(entries.values) != entries.count * v:
            raise MapError(
                f"map {self._spec.name!r}: {entries.count} entries are {entries.count * k} and {entries.count * v} "
                f"bytes of keys and values, not {len(entries.keys)} and {len(entries.values)}",
                errno.EINVAL,
            )
        done = 0
        if self.batches and not flags & ~BPF_F_LOCK and entries.count:
            done, error = bpf_map.map_update_batch(self.fd, entries.keys, entries.values, k, v, 0, entries.count, flags)
            if error is None:
                return
            if done or error.errno not in _UNSUPPORTED:
                raise self._stopped(error, entries, done)
            # No batches, or the first entry is refused: the next call tells which.
        while done < entries.count:
            try:
                bpf_map.map_update(
                    self.fd,
                    self._key(entries.keys[done * k : done * k + k]),
                    entries.values[done * v : done * v + v],
                    flags,
                )
            except MapError:
                raise
            except OSError as error:
                raise self._stopped(error, entries, done) from None
            done += 1

    def _stopped(self, error: OSError, entries: Entries, done: int) -> MapError:
        k = self._spec.key_size
        told = self._failed("updating", error, entries.keys[done * k : done * k + k])
        more = MapError(f"{told.message}; {done} of {entries.count} entries were set before it", told.errno or 0)
        more.done = done
        return more

    def delete_many(self, keys: bytes) -> int:
        k = self._spec.key_size
        if not k or len(keys) % k:
            raise MapError(f"map {self._spec.name!r}: {len(keys)} bytes are no whole keys of {k} bytes", errno.EINVAL)
        count, at, removed = len(keys) // k, 0, 0
        while at < count and self.batches:
            done, error = bpf_map.map_delete_batch(self.fd, keys, k, at, count - at)
            at, removed = at + done, removed + done
            if error is None:
                break
            if error.errno == errno.ENOENT:
                at += 1  # that one is missing
            elif error.errno in _UNSUPPORTED and not at:
                break
            else:
                raise self._failed("deleting from", error, keys[at * k : at * k + k])
        while at < count:
            with contextlib.suppress(KeyError):
                self.delete(keys[at * k : at * k + k])
                removed += 1
            at += 1
        return removed

    # The whole map

    def freeze(self) -> None:
        self._open(f"map {self._spec.name!r}")
        # Unmapped unless there are views.  Never by force: NumPy may refer to the memory without a lock on it.
        self._memory = None
        try:
            bpf_map.map_freeze(self.fd)
        except OSError as e:
            if e.errno == errno.EBUSY:
                raise MapError(f"freezing map {self._spec.name!r}: it is mapped: views are in use", e.errno) from None
            raise self._failed("freezing", e) from None
        self._frozen = True

    def memory(self) -> memoryview:
        spec, page = self._spec, os.sysconf("SC_PAGESIZE")
        arena = spec.type is MapType.ARENA
        if not arena and not (spec.type is MapType.ARRAY and spec.flags & MMAPABLE):
            raise NotSupportedError(
                f"the memory of map {spec.name!r} ({spec.type.name}, flags {spec.flags:#x})",
                "5.5",
                "only arrays that were created with BPF_F_MMAPABLE, and arenas, can be mapped",
            )
        fd = self.fd
        if self._memory is None:
            size = spec.max_entries * (page if arena else (spec.value_size + 7) // 8 * 8)
            self._memory = self._mapped(fd, -(-size // page) * page, spec.extra if arena else 0)[:size]
        return self._memory[:]

    def _mapped(self, fd: int, size: int, address: int) -> memoryview:
        try:
            if not self._frozen:
                with contextlib.suppress(PermissionError):  # frozen by others, or read-only for programs
                    return map_memory.map_memory(fd, size, True, address)
            return map_memory.map_memory(fd, size, False, address)
        except OSError as e:
            raise self._failed("mapping", e) from None

    def pin(self, path: str | Path) -> None:
        from stingless.linux import pins

        pins.pin(self.fd, path, f"map {self._spec.name!r}")

    def inner(self, id: int) -> LinuxMap:
        """The map of that id, which is what a map of maps gives as a value.  Raises `LoadError`, `PrivilegeError`."""
        from stingless.linux import pins

        opened = pins.open_map(id)
        return self._beside(opened)

    def new_inner(self) -> LinuxMap:
        """A map like the template of a map of maps.  Raises `LoadError`."""
        if self._spec.inner is None:
            raise MapError(f"map {self._spec.name!r}: what its inner maps are like is not known", errno.EINVAL)
        from stingless.linux.maps_create import create_alone

        return self._beside(create_alone(self._spec.inner))

    def _beside(self, made: LinuxMap) -> LinuxMap:
        """Closed with what closes this one, if not before."""
        if self._home is not None:
            self._home[builtins.id(made)] = made
            made._home = self._home
        return made

    def _check_value(self, value: bytes) -> None:
        if len(value) != self._value_bytes:
            raise MapError(
                f"map {self._spec.name!r}: a value has {self._value_bytes} bytes, not {len(value)}", errno.EINVAL
            )

    def _key(self, key: bytes) -> bytes | None:
        if self._spec.type in _KEYLESS:
            if key:
                raise MapError(f"map {self._spec.name!r}: a {self._spec.type.name} has no keys", errno.EINVAL)
            return None
        if len(key) != self._spec.key_size:
            raise MapError(
                f"map {self._spec.name!r}: a key has {self._spec.key_size} bytes, not {len(key)}", errno.EINVAL
            )
        return key

    def _failed(self, doing: str, e: OSError, key: bytes | None = None) -> MapError:
        of = f", key {key.hex()}" if key else ""
        if e.errno == errno.E2BIG or (e.errno == errno.ENOSPC and doing == "updating"):
            room = f"it is full or the index is too high (max_entries is {self._spec.max_entries})"
            return MapError(f"{doing} map {self._spec.name!r}{of}: {room}", e.errno)
        if e.errno in (ENOTSUPP, errno.EOPNOTSUPP):
            what = f"{doing} map {self._spec.name!r}"
            return MapError(f"{what}: a {self._spec.type.name} has no such operation", errno.EOPNOTSUPP)
        if e.errno == errno.EBADF and self._spec.type is MapType.PROG_ARRAY:
            return MapError(f"{doing} map {self._spec.name!r}{of}: its values are the .fd of loaded programs", e.errno)
        if e.errno == errno.EPERM and (self._frozen or self._spec.frozen):
            return MapError(f"{doing} map {self._spec.name!r}{of}: it is frozen (constant data)", e.errno)
        return MapError(f"{doing} map {self._spec.name!r}{of}", e.errno or 0)

    def open_events(self, options: EventOptions) -> EventReader:
        from stingless.linux.readers import open_events

        return open_events(self, options)

    def open_user_ring(self) -> UserRing:
        from stingless.linux.user_ring import open_user_ring

        return open_user_ring(self)

    def _free(self) -> None:
        self._memory = None
        self._fd.close()

    def __repr__(self) -> str:
        state = "closed" if self._fd.closed else f"fd {self._fd.fileno()}"
        return f"<LinuxMap {self._spec.name!r} {self._spec.type.name}, {state}>"


def _without_repeats(read: Entries, k: int, v: int) -> Entries:
    places = {read.keys[at * k : at * k + k]: at for at in range(read.count)}
    if len(places) == read.count:
        return read
    values = [read.values[at * v : at * v + v] for at in places.values()]
    return Entries(b"".join(places), b"".join(values), len(places))
