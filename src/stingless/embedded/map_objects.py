"""Maps whose entries belong to objects: storage of threads, files, sockets and cgroups; arenas; user ring buffers."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from stingless._gen.uapi import MapType
from stingless._sys.user_ring import UserRingMemory
from stingless.embedded import descriptors, map_rules
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import MapError
from stingless.kernel import BPF_ANY, BPF_EXIST, BPF_F_LOCK, Entries
from stingless.owned import Owned

if TYPE_CHECKING:
    from collections.abc import Iterator

T = MapType
_NUMBER_OF: dict[MapType, Callable[[int], int]] = {
    T.TASK_STORAGE: descriptors.thread,
    T.INODE_STORAGE: descriptors.inode,
    T.SK_STORAGE: descriptors.cookie,
    T.CGRP_STORAGE: descriptors.cgroup,
}


class EmbeddedStorage(EmbeddedMap):
    """A value for each object; user space names it by a descriptor.  Source: kernel/bpf/bpf_*_storage.c."""

    def _key(self, doing: str, key: bytes, forbidding: int = 0) -> bytes:
        key = super()._key(doing, key, forbidding)
        try:
            return _NUMBER_OF[self._spec.type](int.from_bytes(key, "little", signed=True)).to_bytes(8, "little")
        except OSError as error:
            if error.errno == errno.ENOENT and doing == "looking up":
                raise MapError(f"{doing} map {self._spec.name!r}: the thread is gone", errno.ENOENT) from None
            raise self._failed(doing, error.errno, key) from None

    def next_key(self, key: bytes | None) -> bytes | None:
        raise self._failed("walking", errno.EOPNOTSUPP)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        raise self._failed("reading", errno.EOPNOTSUPP)

    def entries(self) -> Entries:
        raise self._failed("reading", errno.EOPNOTSUPP)

    def update_many(self, entries: Entries, flags: int = BPF_ANY) -> None:
        self._check_many(entries)
        k, v = self._spec.key_size, self._value_bytes
        for at in range(entries.count):
            try:
                self.update(entries.keys[at * k : at * k + k], entries.values[at * v : at * v + v], flags)
            except MapError as error:
                raise self._stopped(error, at, entries.count) from None

    def delete_many(self, keys: bytes) -> int:
        k, gone = self._whole_keys(keys), 0
        for key in (keys[at : at + k] for at in range(0, len(keys), k)):
            try:
                self.delete(key)
                gone += 1
            except KeyError:
                pass
        return gone


class EmbeddedCgroupStorage(EmbeddedMap):
    """What a program keeps for each cgroup that it is attached to.  Source: kernel/bpf/local_storage.c."""

    def _key(self, doing: str, key: bytes, forbidding: int = 0) -> bytes:
        key = super()._key(doing, key, forbidding)
        return key[:12].ljust(len(key), b"\0")  # the rest is padding

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        if flags & ~(BPF_F_LOCK | BPF_EXIST):
            raise self._failed("updating", errno.EINVAL, key)
        super().update(key, value, flags | BPF_EXIST)

    def update_many(self, entries: Entries, flags: int = BPF_ANY) -> None:
        super().update_many(entries, flags | BPF_EXIST)

    def delete(self, key: bytes) -> None:
        raise self._failed("deleting from", errno.EINVAL, self._key("deleting from", key, map_rules.RDONLY))

    def delete_many(self, keys: bytes) -> int:
        self._whole_keys(keys)
        raise self._failed("deleting from", errno.EINVAL)


class EmbeddedArena(EmbeddedMap):
    """Pages that programs see at the addresses where they are here.  Source: kernel/bpf/arena.c."""

    def memory(self) -> memoryview:
        self._open(f"map {self._spec.name!r}")
        return self.handle.values(self._spec.max_entries * map_rules.PAGE)

    def fill(self, content: bytes) -> None:
        """Put it at the start, in pages that programs do not get by allocation."""
        self.handle.allocate(0, -(-len(content) // map_rules.PAGE))
        self.memory()[: len(content)] = content


class EmbeddedUserRing(Owned):
    """See `stingless.kernel.UserRing`."""

    def __init__(self, map: EmbeddedMap) -> None:
        self._what = f"the user ring {map.spec.name!r}"
        self.capacity = map.spec.max_entries
        self._ring = map.handle.ring(self.capacity)
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ring.listen(self._event)
        consumer, producer, data = self._ring.views()
        self._memory = UserRingMemory(consumer, producer, data)

    def fileno(self) -> int:
        """Readable when a program has drained the ring; always writable."""
        self._open(self._what)
        return self._event

    def reserve(self, size: int) -> tuple[int, memoryview] | None:
        self._open(self._what)
        return self._memory.reserve(size)

    def commit(self, place: int, discard: bool = False) -> None:
        self._open(self._what)
        self._memory.commit(place, discard)

    def _free(self) -> None:
        self._ring.listen(-1)
        os.close(self._event)
        self._memory.close()


def open_user_ring(map: EmbeddedMap) -> EmbeddedUserRing:
    """Raises `MapError` for other map types."""
    if map.spec.type is not T.USER_RINGBUF:
        raise MapError(f"map {map.spec.name!r} is a {map.spec.type.name}, not a USER_RINGBUF", errno.EINVAL)
    return EmbeddedUserRing(map)
