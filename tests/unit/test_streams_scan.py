"""The walk over the headers of a ring against a plain one, record by record."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stingless.streams.records import Lost, Run
from stingless.streams.scan import BUSY, DISCARDED, perf_runs, ring_runs

# (size, how many in a row, flags)
GROUPS = st.lists(
    st.tuples(st.integers(0, 80), st.sampled_from([1, 2, 31, 33, 700]), st.sampled_from([0, 0, 0, DISCARDED])),
    max_size=8,
)


def ring_of(records: Sequence[tuple[int, int]]) -> tuple[bytes, list[bytes]]:
    """A ring's bytes with records of (size, flags), and what is to be read of them."""
    parts, wanted = [], []
    for number, (size, flags) in enumerate(records):
        data = struct.pack("<I", number)[:size].ljust(size, b"\xaa")
        parts.append(struct.pack("<II", size | flags, 0) + data.ljust((size + 7) & ~7, b"\xff"))
        if flags & BUSY:
            break
        if not flags:
            wanted.append(data)
    return b"".join(parts), wanted


def read(ring: bytes) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    end = 0
    for run, following in ring_runs(memoryview(ring), 0, len(ring), order=lambda: None):
        found += run.copied().pieces()
        end = following
    return found, end


@settings(max_examples=150, deadline=None)
@given(GROUPS)
def test_ring(groups: list[tuple[int, int, int]]) -> None:
    ring, wanted = ring_of([(size, flags) for size, count, flags in groups for _ in range(count)])
    assert read(ring) == (wanted, len(ring))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0, 0, DISCARDED]), max_size=400))
def test_ring_with_discarded_ones_among_them(flags: list[int]) -> None:
    ring, wanted = ring_of([(24, flag) for flag in flags])
    assert read(ring)[0] == wanted


@pytest.mark.parametrize("at", [0, 1, 31, 32, 33, 300, 999])
def test_ring_stops_at_a_busy_record(at: int) -> None:
    ring, wanted = ring_of([(24, BUSY if i == at else 0) for i in range(1000)])
    found, end = read(ring + bytes(64))
    assert (found, end) == (wanted, 32 * at)
    assert len(found) == at


@settings(max_examples=150, deadline=None)
@given(GROUPS, st.booleans())
def test_perf(groups: list[tuple[int, int, int]], timed: bool) -> None:
    """Samples, and where the ring's generator says "discarded", a gap."""
    parts: list[bytes] = []
    wanted: list[bytes | Lost] = []
    for size, count, flags in groups:
        for number in range(count):
            if flags:
                parts.append(struct.pack("<IHHQQ", 2, 0, 24, 0, number + 1))
                wanted.append(Lost(number + 1, 5))
                continue
            data = struct.pack("<I", number)[:size].ljust((size + 11) // 8 * 8 - 4, b"\xaa")
            body = (struct.pack("<Q", number) if timed else b"") + struct.pack("<I", len(data)) + data
            parts.append(struct.pack("<IHH", 9, number & 3, 8 + len(body)) + body)
            wanted.append(data)
    memory = b"".join(parts)
    found: list[bytes | Lost] = []
    end = 0
    for run, following in perf_runs(memoryview(memory), 5, timed=timed):
        end = following
        if isinstance(run, Lost):
            found.append(run)
        else:
            assert len(run.times()) == len(run) if timed else True
            found += run.copied().pieces()
    assert found == wanted
    assert end == len(memory)


@given(st.binary(max_size=400).map(lambda data: data[: len(data) // 8 * 8]))
def test_garbage_ends(data: bytes) -> None:
    """Never an error, a hang, or a record from outside of the memory."""
    for run, _ in perf_runs(memoryview(data), 0):
        if isinstance(run, Run):
            assert all(0 < offset <= len(data) for offset in run.offsets)
