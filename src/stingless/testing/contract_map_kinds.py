"""The contract of maps kind by kind: results and errnos of bpf(2), the same on both kernels.

class TestMine(MapKindContract):
    @pytest.fixture
    def kernel(self): ...
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind
from stingless.compile import compile_object
from stingless.cpus import possible_cpus
from stingless.errors import LoadError, MapError, NotSupportedError
from stingless.frozen import replace
from stingless.kernel import BPF_ANY, BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST, Entries, Kernel, Map
from stingless.maps import open_typed
from stingless.obj.reader import read_object
from stingless.obj.spec import MapSpec

T = MapType
NO_PREALLOC, NO_COMMON_LRU, NUMA_NODE, RDONLY_PROG, MMAPABLE, INNER_MAP = 1, 2, 4, 1 << 7, 1 << 10, 1 << 12
PAGE = os.sysconf("SC_PAGESIZE")
INNER = MapSpec("inner", T.HASH, 4, 8, 4)


@cache
def _btf() -> Btf:
    text = "struct entry { int a; long b; }; struct entry entry; int number; unsigned long long wide;"
    found = read_object(compile_object(text)).btf
    assert found is not None
    return found


def _typed(type: MapType, value_size: int = 16, **changes: Any) -> MapSpec:
    ids = [_btf().find(name, kind) for name, kind in (("int", Kind.INT), ("entry", Kind.STRUCT))]
    assert ids[0] is not None and ids[1] is not None
    return MapSpec("m", type, 4, value_size, 0, NO_PREALLOC, ids[0].id, ids[1].id, btf=_btf(), **changes)


_HEAD = """
typedef unsigned int u32; typedef unsigned long long u64;
struct bpf_spin_lock { u32 val; };
struct bpf_timer { u64 opaque[2]; } __attribute__((aligned(8)));
struct task_struct { int pid; };
#define __kptr __attribute__((btf_type_tag("kptr_untrusted")))
"""
# Members of a value, and how it reads: data, or zeroes.
_VALUES = {
    "locked": ("u64 first; struct bpf_spin_lock lock; u32 last;", "........LLLL...."),
    "inside": ("u64 first; struct { u32 x; struct bpf_spin_lock lock; } in; u64 last;", "............LLLL........"),
    "timed": ("u64 first; struct bpf_timer timer; u64 last;", "........TTTTTTTTTTTTTTTT........"),
    "pointed": ("u64 first; struct task_struct __kptr *task; u64 last;", "........PPPPPPPP........"),
    "two": ("struct bpf_spin_lock one, other; u64 last;", "................"),
}


@cache
def _value(members: str) -> Btf:
    found = read_object(compile_object(f"{_HEAD} struct value {{ {members} }}; struct value v; u32 number;")).btf
    assert found is not None
    return found


def _with_fields(type: MapType, name: str, **changes: Any) -> MapSpec:
    btf = _value(_VALUES[name][0])
    value, number = btf.find("value", Kind.STRUCT), btf.find("unsigned int", Kind.INT)
    assert value is not None and number is not None
    return replace(MapSpec("m", type, 4, value.size, 4, 0, number.id, value.id, btf=btf), **changes)


def u32(number: int) -> bytes:
    return struct.pack("=I", number & 0xFFFFFFFF)


def u64(number: int) -> bytes:
    return struct.pack("=Q", number)


def outcome(action: Callable[[], Any]) -> Any:
    """What an operation gives, or its errno."""
    try:
        return action()
    except KeyError:
        return errno.ENOENT
    except MapError as error:
        return error.errno


def made(kernel: Kernel, spec: MapSpec) -> Map:
    try:
        return kernel.create_map(spec)
    except NotSupportedError as error:
        pytest.skip(str(error))


def cgroup_directory() -> str | None:
    """Of the v2 hierarchy, where it is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return fields[4]
    return None


class MapKindContract:
    """Subclass it with a fixture `kernel`."""

    @pytest.fixture
    def sockets(self) -> Iterator[dict[str, socket.socket]]:
        """One of each state that a SOCKMAP tells apart."""
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        connected = socket.create_connection(listening.getsockname())
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        one, other = socket.socketpair()
        made = {
            "listening": listening, "connected": connected, "bound": bound, "pair": one, "other": other,
            "datagrams": socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), "fresh": socket.socket(),
            "unbound": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        }  # fmt: skip
        yield made
        for each in made.values():
            each.close()

    # What can be created

    @pytest.mark.parametrize(
        "spec",
        [
            MapSpec("m", T.CGROUP_ARRAY, 4, 8, 1),
            MapSpec("m", T.CGROUP_ARRAY, 4, 4, 1, RDONLY_PROG),
            MapSpec("m", T.STACK_TRACE, 4, 12, 1),
            MapSpec("m", T.STACK_TRACE, 4, 8 * 128, 1),
            MapSpec("m", T.STACK_TRACE, 8, 8, 1),
            MapSpec("m", T.HASH_OF_MAPS, 4, 8, 1, inner=INNER),
            MapSpec("m", T.ARRAY_OF_MAPS, 8, 4, 1, inner=INNER),
            MapSpec("m", T.DEVMAP, 4, 12, 1),
            MapSpec("m", T.DEVMAP, 8, 4, 1),
            MapSpec("m", T.DEVMAP_HASH, 4, 4, 0),
            MapSpec("m", T.CPUMAP, 4, 4, 1, RDONLY_PROG),
            MapSpec("m", T.XSKMAP, 4, 8, 1),
            MapSpec("m", T.SOCKMAP, 4, 6, 1),
            MapSpec("m", T.SOCKHASH, 0, 8, 1),
            MapSpec("m", T.CGROUP_STORAGE, 8, 8, 1),
            MapSpec("m", T.CGROUP_STORAGE, 12, 8, 0),
            MapSpec("m", T.TASK_STORAGE, 4, 8, 0, NO_PREALLOC),
            MapSpec("m", T.SK_STORAGE, 4, 8, 0),
            MapSpec("m", T.USER_RINGBUF, 4, 0, 4096),
            MapSpec("m", T.ARENA, 0, 0, 1),
            MapSpec("m", T.ARENA, 0, 0, 0, MMAPABLE),
            MapSpec("m", T.HASH, 4, 8, 4, NO_COMMON_LRU),
        ],
        ids=lambda spec: f"{spec.type.name}-{spec.key_size}-{spec.value_size}-{spec.max_entries}-{spec.flags:#x}",
    )
    def test_impossible(self, kernel: Kernel, spec: MapSpec) -> None:
        with pytest.raises(LoadError) as refused:
            made(kernel, spec)
        assert refused.value.errno == errno.EINVAL

    def test_shares_of_an_lru(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.LRU_HASH, 4, 8, possible_cpus() * 3 + 1, NO_COMMON_LRU))
        assert map.info.max_entries == -(-(possible_cpus() * 3 + 1) // possible_cpus()) * possible_cpus()

    # Maps of maps

    @pytest.mark.parametrize("type", [T.ARRAY_OF_MAPS, T.HASH_OF_MAPS])
    def test_maps_of_maps(self, kernel: Kernel, type: MapType) -> None:
        outer: Any = open_typed(made(kernel, MapSpec("m", type, 4, 4, 2, inner=INNER)))
        raw = outer.map
        one, other = kernel.create_map(INNER), outer.new_inner()
        raw.update(u32(0), u32(one.fd))
        raw.update(u32(1), u32(other.map.fd))
        one.update(u32(5), u64(6))
        assert raw.lookup(u32(0)) == u32(one.info.id)
        assert sorted(raw.items()) == [(u32(0), u32(one.info.id)), (u32(1), u32(other.info.id))]
        assert raw.inner(one.info.id).lookup(u32(5)) == u64(6)
        number = one.info.id
        one.close()
        assert raw.inner(number).lookup(u32(5)) == u64(6)  # the outer map holds it
        full = outcome(partial(raw.update, u32(2), u32(other.map.fd)))
        assert full == errno.E2BIG
        raw.delete(u32(0))
        assert raw.lookup(u32(0)) is None and outcome(partial(raw.delete, u32(0))) == errno.ENOENT
        unlike = kernel.create_map(MapSpec("unlike", T.HASH, 4, 4, 4))
        assert outcome(partial(raw.update, u32(0), u32(unlike.fd))) == errno.EINVAL
        assert outcome(partial(raw.update, u32(0), u32(99999))) == errno.EBADF
        larger = kernel.create_map(MapSpec("larger", T.HASH, 4, 8, 40))
        raw.update(u32(0), u32(larger.fd))  # the size of a hash may differ
        outer.close()

    def test_inner_arrays_have_the_templates_size(self, kernel: Kernel) -> None:
        for flags, accepted in ((0, errno.EINVAL), (INNER_MAP, None)):
            template = MapSpec("inner", T.ARRAY, 4, 8, 2, flags)
            outer = made(kernel, MapSpec("m", T.ARRAY_OF_MAPS, 4, 4, 1, inner=template))
            larger = kernel.create_map(MapSpec("inner", T.ARRAY, 4, 8, 3, flags))
            assert outcome(partial(outer.update, u32(0), u32(larger.fd))) == accepted

    def test_flags_of_maps_of_maps(self, kernel: Kernel) -> None:
        inner = kernel.create_map(INNER)
        by_index = made(kernel, MapSpec("m", T.ARRAY_OF_MAPS, 4, 4, 2, inner=INNER))
        assert outcome(partial(by_index.update, u32(0), u32(inner.fd), BPF_NOEXIST)) == errno.EINVAL
        by_key = made(kernel, MapSpec("m", T.HASH_OF_MAPS, 4, 4, 2, inner=INNER))
        assert outcome(partial(by_key.update, u32(0), u32(inner.fd), BPF_EXIST)) == errno.ENOENT
        by_key.update(u32(0), u32(inner.fd), BPF_NOEXIST)
        assert outcome(partial(by_key.update, u32(0), u32(inner.fd), BPF_NOEXIST)) == errno.EEXIST

    # Where packets go

    @pytest.mark.parametrize("size", [4, 8])
    @pytest.mark.parametrize("type", [T.DEVMAP, T.DEVMAP_HASH])
    def test_interfaces(self, kernel: Kernel, type: MapType, size: int) -> None:
        map = made(kernel, MapSpec("m", type, 4, size, 2))
        assert map.info.flags & RDONLY_PROG
        loopback = u32(socket.if_nametoindex("lo")).ljust(size, b"\0")
        by_key = type is T.DEVMAP_HASH
        map.update(u32(0), loopback)
        map.update(u32(1), loopback)
        assert map.lookup(u32(0)) == loopback
        assert dict(map.items()) == {u32(0): loopback, u32(1): loopback}
        assert outcome(partial(map.update, u32(9), loopback)) == errno.E2BIG
        assert outcome(partial(map.update, u32(0), loopback, BPF_NOEXIST)) == errno.EEXIST
        assert outcome(partial(map.update, u32(0), loopback, 3)) == errno.EINVAL
        assert outcome(partial(map.update, u32(0), bytes(size))) == (errno.EINVAL if by_key else None)
        assert (map.lookup(u32(0)) is None) is not by_key
        assert outcome(partial(map.delete, u32(0))) is None
        assert outcome(partial(map.delete, u32(0))) == (errno.ENOENT if by_key else None)
        assert outcome(partial(map.delete, u32(9))) == (errno.ENOENT if by_key else errno.EINVAL)
        if size == 8:
            no_program = loopback[:4] + u32(99999)
            assert outcome(partial(map.update, u32(0), no_program)) == errno.EINVAL

    @pytest.mark.parametrize("size", [4, 8])
    def test_cpus(self, kernel: Kernel, size: int) -> None:
        map = made(kernel, MapSpec("m", T.CPUMAP, 4, size, possible_cpus() + 1))
        queue = u32(192).ljust(size, b"\0")
        map.update(u32(0), queue)
        assert map.lookup(u32(0)) == queue and dict(map.items()) == {u32(0): queue}
        assert outcome(partial(map.update, u32(0), queue, BPF_NOEXIST)) == errno.EEXIST
        assert outcome(partial(map.update, u32(0), u32(16385).ljust(size, b"\0"))) == errno.EOVERFLOW
        assert outcome(partial(map.update, u32(possible_cpus()), queue)) == errno.ENODEV
        assert outcome(partial(map.update, u32(possible_cpus() + 1), queue)) == errno.E2BIG
        map.update(u32(0), bytes(size))
        assert map.lookup(u32(0)) is None
        map.delete(u32(0))
        assert outcome(partial(map.delete, u32(99))) == errno.EINVAL

    def test_xdp_sockets(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.XSKMAP, 4, 4, 2))
        with Path(__file__).open() as file:
            assert outcome(partial(map.update, u32(0), u32(file.fileno()))) == errno.ENOTSOCK
            assert outcome(partial(map.update, u32(2), u32(file.fileno()))) == errno.E2BIG
        assert outcome(partial(map.update, u32(0), u32(99999))) == errno.EBADF
        assert outcome(partial(map.lookup, u32(0))) == errno.EOPNOTSUPP
        map.delete(u32(0))
        assert outcome(partial(map.delete, u32(2))) == errno.EINVAL

    @pytest.mark.parametrize("type", [T.SOCKMAP, T.SOCKHASH])
    def test_sockets(self, kernel: Kernel, type: MapType, sockets: dict[str, socket.socket]) -> None:
        map = made(kernel, MapSpec("m", type, 4, 8, 3))

        def put(name: str, key: int = 0, flags: int = BPF_ANY) -> Any:
            return outcome(partial(map.update, u32(key), u64(sockets[name].fileno()), flags))

        taken = {name: put(name) for name in sockets}
        no = errno.EOPNOTSUPP
        assert taken == dict.fromkeys(sockets) | {"fresh": no, "unbound": no}
        cookie = sockets["datagrams"].getsockopt(socket.SOL_SOCKET, 57, 8)  # SO_COOKIE
        assert map.lookup(u32(0)) == cookie and list(map.items()) == [(u32(0), cookie)]
        assert [put("bound", 0, BPF_NOEXIST), put("bound", 1, BPF_EXIST)] == [errno.EEXIST, errno.ENOENT]
        assert put("bound", 0, 3) == errno.EINVAL
        assert [put("bound", 1), put("bound", 2), put("bound", 3)] == [None, None, errno.E2BIG]
        missing = errno.EINVAL if type is T.SOCKMAP else errno.ENOENT
        map.delete(u32(1))
        assert outcome(partial(map.delete, u32(1))) == missing
        narrow = made(kernel, MapSpec("m", type, 4, 4, 3))
        narrow.update(u32(0), u32(sockets["pair"].fileno()))
        assert outcome(partial(narrow.lookup, u32(0))) == errno.ENOSPC

    def test_cgroups(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.CGROUP_ARRAY, 4, 4, 2))
        directory = cgroup_directory()
        if directory is not None:
            group = os.open(directory, os.O_RDONLY)
            map.update(u32(0), u32(group))
            os.close(group)
            map.delete(u32(0))
        with Path(__file__).open() as file:
            assert outcome(partial(map.update, u32(0), u32(file.fileno()))) == errno.EBADF
        assert outcome(partial(map.update, u32(2), u32(0))) == errno.E2BIG
        assert outcome(partial(map.update, u32(0), u32(0), BPF_EXIST)) == errno.EINVAL
        assert outcome(partial(map.lookup, u32(0))) == errno.EOPNOTSUPP
        assert outcome(partial(map.delete, u32(0))) == errno.ENOENT
        assert outcome(partial(map.delete, u32(2))) == errno.E2BIG

    # What belongs to objects

    @pytest.mark.parametrize("type", [T.TASK_STORAGE, T.INODE_STORAGE, T.SK_STORAGE, T.CGRP_STORAGE])
    def test_storage(self, kernel: Kernel, type: MapType) -> None:
        map = made(kernel, _typed(type))
        directory = cgroup_directory() or ""
        if type is T.CGRP_STORAGE and not directory:
            pytest.skip("no cgroup v2 hierarchy is mounted")
        opened: dict[MapType, Callable[[], int]] = {
            T.TASK_STORAGE: lambda: os.pidfd_open(os.getpid()),
            T.INODE_STORAGE: lambda: os.open(__file__, os.O_RDONLY),
            T.SK_STORAGE: lambda: socket.socket().detach(),
            T.CGRP_STORAGE: lambda: os.open(directory, os.O_RDONLY),
        }
        fd = opened[type]()
        again = os.dup(fd)
        try:
            assert map.lookup(u32(fd)) is None
            assert outcome(partial(map.update, u32(fd), bytes(16), BPF_EXIST)) == errno.ENOENT
            map.update(u32(fd), b"v" * 16, BPF_NOEXIST)
            assert map.lookup(u32(again)) == b"v" * 16
            assert outcome(partial(map.update, u32(fd), bytes(16), BPF_NOEXIST)) == errno.EEXIST
            assert outcome(partial(map.update, u32(fd), bytes(16), 3)) == errno.EINVAL
            map.update(u32(fd), b"w" * 16, BPF_EXIST)
            assert map.pop(u32(again)) == b"w" * 16
            assert outcome(partial(map.delete, u32(fd))) == errno.ENOENT
            assert outcome(partial(map.update, u32(-1), bytes(16))) == errno.EBADF
            if type is not T.INODE_STORAGE:
                wrong = errno.ENOTSOCK if type is T.SK_STORAGE else errno.EBADF
                with Path(__file__).open() as file:
                    assert outcome(partial(map.update, u32(file.fileno()), bytes(16))) == wrong
            for walk in (lambda: map.next_key(None), lambda: list(map.items())):
                assert outcome(walk) == errno.EOPNOTSUPP
        finally:
            os.close(fd)
            os.close(again)

    @pytest.mark.parametrize(
        ("type", "key"), [(T.CGROUP_STORAGE, 8), (T.CGROUP_STORAGE, 16), (T.PERCPU_CGROUP_STORAGE, 16)]
    )
    def test_cgroup_storage(self, kernel: Kernel, type: MapType, key: int) -> None:
        """Entries come with attachments only."""
        map = made(kernel, MapSpec("m", type, key, 8, 0))
        value = bytes(map.value_bytes)
        assert map.lookup(bytes(key)) is None and map.next_key(None) is None
        assert outcome(partial(map.update, bytes(key), value)) == errno.ENOENT
        assert outcome(partial(map.update, bytes(key), value, BPF_NOEXIST)) == errno.EINVAL
        assert outcome(partial(map.delete, bytes(key))) == errno.EINVAL
        assert map.pop(bytes(key)) is None and list(map.items()) == []

    # Records and pages

    def test_stacks(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.STACK_TRACE, 4, 8 * 4, 5))
        assert map.lookup(u32(0)) is None and map.next_key(None) is None and list(map.items()) == []
        assert outcome(partial(map.update, u32(0), bytes(32))) == errno.EINVAL
        assert outcome(partial(map.delete, u32(7))) == errno.ENOENT  # there are 8 buckets
        assert outcome(partial(map.delete, u32(8))) == errno.E2BIG

    @pytest.mark.parametrize("type", [T.RINGBUF, T.USER_RINGBUF])
    def test_rings_have_no_entries(self, kernel: Kernel, type: MapType) -> None:
        map = made(kernel, MapSpec("m", type, 0, 0, PAGE + 1))
        assert map.info.max_entries == 2 * PAGE
        actions: list[Callable[[], Any]] = [
            lambda: map.lookup(b""), lambda: map.update(b"", b""), lambda: map.next_key(None), map.entries,
        ]  # fmt: skip
        assert [outcome(each) for each in actions] == [errno.EOPNOTSUPP] * 4
        assert outcome(lambda: map.delete(b"")) == errno.EINVAL

    def test_user_ring(self, kernel: Kernel) -> None:
        ring = made(kernel, MapSpec("m", T.USER_RINGBUF, 0, 0, PAGE)).open_user_ring()
        assert ring.capacity == PAGE
        places = []
        while (found := ring.reserve(1000)) is not None:
            found[1][:3] = b"abc"
            found[1].release()
            places.append(found[0])
            ring.commit(found[0], discard=len(places) == 2)
        assert places == [0, 1008, 2016, 3024]  # nobody drains it
        ring.close()
        with pytest.raises(MapError):
            made(kernel, INNER).open_user_ring()

    def test_arena(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.ARENA, 0, 0, 4, MMAPABLE, initial=b"first"))
        memory = map.memory()
        assert len(memory) == 4 * PAGE and bytes(memory[:6]) == b"first\0"
        memory[PAGE] = 7
        assert map.memory()[PAGE] == 7
        assert [outcome(each) for each in (lambda: map.lookup(b""), lambda: map.update(b"", b""))] == [
            errno.EINVAL, errno.EOPNOTSUPP,
        ]  # fmt: skip

    def test_arena_at_an_address(self, kernel: Kernel) -> None:
        import numpy as np

        map = made(kernel, MapSpec("m", T.ARENA, 0, 0, 4, MMAPABLE, extra=3 << 44))
        assert np.frombuffer(map.memory(), np.uint8).ctypes.data == 3 << 44

    # Order, batches, flags

    def test_tries_go_from_long_to_short(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.LPM_TRIE, 8, 8, 16, NO_PREALLOC))
        networks = [
            (8, "10.0.0.0"),
            (24, "10.1.2.0"),
            (16, "10.1.0.0"),
            (0, "0.0.0.0"),
            (32, "10.1.2.3"),
            (9, "10.128.0.0"),
        ]
        for bits, address in networks:
            map.update(u32(bits) + socket.inet_aton(address), u64(bits))
        walked = []
        key = map.next_key(None)
        while key is not None:
            walked.append(key[0])
            key = map.next_key(key)
        assert walked == [32, 24, 16, 9, 8, 0]
        assert [struct.unpack("=Q", value)[0] for _, value in map.items()] == walked
        assert outcome(partial(map.update, u32(33) + bytes(4), u64(0))) == errno.EINVAL
        assert map.pop(u32(24) + socket.inet_aton("10.1.2.0")) == u64(24)
        assert map.pop(u32(31) + socket.inet_aton("10.1.2.0")) is None  # a shorter one is found, and is not it

    def test_room_of_a_trie(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.LPM_TRIE, 8, 8, 1, NO_PREALLOC))
        map.update(u32(8) + bytes(4), u64(1))
        assert outcome(partial(map.update, u32(9) + bytes(4), u64(1))) == errno.ENOSPC
        assert outcome(partial(map.update, u32(9) + bytes(4), u64(1), BPF_EXIST)) == errno.ENOENT
        map.update(u32(8) + bytes(4), u64(2), BPF_EXIST)
        assert outcome(partial(map.update, u32(8) + bytes(4), u64(1), BPF_NOEXIST)) == errno.EEXIST

    @pytest.mark.parametrize("type", [T.HASH, T.ARRAY, T.PERCPU_HASH, T.LRU_HASH, T.LPM_TRIE, T.QUEUE, T.BLOOM_FILTER])
    def test_unknown_flags(self, kernel: Kernel, type: MapType) -> None:
        key = {T.QUEUE: 0, T.BLOOM_FILTER: 0, T.LPM_TRIE: 8}.get(type, 4)
        map = made(kernel, MapSpec("m", type, key, 8, 4, NO_PREALLOC if type is T.LPM_TRIE else 0))
        for flags in (3, BPF_F_LOCK, BPF_F_LOCK | 1, 8, 1 << 40):
            assert outcome(partial(map.update, bytes(key), bytes(map.value_bytes), flags)) == errno.EINVAL
        if type in (T.HASH, T.ARRAY):
            assert outcome(partial(map.lookup, bytes(key), BPF_F_LOCK)) == errno.EINVAL

    @pytest.mark.parametrize("type", [T.QUEUE, T.STACK])
    def test_queues_have_no_keys(self, kernel: Kernel, type: MapType) -> None:
        map = made(kernel, MapSpec("m", type, 0, 8, 2))
        for value in (1, 2):
            map.update(b"", u64(value))
        assert outcome(partial(map.update, b"", u64(3))) == errno.E2BIG
        map.update(b"", u64(3), BPF_EXIST)  # the oldest goes
        assert map.pop() == u64(2 if type is T.QUEUE else 3)
        assert outcome(partial(map.update, b"", u64(3), BPF_NOEXIST)) == errno.EINVAL
        assert [outcome(each) for each in (lambda: map.next_key(None), lambda: map.delete(b""), map.entries)] == [
            errno.EINVAL
        ] * 3

    def test_batches_of_tables(self, kernel: Kernel) -> None:
        map = made(kernel, MapSpec("m", T.HASH_OF_MAPS, 4, 4, 4, inner=INNER))
        inner = [kernel.create_map(INNER) for _ in range(3)]
        keys, values = u32(1) + u32(2) + u32(3), b"".join(u32(each.fd) for each in inner)
        map.update_many(Entries(keys, values, 3))
        found = map.entries()
        assert found.count == 3 and {found.keys[at : at + 4] for at in (0, 4, 8)} == {u32(1), u32(2), u32(3)}
        assert map.delete_many(u32(3) + u32(9) + u32(1)) == 2
        assert [key for key, _ in map.items()] == [u32(2)]

    # Fields that are not data

    @pytest.mark.parametrize("name", ["locked", "inside", "timed", "pointed"])
    @pytest.mark.parametrize("type", [T.HASH, T.ARRAY, T.LRU_HASH])
    def test_special_fields(self, kernel: Kernel, type: MapType, name: str) -> None:
        """They read as zero and are not written."""
        if type is T.LRU_HASH and "L" in _VALUES[name][1]:
            with pytest.raises((LoadError, NotSupportedError)):
                kernel.create_map(_with_fields(type, name))
            return
        map = made(kernel, _with_fields(type, name))
        shown = bytes(0x11 if each == "." else 0 for each in _VALUES[name][1])
        map.update(u32(1), b"\x11" * map.value_bytes)
        assert map.lookup(u32(1)) == shown
        map.update_many(Entries(u32(2), b"\x11" * map.value_bytes, 1))
        assert dict(map.items())[u32(2)] == shown
        if type is not T.ARRAY:
            assert map.pop(u32(1)) == shown
            assert map.take_entries().values == shown

    @pytest.mark.parametrize("type", [T.HASH, T.ARRAY])
    def test_under_the_values_lock(self, kernel: Kernel, type: MapType) -> None:
        map = made(kernel, _with_fields(type, "locked"))
        map.update(u32(1), bytes(16))
        map.update(u32(1), b"\x22" * 16, BPF_F_LOCK)
        shown = b"\x22" * 8 + bytes(4) + b"\x22" * 4
        assert map.lookup(u32(1), BPF_F_LOCK) == map.lookup(u32(1)) == shown
        assert outcome(partial(map.update, u32(1), bytes(16), BPF_F_LOCK | BPF_NOEXIST)) == errno.EEXIST
        missing = outcome(partial(map.update, u32(9), bytes(16), BPF_F_LOCK | BPF_EXIST))
        assert missing == (errno.E2BIG if type is T.ARRAY else errno.ENOENT)
        assert map.lookup(u32(9), BPF_F_LOCK) is None
        assert outcome(partial(map.lookup, u32(1), 1)) == errno.EINVAL

    @pytest.mark.parametrize("type", [T.HASH, T.PERCPU_HASH])
    def test_two_locks_are_none(self, kernel: Kernel, type: MapType) -> None:
        map = made(kernel, _with_fields(type, "two"))
        map.update(u32(1), b"\x11" * map.value_bytes)
        assert map.lookup(u32(1)) == b"\x11" * map.value_bytes
        assert outcome(partial(map.update, u32(1), bytes(map.value_bytes), BPF_F_LOCK)) == errno.EINVAL

    @pytest.mark.parametrize(
        ("type", "name", "changes"),
        [
            (T.PERCPU_HASH, "locked", {}),
            (T.PERCPU_ARRAY, "timed", {}),
            (T.LPM_TRIE, "pointed", {"key_size": 8, "key_type": 0, "flags": NO_PREALLOC}),
            (T.CGROUP_STORAGE, "timed", {"key_size": 8, "key_type": 0, "max_entries": 0}),
        ],
    )
    def test_types_that_cannot_have_them(
        self, kernel: Kernel, type: MapType, name: str, changes: dict[str, Any]
    ) -> None:
        with pytest.raises((LoadError, NotSupportedError)):
            kernel.create_map(_with_fields(type, name, **changes))
