"""What a map may be: the checks that Linux makes before it creates one.

Source: kernel/bpf/hashtab.c, arraymap.c, lpm_trie.c, queue_stack_maps.c, ringbuf.c: the `*_alloc_check()` functions.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from stingless._gen.uapi import MapType
from stingless.cpus import possible_cpus
from stingless.errors import LoadError, NotSupportedError
from stingless.obj.spec import MapSpec
from stingless.sizes import adapted

T = MapType
HASHES = frozenset({T.HASH, T.PERCPU_HASH, T.LRU_HASH, T.LRU_PERCPU_HASH})
ARRAYS = frozenset({T.ARRAY, T.PERCPU_ARRAY, T.PROG_ARRAY, T.PERF_EVENT_ARRAY})
HANDLES = frozenset({T.PROG_ARRAY, T.PERF_EVENT_ARRAY})
QUEUES = frozenset({T.QUEUE, T.STACK})
KEYLESS = QUEUES | {T.BLOOM_FILTER}
PER_CPU = frozenset({T.PERCPU_HASH, T.PERCPU_ARRAY, T.LRU_PERCPU_HASH})
SUPPORTED = HASHES | ARRAYS | KEYLESS | {T.LPM_TRIE, T.RINGBUF}

# linux/bpf.h, BPF_F_*
NO_PREALLOC, NO_COMMON_LRU, NUMA_NODE, RDONLY, WRONLY = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
ZERO_SEED, RDONLY_PROG, WRONLY_PROG, MMAPABLE, PRESERVE_ELEMS, INNER_MAP = (1 << bit for bit in (6, 7, 8, 10, 11, 12))
_ACCESS = RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG

_LARGEST_ELEMENT = 4 << 20  # KMALLOC_MAX_SIZE
_LARGEST_PER_CPU = 32 << 10  # PCPU_MIN_UNIT_SIZE
_LARGEST_MAP = 1 << 36


def _allowed_flags(type: MapType) -> int:
    if type in HASHES:
        allowed = NUMA_NODE | ZERO_SEED | _ACCESS
        return allowed | (NO_COMMON_LRU if type in (T.LRU_HASH, T.LRU_PERCPU_HASH) else NO_PREALLOC)
    if type is T.LPM_TRIE:
        return NO_PREALLOC | NUMA_NODE | _ACCESS
    if type in HANDLES:
        return NUMA_NODE | RDONLY | WRONLY | (PRESERVE_ELEMS if type is T.PERF_EVENT_ARRAY else 0)
    if type is T.ARRAY:
        return NUMA_NODE | _ACCESS | MMAPABLE | INNER_MAP
    if type is T.PERCPU_ARRAY:
        return _ACCESS
    if type is T.BLOOM_FILTER:
        return NUMA_NODE | ZERO_SEED | _ACCESS
    return NUMA_NODE if type is T.RINGBUF else NUMA_NODE | _ACCESS


def _broken_rule(spec: MapSpec) -> str:
    kind, name = spec.type, spec.type.name
    keyless = kind in KEYLESS or kind is T.RINGBUF
    rules = [
        (kind in ARRAYS and spec.key_size != 4, f"an array's key is 4 bytes, not {spec.key_size}"),
        (kind in HANDLES and spec.value_size != 4, f"a {name}'s value is 4 bytes, not {spec.value_size}"),
        (keyless and spec.key_size != 0, f"a {name} has no key: the key size must be 0, not {spec.key_size}"),
        (not keyless and spec.key_size == 0, "the key size is 0"),
        (kind is T.RINGBUF and spec.value_size != 0, "a ring buffer's value size must be 0"),
        (kind is not T.RINGBUF and spec.value_size == 0, "the value size is 0"),
        (spec.max_entries == 0, "max_entries is 0"),
        (spec.extra & (~15 if kind is T.BLOOM_FILTER else -1) != 0, f"map_extra is {spec.extra:#x}"),
        (kind is T.LPM_TRIE and not spec.flags & NO_PREALLOC, "an LPM_TRIE needs the flag BPF_F_NO_PREALLOC"),
        (
            kind is T.LPM_TRIE and not 5 <= spec.key_size <= 260,
            f"an LPM_TRIE's key is 4 bytes of prefix length and 1 to 256 of data, not {spec.key_size} in all",
        ),
        (spec.key_size > 512, f"a key has at most 512 bytes, not {spec.key_size}"),
        (
            bool(spec.flags & ~_allowed_flags(kind)),
            f"the flags {spec.flags & ~_allowed_flags(kind):#x} do not go with this type",
        ),
        (
            spec.flags & RDONLY != 0 and spec.flags & WRONLY != 0,
            "a map that is both BPF_F_RDONLY and BPF_F_WRONLY could not be used",
        ),
        (
            spec.flags & RDONLY_PROG != 0 and spec.flags & WRONLY_PROG != 0,
            "a map that is both BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG could not be used",
        ),
        (
            spec.initial is not None and (kind is not T.ARRAY or spec.max_entries != 1),
            "initial content goes into an ARRAY of one entry",
        ),
        (
            spec.initial is not None and len(spec.initial) != spec.value_size,
            f"the initial content has {len(spec.initial or b'')} bytes, the value {spec.value_size}",
        ),
    ]
    return next((why for broken, why in rules if broken), "")


def _too_large(spec: MapSpec) -> str:
    size = spec.key_size + spec.value_size
    if spec.type in PER_CPU and spec.value_size > _LARGEST_PER_CPU:
        return f"a per-CPU value has at most {_LARGEST_PER_CPU} bytes, not {spec.value_size}"
    if spec.type not in ARRAYS and size > _LARGEST_ELEMENT - 64:
        return f"key and value have at most {_LARGEST_ELEMENT - 64} bytes together, not {size}"
    copies = possible_cpus() if spec.type in PER_CPU else 1
    if spec.type is not T.RINGBUF and (size + 40) * copies * spec.max_entries > _LARGEST_MAP:
        return f"{spec.max_entries} entries need more than {_LARGEST_MAP >> 30} GiB"
    return ""


def checked(spec: MapSpec) -> MapSpec:
    """`spec`, adapted to the machine.  Raises `LoadError` (EINVAL, E2BIG), `NotSupportedError`."""
    if spec.type not in SUPPORTED:
        raise NotSupportedError(f"map type {spec.type.name} on the embedded kernel")
    spec = adapted(spec)
    what = f"map {spec.name!r} ({spec.type.name}, key {spec.key_size} B, value {spec.value_size} B, " + (
        f"{spec.max_entries} entries, flags {spec.flags:#x})"
    )
    if why := _broken_rule(spec):
        raise LoadError(f"{what} was refused: {why}", errno.EINVAL)
    if why := _too_large(spec):
        raise LoadError(f"{what} is too large: {why}", errno.E2BIG)
    if spec.flags & NO_COMMON_LRU:  # each CPU has the same share
        spec = replace(spec, max_entries=-(-spec.max_entries // possible_cpus()) * possible_cpus())
    return spec
