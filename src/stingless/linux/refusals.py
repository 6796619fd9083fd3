"""Why the kernel said no: an errno and the request that got it, put in words.

Each function returns the error to raise; the advice comes from the request, never from the errno alone.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import MapType, ProgramType
from stingless.errors import LoadError, NotSupportedError, PrivilegeError, StinglessError
from stingless.linux import host
from stingless.obj.spec import MapSpec

EMBEDDED = "run as root, or use the embedded kernel: `stingless run --kernel embedded`"
ENOTSUPP = 524

_NETWORK = {
    ProgramType.XDP,
    ProgramType.SCHED_CLS,
    ProgramType.SCHED_ACT,
    ProgramType.CGROUP_SKB,
    ProgramType.CGROUP_SOCK,
    ProgramType.CGROUP_SOCK_ADDR,
    ProgramType.SOCK_OPS,
    ProgramType.SK_SKB,
    ProgramType.SK_MSG,
    ProgramType.SK_LOOKUP,
    ProgramType.FLOW_DISSECTOR,
    ProgramType.NETFILTER,
}
_TRACING = {
    ProgramType.KPROBE,
    ProgramType.TRACEPOINT,
    ProgramType.RAW_TRACEPOINT,
    ProgramType.RAW_TRACEPOINT_WRITABLE,
    ProgramType.PERF_EVENT,
    ProgramType.TRACING,
    ProgramType.LSM,
    ProgramType.EXT,
}

# First kernel with a map or program type, where it is newer than 4.10.
MAP_SINCE = {
    MapType.LPM_TRIE: "4.11",
    MapType.ARRAY_OF_MAPS: "4.12",
    MapType.HASH_OF_MAPS: "4.12",
    MapType.DEVMAP: "4.14",
    MapType.SOCKMAP: "4.14",
    MapType.CPUMAP: "4.15",
    MapType.XSKMAP: "4.18",
    MapType.SOCKHASH: "4.18",
    MapType.CGROUP_STORAGE: "4.19",
    MapType.REUSEPORT_SOCKARRAY: "4.19",
    MapType.PERCPU_CGROUP_STORAGE: "4.20",
    MapType.QUEUE: "4.20",
    MapType.STACK: "4.20",
    MapType.SK_STORAGE: "5.2",
    MapType.DEVMAP_HASH: "5.4",
    MapType.STRUCT_OPS: "5.6",
    MapType.RINGBUF: "5.8",
    MapType.INODE_STORAGE: "5.10",
    MapType.TASK_STORAGE: "5.11",
    MapType.BLOOM_FILTER: "5.16",
    MapType.USER_RINGBUF: "6.1",
    MapType.CGRP_STORAGE: "6.2",
    MapType.ARENA: "6.9",
}


def needed_capabilities(type: ProgramType) -> tuple[str, ...]:
    if type in _TRACING:
        return ("CAP_BPF", "CAP_PERFMON")
    if type in _NETWORK:
        return ("CAP_BPF", "CAP_NET_ADMIN")
    return ("CAP_BPF",)


def privilege(what: str, needed: tuple[str, ...]) -> PrivilegeError:
    """For EPERM: which capability is missing, or what else can be behind it."""
    absent = host.missing(*needed)
    if absent:
        return PrivilegeError(f"{what} needs {' and '.join(absent)}, which this process lacks; {EMBEDDED}", errno.EPERM)
    if host.in_user_namespace():
        why = "the capabilities of a user namespace do not count"
        return PrivilegeError(f"{what} needs {' and '.join(needed)} outside any user namespace; {why}; {EMBEDDED}", 1)
    return PrivilegeError(
        f"{what} was refused although {' and '.join(needed)} {'is' if len(needed) == 1 else 'are'} there: a policy of "
        "this host (kernel lockdown, a security module, a container's seccomp filter, or a hypervisor) forbids it; "
        "use another hook, or the embedded kernel: `stingless run --kernel embedded`",
        errno.EPERM,
    )


def map_refused(spec: MapSpec, code: int) -> StinglessError:
    what = f"map {spec.name!r} ({spec.type.name}, key {spec.key_size} B, value {spec.value_size} B, " + (
        f"{spec.max_entries} entries, flags {spec.flags:#x})"
    )
    if code in (errno.EPERM, errno.EACCES):
        return privilege(f"creating {what}", ("CAP_BPF",))
    if code == errno.E2BIG:
        return LoadError(f"{what} is too large for the kernel; lower max_entries or the sizes", code)
    if code == errno.ENOMEM:
        return LoadError(f"{what}: the kernel has no memory for it; lower max_entries", code)
    if code in (errno.ENOTSUP, ENOTSUPP, errno.EOPNOTSUPP):
        return NotSupportedError(f"map type {spec.type.name}", MAP_SINCE.get(spec.type, ""), f"asked for {what}")
    if code == errno.EINVAL:
        return LoadError(f"{what} was refused: {_map_invalid(spec)}", code)
    return LoadError(f"{what} was refused", code)


def _map_invalid(spec: MapSpec) -> str:
    t = MapType
    no_prealloc = 1  # BPF_F_NO_PREALLOC
    arrays = {t.ARRAY, t.PERCPU_ARRAY, t.PROG_ARRAY, t.PERF_EVENT_ARRAY, t.CGROUP_ARRAY, t.ARRAY_OF_MAPS}
    by_btf = {t.SK_STORAGE, t.INODE_STORAGE, t.TASK_STORAGE, t.CGRP_STORAGE}
    rules: list[tuple[bool, str]] = [
        (spec.type in arrays and spec.key_size != 4, f"an array's key is 4 bytes, not {spec.key_size}"),
        (
            spec.type in {t.PROG_ARRAY, t.PERF_EVENT_ARRAY, t.CGROUP_ARRAY, t.ARRAY_OF_MAPS} and spec.value_size != 4,
            f"a {spec.type.name}'s value is 4 bytes, not {spec.value_size}",
        ),
        (
            spec.type in {t.QUEUE, t.STACK, t.RINGBUF, t.BLOOM_FILTER, t.USER_RINGBUF} and spec.key_size != 0,
            f"a {spec.type.name} has no key: the key size must be 0, not {spec.key_size}",
        ),
        (spec.type in {t.RINGBUF, t.USER_RINGBUF} and spec.value_size != 0, "a ring buffer's value size must be 0"),
        (
            spec.type in {t.RINGBUF, t.USER_RINGBUF} and spec.max_entries & (spec.max_entries - 1) != 0,
            f"a ring buffer's max_entries is its size in bytes, a power of two, not {spec.max_entries}",
        ),
        (spec.type in by_btf and not spec.flags & no_prealloc, f"a {spec.type.name} needs the flag BPF_F_NO_PREALLOC"),
        (
            spec.type in by_btf and not (spec.key_type and spec.value_type),
            f"a {spec.type.name} needs the types of key and value (BTF)",
        ),
        (spec.type in by_btf and spec.max_entries != 0, f"a {spec.type.name}'s max_entries must be 0"),
        (spec.type is t.LPM_TRIE and not spec.flags & no_prealloc, "an LPM_TRIE needs the flag BPF_F_NO_PREALLOC"),
        (spec.type is t.LPM_TRIE and spec.key_size < 5, "an LPM_TRIE's key is 4 bytes of prefix length plus data"),
        (
            spec.type is t.STACK_TRACE and spec.value_size % 8 != 0,
            f"a STACK_TRACE's value is a whole number of 8-byte addresses, not {spec.value_size} bytes",
        ),
        (spec.max_entries == 0 and spec.type not in by_btf, "max_entries is 0"),
        (
            spec.key_size == 0 and spec.type not in {t.QUEUE, t.STACK, t.RINGBUF, t.BLOOM_FILTER, t.USER_RINGBUF},
            "the key size is 0",
        ),
        (spec.value_size == 0 and spec.type not in {t.RINGBUF, t.USER_RINGBUF}, "the value size is 0"),
        (spec.key_size > 512 and spec.type not in by_btf, f"a key has at most 512 bytes, not {spec.key_size}"),
        (bool(spec.flags), f"the flags {spec.flags:#x} do not go with this type"),
    ]
    for broken, why in rules:
        if broken:
            return why
    since = MAP_SINCE.get(spec.type)
    return f"this kernel may lack the type (it came with Linux {since})" if since else "the kernel does not say why"
