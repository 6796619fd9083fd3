"""Maps of the embedded kernel against a model: bpf(2)'s results, flags and errors."""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless._gen.uapi import MapType, ProgramType
from stingless.asm.instruction import encode, exit_, mov_imm
from stingless.cpus import possible_cpus
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import ClosedError, LoadError, MapError, NotSupportedError
from stingless.kernel import BPF_ANY, BPF_EXIST, BPF_NOEXIST
from stingless.obj.spec import MapSpec, ProgramSpec

T = MapType
NO_PREALLOC, NO_COMMON_LRU = 1, 2


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as kernel:
        yield kernel


def make(type: MapType, key: int, value: int, entries: int, flags: int = 0) -> EmbeddedMap:
    return EmbeddedMap(MapSpec("m", type, key, value, entries, flags), lambda fd: None)


def outcome(action: Callable[[], object]) -> object:
    """What an operation gives, or its errno."""
    try:
        return action()
    except KeyError:
        return errno.ENOENT
    except MapError as error:
        return error.errno


keys = st.integers(0, 11).map(lambda n: n.to_bytes(4, "little"))
values = st.binary(min_size=6, max_size=6)
flags = st.sampled_from([BPF_ANY, BPF_ANY, BPF_NOEXIST, BPF_EXIST, 3, 4, 64])
operations = st.lists(
    st.one_of(
        st.tuples(st.just("update"), keys, values, flags),
        st.tuples(st.just("delete"), keys),
        st.tuples(st.just("lookup"), keys),
        st.tuples(st.just("items")),
        st.tuples(st.just("walk")),
    ),
    max_size=60,
)


def model_update(model: dict[bytes, bytes], room: int, key: bytes, value: bytes, flags: int) -> int | None:
    if flags > BPF_EXIST:
        return errno.EINVAL
    if key in model and flags == BPF_NOEXIST:
        return errno.EEXIST
    if key not in model and flags == BPF_EXIST:
        return errno.ENOENT
    if key not in model and len(model) == room:
        return errno.E2BIG
    model[key] = value
    return None


def walked(map: EmbeddedMap) -> list[bytes]:
    found = []
    key = map.next_key(None)
    while key is not None:
        found.append(key)
        key = map.next_key(key)
    return found


@settings(max_examples=150, deadline=None)
@given(operations)
def test_hash_is_a_dict(steps: list[tuple[object, ...]]) -> None:
    map, model = make(T.HASH, 4, 6, 8), dict[bytes, bytes]()
    for name, *arguments in steps:
        if name == "update":
            key, value, flag = arguments
            assert isinstance(key, bytes) and isinstance(value, bytes) and isinstance(flag, int)
            expected = model_update(model, 8, key, value, flag)
            assert outcome(partial(map.update, key, value, flag)) == expected
        elif name == "delete":
            (key,) = arguments
            assert isinstance(key, bytes)
            expected = None if model.pop(key, None) is not None else errno.ENOENT
            assert outcome(partial(map.delete, key)) == expected
        elif name == "lookup":
            (key,) = arguments
            assert isinstance(key, bytes)
            assert map.lookup(key) == model.get(key)
        elif name == "items":
            assert dict(map.items()) == model
        else:
            seen = walked(map)
            assert len(seen) == len(model) and set(seen) == set(model)
    map.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), values, flags), max_size=30))
def test_array_is_a_list(steps: list[tuple[int, bytes, int]]) -> None:
    map, model = make(T.ARRAY, 4, 6, 8), [bytes(6)] * 8
    for index, value, flag in steps:
        key = index.to_bytes(4, "little")
        expected = None
        if flag > BPF_EXIST:
            expected = errno.EINVAL
        elif index >= 8:
            expected = errno.E2BIG
        elif flag == BPF_NOEXIST:
            expected = errno.EEXIST
        else:
            model[index] = value
        assert outcome(partial(map.update, key, value, flag)) == expected
        assert map.lookup(key) == (model[index] if index < 8 else None)
    assert [value for _, value in map.items()] == model
    assert walked(map) == [i.to_bytes(4, "little") for i in range(8)]
    assert map.next_key((99).to_bytes(4, "little")) == bytes(4)
    assert outcome(lambda: map.delete(bytes(4))) == errno.EINVAL
    map.close()


prefixes = st.tuples(
    st.integers(0, 32), st.sampled_from([0x0A000000, 0x0A010000, 0x0A010203, 0xC0A80000, 0, 0xFFFFFFFF])
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), prefixes), max_size=40), st.lists(prefixes, max_size=8))
def test_longest_prefix(steps: list[tuple[bool, tuple[int, int]]], asked: list[tuple[int, int]]) -> None:
    """Against a search through all prefixes."""
    map = make(T.LPM_TRIE, 8, 4, 12, NO_PREALLOC)
    model: dict[tuple[int, int], bytes] = {}

    def packed(length: int, address: int) -> bytes:
        return struct.pack("=I", length) + struct.pack(">I", address)

    for number, (insert, (length, address)) in enumerate(steps):
        network = length, address >> (32 - length)
        value = number.to_bytes(4, "little")
        if insert and (network in model or len(model) < 12):
            map.update(packed(length, address), value)
            model[network] = value
        elif insert:
            assert outcome(partial(map.update, packed(length, address), bytes(4))) == errno.ENOSPC
        else:
            expected = None if model.pop(network, None) else errno.ENOENT
            assert outcome(partial(map.delete, packed(length, address))) == expected
    for length, address in [*asked, (32, 0x0A010203)]:
        lengths = [n for n in range(length, -1, -1) if (n, address >> (32 - n)) in model]
        expected_value = model[lengths[0], address >> (32 - lengths[0])] if lengths else None
        assert map.lookup(packed(length, address)) == expected_value
    assert len(walked(map)) == len(model) == len(list(map.items()))
    assert outcome(lambda: map.update(packed(33, 0), bytes(4))) == errno.EINVAL
    assert map.lookup(packed(33, 0)) is None
    map.close()


@pytest.mark.parametrize("type", [T.QUEUE, T.STACK])
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.one_of(st.integers(1, 1000), st.sampled_from(["pop", "peek"])), max_size=40), force=st.booleans()
)
def test_queue_and_stack(type: MapType, steps: list[int | str], force: bool) -> None:
    map, model = make(type, 0, 4, 5), list[bytes]()
    for step in steps:
        if isinstance(step, int):
            value = step.to_bytes(4, "little")
            full = len(model) == 5
            result = outcome(partial(map.update, b"", value, BPF_EXIST if force else BPF_ANY))
            assert result == (errno.E2BIG if full and not force else None)
            if full and force:
                model.pop(0)
            if not full or force:
                model.append(value)
        else:
            end = 0 if type is T.QUEUE else -1
            expected = model[end] if model else None
            assert (map.pop() if step == "pop" else map.lookup(b"")) == expected
            if model and step == "pop":
                model.pop(end)
    assert outcome(lambda: map.update(b"", bytes(4), BPF_NOEXIST)) == errno.EINVAL
    assert outcome(lambda: map.delete(b"")) == errno.EINVAL
    map.close()


@pytest.mark.parametrize("flags", [0, NO_COMMON_LRU])
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=200))
def test_lru_is_never_full(flags: int, steps: list[tuple[int, bool]]) -> None:
    """Which keys it gives up is compared with Linux in tests/kernel/test_contract_maps_linux.py."""
    map, ever = make(T.LRU_HASH, 4, 8, 10, flags), set[int]()
    for number, insert in steps:
        key = number.to_bytes(4, "little")
        if insert:
            map.update(key, number.to_bytes(8, "little"))
            ever.add(number)
            assert map.lookup(key) == number.to_bytes(8, "little")
        else:
            outcome(partial(map.delete, key))
            ever.discard(number)
        held = {int.from_bytes(key, "little") for key, _ in map.items()}
        assert held <= ever and len(held) <= 10 and bool(held) == bool(ever)
    map.close()


@pytest.mark.parametrize("type", [T.PERCPU_HASH, T.PERCPU_ARRAY, T.LRU_PERCPU_HASH])
def test_per_cpu_values(type: MapType) -> None:
    """User space sees the value of every CPU, each padded to 8 bytes."""
    map = make(type, 4, 6, 4)
    assert map.value_bytes == 8 * possible_cpus()
    value = bytes(range(map.value_bytes))
    map.update(bytes(4), value)
    assert map.lookup(bytes(4)) == value
    assert (bytes(4), value) in list(map.items())
    with pytest.raises(MapError, match="a value has"):
        map.update(bytes(4), bytes(6))
    map.close()


def test_unknown_key_walks_from_the_start(kernel: EmbeddedKernel) -> None:
    map = kernel.create_map(MapSpec("m", T.HASH, 4, 4, 4))
    map.update(b"abcd", b"1234")
    assert map.next_key(b"none") == b"abcd"
    assert map.next_key(b"abcd") is None


def test_many_keys_of_odd_sizes() -> None:
    for size in (1, 3, 5, 8, 11, 16, 40, 512):
        map = make(T.HASH, size, 3, 5000)
        count = min(5000, 256 ** min(size, 4))
        wanted = {n.to_bytes(4, "little")[:size].ljust(size, b"k"): n.to_bytes(4, "little")[:3] for n in range(count)}
        for key, value in wanted.items():
            map.update(key, value)
        assert dict(map.items()) == wanted
        for key in list(wanted)[::2]:
            map.delete(key)
            del wanted[key]
        assert dict(map.items()) == wanted
        map.close()


def test_threads_lose_no_update() -> None:
    map = make(T.HASH, 4, 8, 4000)

    def fill(first: int) -> None:
        for number in range(first, first + 1000):
            map.update(number.to_bytes(4, "little"), number.to_bytes(8, "little"))
            if number % 3 == 0:
                map.delete(number.to_bytes(4, "little"))

    threads = [threading.Thread(target=fill, args=(n * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for key, value in map.items():
            assert int.from_bytes(key, "little") == int.from_bytes(value, "little")
    for thread in threads:
        thread.join()
    assert {int.from_bytes(key, "little") for key, _ in map.items()} == {n for n in range(4000) if n % 3}
    map.close()


REFUSED = [
    (MapSpec("m", T.HASH, 0, 4, 1), "the key size is 0"),
    (MapSpec("m", T.HASH, 4, 0, 1), "the value size is 0"),
    (MapSpec("m", T.HASH, 4, 4, 0), "max_entries is 0"),
    (MapSpec("m", T.HASH, 4, 4, 1, 1 << 20), "the flags 0x100000"),
    (MapSpec("m", T.HASH, 513, 4, 1), "at most 512"),
    (MapSpec("m", T.ARRAY, 8, 4, 1), "an array's key is 4 bytes, not 8"),
    (MapSpec("m", T.ARRAY, 4, 4, 1, NO_PREALLOC), "the flags 0x1"),
    (MapSpec("m", T.PROG_ARRAY, 4, 8, 1), "value is 4 bytes"),
    (MapSpec("m", T.LRU_HASH, 4, 4, 1, NO_PREALLOC), "the flags 0x1"),
    (MapSpec("m", T.LPM_TRIE, 8, 4, 1), "needs the flag BPF_F_NO_PREALLOC"),
    (MapSpec("m", T.LPM_TRIE, 4, 4, 1, NO_PREALLOC), "1 to 256 of data"),
    (MapSpec("m", T.QUEUE, 4, 4, 1), "has no key"),
    (MapSpec("m", T.RINGBUF, 0, 8, 4096), "value size must be 0"),
    (MapSpec("m", T.ARRAY, 4, 4, 1, initial=b"12345"), "the initial content has 5 bytes"),
    (MapSpec("m", T.HASH, 4, 4, 1, initial=b"1234"), "an ARRAY of one entry"),
]


@pytest.mark.parametrize(("spec", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_refused_specs(kernel: EmbeddedKernel, spec: MapSpec, text: str) -> None:
    with pytest.raises(LoadError, match=text) as caught:
        kernel.create_map(spec)
    assert caught.value.errno == errno.EINVAL


def test_too_large(kernel: EmbeddedKernel) -> None:
    for spec in (MapSpec("m", T.PERCPU_ARRAY, 4, 1 << 16, 1), MapSpec("m", T.HASH, 8, 1 << 20, 1 << 20)):
        with pytest.raises(LoadError, match="too large") as caught:
            kernel.create_map(spec)
        assert caught.value.errno == errno.E2BIG


def test_unsupported_type(kernel: EmbeddedKernel) -> None:
    with pytest.raises(NotSupportedError, match="INSN_ARRAY"):
        kernel.create_map(MapSpec("m", T.INSN_ARRAY, 4, 16, 1))
    with pytest.raises(NotSupportedError, match=r"struct_ops .map 'tcp'. on the embedded kernel.*load it on Linux"):
        kernel.create_map(MapSpec("tcp", T.STRUCT_OPS, 4, 16, 1))


def test_initial_content_and_freezing(kernel: EmbeddedKernel) -> None:
    data = MapSpec(".data", T.ARRAY, 4, 4, 1, initial=b"abcd")
    map = kernel.create_map(data)
    assert map.lookup(bytes(4)) == b"abcd"
    map.update(bytes(4), b"wxyz")
    constant = kernel.create_map(MapSpec(".rodata", T.ARRAY, 4, 4, 1, 1 << 7, initial=b"abcd", frozen=True))
    with pytest.raises(MapError, match="frozen") as caught:
        constant.update(bytes(4), b"wxyz")
    assert caught.value.errno == errno.EPERM
    assert constant.lookup(bytes(4)) == b"abcd"


def test_access_flags(kernel: EmbeddedKernel) -> None:
    read_only = kernel.create_map(MapSpec("m", T.HASH, 4, 4, 1, 1 << 3))
    write_only = kernel.create_map(MapSpec("m", T.HASH, 4, 4, 1, 1 << 4))
    write_only.update(bytes(4), bytes(4))
    assert outcome(lambda: read_only.update(bytes(4), bytes(4))) == errno.EPERM
    assert outcome(lambda: write_only.lookup(bytes(4))) == errno.EPERM
    assert outcome(lambda: list(write_only.items())) == errno.EPERM


def test_wrong_sizes(kernel: EmbeddedKernel) -> None:
    map = kernel.create_map(MapSpec("m", T.HASH, 4, 4, 1))
    actions: list[Callable[[], object]] = [
        lambda: map.lookup(b"x"),
        lambda: map.update(b"x", bytes(4)),
        lambda: map.delete(b"x"),
    ]
    for action in actions:
        with pytest.raises(MapError, match="a key has 4 bytes, not 1"):
            action()
    with pytest.raises(MapError, match="a value has 4 bytes, not 1"):
        map.update(bytes(4), b"x")


@pytest.mark.parametrize("type", [T.RINGBUF, T.PERF_EVENT_ARRAY])
def test_record_maps_have_no_entries(kernel: EmbeddedKernel, type: MapType) -> None:
    spec = MapSpec("m", type, 0, 0, 4096) if type is T.RINGBUF else MapSpec("m", type, 4, 4, 2)
    map = kernel.create_map(spec)
    key, value = bytes(spec.key_size), bytes(spec.value_size)
    actions: list[Callable[[], object]] = [
        lambda: map.lookup(key),
        lambda: map.update(key, value),
        lambda: list(map.items()),
    ]
    for action in actions:
        with pytest.raises(MapError, match="no such operation"):
            action()


def test_program_array(kernel: EmbeddedKernel) -> None:
    table = kernel.create_map(MapSpec("table", T.PROG_ARRAY, 4, 4, 2))
    code = encode([mov_imm(0, 1), exit_()])
    xdp = kernel.load_program(ProgramSpec("a", "xdp", ProgramType.XDP, code), {})
    other = kernel.load_program(ProgramSpec("b", "socket", ProgramType.SOCKET_FILTER, code), {})
    fd = xdp.fd.to_bytes(4, "little")
    table.update(bytes(4), fd)
    assert table.lookup(bytes(4)) == fd
    assert list(table.items()) == [(bytes(4), fd)]
    assert outcome(lambda: table.update(b"\1\0\0\0", other.fd.to_bytes(4, "little"))) == errno.EINVAL
    assert outcome(lambda: table.update(b"\1\0\0\0", b"\x7f\0\0\0")) == errno.EBADF
    assert outcome(lambda: table.update(b"\2\0\0\0", fd)) == errno.E2BIG
    table.delete(bytes(4))
    assert table.lookup(bytes(4)) is None
    xdp.close()
    assert outcome(lambda: table.update(bytes(4), fd)) == errno.EBADF
    with pytest.raises(KeyError):
        table.delete(bytes(4))


def test_closed(kernel: EmbeddedKernel) -> None:
    map = kernel.create_map(MapSpec("m", T.HASH, 4, 4, 1))
    map.close()
    map.close()
    with pytest.raises(ClosedError):
        map.lookup(bytes(4))
    with pytest.raises(ClosedError):
        map.items()
