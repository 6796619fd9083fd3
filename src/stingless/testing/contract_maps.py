"""The contract of maps as Python mappings: what both kernels do alike.

class TestMine(MapContract):
    @pytest.fixture
    def kernel(self): ...
"""

from __future__ import annotations

import copy
import errno
import gc
import ipaddress
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from stingless._gen.uapi import MapType
from stingless.btf.types import Btf, Kind
from stingless.compile import compile_object
from stingless.cpus import possible_cpus
from stingless.errors import ClosedError, MapError, NotSupportedError
from stingless.kernel import BPF_EXIST, BPF_NOEXIST, Entries, Kernel
from stingless.maps import Variable, open_id, open_typed
from stingless.obj.reader import read_object
from stingless.obj.spec import MapSpec, ObjectSpec, VariableSpec
from stingless.testing.contract import map_text, run

MMAPABLE, NO_PREALLOC = 1 << 10, 1 << 0

_TYPES = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
struct flow { u32 source, target; u16 port; u8 protocol; };
struct count { u64 packets; u32 bytes; u16 last[2]; };
struct prefix4 { u32 prefixlen; u8 data[4]; };
struct prefix6 { u32 prefixlen; u32 data[4]; };
struct tagged { u32 prefixlen; u16 tag; u8 rest[4]; } __attribute__((packed));
struct named { char name[8]; };
struct flow flow; struct count counts[3]; struct prefix4 p4; struct prefix6 p6; struct tagged tagged;
struct named named;
u32 number = 7; u64 total; int limits[4] = {1, -2, 3, 4}; const volatile u32 fixed = 9;
"""


@cache
def _object() -> ObjectSpec:
    return read_object(compile_object(_TYPES))


def _btf() -> Btf:
    found = _object().btf
    assert found is not None
    return found


def _id(name: str, kind: Kind = Kind.STRUCT) -> int:
    found = _btf().find(name, kind)
    assert found is not None
    return found.id


def _spec(type: MapType, key: str | int, value: str | int, size: int, flags: int = 0) -> MapSpec:
    """Key and value: a struct's name, or a size for an unsigned int of it."""
    ints = {4: _id("unsigned int", Kind.INT), 8: _id("unsigned long long", Kind.INT), 0: 0}
    ids = [ints[each] if isinstance(each, int) else _id(each) for each in (key, value)]
    sizes = [each if isinstance(each, int) else _btf().size_of(_id(each)) for each in (key, value)]
    return MapSpec(type.name.lower(), type, sizes[0], sizes[1], size, flags, ids[0], ids[1], btf=_btf())


def _made(kernel: Kernel, *spec: Any) -> Any:
    return open_typed(kernel.create_map(_spec(*spec)))


def _bloom(kernel: Kernel) -> Any:
    try:
        return _made(kernel, MapType.BLOOM_FILTER, 0, "flow", 200)
    except NotSupportedError as error:  # before Linux 5.16
        pytest.skip(str(error))


class MapContract:
    """Subclass it with a fixture `kernel`."""

    def test_mapping(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.HASH, "flow", "count", 8)
        flow, count = map.key_type, map.value_type
        one, two = flow(1, 2, 80, 6), flow(1, 2, 443, 6)
        map[one] = count(packets=5, bytes=6)
        map[1, 2, 443, 6] = {"packets": 7, "last": [8, 9]}
        assert map[one] == count(5, 6, [0, 0]) and map[two].last == [8, 9]
        assert len(map) == 2 and one in map and flow() not in map and "no flow" not in map
        assert set(map) == {one, two} and dict(map) == {one: map[one], two: map[two]}
        assert sorted(value.packets for value in map.values()) == [5, 7]
        assert map.get(flow(9)) is None and map.setdefault(two, count()) == map[two]
        assert map.pop(one).packets == 5 and map.pop(one, None) is None
        for wrong in (map.__getitem__, map.__delitem__, map.pop):
            with pytest.raises(KeyError) as missing:
                wrong(one)
            assert missing.value.args == (one,)
        del map[two]
        assert list(map.items()) == []

    def test_flags(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.HASH, 4, 8, 4)
        map.put(1, 2, BPF_NOEXIST)
        with pytest.raises(MapError) as there:
            map.put(1, 2, flags=BPF_NOEXIST)
        with pytest.raises(MapError) as missing:
            map.update({2: 3}, flags=BPF_EXIST)
        assert (there.value.errno, missing.value.errno) == (errno.EEXIST, errno.ENOENT)
        map.update([(1, 5)], flags=BPF_EXIST)
        assert dict(map) == {1: 5}

    @pytest.mark.parametrize(
        ("key", "value", "said"),
        [
            ((1, 2, 70000), (), "key.port: 70000 does not fit in 16 bits unsigned"),
            ((1, 2), {"bytes": -1}, "value.bytes: -1 does not fit in 32 bits unsigned"),
            ((1, 2), {"last": [0, 65536]}, r"value.last\[1\]: 65536 does not fit"),
            ((1, 2), {"packet": 1}, "value: struct count has no field 'packet'"),
            ("flow", (), "key: struct flow is needed, not str 'flow'"),
        ],
    )
    def test_wrong_values(self, kernel: Kernel, key: Any, value: Any, said: str) -> None:
        map = _made(kernel, MapType.HASH, "flow", "count", 8)
        with pytest.raises((TypeError, ValueError), match=said):
            map[key] = value
        with pytest.raises((TypeError, ValueError), match=said):
            map.update_many([key], [value])
        assert len(map) == 0

    def test_full_and_closed(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.HASH, 4, 8, 2)
        with pytest.raises(MapError) as full:
            map.update({key: key for key in range(5)})
        assert full.value.errno == errno.E2BIG and full.value.done == 2 and len(map) == 2
        map.close()
        for use in (lambda: map[1], lambda: map.put(1, 1), lambda: list(map), lambda: map.to_numpy(), lambda: map.info):
            with pytest.raises(ClosedError):
                use()

    @pytest.mark.parametrize("by_batches", [True, False])
    @pytest.mark.parametrize(
        "type",
        [MapType.HASH, MapType.LRU_HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LPM_TRIE],
    )
    def test_bulk(self, kernel: Kernel, type: MapType, by_batches: bool) -> None:
        """All at once is the same as one by one."""
        import numpy as np

        trie = type is MapType.LPM_TRIE
        lru = type is MapType.LRU_HASH  # it begins to forget long before it is full: there is a list for each CPU
        map = _made(kernel, type, "prefix4" if trie else 4, 8, 20000 if lru else 500, NO_PREALLOC if trie else 0)
        if hasattr(map.map, "batches"):
            map.map.batches = by_batches
        count = 500
        keys: Any = np.arange(count, dtype="u4")
        if trie:
            keys = np.zeros(count, map.key_codec.codec.dtype)
            keys["prefixlen"], keys["data"][:, 3], keys["data"][:, 2] = (
                32,
                np.arange(count) % 256,
                np.arange(count) // 256,
            )
        values = np.arange(count, dtype="u8") * 3
        if "PERCPU" in type.name:
            values = values[:, None] + np.arange(possible_cpus(), dtype="u8")
        map.update_many(keys, values)
        found, held = map.to_numpy()
        order = np.argsort(held[:, 0] if held.ndim > 1 else held, kind="stable")[-count:]
        assert (found[order] == keys).all() and (held[order] == values).all()
        rows = map.items_array()
        assert (rows["key"] == found).all() and (rows["value"] == held).all() and len(rows) == len(map)
        raw = dict(map.map.items())
        for key, value in list(zip(keys, values, strict=True))[::50]:
            wanted = raw[key.tobytes()]
            assert wanted == map.map.lookup(key.tobytes())
            assert np.frombuffer(wanted, "u8").tolist() == np.atleast_1d(value).tolist()
        if "ARRAY" in type.name:
            with pytest.raises(MapError):
                map.delete_many(keys[:2])
            return
        gone = np.concatenate([keys[:100], keys[50:150]])  # some are named twice
        assert map.delete_many(gone) == 150
        assert len(map) == count - 150
        map.clear()
        assert len(map) == 0

    @pytest.mark.parametrize("by_batches", [True, False])
    @pytest.mark.parametrize("type", [MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LPM_TRIE])
    def test_taking(self, kernel: Kernel, type: MapType, by_batches: bool) -> None:
        trie = type is MapType.LPM_TRIE
        size = 8 if trie else 4
        map = kernel.create_map(MapSpec("m", type, size, 8, 256, NO_PREALLOC if trie else 0))
        if hasattr(map, "batches"):
            map.batches = by_batches
        assert map.take_entries() == Entries(b"", b"", 0)
        keys = [(size * 8 - 32).to_bytes(4, "little") + bytes([i, 0, 0, 0]) for i in range(100)]
        keys = keys if trie else [key[4:] for key in keys]
        wanted = {key: bytes([i]) * map.value_bytes for i, key in enumerate(keys)}
        map.update_many(Entries(b"".join(wanted), b"".join(wanted.values()), 100))
        taken = map.take_entries()
        v = map.value_bytes
        found = {taken.keys[at * size :][:size]: taken.values[at * v :][:v] for at in range(taken.count)}
        assert found == wanted and taken.count == 100
        assert map.entries().count == 0

    def test_taking_from_an_array(self, kernel: Kernel) -> None:
        with pytest.raises(MapError):
            kernel.create_map(MapSpec("m", MapType.ARRAY, 4, 8, 4)).take_entries()

    def test_bulk_refusals(self, kernel: Kernel) -> None:
        import numpy as np

        map = _made(kernel, MapType.HASH, 4, 8, 8)
        with pytest.raises(ValueError, match="2 keys and 3 values"):
            map.update_many([1, 2], [1, 2, 3])
        with pytest.raises(ValueError, match="do not fit in uint32"):
            map.update_many(np.array([-1]), np.array([1]))
        with pytest.raises(TypeError, match="an array of uint64 is needed"):
            map.update_many(np.array([1]), np.array(["a"], dtype=object))
        with pytest.raises(MapError) as there:
            map.put(2, 0)
            map.update_many(np.arange(4), np.arange(4), BPF_NOEXIST)
        assert (there.value.errno, there.value.done) == (errno.EEXIST, 2)
        with pytest.raises(MapError):
            map.map.update_many(Entries(b"123", b"", 1))
        with pytest.raises(MapError):
            map.map.delete_many(b"123")
        map.update_many(np.arange(4, dtype="i8"), [1, 2, 3, 4])  # numbers that fit are converted
        assert dict(map) == {0: 1, 1: 2, 2: 3, 3: 4}

    def test_change_during_iteration(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.HASH, 4, 8, 64)
        map.update({key: key for key in range(32)})
        seen = []
        for key in map:
            seen.append(key)
            del map[key]
            map[key + 100] = 0
        assert sorted(seen) == list(range(32)) and len(map) == 32

    def test_keys_that_hide_bytes(self, kernel: Kernel) -> None:
        """What was read can be looked up, though the value does not show padding and what is after a text's end."""
        map = _made(kernel, MapType.HASH, "flow", 8, 4)
        raw = bytes(range(11)) + b"\x77"
        map.map.update(raw, bytes(8))
        (key,) = map
        assert map[key] == 0
        changed = copy.copy(key)
        assert changed == key and changed not in map  # a copy has no padding
        del map[key]
        named = _made(kernel, MapType.HASH, "named", 8, 4)
        named.map.update(b"ab\0rest!", bytes(8))
        (key,) = named
        assert key.name == b"ab" and key in named and ("ab",) not in named

    def test_per_cpu(self, kernel: Kernel) -> None:
        cpus = possible_cpus()
        for type in (MapType.PERCPU_HASH, MapType.PERCPU_ARRAY):
            map = _made(kernel, type, 4, "count", 4)
            count = map.value_type
            map[1] = [count(cpu, 1) for cpu in range(cpus)]
            assert [value.packets for value in map[1]] == list(range(cpus))
            assert map[1].sum() == count(sum(range(cpus)), cpus) and map[1].max().packets == cpus - 1
            map[2] = count(3)
            assert map[2].min() == count(3) and map[2].sum().packets == 3 * cpus
            keys, values = map.to_numpy()
            assert values.shape == (len(keys), cpus) and values["packets"][keys == 2].sum() == 3 * cpus
            with pytest.raises(ValueError, match="possible CPUs"):
                map[1] = [count()] * (cpus + 1)
        numbers = _made(kernel, MapType.PERCPU_ARRAY, 4, 4, 1)
        numbers[0] = list(range(cpus))
        assert numbers[0].sum() == sum(range(cpus)) and numbers[0].mean() == sum(range(cpus)) / cpus

    def test_queue_and_stack(self, kernel: Kernel) -> None:
        for type, order in ((MapType.QUEUE, [1, 2, 3]), (MapType.STACK, [3, 2, 1])):
            map = _made(kernel, type, 0, 8, 3)
            for value in (1, 2, 3):
                map.push(value)
            with pytest.raises(MapError) as full:
                map.push(4)
            assert full.value.errno == errno.E2BIG
            assert map.peek() == map.peek() == order[0]
            assert map.pop() == order[0] and list(map.drain()) == order[1:]
            for empty in (map.pop, map.peek):
                with pytest.raises(IndexError):
                    empty()

    def test_bloom_filter(self, kernel: Kernel) -> None:
        bloom = _bloom(kernel)
        for port in range(200):
            assert bloom.add({"port": port}) is None
        assert all({"port": port} in bloom for port in range(200))
        assert sum({"port": port} in bloom for port in range(1000, 2000)) < 200  # 5 hashes: a few per cent
        with pytest.raises(ValueError, match=r"value.port: 70000 does not fit"):
            bloom.add({"port": 70000})
        with pytest.raises(MapError):
            bloom.map.pop()

    def test_bloom_filter_of_a_program(self, kernel: Kernel) -> None:
        _bloom(kernel)
        text = map_text("bloom", "BLOOM_FILTER", 100, "__type(value, u64);")
        body = """u64 a = 5, b = 6;
            bpf_map_push_elem(&bloom, &a, 0);
            return (bpf_map_peek_elem(&bloom, &a) == 0) | (bpf_map_peek_elem(&bloom, &b) != 0) << 1;"""
        assert run(kernel, body, text).retval == 3

    def test_longest_prefix(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.LPM_TRIE, "prefix4", 8, 8, NO_PREALLOC)
        map["10.0.0.0/8"] = 8
        map[ipaddress.ip_network("10.1.0.0/16")] = 16
        map[24, bytes([10, 1, 2, 0])] = 24
        map[map.key_type(32, [10, 1, 2, 3])] = 32
        assert [map[f"10.{end}"] for end in ("9.9.9", "1.9.9", "1.2.9", "1.2.3")] == [8, 16, 24, 32]
        assert map[ipaddress.ip_address("10.1.0.1")] == 16 and "11.0.0.1" not in map
        assert set(map) == {
            ipaddress.ip_network(f"10.{rest}") for rest in ("0.0.0/8", "1.0.0/16", "1.2.0/24", "1.2.3/32")
        }
        del map["10.1.0.0/16"]
        with pytest.raises(KeyError):
            del map["10.1.0.0/16"]
        assert map["10.1.9.9"] == 8 and len(map) == 3
        for wrong in ("::/0", (33, bytes(4)), (8, b"1"), "10.0.0.0/33"):
            with pytest.raises(ValueError):
                map[wrong] = 1

    def test_longest_prefix_of_six_and_of_others(self, kernel: Kernel) -> None:
        six = _made(kernel, MapType.LPM_TRIE, "prefix6", 8, 8, NO_PREALLOC)
        six["2001:db8::/32"] = 1
        assert list(six) == [ipaddress.ip_network("2001:db8::/32")] and six["2001:db8:1::1"] == 1
        tagged = _made(kernel, MapType.LPM_TRIE, "tagged", 8, 8, NO_PREALLOC)
        tagged[20, b"ab\x10\0\0\0"] = 5
        (key,) = tagged
        assert (key.prefixlen, key.tag, key.rest) == (20, 0x6261, [16, 0, 0, 0]) and tagged[key] == 5

    def test_array_views(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.ARRAY, 4, "count", 4, MMAPABLE)
        view = map.view()
        assert view.shape == (4,)
        map[2] = {"packets": 5}
        assert view["packets"].tolist() == [0, 0, 5, 0]
        view["bytes"][3] = 7
        assert map[3].bytes == 7 and list(map) == [0, 1, 2, 3] and len(map) == 4 and 4 not in map
        del view
        map.freeze()
        assert map.info.frozen
        assert not map.view().flags.writeable
        with pytest.raises(MapError) as frozen:
            map[0] = {}
        assert frozen.value.errno == errno.EPERM
        view = map.view()
        map.close()
        assert view["packets"].sum() == 5  # the memory outlives the map
        with pytest.raises(NotSupportedError, match="BPF_F_MMAPABLE"):
            _made(kernel, MapType.ARRAY, 4, 8, 4).view()
        narrow = _made(kernel, MapType.ARRAY, 4, 4, 3, MMAPABLE)
        narrow.update_many([0, 1, 2], [1, 2, 3])
        assert narrow.view().tolist() == [1, 2, 3]

    def test_array_errors(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.ARRAY, 4, 8, 4)
        with pytest.raises(KeyError):
            map[4]
        with pytest.raises(MapError) as outside:
            map[4] = 1
        with pytest.raises(MapError) as kept:
            del map[0]
        assert (outside.value.errno, kept.value.errno) == (errno.E2BIG, errno.EINVAL)

    def test_variables(self, kernel: Kernel) -> None:
        spec = _object()
        maps = {name: kernel.create_map(each) for name, each in spec.maps.items()}
        variables = {name: Variable(maps[each.map], each) for name, each in spec.variable_specs.items()}
        number, total, limits = variables["number"], variables["total"], variables["limits"]
        assert (number.value, total.value, limits.value, variables["fixed"].value) == (7, 0, [1, -2, 3, 4], 9)
        number.value, total.value, limits.value = 70, 1 << 60, [4, 3, 2, 1]
        variables["counts"].value = [{"packets": 1}, (2,), (3,)]
        variables["flow"].value = variables["flow"].type(port=80)
        assert (number.value, total.value, limits.value) == (70, 1 << 60, [4, 3, 2, 1])
        assert [each.packets for each in variables["counts"].value] == [1, 2, 3]
        view = limits.view()
        view[1] = 33
        assert limits.value == [4, 33, 2, 1] and variables["counts"].view()["packets"].sum() == 6
        total.view()[()] += 1
        assert total.value == (1 << 60) + 1 and variables["flow"].value.port == 80
        with pytest.raises(ValueError, match="number: -1 does not fit in 32 bits unsigned"):
            number.value = -1
        with pytest.raises(MapError, match="'fixed' is a constant") as constant:
            variables["fixed"].value = 1
        assert constant.value.errno == errno.EPERM
        raw = Variable(maps[".data"], replace(number.spec, type=0, btf=None))
        assert raw.value == (70).to_bytes(4, "little")
        for map in maps.values():
            map.close()
        with pytest.raises(ClosedError):
            _ = number.value

    def test_variables_without_shared_memory(self, kernel: Kernel) -> None:
        map = kernel.create_map(MapSpec("section", MapType.ARRAY, 4, 12, 1))
        ints = _id("unsigned int", Kind.INT)
        first, last = (Variable(map, VariableSpec("v", "section", at, 4, ints, btf=_btf())) for at in (0, 8))
        first.value, last.value = 1, 2
        assert (first.value, last.value) == (1, 2)
        assert map.lookup(bytes(4)) == b"\1" + bytes(7) + b"\2" + bytes(3)

    def test_without_types(self, kernel: Kernel) -> None:
        map: Any = open_typed(kernel.create_map(MapSpec("raw", MapType.HASH, 3, 2, 4)))
        map[b"abc"] = b"xy"
        assert dict(map) == {b"abc": b"xy"} and map.key_type is None
        with pytest.raises(ValueError, match="key: 3 bytes are needed, not 2"):
            map[b"ab"] = b"xy"
        array: Any = open_typed(kernel.create_map(MapSpec("raw", MapType.ARRAY, 4, 2, 2)))
        array[1] = b"xy"
        assert array[1] == b"xy" and list(array) == [0, 1]

    def test_info_and_open_by_id(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.HASH, "flow", 8, 4)
        map[1,] = 5
        info = map.info
        assert (info.type, info.key_size, info.value_size, info.max_entries) == (MapType.HASH, 12, 8, 4)
        assert (info.name, info.frozen) == ("hash", False)
        again: Any = open_typed(kernel.open_map(info.id))
        assert again.info.id == info.id and dict(again.map.items()) == dict(map.map.items())
        assert next(iter(again)).source == 1  # it has its types
        again.freeze()
        again.close()
        assert map.info.frozen and dict(map)  # it is the same map, and stays open
        with pytest.raises(FileNotFoundError):
            kernel.open_map(0x7FFFFFFF)

    def test_a_map_that_was_opened_is_not_forgotten(self, kernel: Kernel) -> None:
        map = _made(kernel, MapType.HASH, "flow", 8, 4)
        forgotten = open_id(map.info.id, kernel)
        assert dict(forgotten.map.items()) == {}
        with pytest.warns(ResourceWarning, match=r"map 'hash' was never closed; it was opened at .*:\d+"):
            del forgotten
            gc.collect()
