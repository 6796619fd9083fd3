"""Maps by bpf(2): one class serves every type whose keys and values are bytes.

Minimum kernel: 4.4 for the basic types; items() goes by batches from 5.6 on.  Privileges: CAP_BPF.
Source: kernel/bpf/syscall.c, `map_create()`, `map_lookup_elem()`; kernel/bpf/hashtab.c, arraymap.c.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace

from stingless._gen.uapi import MapType
from stingless._sys import bpf
from stingless._sys.syscall import Fd
from stingless.cpus import possible_cpus
from stingless.errors import MapError
from stingless.kernel import BPF_ANY
from stingless.linux.refusals import ENOTSUPP, map_refused
from stingless.obj.spec import MapSpec
from stingless.owned import Owned

_PER_CPU = {
    MapType.PERCPU_HASH,
    MapType.PERCPU_ARRAY,
    MapType.LRU_PERCPU_HASH,
    MapType.PERCPU_CGROUP_STORAGE,
}
_KEYLESS = {MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER}
_BATCH = {
    MapType.HASH,
    MapType.LRU_HASH,
    MapType.PERCPU_HASH,
    MapType.LRU_PERCPU_HASH,
    MapType.ARRAY,
    MapType.PERCPU_ARRAY,
}
_BATCH_BYTES = 1 << 20


class LinuxMap(Owned):
    """A map in the kernel.  See `stingless.kernel.Map`."""

    def __init__(self, spec: MapSpec, fd: Fd) -> None:
        self._spec = spec
        self._fd = fd
        self._value_bytes = spec.value_size
        if spec.type in _PER_CPU:
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
    def info(self) -> bpf.MapInfo:
        return bpf.map_info(self.fd)

    def lookup(self, key: bytes) -> bytes | None:
        """Queues and stacks take an empty key, and give their head without removing it."""
        wanted = self._key(key)
        try:
            return bpf.map_lookup(self.fd, wanted, self._value_bytes)
        except OSError as e:
            if e.errno == errno.ENOENT:
                return None
            raise self._failed("looking up", e, key) from None

    def pop(self) -> bytes | None:
        """Remove and return the head of a queue or stack, or None when it is empty."""
        try:
            return bpf.map_lookup_and_delete(self.fd, None, self._value_bytes)
        except OSError as e:
            if e.errno == errno.ENOENT:
                return None
            raise self._failed("taking from", e) from None

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        if len(value) != self._value_bytes:
            raise MapError(
                f"map {self._spec.name!r}: a value has {self._value_bytes} bytes, not {len(value)}", errno.EINVAL
            )
        wanted = self._key(key)
        try:
            bpf.map_update(self.fd, wanted, value, flags)
        except OSError as e:
            raise self._failed("updating", e, key) from None

    def delete(self, key: bytes) -> None:
        wanted = self._key(key)
        try:
            bpf.map_delete(self.fd, wanted or b"")
        except OSError as e:
            if e.errno == errno.ENOENT:
                raise KeyError(key) from None
            if e.errno == ENOTSUPP:
                e.errno = errno.EINVAL
            raise self._failed("deleting from", e, key) from None

    def next_key(self, key: bytes | None) -> bytes | None:
        wanted = None if key is None else self._key(key)
        try:
            return bpf.map_next_key(self.fd, wanted, self._spec.key_size)
        except OSError as e:
            if e.errno == errno.ENOENT:
                return None
            raise self._failed("walking", e) from None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries.  What is added or removed meanwhile may or may not be seen; nothing is given twice."""
        if self._spec.type in _BATCH:
            try:
                first = self._batch(None)
            except OSError as e:
                if e.errno not in (errno.EINVAL, ENOTSUPP):
                    raise self._failed("reading", e) from None
            else:
                yield from self._batches(first)
                return
        yield from self._walk()

    def _batch(self, position: bytes | None) -> tuple[bytes, bytes, int, bytes | None]:
        k, v = self._spec.key_size, self._value_bytes
        count = max(min(self._spec.max_entries, _BATCH_BYTES // (k + v)), 1)
        while True:
            try:
                return bpf.map_lookup_batch(self.fd, position, k, v, count)
            except OSError as e:
                if e.errno != errno.ENOSPC:  # a hash bucket with more entries than that
                    raise
                count *= 2

    def _batches(self, batch: tuple[bytes, bytes, int, bytes | None]) -> Iterator[tuple[bytes, bytes]]:
        k, v = self._spec.key_size, self._value_bytes
        while True:
            keys, values, count, position = batch
            for i in range(count):
                yield keys[i * k : i * k + k], values[i * v : i * v + v]
            if position is None:
                return
            try:
                batch = self._batch(position)
            except OSError as e:
                raise self._failed("reading", e) from None

    def _walk(self) -> Iterator[tuple[bytes, bytes]]:
        # A key that is deleted under the walk would send it back to the start, so what was seen is remembered.
        seen = set()
        key = self.next_key(None)
        while key is not None:
            if key in seen:
                key = self.next_key(key)
                continue
            seen.add(key)
            value = self.lookup(key)
            if value is not None:
                yield key, value
            key = self.next_key(key)

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
        if e.errno == errno.E2BIG:
            room = f"it is full or the index is too high (max_entries is {self._spec.max_entries})"
            return MapError(f"{doing} map {self._spec.name!r}{of}: {room}", e.errno)
        if e.errno in (ENOTSUPP, errno.EOPNOTSUPP):
            what = f"{doing} map {self._spec.name!r}"
            return MapError(f"{what}: a {self._spec.type.name} has no such operation", errno.EOPNOTSUPP)
        if e.errno == errno.EBADF and self._spec.type is MapType.PROG_ARRAY:
            return MapError(f"{doing} map {self._spec.name!r}{of}: its values are the .fd of loaded programs", e.errno)
        if e.errno == errno.EPERM and self._spec.frozen:
            return MapError(f"{doing} map {self._spec.name!r}{of}: it is frozen (constant data)", e.errno)
        return MapError(f"{doing} map {self._spec.name!r}{of}", e.errno or 0)

    def _free(self) -> None:
        self._fd.close()


_WITH_BTF = frozenset(
    {
        MapType.HASH,
        MapType.ARRAY,
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_HASH,
        MapType.LRU_PERCPU_HASH,
        MapType.LPM_TRIE,
    }
)


def adapted(spec: MapSpec) -> MapSpec:
    """`spec` with the sizes that depend on the machine: a perf event array without max_entries has one for each
    possible CPU, and a ring buffer is at least a page."""
    if spec.type is MapType.PERF_EVENT_ARRAY and spec.max_entries == 0:
        return replace(spec, max_entries=possible_cpus())
    page = os.sysconf("SC_PAGESIZE")
    if spec.type is MapType.RINGBUF and 0 < spec.max_entries < page:
        return replace(spec, max_entries=page)
    return spec


def create(spec: MapSpec, btf_fd: int = 0) -> LinuxMap:
    """Create the map and fill in its initial content.  Raises `LoadError`, `PrivilegeError`, `NotSupportedError`."""
    spec = adapted(spec)
    # Types of keys and values are a help to tools; program arrays, event arrays, queues and the like refuse them
    # (map_check_btf in kernel/bpf/syscall.c).
    key, value = (spec.key_type, spec.value_type) if btf_fd and spec.type in _WITH_BTF else (0, 0)

    def attempt() -> Fd:
        return bpf.map_create(
            spec.type,
            spec.key_size,
            spec.value_size,
            spec.max_entries,
            spec.flags,
            spec.name,
            btf_fd if key or value else 0,
            key,
            value,
        )

    try:
        try:
            fd = attempt()
        except PermissionError as e:
            # Before Linux 5.11 maps counted as locked memory, and exceeding the limit was EPERM.
            from stingless._sys.limits import raise_memlock

            if e.errno != errno.EPERM or not raise_memlock():
                raise
            fd = attempt()
    except OSError as e:
        raise map_refused(spec, e.errno or 0) from None
    created = LinuxMap(spec, fd)
    try:
        if spec.initial is not None:
            created.update(bytes(4), spec.initial)
        if spec.frozen:
            bpf.map_freeze(fd.fileno())
    except OSError:
        created.close()
        raise
    return created
