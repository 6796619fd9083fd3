"""What a map may be: the checks that Linux makes before it creates one.

Source: the `*_alloc_check()` and `*_map_alloc()` functions of kernel/bpf/*.c and net/core/sock_map.c, net/xdp/xskmap.c.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import MapType
from stingless.cpus import possible_cpus
from stingless.errors import LoadError, NotSupportedError
from stingless.frozen import replace
from stingless.obj.spec import MapSpec
from stingless.sizes import adapted

T = MapType
HASHES = frozenset({T.HASH, T.PERCPU_HASH, T.LRU_HASH, T.LRU_PERCPU_HASH})
ARRAYS = frozenset({T.ARRAY, T.PERCPU_ARRAY, T.PROG_ARRAY, T.PERF_EVENT_ARRAY, T.CGROUP_ARRAY, T.ARRAY_OF_MAPS})
HANDLES = frozenset({T.PROG_ARRAY, T.PERF_EVENT_ARRAY, T.CGROUP_ARRAY, T.ARRAY_OF_MAPS})
OF_MAPS = frozenset({T.ARRAY_OF_MAPS, T.HASH_OF_MAPS})
REDIRECTS = frozenset({T.DEVMAP, T.DEVMAP_HASH, T.CPUMAP, T.XSKMAP})
SOCKETS = frozenset({T.SOCKMAP, T.SOCKHASH})
TABLES = OF_MAPS | REDIRECTS | SOCKETS | {T.PROG_ARRAY, T.CGROUP_ARRAY}
STORAGES = frozenset({T.TASK_STORAGE, T.INODE_STORAGE, T.SK_STORAGE, T.CGRP_STORAGE})
CGROUP_STORAGES = frozenset({T.CGROUP_STORAGE, T.PERCPU_CGROUP_STORAGE})
QUEUES = frozenset({T.QUEUE, T.STACK})
KEYLESS = QUEUES | {T.BLOOM_FILTER}
RINGS = frozenset({T.RINGBUF, T.USER_RINGBUF})
PER_CPU = frozenset({T.PERCPU_HASH, T.PERCPU_ARRAY, T.LRU_PERCPU_HASH, T.PERCPU_CGROUP_STORAGE})
SUPPORTED = HASHES | ARRAYS | TABLES | STORAGES | CGROUP_STORAGES | KEYLESS | RINGS
SUPPORTED |= {T.LPM_TRIE, T.STACK_TRACE, T.ARENA}

# linux/bpf.h, BPF_F_*
NO_PREALLOC, NO_COMMON_LRU, NUMA_NODE, RDONLY, WRONLY = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
BUILD_ID, ZERO_SEED, RDONLY_PROG, WRONLY_PROG, CLONE = (1 << bit for bit in (5, 6, 7, 8, 9))
MMAPABLE, PRESERVE_ELEMS, INNER_MAP, SEGV_ON_FAULT, NO_USER_CONV = (1 << bit for bit in (10, 11, 12, 17, 18))
_ACCESS = RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG

PAGE = 4096
_LARGEST_ELEMENT = 4 << 20  # KMALLOC_MAX_SIZE
_LARGEST_PER_CPU = 32 << 10  # PCPU_MIN_UNIT_SIZE
_LARGEST_STORAGE = (1 << 16) - 1 - 64  # BPF_LOCAL_STORAGE_MAX_VALUE_SIZE, about
_LARGEST_MAP = 1 << 36
_DEEPEST_STACK = 127  # kernel.perf_event_max_stack
_BUILD_ID_FRAME = 32
_CGROUPS = 4096  # whose storage a map has room for

_FLAGS = {
    T.LPM_TRIE: NO_PREALLOC | NUMA_NODE | _ACCESS,
    T.PERF_EVENT_ARRAY: NUMA_NODE | RDONLY | WRONLY | PRESERVE_ELEMS,
    T.ARRAY: NUMA_NODE | _ACCESS | MMAPABLE | INNER_MAP,
    T.PERCPU_ARRAY: _ACCESS,
    T.BLOOM_FILTER: NUMA_NODE | ZERO_SEED | _ACCESS,
    T.HASH_OF_MAPS: NO_PREALLOC | NUMA_NODE | ZERO_SEED | _ACCESS,
    T.STACK_TRACE: NUMA_NODE | RDONLY | WRONLY | BUILD_ID,
    T.CPUMAP: NUMA_NODE,
    T.RINGBUF: NUMA_NODE,
    T.USER_RINGBUF: NUMA_NODE,
    T.ARENA: MMAPABLE | SEGV_ON_FAULT | NO_USER_CONV,
}
# Values of 4 bytes, and those of 8 where the type has two forms.
_VALUES: dict[MapType, tuple[int, ...]] = dict.fromkeys(HANDLES | {T.HASH_OF_MAPS, T.XSKMAP}, (4,))
_VALUES |= dict.fromkeys(SOCKETS | {T.DEVMAP, T.DEVMAP_HASH, T.CPUMAP}, (4, 8))
_KEYS: dict[MapType, tuple[int, ...]] = dict.fromkeys(ARRAYS | REDIRECTS | STORAGES | {T.SOCKMAP, T.STACK_TRACE}, (4,))
_KEYS |= dict.fromkeys(CGROUP_STORAGES, (8, 16))
_KEYS |= dict.fromkeys(KEYLESS | RINGS | {T.ARENA}, (0,))


def _allowed_flags(type: MapType) -> int:
    if type in HASHES:
        allowed = NUMA_NODE | ZERO_SEED | _ACCESS
        return allowed | (NO_COMMON_LRU if type in (T.LRU_HASH, T.LRU_PERCPU_HASH) else NO_PREALLOC)
    if type in STORAGES:
        return NO_PREALLOC | CLONE
    if type in HANDLES | REDIRECTS | SOCKETS:
        return _FLAGS.get(type, NUMA_NODE | RDONLY | WRONLY)
    return _FLAGS.get(type, NUMA_NODE | _ACCESS)


def _broken_rule(spec: MapSpec) -> str:
    kind, name, flags = spec.type, spec.type.name, spec.flags
    no_value = kind in RINGS or kind is T.ARENA
    many = kind not in STORAGES | CGROUP_STORAGES
    key_sizes, value_sizes = _KEYS.get(kind), _VALUES.get(kind)
    rules = [
        (key_sizes == (0,) and spec.key_size != 0, f"a {name} has no key: the key size must be 0, not {spec.key_size}"),
        (kind in ARRAYS and spec.key_size != 4, f"an array's key is 4 bytes, not {spec.key_size}"),
        (spec.key_size not in (key_sizes or (spec.key_size,)), f"a {name}'s key has {_either(key_sizes)} bytes"),
        (key_sizes is None and spec.key_size == 0, "the key size is 0"),
        (
            spec.value_size not in (value_sizes or (spec.value_size,)),
            f"a {name}'s value is {_either(value_sizes)} bytes, not {spec.value_size}",
        ),
        (kind is T.RINGBUF and spec.value_size != 0, "a ring buffer's value size must be 0"),
        (no_value and spec.value_size != 0, f"a {name}'s value size must be 0"),
        (not no_value and spec.value_size == 0, "the value size is 0"),
        (many and spec.max_entries == 0, "max_entries is 0"),
        (not many and spec.max_entries != 0, f"a {name} grows by itself: max_entries must be 0"),
        (spec.extra & ~_extra_bits(kind) != 0, f"map_extra is {spec.extra:#x}"),
        (kind is T.LPM_TRIE and not flags & NO_PREALLOC, "an LPM_TRIE needs the flag BPF_F_NO_PREALLOC"),
        (kind in STORAGES and not flags & NO_PREALLOC, f"a {name} needs the flag BPF_F_NO_PREALLOC"),
        (
            kind in STORAGES and not (spec.key_type and spec.value_type),
            f"a {name} needs the BTF types of its key and value",
        ),
        (kind is T.ARENA and not flags & MMAPABLE, "an ARENA needs the flag BPF_F_MMAPABLE"),
        (
            kind is T.LPM_TRIE and not 5 <= spec.key_size <= 260,
            f"an LPM_TRIE's key is 4 bytes of prefix length and 1 to 256 of data, not {spec.key_size} in all",
        ),
        (spec.key_size > 512, f"a key has at most 512 bytes, not {spec.key_size}"),
        (kind is T.STACK_TRACE and _bad_depth(spec), f"a stack has 1 to {_DEEPEST_STACK} frames of 8 bytes"),
        (kind in OF_MAPS and spec.inner is None, f"a {name} needs the template of its inner maps"),
        (
            kind in OF_MAPS and spec.inner is not None and spec.inner.type in OF_MAPS,
            "maps of maps of maps are not possible",
        ),
        (
            bool(flags & ~_allowed_flags(kind)),
            f"the flags {flags & ~_allowed_flags(kind):#x} do not go with this type",
        ),
        (
            flags & RDONLY != 0 and flags & WRONLY != 0,
            "a map that is both BPF_F_RDONLY and BPF_F_WRONLY could not be used",
        ),
        (
            flags & RDONLY_PROG != 0 and flags & WRONLY_PROG != 0,
            "a map that is both BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG could not be used",
        ),
        (
            spec.initial is not None and kind is not T.ARENA and (kind is not T.ARRAY or spec.max_entries != 1),
            "initial content goes into an ARRAY of one entry",
        ),
        (
            spec.initial is not None and kind is not T.ARENA and len(spec.initial) != spec.value_size,
            f"the initial content has {len(spec.initial or b'')} bytes, the value {spec.value_size}",
        ),
    ]
    return next((why for broken, why in rules if broken), "")


def _either(sizes: tuple[int, ...] | None) -> str:
    return " or ".join(map(str, sizes or ()))


def _extra_bits(kind: MapType) -> int:
    return 15 if kind is T.BLOOM_FILTER else ~(PAGE - 1) if kind is T.ARENA else 0


def _bad_depth(spec: MapSpec) -> bool:
    frame = _BUILD_ID_FRAME if spec.flags & BUILD_ID else 8
    return spec.value_size % frame != 0 or not 1 <= spec.value_size // frame <= _DEEPEST_STACK


def _too_large(spec: MapSpec) -> str:
    size = spec.key_size + spec.value_size
    if spec.type in PER_CPU and spec.value_size > _LARGEST_PER_CPU:
        return f"a per-CPU value has at most {_LARGEST_PER_CPU} bytes, not {spec.value_size}"
    if spec.type in STORAGES and spec.value_size > _LARGEST_STORAGE:
        return f"a value has at most {_LARGEST_STORAGE} bytes, not {spec.value_size}"
    if spec.type in CGROUP_STORAGES and spec.value_size > PAGE - 64:
        return f"a value has at most {PAGE - 64} bytes, not {spec.value_size}"
    if spec.type is T.ARENA and spec.max_entries * PAGE > 1 << 32:
        return "an arena has at most 4 GiB"
    if spec.type not in ARRAYS and size > _LARGEST_ELEMENT - 64:
        return f"key and value have at most {_LARGEST_ELEMENT - 64} bytes together, not {size}"
    copies = possible_cpus() if spec.type in PER_CPU else 1
    if spec.type not in RINGS | {T.ARENA} and (size + 40) * copies * spec.max_entries > _LARGEST_MAP:
        return f"{spec.max_entries} entries need more than {_LARGEST_MAP >> 30} GiB"
    return ""


def checked(spec: MapSpec) -> MapSpec:
    """`spec`, adapted to the machine.  Raises `LoadError` (EINVAL, E2BIG), `NotSupportedError`."""
    if spec.type is T.STRUCT_OPS:
        raise NotSupportedError(
            f"struct_ops (map {spec.name!r}) on the embedded kernel",
            advice="there is no kernel struct here to implement: load it on Linux (5.6)",
        )
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
    if spec.type in (T.DEVMAP, T.DEVMAP_HASH):  # programs look up what they may not change
        spec = replace(spec, flags=spec.flags | RDONLY_PROG)
    return spec


def runtime_sizes(spec: MapSpec) -> tuple[int, int]:
    """Key size and entries in the runtime, where objects are known by 8-byte numbers."""
    if spec.type in STORAGES:
        return 8, 0
    return spec.key_size, _CGROUPS if spec.type in CGROUP_STORAGES else spec.max_entries


def like_template(template: MapSpec, spec: MapSpec) -> bool:
    """Whether a map may be an inner one (`bpf_map_meta_equal()`).  An array's size counts: programs are checked with
    the template's, unless it has BPF_F_INNER_MAP."""
    same = (template.type, template.key_size, template.value_size, template.flags) == (
        spec.type,
        spec.key_size,
        spec.value_size,
        spec.flags,
    )
    exact = template.type is T.ARRAY and not template.flags & INNER_MAP
    return same and not (exact and template.max_entries != spec.max_entries)
