"""Maps of the embedded kernel under threads: bulk operations run in C without Python's lock, so they do meet."""

from __future__ import annotations

import random
import struct
import sys
import threading
from collections.abc import Callable

import pytest

from stingless._gen.uapi import MapType
from stingless.embedded.map_types import create
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import MapError
from stingless.kernel import BPF_NOEXIST, Entries
from stingless.obj.spec import MapSpec

T = MapType
ROUNDS = 12
KEYS = 2000


def make(type: MapType, key: int, value: int, entries: int, flags: int = 0) -> EmbeddedMap:
    return create(MapSpec("m", type, key, value, entries, flags), lambda fd: None, lambda fd: None)


def together(*actions: Callable[[], None]) -> None:
    """Run them at the same time; what one raises is raised."""
    failed: list[BaseException] = []

    def run(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def pairs(keys: list[int]) -> Entries:
    """Each value says its key, so that a value of another key shows."""
    return Entries(
        struct.pack(f"={len(keys)}I", *keys),
        b"".join([struct.pack("=QQ", key, ~key & (1 << 64) - 1) for key in keys]),
        len(keys),
    )


def check(map: EmbeddedMap) -> dict[int, int]:
    found = {}
    for key, value in map.items():
        number, mirrored = struct.unpack("=QQ", value)
        assert (number, mirrored) == (int.from_bytes(key, "little"), ~number & (1 << 64) - 1)
        assert number not in found
        found[number] = mirrored
    return found


@pytest.mark.parametrize(("type", "flags"), [(T.HASH, 0), (T.HASH, 1), (T.LRU_HASH, 0), (T.LRU_HASH, 2)])
def test_entries_are_whole(type: MapType, flags: int) -> None:
    """Readers see whole values of their own key while others insert, replace and remove them."""
    map = make(type, 4, 16, KEYS if type is T.HASH else KEYS // 2, flags)
    done = threading.Event()

    def write(seed: int) -> None:
        numbers = random.Random(seed)
        for _ in range(ROUNDS):
            some = numbers.sample(range(KEYS), KEYS // 2)
            map.update_many(pairs(some))
            map.delete_many(struct.pack(f"={KEYS // 4}I", *some[: KEYS // 4]))

    def writers() -> None:
        try:
            together(lambda: write(1), lambda: write(2), lambda: write(3))
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            assert len(check(map)) <= KEYS
            for key in range(0, KEYS, 97):
                value = map.lookup(key.to_bytes(4, "little"))
                assert value is None or int.from_bytes(value[:8], "little") == key

    together(writers, read)
    held = check(map)
    map.delete_many(struct.pack(f"={KEYS}I", *range(KEYS)))
    assert len(held) > 0 and list(map.items()) == []
    # No element was lost: as many fit as ever.
    fit = map.spec.max_entries
    map.update_many(pairs(list(range(fit))))
    assert len(check(map)) == fit if type is T.HASH else 0 < len(check(map)) <= fit
    map.close()


def test_one_of_two_inserts() -> None:
    """Of threads that insert the same keys each key is inserted by one, and none twice."""
    map = make(T.HASH, 4, 16, KEYS)
    inserted: list[list[int]] = [[], [], []]

    def insert(mine: list[int]) -> None:
        for key in range(KEYS):
            try:
                map.update_many(pairs([key]), BPF_NOEXIST)
                mine.append(key)
            except MapError:
                pass

    together(*[lambda mine=mine: insert(mine) for mine in inserted])
    assert sorted(inserted[0] + inserted[1] + inserted[2]) == list(range(KEYS))
    map.close()


def test_taking_takes_each_once() -> None:
    map = make(T.HASH, 4, 16, 8 * KEYS)
    taken: list[int] = []
    stop = threading.Event()

    def fill() -> None:
        try:
            for start in range(0, 8 * KEYS, 500):
                map.update_many(pairs(list(range(start, start + 500))))
        finally:
            stop.set()

    def take() -> None:
        while True:
            last = stop.is_set()
            found = map.take_entries()
            taken.extend(struct.unpack(f"={found.count}I", found.keys))
            if last:
                return

    together(fill, take)
    assert sorted(taken) == list(range(8 * KEYS))
    map.close()


def test_queue_keeps_all() -> None:
    map = make(T.QUEUE, 0, 8, 100_000)
    taken: list[list[int]] = [[], []]

    def push(start: int) -> None:
        for number in range(start, start + 5000):
            map.update(b"", number.to_bytes(8, "little"))

    def pop(mine: list[int]) -> None:
        while len(taken[0]) + len(taken[1]) < 10_000:
            value = map.pop()
            if value is not None:
                mine.append(int.from_bytes(value, "little"))

    together(lambda: push(0), lambda: push(5000), lambda: pop(taken[0]), lambda: pop(taken[1]))
    assert sorted(taken[0] + taken[1]) == list(range(10_000))
    for mine in taken:  # those of one producer come in its order
        assert [n for n in mine if n < 5000] == sorted(n for n in mine if n < 5000)
    map.close()


def test_trie_under_change() -> None:
    """A prefix that is there all the time is found all the time, however its neighbours come and go."""
    map = make(T.LPM_TRIE, 8, 16, 4096, 1)
    steady = struct.pack("=I", 16) + bytes([10, 1, 0, 0])
    map.update(steady, b"s" * 16)
    done = threading.Event()

    def change(seed: int) -> None:
        numbers = random.Random(seed)
        for _ in range(ROUNDS):
            keys = {struct.pack("=I", 24) + bytes([10, 1, numbers.randrange(256), 0]) for _ in range(200)}
            keys |= {struct.pack("=I", 8 + seed) + bytes([10, numbers.randrange(128) * 2, 0, 0]) for _ in range(20)}
            keys.discard(steady)
            packed = b"".join(keys)
            map.update_many(Entries(packed, bytes(16) * len(keys), len(keys)))
            map.delete_many(packed)

    def changes() -> None:
        try:
            together(lambda: change(1), lambda: change(2))
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            found = map.lookup(struct.pack("=I", 32) + bytes([10, 1, 1, 1]))
            assert found in (b"s" * 16, bytes(16))
            assert map.lookup(steady) == b"s" * 16
            assert sum(value == b"s" * 16 for _, value in map.items()) == 1

    together(changes, read)
    assert list(map.items()) == [(steady, b"s" * 16)]
    map.close()


def test_switching_often() -> None:
    """The same with a thread switch between almost all Python steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        test_one_of_two_inserts()
    finally:
        sys.setswitchinterval(before)
