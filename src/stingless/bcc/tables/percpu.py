"""Per-CPU tables: a leaf for each possible CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from stingless._sys.c_types import integer_type
from stingless._sys.cvalues import (
    is_array,
    is_integer,
    is_record,
    is_signed,
    many_from_bytes,
    size_of,
    to_bytes,
)
from stingless.bcc.tables.arrays import Array
from stingless.bcc.tables.base import TableBase
from stingless.bcc.tables.hashes import HashTable
from stingless.kernel import Map

_STEP = 8  # bytes that each CPU's value is rounded up to


class PerCpu(TableBase):
    """A table with a leaf for each possible CPU.

    `sLeaf` is the type of one CPU's; `Leaf` that of all: `table.Leaf()` has `total_cpu` elements, to be set and stored
    (of 4-byte integers they are 8 bytes wide there).  What is read are arrays of `sLeaf`; with a `reducer`, a function
    of two leaves, it is what that makes of them all.  A single leaf that is stored is set for every CPU.
    """

    def __init__(
        self,
        bpf: Any,
        map_id: int | None,
        map_fd: int,
        keytype: Any,
        leaftype: Any,
        name: str | bytes | None = None,
        *,
        map: Map | None = None,
        reducer: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(bpf, map_id, map_fd, keytype, leaftype, name, map=map)
        self.reducer = reducer
        self.sLeaf = leaftype
        size = size_of(leaftype)
        self.alignment = size % _STEP
        self._step = -(-size // _STEP) * _STEP
        self.total_cpu = self.map.value_bytes // self._step
        self._each = leaftype * self.total_cpu
        wide = integer_type(_STEP, is_signed(leaftype)) if size == 4 and is_integer(leaftype) else leaftype
        self.Leaf = wide * self.total_cpu

    def _leaves(self, data: bytes, count: int) -> list[Any]:
        arrays = self._arrays(data, count)
        return arrays if self.reducer is None else [reduce(self.reducer, each) for each in arrays]

    def _arrays(self, data: bytes, count: int) -> list[Any]:
        size, step = size_of(self.sLeaf), self._step
        if size != step:
            data = b"".join([data[at : at + size] for at in range(0, len(data), step)])
        return many_from_bytes(self._each, data, count)

    def _leaf(self, data: bytes) -> Any:
        return self._leaves(data, 1)[0]

    def _leaf_bytes(self, leaf: Any) -> bytes:
        if isinstance(leaf, self.sLeaf) or not (is_array(leaf) or isinstance(leaf, list | tuple)):
            return to_bytes(self.sLeaf, leaf).ljust(self._step, b"\0") * self.total_cpu
        if len(leaf) != self.total_cpu:
            raise ValueError(
                f"table {self.name!r} has a value for each of {self.total_cpu} possible CPUs, not {len(leaf)}"
            )
        return b"".join([to_bytes(self.sLeaf, each).ljust(self._step, b"\0") for each in leaf])

    def getvalue(self, key: Any) -> Any:
        """The leaves of all CPUs, whatever the reducer."""
        data = self.map.lookup(self._key_bytes(key))
        if data is None:
            raise KeyError(key)
        return self._arrays(data, 1)[0]

    def _numbers(self, key: Any, verb: str) -> list[Any]:
        if is_record(self.sLeaf) or not hasattr(self.sLeaf(), "value"):
            raise IndexError(
                f"{verb}() is of numbers; table {self.name!r} has {self.sLeaf.__name__} leaves, for which"
                " get_table(name, reducer=function) takes a function of two of them"
            )
        return list(self.getvalue(key))

    def sum(self, key: Any) -> Any:
        """Over the CPUs, as an `sLeaf`."""
        return self.sLeaf(sum(self._numbers(key, "sum")))

    def max(self, key: Any) -> Any:
        """Over the CPUs, as an `sLeaf`."""
        return self.sLeaf(max(self._numbers(key, "max")))

    def average(self, key: Any) -> float:
        """Over the CPUs."""
        return float(sum(self._numbers(key, "average")) / self.total_cpu)


class PerCpuHash(PerCpu, HashTable):
    """BPF_PERCPU_HASH."""


class LruPerCpuHash(PerCpuHash):
    """BPF_TABLE("lru_percpu_hash")."""


class PerCpuArray(PerCpu, Array):
    """BPF_PERCPU_ARRAY."""


class PerCpuCgroupStorage(PerCpu):
    """BPF_PERCPU_CGROUP_STORAGE."""
