"""Random operations on maps of both kernels: the same results, errnos and, of LRU maps, the same keys given up."""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from stingless._gen.uapi import MapType
from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import MapError
from stingless.frozen import replace
from stingless.kernel import Entries, Kernel, Map
from stingless.linux.kernel import LinuxKernel
from stingless.obj.spec import MapSpec
from stingless.programs import LoadedObject
from stingless.testing.contract import load
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="creating maps in Linux needs root")

T = MapType
NO_PREALLOC, NO_COMMON_LRU = 1, 2
LOOPBACK = socket.if_nametoindex("lo")
INNER = MapSpec("inner", T.HASH, 4, 8, 4)


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[Kernel, Kernel]]:
    """On one CPU: what an LRU map gives up depends on it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    with LinuxKernel() as linux, EmbeddedKernel() as embedded:
        yield linux, embedded
    os.sched_setaffinity(0, before)


def by_index(numbers: random.Random, size: int) -> bytes:
    return numbers.choice([0, 0, 1, 1, 2, 3, 7, 8, 100]).to_bytes(size, "little")


def by_key(numbers: random.Random, size: int) -> bytes:
    return numbers.randrange(10).to_bytes(size, "little")


def prefix(numbers: random.Random, size: int) -> bytes:
    bits = numbers.choice([0, 1, 8, 12, 16, 24, 31, 32, 33])
    address = [10, numbers.choice([0, 1, 128]), numbers.choice([0, 1]), numbers.choice([0, 3])]
    return struct.pack("=I4B", bits, *address)


def target(numbers: random.Random, size: int) -> bytes:
    return struct.pack("=II", numbers.choice([0, LOOPBACK, LOOPBACK]), numbers.choice([0, 0, 0, 9999]))[:size]


def queue(numbers: random.Random, size: int) -> bytes:
    lengths = [0, 1, 64, 192, 16384, 16385, 1 << 20]
    return struct.pack("=II", numbers.choice(lengths), numbers.choice([0, 0, 0, 9999]))[:size]


def no_descriptor(numbers: random.Random, size: int) -> bytes:
    return numbers.choice([9999, 9998, 0xFFFFFFFF]).to_bytes(size, "little")


Maker = Callable[[random.Random, int], bytes]
KINDS: dict[str, tuple[MapSpec, Maker, Maker | None]] = {
    "hash": (MapSpec("m", T.HASH, 4, 8, 5), by_key, None),
    "hash, not preallocated": (MapSpec("m", T.HASH, 4, 8, 5, NO_PREALLOC), by_key, None),
    "array": (MapSpec("m", T.ARRAY, 4, 8, 5), by_index, None),
    "per-CPU hash": (MapSpec("m", T.PERCPU_HASH, 4, 8, 5), by_key, None),
    "per-CPU array": (MapSpec("m", T.PERCPU_ARRAY, 4, 6, 5), by_index, None),
    "trie": (MapSpec("m", T.LPM_TRIE, 8, 8, 8, NO_PREALLOC), prefix, None),
    "queue": (MapSpec("m", T.QUEUE, 0, 8, 3), by_key, None),
    "stack": (MapSpec("m", T.STACK, 0, 8, 3), by_key, None),
    "ring": (MapSpec("m", T.RINGBUF, 0, 0, 4096), by_key, None),
    "user ring": (MapSpec("m", T.USER_RINGBUF, 0, 0, 4096), by_key, None),
    "interfaces": (MapSpec("m", T.DEVMAP, 4, 4, 5), by_index, target),
    "interfaces, programs": (MapSpec("m", T.DEVMAP, 4, 8, 5), by_index, target),
    "interfaces by key": (MapSpec("m", T.DEVMAP_HASH, 4, 8, 5), by_key, target),
    "CPUs": (MapSpec("m", T.CPUMAP, 4, 4, 5), by_index, queue),
    "CPUs, programs": (MapSpec("m", T.CPUMAP, 4, 8, 5), by_index, queue),
    "XDP sockets": (MapSpec("m", T.XSKMAP, 4, 4, 5), by_index, no_descriptor),
    "sockets": (MapSpec("m", T.SOCKMAP, 4, 8, 5), by_index, no_descriptor),
    "sockets by key": (MapSpec("m", T.SOCKHASH, 4, 4, 5), by_key, no_descriptor),
    "cgroups": (MapSpec("m", T.CGROUP_ARRAY, 4, 4, 5), by_index, no_descriptor),
    "programs": (MapSpec("m", T.PROG_ARRAY, 4, 4, 5), by_index, no_descriptor),
    "maps": (MapSpec("m", T.ARRAY_OF_MAPS, 4, 4, 5, inner=INNER), by_index, no_descriptor),
    "maps by key": (MapSpec("m", T.HASH_OF_MAPS, 4, 4, 5, inner=INNER), by_key, no_descriptor),
    "stacks": (MapSpec("m", T.STACK_TRACE, 4, 64, 5), by_index, None),
    "cgroup storage": (MapSpec("m", T.CGROUP_STORAGE, 16, 8, 0), by_index, None),
    "arena": (MapSpec("m", T.ARENA, 0, 0, 4, 1 << 10), by_key, None),
}
OPERATIONS = ["update"] * 5 + ["lookup"] * 2
OPERATIONS += ["delete", "next", "pop", "entries", "update_many", "delete_many", "take"]


def step(map: Map, seed: str, make_key: Maker, make_value: Maker | None) -> object:
    """One operation, the same for the same seed: what it gives, or its errno."""
    numbers = random.Random(seed)
    spec, operation = map.spec, numbers.choice(OPERATIONS)

    def key() -> bytes:
        return make_key(numbers, spec.key_size) if spec.key_size else b""

    def value() -> bytes:
        if make_value is not None:
            return make_value(numbers, spec.value_size)
        return bytes([numbers.randrange(256)]) * map.value_bytes

    def sorted_entries(found: Entries) -> list[tuple[bytes, bytes]]:
        k, v = spec.key_size, map.value_bytes
        return sorted((found.keys[at * k :][:k], found.values[at * v :][:v]) for at in range(found.count))

    try:
        if operation == "update":
            map.update(key(), value(), numbers.choice([0, 0, 0, 0, 1, 2, 3, 4, 8]))
            return None
        if operation in ("lookup", "pop", "delete"):
            return getattr(map, operation)(key())
        if operation == "next":
            start = numbers.choice([None, key()])
            found = map.next_key(start)
            return found if make_key is not by_key else (start is None and found is None)  # hashes have their own order
        if operation == "entries":
            return sorted_entries(map.entries())
        if operation == "take":
            return sorted_entries(map.take_entries())
        keys = [key() for _ in range(3)]
        if operation == "update_many":
            map.update_many(Entries(b"".join(keys), b"".join([value() for _ in keys]), 3), numbers.randrange(3))
            return None
        return map.delete_many(b"".join(keys))
    except KeyError:
        return "no such key"
    except MapError as error:
        return error.errno, error.done


@pytest.mark.parametrize("kind", KINDS)
def test_operations(kernels: tuple[Kernel, Kernel], kind: str) -> None:
    spec, make_key, make_value = KINDS[kind]
    for trial in range(4):
        maps = [kernel.create_map(spec) for kernel in kernels]
        assert maps[0].info == replace(maps[1].info, id=maps[0].info.id)
        for number in range(60):
            seed = f"{kind} {trial} {number}"
            linux, embedded = (step(map, seed, make_key, make_value) for map in maps)
            assert embedded == linux, seed
        for map in maps:
            map.close()


LRU = """struct {{ __uint(type, BPF_MAP_TYPE_{type}); __uint(max_entries, {room}); __uint(map_flags, {flags});
    __type(key, u32); __type(value, u64); }} lru SEC(".maps");
SEC("xdp") int use(struct xdp_md *ctx)
{{
    u32 *key = (void *)(long)ctx->data;
    return (void *)(key + 1) <= (void *)(long)ctx->data_end && bpf_map_lookup_elem(&lru, key) ? 2 : 1;
}}
"""


def lru_step(loaded: LoadedObject, seed: str, room: int) -> object:
    numbers, map = random.Random(seed), loaded.maps["lru"]
    key = numbers.randrange(2 * room + 2).to_bytes(4, "little")
    chance = numbers.random()
    try:
        if chance < 0.6:
            map.update(key, bytes(map.value_bytes), numbers.choice([0, 0, 0, 1, 2]))
            return None
        if chance < 0.7:
            map.delete(key)
            return None
        # A program's look-up counts as a use, one of user space does not.
        return loaded.program("use").run(key.ljust(64, b"\0")).retval if chance < 0.9 else map.lookup(key) is not None
    except KeyError:
        return "no such key"
    except MapError as error:
        return error.errno


@pytest.mark.parametrize("flags", [0, NO_COMMON_LRU])
@pytest.mark.parametrize("type", [T.LRU_HASH, T.LRU_PERCPU_HASH])
@pytest.mark.parametrize("room", [1, 5, 64, 300])
def test_what_an_lru_map_gives_up(kernels: tuple[Kernel, Kernel], type: MapType, room: int, flags: int) -> None:
    text = LRU.format(type=type.name, room=room, flags=flags)
    both = [load(kernel, text) for kernel in kernels]
    for number in range(8 * room + 100):
        linux, embedded = (lru_step(each, f"{type} {room} {flags} {number}", room) for each in both)
        assert embedded == linux, number
    held = [{key for key, _ in each.maps["lru"].items()} for each in both]
    assert held[1] == held[0] and (room == 1 or held[0])
    for each in both:
        each.close()
