"""Maps of the embedded kernel that stand for objects: what is known of them, and what happens when they go."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from stingless._gen.uapi import MapType
from stingless._sys import runtime_maps
from stingless.embedded import descriptors, map_rules
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.map_smallest import smallest
from stingless.errors import LoadError
from stingless.kernel import Map
from stingless.obj.spec import MapSpec

T = MapType


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


@pytest.mark.parametrize("kind", sorted(map_rules.SUPPORTED), ids=lambda kind: kind.name)
def test_every_type(kernel: EmbeddedKernel, kind: MapType) -> None:
    map = kernel.create_map(smallest(kind))
    assert map.info.type == kind and map.spec.name == "probe"


def test_storage_ends_with_its_object(kernel: EmbeddedKernel) -> None:
    maps = [kernel.create_map(smallest(T.TASK_STORAGE)) for _ in range(2)]
    pidfd = os.pidfd_open(os.getpid())
    key = struct.pack("=i", pidfd)
    for map in maps:
        map.update(key, b"abcd")
    runtime_maps.forget_object(T.INODE_STORAGE, os.getpid())
    assert [map.lookup(key) for map in maps] == [b"abcd"] * 2
    runtime_maps.forget_object(T.TASK_STORAGE, os.getpid())
    assert [map.lookup(key) for map in maps] == [None] * 2
    os.close(pidfd)


def test_storage_of_a_thread_that_is_gone(kernel: EmbeddedKernel) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    pidfd = os.pidfd_open(child)
    os.waitpid(child, 0)
    with pytest.raises(OSError) as gone:
        kernel.create_map(smallest(T.TASK_STORAGE)).update(struct.pack("=i", pidfd), b"abcd")
    assert gone.value.errno == errno.ENOENT
    os.close(pidfd)


def test_what_programs_see_of_a_socket() -> None:
    """`struct bpf_sock`."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as connected:
            found = struct.unpack("=6I4s16sIHH4s16sIi", descriptors.visible_socket(connected.fileno()))
            address, own = socket.inet_aton("127.0.0.1"), connected.getsockname()[1]
            assert found[1:4] == (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            assert found[6:11] == (address, bytes(16), own, socket.htons(port), 0)
            assert found[11:] == (address, bytes(16), 1, -1)
        assert struct.unpack("=I", descriptors.visible_socket(listening.fileno())[72:76]) == (10,)


def test_arena_pages(kernel: EmbeddedKernel) -> None:
    """Pages of an arena go to one owner until they are given back; then they are empty."""
    map = kernel.create_map(MapSpec("m", T.ARENA, 0, 0, 8, map_rules.MMAPABLE, initial=b"x" * 5000))
    start = map.handle.memory
    assert start % (1 << 32) == 0
    taken = [map.handle.allocate(0, pages) for pages in (2, 4, 1)]
    assert taken == [start + 2 * 4096, start + 4 * 4096, 0]  # two pages were taken at first, none is left
    assert map.handle.allocate(start + 4096, 1) == 0
    view = map.memory()
    view[2 * 4096] = 7
    map.handle.give_back(taken[0], 1)
    assert view[2 * 4096] == 0 and map.handle.allocate(start + 2 * 4096, 1) == taken[0]


def test_arena_where_others_are(kernel: EmbeddedKernel) -> None:
    spec = MapSpec("m", T.ARENA, 0, 0, 4, map_rules.MMAPABLE, extra=5 << 44)
    kernel.create_map(spec)
    with pytest.raises(LoadError, match=r"the addresses from 0x500000000000 on \(map_extra\) are taken"):
        kernel.create_map(spec)


def test_reserved_records_of_a_user_ring(kernel: EmbeddedKernel) -> None:
    map: Map = kernel.create_map(smallest(T.USER_RINGBUF))
    with map.open_user_ring() as ring:  # type: ignore[attr-defined]
        assert ring.capacity == 1 << 16 and ring.reserve(1 << 16) is None
        found = ring.reserve((1 << 16) - 8)
        assert found is not None and len(found[1]) == (1 << 16) - 8
        found[1].release()
