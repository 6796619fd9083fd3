"""Maps of the Linux kernel."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType
from stingless.btf.types import Kind, Member, Members, Type
from stingless.btf.writer import BtfBuilder
from stingless.cpus import possible_cpus
from stingless.errors import ClosedError, LoadError, MapError
from stingless.kernel import BPF_EXIST, BPF_NOEXIST
from stingless.linux.kernel import LinuxKernel
from stingless.obj.spec import MapSpec
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def test_hash_elements(kernel: LinuxKernel) -> None:
    m = kernel.create_map(MapSpec("h", MapType.HASH, 4, 8, 2))
    assert m.lookup(key(1)) is None
    m.update(key(1), b"12345678", BPF_NOEXIST)
    assert m.lookup(key(1)) == b"12345678"
    m.update(key(1), b"abcdefgh", BPF_EXIST)
    assert list(m.items()) == [(key(1), b"abcdefgh")]
    m.delete(key(1))
    with pytest.raises(KeyError):
        m.delete(key(1))
    assert m.next_key(None) is None


@pytest.mark.parametrize(("flags", "code"), [(BPF_NOEXIST, errno.EEXIST), (77, errno.EINVAL)])
def test_update_that_is_refused(kernel: LinuxKernel, flags: int, code: int) -> None:
    m = kernel.create_map(MapSpec("h", MapType.HASH, 4, 8, 2))
    m.update(key(1), bytes(8))
    with pytest.raises(MapError) as e:
        m.update(key(1), bytes(8), flags)
    assert e.value.errno == code


def test_update_of_a_missing_key_and_of_a_full_map(kernel: LinuxKernel) -> None:
    m = kernel.create_map(MapSpec("h", MapType.HASH, 4, 8, 1))
    with pytest.raises(MapError) as missing:
        m.update(key(1), bytes(8), BPF_EXIST)
    assert missing.value.errno == errno.ENOENT
    m.update(key(1), bytes(8))
    with pytest.raises(MapError, match="max_entries is 1") as full:
        m.update(key(2), bytes(8))
    assert full.value.errno == errno.E2BIG


@pytest.mark.parametrize("kind", [MapType.HASH, MapType.LRU_HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.LPM_TRIE])
def test_items_of_a_big_map(kernel: LinuxKernel, kind: MapType) -> None:
    """More entries than one batch has room for, with values of 1 KiB; tries have no batches on older kernels."""
    flags = 1 if kind is MapType.LPM_TRIE else 0
    size = 8 if kind is MapType.LPM_TRIE else 4
    m = kernel.create_map(MapSpec("big", kind, size, 1024, 3000, flags))
    expected = {}
    for i in range(2000 if kind is MapType.LRU_HASH else 3000):
        k = (key(32) if size == 8 else b"") + key(i)
        expected[k] = (key(i) * 256).ljust(m.value_bytes, b"\1")
        m.update(k, expected[k])
    found = list(m.items())
    assert len(found) == 3000 if kind is MapType.ARRAY else len(found) == len(expected)
    assert expected.items() <= dict(found).items()


def test_per_cpu_values(kernel: LinuxKernel) -> None:
    m = kernel.create_map(MapSpec("p", MapType.PERCPU_ARRAY, 4, 5, 1))
    assert m.value_bytes == 8 * possible_cpus()
    m.update(key(0), b"".join(bytes([cpu]) * 5 + bytes(3) for cpu in range(possible_cpus())))
    assert m.lookup(key(0)) == b"".join(bytes([cpu]) * 5 + bytes(3) for cpu in range(possible_cpus()))


@pytest.mark.parametrize(("kind", "order"), [(MapType.QUEUE, [b"aaaa", b"bbbb"]), (MapType.STACK, [b"bbbb", b"aaaa"])])
def test_queues_and_stacks(kernel: LinuxKernel, kind: MapType, order: list[bytes]) -> None:
    m = kernel.create_map(MapSpec("q", kind, 0, 4, 2))
    m.update(b"", b"aaaa")
    m.update(b"", b"bbbb")
    assert m.lookup(b"") == order[0]
    assert [m.pop(), m.pop(), m.pop()] == [*order, None]


def test_data_sections(kernel: LinuxKernel) -> None:
    m = kernel.create_map(MapSpec(".rodata", MapType.ARRAY, 4, 6, 1, flags=1 << 7, initial=b"hello!", frozen=True))
    assert m.lookup(key(0)) == b"hello!"
    with pytest.raises(MapError, match="frozen") as e:
        m.update(key(0), b"jello!")
    assert e.value.errno == errno.EPERM


def test_delete_where_the_type_has_none(kernel: LinuxKernel) -> None:
    m = kernel.create_map(MapSpec("a", MapType.ARRAY, 4, 4, 2))
    with pytest.raises(MapError) as e:
        m.delete(key(0))
    assert e.value.errno == errno.EINVAL
    with pytest.raises(MapError, match="max_entries is 2") as beyond:
        m.update(key(2), bytes(4))
    assert beyond.value.errno == errno.E2BIG


def test_wrong_lengths(kernel: LinuxKernel) -> None:
    m = kernel.create_map(MapSpec("h", MapType.HASH, 4, 8, 2))
    with pytest.raises(MapError, match="4 bytes, not 3"):
        m.lookup(b"abc")
    with pytest.raises(MapError, match="8 bytes, not 4"):
        m.update(key(0), b"abcd")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (MapSpec("m", MapType.ARRAY, 8, 8, 1), "key is 4 bytes, not 8"),
        (MapSpec("m", MapType.HASH, 4, 8, 0), "max_entries is 0"),
        (MapSpec("m", MapType.HASH, 0, 8, 1), "the key size is 0"),
        (MapSpec("m", MapType.QUEUE, 4, 4, 1), "has no key"),
        (MapSpec("m", MapType.LPM_TRIE, 8, 4, 1), "BPF_F_NO_PREALLOC"),
        (MapSpec("m", MapType.STACK_TRACE, 4, 12, 1), "8-byte addresses"),
        (MapSpec("m", MapType.TASK_STORAGE, 4, 4, 0, 1), "BTF"),
        (MapSpec("m", MapType.HASH, 4, 8, 1, flags=1 << 20), "flags 0x100000"),
        (MapSpec("m", MapType.PROG_ARRAY, 4, 8, 1), "value is 4 bytes, not 8"),
    ],
)
def test_refused_specs_say_what_is_wrong(kernel: LinuxKernel, spec: MapSpec, why: str) -> None:
    with pytest.raises(LoadError, match=why):
        kernel.create_map(spec)


def test_types_that_the_kernel_refuses(kernel: LinuxKernel) -> None:
    """The kernel's word on them is told where the map needs them; other maps do without."""
    builder = BtfBuilder()
    number = builder.add(Type(0, Kind.INT, "int", size=4, signed=True, encoding=1))
    beyond = Members((Member("a", number, 64),))
    builder.add(Type(0, Kind.STRUCT, "too_small", size=4, members=beyond))
    typed = MapSpec("m", MapType.HASH, 4, 4, 1, key_type=number, value_type=number, btf=builder.build())
    with pytest.raises(LoadError, match=r"this kernel refuses the object's BTF: .*[Mm]ember"):
        kernel.create_map(replace(typed, type=MapType.TASK_STORAGE, max_entries=0, flags=1))
    kernel.create_map(typed).close()


def test_too_large(kernel: LinuxKernel) -> None:
    with pytest.raises(LoadError) as e:
        kernel.create_map(MapSpec("m", MapType.ARRAY, 4, 1 << 20, 1 << 31))
    assert e.value.errno in (errno.E2BIG, errno.ENOMEM)


def test_sizes_that_depend_on_the_machine(kernel: LinuxKernel) -> None:
    assert kernel.create_map(MapSpec("e", MapType.PERF_EVENT_ARRAY, 4, 4, 0)).info.max_entries == possible_cpus()
    assert kernel.create_map(MapSpec("r", MapType.RINGBUF, 0, 0, 1)).info.max_entries == os.sysconf("SC_PAGESIZE")
    assert kernel.create_map(MapSpec("r", MapType.RINGBUF, 0, 0, 12345)).info.max_entries == 16384


def open_fds() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_close_frees_everything() -> None:
    before = open_fds()
    kernel = LinuxKernel()
    m = kernel.create_map(MapSpec("h", MapType.HASH, 4, 8, 2))
    kernel.create_map(MapSpec("dropped", MapType.HASH, 4, 8, 2))
    kernel.close()
    assert open_fds() == before
    with pytest.raises(ClosedError):
        m.lookup(key(1))
    with pytest.raises(ClosedError):
        kernel.create_map(MapSpec("h", MapType.HASH, 4, 8, 2))
    m.close()


def test_operations_that_a_type_lacks(kernel: LinuxKernel) -> None:
    """The kernel's ENOTSUPP (524) has no name in user space."""
    events = kernel.create_map(MapSpec("e", MapType.PERF_EVENT_ARRAY, 4, 4, 0))
    with pytest.raises(MapError, match="a PERF_EVENT_ARRAY has no such operation") as refused:
        events.lookup(key(0))
    assert refused.value.errno == errno.EOPNOTSUPP
    programs = kernel.create_map(MapSpec("p", MapType.PROG_ARRAY, 4, 4, 2))
    with pytest.raises(MapError, match=r"its values are the \.fd of loaded programs"):
        programs.update(key(0), key(99999))
