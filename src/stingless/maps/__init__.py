"""Maps as Python sees them: mappings of numbers, bytes and records, typed by BTF, over the kernel's maps of bytes.

`open_typed(map)` gives the class that goes with the map's type:

- `HashMap`, `ArrayMap`, `PerCpuMap`, `PerCpuArrayMap`, `LpmMap`: `MutableMapping`s with bulk operations and NumPy
- `MapOfMaps`, `ProgramArray`, `DescriptorMap`, `RedirectMap`, `StorageMap`, `StackTraceMap`: mappings to what they
  stand for
- `QueueMap` (stacks, too): `push`, `pop`, `peek`; `BloomFilter`: `add`, `in`
- `ArenaMap`: `view()`; `RingMap`: see `stingless.streams`
"""

from __future__ import annotations

from pathlib import Path

from stingless._gen.uapi import MapType
from stingless.kernel import Kernel, Map
from stingless.maps.base import TypedMap
from stingless.maps.contents import fill
from stingless.maps.lpm import LpmMap
from stingless.maps.mapping import ArrayMap, HashMap, KeyedMap
from stingless.maps.nested import MapOfMaps, ProgramArray
from stingless.maps.objects import (
    ArenaMap,
    DescriptorMap,
    RedirectMap,
    RingMap,
    StackTraceMap,
    StorageMap,
)
from stingless.maps.percpu import PerCpu, PerCpuArrayMap, PerCpuMap
from stingless.maps.pinning import create_pinned
from stingless.maps.queue import BloomFilter, QueueMap
from stingless.maps.variable import Variable
from stingless.origin import caller

__all__ = [
    "ArenaMap",
    "ArrayMap",
    "BloomFilter",
    "DescriptorMap",
    "HashMap",
    "KeyedMap",
    "LpmMap",
    "MapOfMaps",
    "PerCpu",
    "PerCpuArrayMap",
    "PerCpuMap",
    "ProgramArray",
    "QueueMap",
    "RedirectMap",
    "RingMap",
    "StackTraceMap",
    "StorageMap",
    "TypedMap",
    "Variable",
    "create_pinned",
    "fill",
    "open_id",
    "open_pinned",
    "open_typed",
]

T = MapType
_CLASSES: dict[MapType, type[TypedMap]] = {
    T.HASH: HashMap,
    T.LRU_HASH: HashMap,
    T.RHASH: HashMap,
    T.CGROUP_STORAGE: HashMap,
    T.ARRAY: ArrayMap,
    T.PERCPU_ARRAY: PerCpuArrayMap,
    T.PERCPU_HASH: PerCpuMap,
    T.LRU_PERCPU_HASH: PerCpuMap,
    T.PERCPU_CGROUP_STORAGE: PerCpuMap,
    T.LPM_TRIE: LpmMap,
    T.ARRAY_OF_MAPS: MapOfMaps,
    T.HASH_OF_MAPS: MapOfMaps,
    T.PROG_ARRAY: ProgramArray,
    T.PERF_EVENT_ARRAY: DescriptorMap,
    T.CGROUP_ARRAY: DescriptorMap,
    T.SOCKMAP: DescriptorMap,
    T.SOCKHASH: DescriptorMap,
    T.XSKMAP: DescriptorMap,
    T.REUSEPORT_SOCKARRAY: DescriptorMap,
    T.DEVMAP: RedirectMap,
    T.DEVMAP_HASH: RedirectMap,
    T.CPUMAP: RedirectMap,
    T.STACK_TRACE: StackTraceMap,
    T.SK_STORAGE: StorageMap,
    T.INODE_STORAGE: StorageMap,
    T.TASK_STORAGE: StorageMap,
    T.CGRP_STORAGE: StorageMap,
    T.QUEUE: QueueMap,
    T.STACK: QueueMap,
    T.BLOOM_FILTER: BloomFilter,
    T.RINGBUF: RingMap,
    T.USER_RINGBUF: RingMap,
    T.ARENA: ArenaMap,
}


def open_typed(map: Map) -> TypedMap:
    """The typed map over a kernel's map."""
    return _CLASSES.get(map.spec.type, KeyedMap)(map)


def open_pinned(path: str | Path, kernel: Kernel | None = None) -> TypedMap:
    """The map that is pinned at a path, typed by the BTF that it was made with.  Raises `FileNotFoundError`,
    `PrivilegeError`, `LoadError`."""
    return _opened(_kernel(kernel).open_map(path))


def open_id(id: int, kernel: Kernel | None = None) -> TypedMap:
    """The map of that id.  Raises `FileNotFoundError`, `PrivilegeError` (CAP_SYS_ADMIN), `LoadError`."""
    return _opened(_kernel(kernel).open_map(id))


def _opened(map: Map) -> TypedMap:
    typed = open_typed(map)
    typed._made_at = caller()
    return typed


def _kernel(kernel: Kernel | None) -> Kernel:
    if kernel is None:
        from stingless import session

        return session.current().kernel
    return kernel
