"""Every map type that this kernel has can be created, and used from Python."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind
from stingless.compile import compile_object
from stingless.errors import LoadError, MapError, NotSupportedError
from stingless.linux.kernel import LinuxKernel
from stingless.maps import open_typed
from stingless.obj.reader import read_object
from stingless.obj.spec import MapSpec

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="creating maps in Linux needs root")

T = MapType
NO_PREALLOC, NUMA_NODE, BUILD_ID, MMAPABLE = 1 << 0, 1 << 2, 1 << 5, 1 << 10
PAGE = os.sysconf("SC_PAGESIZE")


@pytest.fixture(scope="module")
def btf() -> Btf:
    found = read_object(compile_object("struct s { int a; long b; }; struct s s; int i; unsigned long long u;")).btf
    assert found is not None
    return found


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as made:
        yield made


INNER = MapSpec("inner", T.HASH, 4, 8, 4)
SPECS = {
    T.HASH: MapSpec("m", T.HASH, 4, 8, 4),
    T.ARRAY: MapSpec("m", T.ARRAY, 4, 8, 4),
    T.PROG_ARRAY: MapSpec("m", T.PROG_ARRAY, 4, 4, 4),
    T.PERF_EVENT_ARRAY: MapSpec("m", T.PERF_EVENT_ARRAY, 4, 4, 0),
    T.PERCPU_HASH: MapSpec("m", T.PERCPU_HASH, 4, 8, 4),
    T.PERCPU_ARRAY: MapSpec("m", T.PERCPU_ARRAY, 4, 8, 4),
    T.STACK_TRACE: MapSpec("m", T.STACK_TRACE, 4, 8 * 16, 4),
    T.CGROUP_ARRAY: MapSpec("m", T.CGROUP_ARRAY, 4, 4, 4),
    T.LRU_HASH: MapSpec("m", T.LRU_HASH, 4, 8, 4),
    T.LRU_PERCPU_HASH: MapSpec("m", T.LRU_PERCPU_HASH, 4, 8, 4),
    T.LPM_TRIE: MapSpec("m", T.LPM_TRIE, 8, 8, 4, NO_PREALLOC),
    T.ARRAY_OF_MAPS: MapSpec("m", T.ARRAY_OF_MAPS, 4, 4, 4, inner=INNER),
    T.HASH_OF_MAPS: MapSpec("m", T.HASH_OF_MAPS, 4, 4, 4, inner=INNER),
    T.DEVMAP: MapSpec("m", T.DEVMAP, 4, 8, 4),
    T.SOCKMAP: MapSpec("m", T.SOCKMAP, 4, 8, 4),
    T.CPUMAP: MapSpec("m", T.CPUMAP, 4, 8, 4),
    T.XSKMAP: MapSpec("m", T.XSKMAP, 4, 4, 4),
    T.SOCKHASH: MapSpec("m", T.SOCKHASH, 4, 8, 4),
    T.CGROUP_STORAGE: MapSpec("m", T.CGROUP_STORAGE, 8, 8, 0),
    T.REUSEPORT_SOCKARRAY: MapSpec("m", T.REUSEPORT_SOCKARRAY, 4, 8, 4),
    T.PERCPU_CGROUP_STORAGE: MapSpec("m", T.PERCPU_CGROUP_STORAGE, 8, 8, 0),
    T.QUEUE: MapSpec("m", T.QUEUE, 0, 8, 4),
    T.STACK: MapSpec("m", T.STACK, 0, 8, 4),
    T.SK_STORAGE: MapSpec("m", T.SK_STORAGE, 4, 16, 0, NO_PREALLOC),
    T.DEVMAP_HASH: MapSpec("m", T.DEVMAP_HASH, 4, 8, 4),
    T.RINGBUF: MapSpec("m", T.RINGBUF, 0, 0, 5000),
    T.INODE_STORAGE: MapSpec("m", T.INODE_STORAGE, 4, 16, 0, NO_PREALLOC),
    T.TASK_STORAGE: MapSpec("m", T.TASK_STORAGE, 4, 16, 0, NO_PREALLOC),
    T.BLOOM_FILTER: MapSpec("m", T.BLOOM_FILTER, 0, 8, 4, extra=3),
    T.USER_RINGBUF: MapSpec("m", T.USER_RINGBUF, 0, 0, 5000),
    T.CGRP_STORAGE: MapSpec("m", T.CGRP_STORAGE, 4, 16, 0, NO_PREALLOC),
    T.ARENA: MapSpec("m", T.ARENA, 0, 0, 4, MMAPABLE, extra=1 << 44),
    T.INSN_ARRAY: MapSpec("m", T.INSN_ARRAY, 4, 16, 4),
    T.RHASH: MapSpec("m", T.RHASH, 4, 8, 4, NO_PREALLOC),
}
STORAGES = (T.SK_STORAGE, T.INODE_STORAGE, T.TASK_STORAGE, T.CGRP_STORAGE)


def made(kernel: LinuxKernel, btf: Btf, type: MapType, **changes: Any) -> Any:
    spec = replace(SPECS[type], **changes)
    if type in STORAGES:
        spec = replace(spec, key_type=_id(btf, "int"), value_type=_id(btf, "s", Kind.STRUCT), btf=btf)
    elif spec.value_size == 8 and type not in (T.DEVMAP, T.DEVMAP_HASH, T.CPUMAP, T.SOCKMAP, T.SOCKHASH):
        spec = replace(spec, value_type=_id(btf, "unsigned long long"), btf=btf)
    if spec.key_size == 4 and (spec.value_type or spec.key_type):
        spec = replace(spec, key_type=_id(btf, "int"), btf=btf)
    try:
        return open_typed(kernel.create_map(spec))
    except NotSupportedError as error:
        pytest.skip(str(error))
    except LoadError as error:
        if error.errno == errno.EINVAL and type in (T.INSN_ARRAY, T.RHASH):
            pytest.skip(f"this kernel has no {type.name}: {error}")
        raise


def _id(btf: Btf, name: str, kind: Kind = Kind.INT) -> int:
    found = btf.find(name, kind)
    assert found is not None
    return found.id


def test_every_type_is_here() -> None:
    assert set(MapType) - set(SPECS) == {T.UNSPEC, T.STRUCT_OPS}  # struct_ops come with a program: see their tests


@pytest.mark.parametrize("type", list(SPECS), ids=lambda type: type.name)
def test_create(kernel: LinuxKernel, btf: Btf, type: MapType) -> None:
    map = made(kernel, btf, type)
    info = map.info
    assert (info.type, info.name) == (type, "m")
    assert (info.key_size, info.value_size) == (SPECS[type].key_size, SPECS[type].value_size)
    assert type.name in repr(map) and map.fd == map.fileno()


@pytest.mark.parametrize("type", [T.HASH, T.ARRAY, T.LPM_TRIE, T.STACK_TRACE, T.RINGBUF])
def test_numa_node(kernel: LinuxKernel, btf: Btf, type: MapType) -> None:
    assert made(kernel, btf, type, numa_node=0).info.flags & NUMA_NODE


@pytest.mark.parametrize("type", [T.RINGBUF, T.USER_RINGBUF])
def test_ring_sizes_are_rounded(kernel: LinuxKernel, btf: Btf, type: MapType) -> None:
    assert made(kernel, btf, type).info.max_entries == 2 * PAGE


def test_maps_of_maps(kernel: LinuxKernel, btf: Btf) -> None:
    inner = replace(INNER, key_type=_id(btf, "int"), value_type=_id(btf, "unsigned long long"), btf=btf)
    for type in (T.ARRAY_OF_MAPS, T.HASH_OF_MAPS):
        outer = made(kernel, btf, type, inner=inner, key_type=_id(btf, "int"))
        one = outer.new_inner()
        one[5] = 6
        outer[1] = one
        assert outer[1] is one and dict(outer) == {1: one} and 0 not in outer
        other = open_typed(kernel.create_map(inner))
        outer.update({2: other.map})
        assert outer[2].info.id == other.info.id and outer[2].get(5) is None
        outer[2][5] = 7
        assert other[5] == 7  # type: ignore[index]
        del outer[1]
        assert list(outer) == [2]
        with pytest.raises(MapError) as unlike:
            outer[3] = kernel.create_map(MapSpec("unlike", T.HASH, 4, 4, 4))
        assert unlike.value.errno == errno.EINVAL
        with pytest.raises(TypeError, match="value: a descriptor"):
            outer[3] = "map"
        outer.close()
        assert one.map._fd.closed


def test_inner_map_of_a_map_that_was_opened(kernel: LinuxKernel, btf: Btf) -> None:
    outer = made(kernel, btf, T.HASH_OF_MAPS)
    outer[b"abcd"] = kernel.create_map(INNER)
    again: Any = open_typed(kernel.open_map(outer.info.id))
    assert again[b"abcd"].name == "inner"
    with pytest.raises(MapError, match="what its inner maps are like is not known"):
        again.new_inner()


def test_bloom_filter(kernel: LinuxKernel, btf: Btf) -> None:
    bloom = made(kernel, btf, T.BLOOM_FILTER)
    assert 5 not in bloom
    bloom.add(5)
    assert 5 in bloom
    with pytest.raises(ValueError, match="value: -1 does not fit"):
        bloom.add(-1)


def test_task_storage(kernel: LinuxKernel, btf: Btf) -> None:
    storage = made(kernel, btf, T.TASK_STORAGE)
    pidfd = os.pidfd_open(os.getpid())
    try:
        assert pidfd not in storage
        storage[pidfd] = {"a": 1, "b": 2}
        assert (storage[pidfd].a, storage[pidfd].b) == (1, 2)
        del storage[pidfd]
        with pytest.raises(KeyError):
            storage[pidfd]
        with pytest.raises(MapError, match="no such operation"):
            list(storage)
    finally:
        os.close(pidfd)


def test_socket_storage(kernel: LinuxKernel, btf: Btf) -> None:
    storage = made(kernel, btf, T.SK_STORAGE)
    with socket.socket() as sock:
        storage[sock] = (3, 4)
        assert storage[sock].b == 4
        with pytest.raises(MapError) as again:
            storage.put(sock, (1, 1), 1)  # BPF_NOEXIST
        assert again.value.errno == errno.EEXIST


def test_sockets(kernel: LinuxKernel, btf: Btf) -> None:
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        for type in (T.SOCKMAP, T.SOCKHASH):
            map = made(kernel, btf, type, key_type=_id(btf, "int"))
            map[0] = client
            cookie = client.getsockopt(socket.SOL_SOCKET, 57, 8)  # SO_COOKIE
            assert map[0] == int.from_bytes(cookie, sys.byteorder)
            assert list(map) == [0]
            del map[0]


def test_redirect_maps(kernel: LinuxKernel, btf: Btf) -> None:
    for type in (T.DEVMAP, T.DEVMAP_HASH):
        map = made(kernel, btf, type, key_type=_id(btf, "int"))
        map[1] = "lo"
        assert tuple(map[1]) == (socket.if_nametoindex("lo"), 0)
        map[2] = socket.if_nametoindex("lo")
        assert sorted(map) == [1, 2]
    narrow = made(kernel, btf, T.DEVMAP, value_size=4)
    narrow[0] = "lo"
    assert narrow[0] == socket.if_nametoindex("lo")
    with pytest.raises(ValueError, match="no room for a program"):
        narrow[0] = (1, 5)
    cpus = made(kernel, btf, T.CPUMAP)
    cpus[0] = 192
    assert cpus[0].target == 192


def test_event_and_cgroup_arrays(kernel: LinuxKernel, btf: Btf) -> None:
    events = made(kernel, btf, T.PERF_EVENT_ARRAY)
    assert events.spec.max_entries > 0
    with pytest.raises(MapError):
        events[0] = 0  # a descriptor, but of no perf event
    groups = made(kernel, btf, T.CGROUP_ARRAY)
    with pytest.raises(MapError, match="no such operation"):
        groups[0]


def test_arena(kernel: LinuxKernel, btf: Btf) -> None:
    arena = made(kernel, btf, T.ARENA)
    view = arena.view()
    assert view.shape == (4 * PAGE,) and view.ctypes.data == 1 << 44
    view[:3] = [1, 2, 3]
    assert arena.view()[:4].tolist() == [1, 2, 3, 0]
    arena.close()
    assert view[1] == 2


def test_stack_trace_of_nothing(kernel: LinuxKernel, btf: Btf) -> None:
    stacks = made(kernel, btf, T.STACK_TRACE)
    assert list(stacks) == [] and 3 not in stacks
    with pytest.raises(KeyError):
        stacks[3]
    assert made(kernel, btf, T.STACK_TRACE, flags=BUILD_ID, value_size=32 * 4).info.flags & BUILD_ID


def test_lru_and_hash_pop_in_one_step(kernel: LinuxKernel, btf: Btf) -> None:
    for type in (T.HASH, T.LRU_HASH, T.LPM_TRIE):
        map = made(kernel, btf, type, key_type=0)
        key = b"\x20\0\0\0\1\2\3\4"[: map.spec.key_size]
        map.map.update(key, bytes(8))
        assert map.map.pop(key) == bytes(8) and map.map.pop(key) is None


def test_data_section_without_shared_memory(kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel before 5.5 refuses BPF_F_MMAPABLE: the map is made without."""
    from stingless._sys import bpf_map

    create = bpf_map.map_create

    def old(*args: Any, **named: Any) -> Any:
        if args[4] & MMAPABLE:
            raise OSError(errno.EINVAL, "old kernel")
        return create(*args, **named)

    monkeypatch.setattr(bpf_map, "map_create", old)
    map = kernel.create_map(MapSpec(".data", T.ARRAY, 4, 8, 1, initial=b"12345678"))
    assert map.lookup(bytes(4)) == b"12345678" and not map.spec.flags & MMAPABLE
    with pytest.raises(NotSupportedError):
        map.memory()


def test_frozen_data_section_is_a_view(kernel: LinuxKernel) -> None:
    map = kernel.create_map(MapSpec(".rodata", T.ARRAY, 4, 8, 1, 1 << 7, initial=b"12345678", frozen=True))
    assert map.info.frozen and bytes(map.memory()) == b"12345678" and map.memory().readonly


def test_freezing_while_mapped(kernel: LinuxKernel) -> None:
    map: Any = open_typed(kernel.create_map(MapSpec("m", T.ARRAY, 4, 8, 1, MMAPABLE)))
    view = map.view()
    with pytest.raises(MapError, match="views are in use") as busy:
        map.freeze()
    assert busy.value.errno == errno.EBUSY
    del view
    map.freeze()


@pytest.mark.parametrize("by_batches", [True, False])
def test_reading_while_others_write(kernel: LinuxKernel, btf: Btf, by_batches: bool) -> None:
    """What is there all the time is read once, each time; reading ends."""
    map = made(kernel, btf, T.HASH, max_entries=512)
    map.map.batches = by_batches
    steady = range(64)
    map.update({key: key for key in steady})
    stop = threading.Event()

    def write() -> None:
        at = 1000
        while not stop.is_set():
            map[at] = 0
            at += 1
            map.pop(at - 100, None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            keys = list(map)
            assert len(keys) == len(set(keys)) and set(steady) <= set(keys)
    finally:
        stop.set()
        writer.join()
