"""Which class a table is of, and the ctypes classes of its keys and leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stingless._gen.uapi import MapType as T
from stingless._sys.c_types import c_type, integer_type, stack_type
from stingless._sys.cvalues import size_of
from stingless.bcc.tables.base import Described

if TYPE_CHECKING:
    from stingless.btf.types import Btf
    from stingless.kernel import Map
    from stingless.obj.spec import MapSpec

_MODULE_OF: dict[T, tuple[str, str]] = {
    T.HASH: ("hashes", "HashTable"),
    T.LRU_HASH: ("hashes", "LruHash"),
    T.LPM_TRIE: ("hashes", "LpmTrie"),
    T.SK_STORAGE: ("hashes", "Storage"),
    T.INODE_STORAGE: ("hashes", "Storage"),
    T.TASK_STORAGE: ("hashes", "Storage"),
    T.CGRP_STORAGE: ("hashes", "Storage"),
    T.CGROUP_STORAGE: ("hashes", "CgroupStorage"),
    T.PERCPU_CGROUP_STORAGE: ("percpu", "PerCpuCgroupStorage"),
    T.ARRAY: ("arrays", "Array"),
    T.PERCPU_HASH: ("percpu", "PerCpuHash"),
    T.LRU_PERCPU_HASH: ("percpu", "LruPerCpuHash"),
    T.PERCPU_ARRAY: ("percpu", "PerCpuArray"),
    T.PROG_ARRAY: ("objects", "ProgArray"),
    T.CGROUP_ARRAY: ("objects", "CgroupArray"),
    T.ARRAY_OF_MAPS: ("objects", "MapInMapArray"),
    T.HASH_OF_MAPS: ("objects", "MapInMapHash"),
    T.DEVMAP: ("objects", "DevMap"),
    T.DEVMAP_HASH: ("objects", "DevMapHash"),
    T.CPUMAP: ("objects", "CpuMap"),
    T.XSKMAP: ("objects", "XskMap"),
    T.SOCKMAP: ("objects", "SockMap"),
    T.SOCKHASH: ("objects", "SockHash"),
    T.REUSEPORT_SOCKARRAY: ("objects", "ReuseportArray"),
    T.STACK_TRACE: ("stacks", "StackTrace"),
    T.QUEUE: ("queues", "QueueStack"),
    T.STACK: ("queues", "QueueStack"),
    T.PERF_EVENT_ARRAY: ("perf", "PerfEventArray"),
    T.RINGBUF: ("ring", "RingBuf"),
}
PER_CPU = frozenset({T.PERCPU_HASH, T.LRU_PERCPU_HASH, T.PERCPU_ARRAY, T.PERCPU_CGROUP_STORAGE})
_INDEXED = frozenset(
    {T.ARRAY, T.PERCPU_ARRAY, T.PROG_ARRAY, T.PERF_EVENT_ARRAY, T.CGROUP_ARRAY, T.ARRAY_OF_MAPS, T.STACK_TRACE}
)
_BUILD_ID = 1 << 5  # BPF_F_STACK_BUILD_ID


def class_of(kind: T) -> Any:
    """The class of tables of a map type; `TableBase` for types that bcc has none for."""
    from importlib import import_module

    module, name = _MODULE_OF.get(kind, ("base", "TableBase"))
    return getattr(import_module(f"stingless.bcc.tables.{module}"), name)


def make_table(
    bpf: Any,
    map: Map,
    keytype: Any = None,
    leaftype: Any = None,
    reducer: Callable[[Any, Any], Any] | None = None,
    *,
    name: str | bytes | None = None,
    map_id: int | None = None,
    event_type: int = 0,
) -> Any:
    """The table of a map.

    `keytype` and `leaftype` are ctypes classes, by default those of the C types; `reducer` is for per-CPU tables (see
    `PerCpu`); `event_type` is the BTF id of what programs submit to it.
    """
    spec = map.spec
    btf = spec.btf or (bpf.spec.btf if bpf is not None else None)
    cls = class_of(spec.type)
    leaf = leaftype or leaf_type(spec, btf)
    if spec.type in (T.QUEUE, T.STACK):
        return cls(bpf, map_id, map.fd, leaf, name, map=map)
    more = {"reducer": reducer} if spec.type in PER_CPU else {}
    table: Described = cls(bpf, map_id, map.fd, keytype or key_type(spec, btf), leaf, name, map=map, **more)
    if event_type and btf is not None:
        table.event_type = c_type(btf, event_type)  # type: ignore[attr-defined]
    return table


def key_type(spec: MapSpec, btf: Btf | None) -> Any:
    """By BTF where that tells; else an integer."""
    made = c_type(btf, spec.key_type) if btf and spec.key_type else None
    if made is not None and size_of(made) == spec.key_size:
        return made
    return integer_type(spec.key_size, spec.type in _INDEXED)


def leaf_type(spec: MapSpec, btf: Btf | None) -> Any:
    """By BTF where that tells; else what the map's type has, or an integer."""
    made = c_type(btf, spec.value_type) if btf and spec.value_type else None
    if made is not None and size_of(made) == spec.value_size:
        return made
    if spec.type is T.STACK_TRACE:
        return stack_type(spec.value_size, bool(spec.flags & _BUILD_ID))
    return integer_type(spec.value_size)
