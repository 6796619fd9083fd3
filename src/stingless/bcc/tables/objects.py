"""Tables of what has a descriptor: programs, maps, cgroups, sockets; and those that redirect packets."""

from __future__ import annotations

import os
from typing import Any

from stingless._sys.cvalues import is_value
from stingless.bcc.tables.arrays import ArrayBase
from stingless.bcc.tables.base import TableBase
from stingless.bcc.tables.hashes import HashTable
from stingless.errors import MapError
from stingless.kernel import Entries


class Descriptors(TableBase):
    """A leaf is set from a descriptor, or from an object that has one.  What is read, where the kernel tells it, is an
    id."""

    def _leaf_bytes(self, leaf: Any) -> bytes:
        return super()._leaf_bytes(_descriptor(leaf))

    def _all_keys(self) -> bytes:
        """Of values that cannot be read, too."""
        keys: dict[bytes, None] = {}
        key = self.map.next_key(None)
        while key is not None and key not in keys:
            keys[key] = None
            key = self.map.next_key(key)
        return b"".join(keys)

    def _entries(self) -> Entries:
        """Those that can be read."""
        size = self.map.spec.key_size
        packed = self._all_keys()
        found: list[tuple[bytes, bytes]] = []
        for key in (packed[at : at + size] for at in range(0, len(packed), size)):
            try:
                value = self.map.lookup(key)
            except MapError:
                continue
            if value is not None:
                found.append((key, value))
        return Entries(b"".join([k for k, _ in found]), b"".join([v for _, v in found]), len(found))


class SparseArray(ArrayBase):
    """An array whose elements can be removed."""

    def clear(self) -> None:
        """Remove every element."""
        for index in range(len(self)):
            try:
                self.map.delete(index.to_bytes(4, "little"))
            except KeyError:
                continue


class DescriptorArray(Descriptors, SparseArray):
    """Of descriptors, by index."""

    def _all_keys(self) -> bytes:
        return b"".join([index.to_bytes(4, "little") for index in range(len(self))])


def _descriptor(leaf: Any) -> Any:
    if is_value(leaf) or isinstance(leaf, int | bytes):
        return leaf
    for name in ("get_fd", "fileno"):
        if hasattr(leaf, name):
            return int(getattr(leaf, name)())
    return getattr(leaf, "fd", leaf)


class ProgArray(DescriptorArray):
    """BPF_PROG_ARRAY, for tail calls: a leaf is what `load_func()` gave, or its `fd`."""


class CgroupArray(DescriptorArray):
    """BPF_CGROUP_ARRAY: a leaf is the path of a cgroup's directory, or a descriptor of it."""

    def __setitem__(self, key: Any, leaf: Any) -> None:
        if not isinstance(leaf, str | os.PathLike):
            super().__setitem__(key, leaf)
            return
        fd = os.open(leaf, os.O_RDONLY | os.O_CLOEXEC)
        try:
            super().__setitem__(key, fd)
        finally:
            os.close(fd)


class MapInMapArray(DescriptorArray):
    """BPF_ARRAY_OF_MAPS: a leaf is set from a table, or from its `get_fd()`, and read as the map's id."""


class MapInMapHash(Descriptors, HashTable):
    """BPF_HASH_OF_MAPS: a leaf is set from a table, or from its `get_fd()`, and read as the map's id."""


class SockMap(DescriptorArray):
    """BPF_TABLE("sockmap"): sockets by index."""


class SockHash(Descriptors, HashTable):
    """BPF_SOCKHASH: sockets by key."""


class ReuseportArray(DescriptorArray):
    """BPF_TABLE("reuseport_sockarray"): sockets by index."""


class XskMap(DescriptorArray):
    """BPF_XSKMAP: AF_XDP sockets by queue."""


class DevMap(SparseArray):
    """BPF_DEVMAP: interface indices.  In leaves of 8 bytes, a number alone runs no program there."""


class DevMapHash(HashTable):
    """BPF_TABLE("devmap_hash"): interface indices by key."""


class CpuMap(SparseArray):
    """BPF_CPUMAP: sizes of queues by CPU."""
