"""Creating maps: every type, with what each wants of BPF_MAP_CREATE.

Source: kernel/bpf/syscall.c, `map_create()`, `map_check_btf()`; include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import errno
import os

from stingless._gen.uapi import MapType
from stingless._sys import bpf_map
from stingless._sys.syscall import Fd
from stingless.errors import LoadError, NotSupportedError
from stingless.frozen import replace
from stingless.linux.maps import LinuxMap
from stingless.linux.refusals import MAP_SINCE, map_refused
from stingless.obj.spec import MapSpec
from stingless.sizes import MMAPABLE, adapted

# Types that refuse a BTF description of keys and values.
_WITHOUT_BTF = frozenset(
    {
        MapType.PROG_ARRAY,
        MapType.PERF_EVENT_ARRAY,
        MapType.STACK_TRACE,
        MapType.CGROUP_ARRAY,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.REUSEPORT_SOCKARRAY,
        MapType.QUEUE,
        MapType.STACK,
        MapType.BLOOM_FILTER,
        MapType.RINGBUF,
        MapType.USER_RINGBUF,
        MapType.ARENA,
        MapType.INSN_ARRAY,
    }
)
# Types that need one.
_BY_BTF = frozenset({MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE})


def create(spec: MapSpec, btf_fd: int = 0) -> LinuxMap:
    """Create the map and fill in its initial content.  Raises `LoadError`, `PrivilegeError`, `NotSupportedError`."""
    inner: LinuxMap | None = None
    if spec.inner is not None and spec.type in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
        shared = btf_fd and spec.inner.btf is spec.btf
        inner = create(spec.inner, btf_fd) if shared else create_alone(spec.inner)
    try:
        made, fd = _created(adapted(spec), btf_fd, inner.fd if inner is not None else 0)
    finally:
        if inner is not None:
            inner.close()
    created = LinuxMap(made, fd)
    try:
        if spec.type is MapType.ARENA:  # programs load once the arena has its address
            created.memory()[: len(spec.initial or b"")] = spec.initial or b""
        elif spec.initial is not None:
            created.update(bytes(4), spec.initial)
        if spec.frozen:
            created.freeze()
    except OSError:
        created.close()
        raise
    return created


def create_alone(spec: MapSpec) -> LinuxMap:
    """A map whose types are not in the kernel yet."""
    from stingless._sys import bpf_btf

    if spec.btf is None or not (spec.key_type or spec.value_type):
        return create(spec)
    try:
        btf = bpf_btf.btf_load(spec.btf.for_kernel())
    except OSError:
        return create(spec)
    try:
        return create(spec, btf.fileno())
    finally:
        btf.close()


def _created(spec: MapSpec, btf_fd: int, inner_fd: int) -> tuple[MapSpec, Fd]:
    """The map, and the spec with the flags that it has."""
    typed = bool(btf_fd and (spec.key_type or spec.value_type) and spec.type not in _WITHOUT_BTF)
    attempts = [(spec, typed)]
    if spec.initial is not None and spec.flags & MMAPABLE:
        attempts.append((replace(spec, flags=spec.flags & ~MMAPABLE), typed))  # before Linux 5.5
    if typed:
        # Types are a help to tools; what needs them (locks, timers, ...) the verifier asks for.
        attempts += [(each, False) for each, _ in attempts]
    refused: OSError | None = None
    for attempt, with_btf in attempts:
        try:
            return attempt, _attempt(attempt, btf_fd if with_btf else 0, inner_fd)
        except OSError as error:
            refused = refused or error
            if error.errno != errno.EINVAL:
                break
    assert refused is not None
    if refused.errno == errno.EINVAL and _is_older(since := MAP_SINCE.get(spec.type, "")):
        raise NotSupportedError(f"map type {spec.type.name}", since, f"asked for map {spec.name!r}") from None
    if refused.errno == errno.EINVAL and not btf_fd and spec.type in _BY_BTF and (why := _btf_refusal(spec)):
        raise LoadError(
            f"map {spec.name!r}: a {spec.type.name} needs the types of its key and value, and this kernel refuses the "
            f"object's BTF: {why}",
            errno.EINVAL,
        ) from None
    raise map_refused(spec, refused.errno or 0) from None


def _btf_refusal(spec: MapSpec) -> str:
    """What the kernel says of the object's types; "" when it takes them."""
    from stingless._sys import bpf_btf

    lines = bpf_btf.btf_log(spec.btf.for_kernel()).split("\n") if spec.btf is not None else []
    return next((line for line in reversed(lines) if line.strip()), "")


def _is_older(since: str) -> bool:
    """Whether this kernel is, to explain a refusal: a type that it does not know is only EINVAL."""
    try:
        release = [int(part) for part in os.uname().release.split("-")[0].split(".")[:2]]
        return bool(since) and release < [int(part) for part in since.split(".")]
    except ValueError:
        return False


def _attempt(spec: MapSpec, btf_fd: int, inner_fd: int) -> Fd:
    def attempt() -> Fd:
        return bpf_map.map_create(
            spec.type,
            spec.key_size,
            spec.value_size,
            spec.max_entries,
            spec.flags,
            spec.name,
            btf_fd,
            spec.key_type if btf_fd else 0,
            spec.value_type if btf_fd else 0,
            inner_fd,
            extra=spec.extra,
            numa_node=spec.numa_node or 0,
        )

    try:
        return attempt()
    except PermissionError as error:
        # Before Linux 5.11 maps counted as locked memory, and exceeding the limit was EPERM.
        from stingless._sys.limits import raise_memlock

        if error.errno != errno.EPERM or not raise_memlock():
            raise
        return attempt()
