"""Runs of records to NumPy arrays, without a step of Python for each record where records are alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stingless.streams.records import Run, joined

Bytes = NDArray[np.uint8]


@dataclass
class Packed:
    """Records one after the other in the first `used` bytes of `buffer`: `counts` are (records, size of each)."""

    buffer: Bytes
    used: int = 0
    records: int = 0
    counts: list[tuple[int, int]] = field(default_factory=list)
    cpus: list[Any] = field(default_factory=list)
    times: list[Any] = field(default_factory=list)

    def sizes(self) -> set[int]:
        return {size for count, size in self.counts if count}

    def add(self, count: int, size: int) -> None:
        """`count` records of `size` bytes that were copied to the end of what is used."""
        self.counts.append((count, size))
        self.records += count
        self.used += count * size

    def run(self) -> Run:
        """The same as a run of its own."""
        sizes, offsets = self.layout()
        data, places = self.buffer[: self.used].tobytes(), offsets.tolist()
        if not self.cpus:
            return Run(data, places, sizes.tolist())
        cpus, times = np.concatenate(self.cpus).tolist(), np.concatenate(self.times).tolist()
        return joined(
            zip(times, cpus, (data[o : o + s] for o, s in zip(places, sizes.tolist(), strict=True)), strict=True)
        )

    def layout(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The size and the offset of each record."""
        counts = np.array(self.counts, np.int64).reshape(-1, 2)
        sizes = np.repeat(counts[:, 1], counts[:, 0])
        return sizes, np.cumsum(sizes) - sizes


def pack(packed: Packed, runs: Iterable[Run], fixed: int | None = None) -> None:
    """Add the records of `runs`, each in its size, or cut or filled with zeros to `fixed` bytes.  Ends before a run for
    which there is no room."""
    for run in runs:
        count = len(run)
        if not count:
            continue
        at = packed.used
        if isinstance(run.sizes, int):
            size = run.sizes if fixed is None else fixed
            total = count * size
            if at + total > len(packed.buffer):
                return
            _alike(packed.buffer, at, run, run.sizes, size)
            packed.counts.append((count, size))
        else:
            pieces = [run.data[o : o + s] for o, s in zip(run.offsets, run.sizes, strict=True)]
            if fixed is not None:
                pieces = [bytes(piece[:fixed]).ljust(fixed, b"\0") for piece in pieces]
            joined = b"".join(pieces)
            del pieces  # views of a ring's memory
            total = len(joined)
            if at + total > len(packed.buffer):
                return
            packed.buffer[at : at + total] = np.frombuffer(joined, np.uint8)
            packed.counts += [(count, fixed)] if fixed is not None else [(1, size) for size in run.sizes]
        if run.tagged or run.timed or run.cpu >= 0:
            packed.cpus.append(_words(run, -4, np.int32) if run.tagged else np.full(count, run.cpu, np.int32))
            packed.times.append(_words(run, -12, np.uint64) if run.timed else np.zeros(count, np.uint64))
        packed.used += total
        packed.records += count
        del run


def _alike(buffer: Bytes, at: int, run: Run, size: int, wanted: int) -> None:
    """Copy records of one size, cut or filled to `wanted` bytes."""
    count, copied = len(run), min(size, wanted)
    if not wanted:
        return
    target = np.ndarray((count,), f"V{copied}", buffer, at, (wanted,))
    if copied < wanted:
        buffer[at : at + count * wanted] = 0
    if copied:
        target[:] = _items(run, 0, np.dtype(f"V{copied}"))


def _words(run: Run, before: int, dtype: Any) -> NDArray[Any]:
    return _items(run, before, np.dtype(dtype)).copy()


def _items(run: Run, shift: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """What lies `shift` bytes from each record's first byte."""
    at = run.offsets
    if isinstance(at, range):
        return np.ndarray((len(at),), dtype, run.data, at.start + shift, (at.step,))
    everywhere = np.ndarray((len(run.data) - dtype.itemsize + 1,), dtype, run.data, 0, (1,))
    found: NDArray[Any] = everywhere[np.array(at) + shift]
    return found


def packed_bytes(run: Run, size: int) -> bytes:
    """The first `size` bytes of each record of a run of one size."""
    return _items(run, 0, np.dtype(f"V{size}")).tobytes()


class Spare:
    """Buffers for many bytes, used again once the arrays made of them are gone: fresh memory costs more time than
    copying to it.  There are two, since an array is often kept until the next one is there."""

    _LEAST = 1 << 20

    def __init__(self) -> None:
        self._buffers: list[Bytes] = []

    def take(self, room: int) -> Bytes:
        if room < self._LEAST:
            return np.empty(room, np.uint8)
        self._buffers = [each for each in self._buffers if room <= len(each) <= 4 * room][-2:]
        for i in range(len(self._buffers)):
            if sys.getrefcount(self._buffers[i]) <= 2:  # the list's and the argument
                return self._buffers[i]
        fresh = np.empty(room, np.uint8)
        self._buffers = [*self._buffers[-1:], fresh]
        return fresh
