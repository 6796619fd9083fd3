"""The walk over the headers of a ring, without a step of Python for each record where records are alike.

Pure: memory in, runs out.  Each record's header tells where the next one is, so a walk goes record by record; but once
32 alike were seen, the rest is taken to be alike, and NumPy compares all those headers at once.
Formats: kernel/bpf/ringbuf.c (`struct bpf_ringbuf_hdr`), linux/perf_event.h (`struct perf_event_header`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stingless.streams.records import Lost, Run

if TYPE_CHECKING:
    from collections.abc import Callable

BUSY, DISCARDED = 1 << 31, 1 << 30
HEADER = 8
_ALIKE = 32  # records of one step before NumPy is asked
_CHUNK = 16384  # records a step of NumPy: what was compared is still in the CPU's cache when it is copied
_REACH = 256  # the first of those steps
_GROUP = 1024  # records a step of Python
_SAMPLE, _LOST = 9, 2


def ring_runs(
    memory: memoryview,
    at: int,
    end: int,
    limit: int | None = None,
    *,
    tagged: bool = False,
    order: Callable[[], None],
) -> Iterator[tuple[Run, int]]:
    """(records, where the next one begins) of a ring buffer's bytes `at` to `end`, up to the first one that is still
    being written, or until `limit` or some more were given.  A run may be empty: its records were discarded.  `order`
    is a memory barrier: a header is read before its data."""
    headers = memory.cast("I")
    try:
        length = step = alike = 0
        reach = _REACH
        left = end if limit is None else limit
        while at < end and left > 0:
            if alike >= _ALIKE:
                count = min((end - at) // step, reach, left)
                offsets, passed = _alike(memory, at, step, count, length)
                reach = min(2 * reach, _CHUNK)
                if passed < count or not passed:
                    alike, reach = 0, _REACH
                if passed:
                    at += passed * step
                    order()
                    left -= len(offsets)
                    yield Run(memory, offsets, length, tagged=tagged), at
                continue
            places: list[int] = []
            sizes: list[int] = []
            here = at
            while at < end and len(places) < _GROUP and alike < _ALIKE:
                header = headers[at >> 2]
                if header & BUSY:
                    end = at
                    break
                size = header & ~DISCARDED
                if size == header:
                    places.append(at + HEADER)
                    sizes.append(size)
                alike = alike + 1 if size == length else 1
                length, step = size, (size + HEADER + 7) & ~7
                at += step
            if at > here:
                order()
                left -= len(places)
                yield Run(memory, *_even(places, sizes), tagged=tagged), at
    finally:
        headers.release()


def even_run(memory: memoryview, at: int, end: int, limit: int | None = None) -> tuple[Run, int]:
    """The records of a ring buffer's bytes `at` to `end`, at most `limit`, before the first that is still being
    written, discarded or not as long as those before it; and where that one begins.  Discarded ones before the first
    record are passed."""
    headers = memory.cast("I")
    try:
        while at < end and (header := headers[at >> 2]) & DISCARDED and not header & BUSY:
            at += ((header & ~DISCARDED) + HEADER + 7) & ~7
        length = headers[at >> 2] if at < end else BUSY
    finally:
        headers.release()
    if length & BUSY or limit == 0:
        return Run(memory, range(0), 0), at
    step = (length + HEADER + 7) & ~7
    most = (end - at) // step if limit is None else min((end - at) // step, limit)
    count = 0
    while count < most:
        chunk = min(most - count, _CHUNK)
        found = _same(memory, at + count * step, step, chunk, length)
        count += found
        if found < chunk:
            break
    first = at + HEADER
    return Run(memory, range(first, first + count * step, step), length), at + count * step


def _same(memory: memoryview, at: int, step: int, count: int, length: int) -> int:
    """How many of `count` headers from `at` on tell of a committed record of that length, before the first other."""
    import numpy as np

    same = np.ndarray((count,), np.uint32, memory, at, (step,)) == length
    return count if same.all() else int(same.argmin())


def _alike(memory: memoryview, at: int, step: int, count: int, length: int) -> tuple[range | list[int], int]:
    """Offsets of the records from `at` on while they are `length` bytes long, and how many were passed with those that
    were discarded."""
    import numpy as np

    first = at + HEADER
    view = np.ndarray((count,), np.uint32, memory, at, (step,))
    if (view == length).all():
        return range(first, first + count * step, step), count
    lengths = view.copy()  # looked at once: what was busy may change
    ends = (lengths & ~np.uint32(DISCARDED)) != length
    passed = int(ends.argmax()) if ends.any() else count
    kept = np.flatnonzero(lengths[:passed] == length)
    if len(kept) == passed:
        return range(first, first + passed * step, step), passed
    return (kept * step + first).tolist(), passed


def perf_runs(memory: memoryview, cpu: int, *, timed: bool = False) -> Iterator[tuple[Run | Lost, int]]:
    """(samples or a gap, where the next record begins) of a copy of a perf ring's bytes, up to the first record that
    is not wholly in it.  Samples have PERF_SAMPLE_RAW, and PERF_SAMPLE_TIME when `timed`."""
    words, halves = memory.cast("Q"), memory.cast("I")
    lead = 16 if timed else 8  # of the sample's u32 size
    at, end = 0, len(memory)
    alike = last = 0
    while at < end:
        if alike >= _ALIKE:
            step = last >> 48
            passed = _alike_samples(memory, at, step, (end - at) // step, last)
            if passed:
                first = at + lead + 4
                at += passed * step
                yield Run(memory, range(first, first + passed * step, step), step - lead - 4, cpu, timed=timed), at
            alike = 0
            continue
        places: list[int] = []
        sizes: list[int] = []
        lost = 0
        here = at
        while at < end and len(places) < _GROUP and alike < _ALIKE:
            header = words[at >> 3]
            step = header >> 48
            if step < HEADER or step & 7 or at + step > end:
                end = at
                break
            kind = header & 0xFFFFFFFF
            if kind == _LOST:
                lost = words[(at >> 3) + 2]
                break
            if kind == _SAMPLE:
                places.append(at + lead + 4)
                sizes.append(min(halves[(at + lead) >> 2], step - lead - 4))
            header &= _ALIKE_BITS
            alike = alike + 1 if header == last and kind == _SAMPLE else 1
            last = header
            at += step
        if at > here:
            yield Run(memory, *_even(places, sizes), cpu, timed=timed), at
        if lost:
            at += words[at >> 3] >> 48
            yield Lost(lost, cpu), at


_ALIKE_BITS = 0xFFFF_0000_FFFF_FFFF  # kind and size; not `misc`, the CPU's mode


def _alike_samples(memory: memoryview, at: int, step: int, count: int, header: int) -> int:
    """How many records from `at` on have that header.  The kernel pads raw data to fill the record, so that their
    sizes are alike too."""
    import numpy as np

    other = (np.ndarray((count,), np.uint64, memory, at, (step,)) & np.uint64(_ALIKE_BITS)) != header
    return int(other.argmax()) if other.any() else count


def _even(offsets: list[int], sizes: list[int]) -> tuple[range | list[int], int | list[int]]:
    """The same, shorter where all are alike."""
    if not offsets:
        return offsets, 0
    if sizes.count(sizes[0]) != len(sizes):
        return offsets, sizes
    step = offsets[1] - offsets[0] if len(offsets) > 1 else sizes[0] + HEADER
    even = range(offsets[0], offsets[0] + len(offsets) * step, step)
    return (even if list(even) == offsets else offsets), sizes[0]
