"""What the readers of both kernels have in common: waiting, and records as a list."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from stingless.kernel import Record
from stingless.owned import Owned
from stingless.streams.records import Lost, Run

HELD = 0.0005  # seconds to look again for a record that is still being written


class Reader(Owned):
    """See `stingless.kernel.EventReader`."""

    counts_losses = False

    def fileno(self) -> int:
        raise NotImplementedError  # each has a descriptor of its own

    @property
    def held(self) -> bool:
        return False

    def runs(self, limit: int | None = None) -> Iterator[Run | Lost]:
        raise NotImplementedError  # each kind of ring is read in its own way

    def copy(self, size: int, to: Any, limit: int | None = None) -> int:
        return 0

    def lease(self, limit: int | None = None) -> AbstractContextManager[Run]:
        raise NotImplementedError  # of ring buffers alone

    def poll(self, timeout_ms: int = -1) -> list[Record]:
        deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
        while not (records := self._records()) and wait((self,), deadline):
            pass
        return records

    def _records(self) -> list[Record]:
        records: list[Record] = []
        for run in self.runs():
            if isinstance(run, Lost):
                records.append(Record(run.cpu, b"", run.count))
            else:
                copy = run.copied()
                records += map(Record, copy.cpus(), copy.pieces())
        return records


class Waitable(Protocol):
    def fileno(self) -> int: ...

    @property
    def held(self) -> bool: ...


def wait(readers: Sequence[Waitable], deadline: float | None, *wakes: int) -> bool:
    """Sleep until one of them may have something or one of the descriptors `wakes` is readable; False when `deadline`
    (of time.monotonic()) has passed."""
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        return False
    poller = select.poll()
    for wake in wakes:
        poller.register(wake, select.POLLIN)
    for reader in readers:
        if reader.held:
            left = HELD if left is None else min(left, HELD)
        else:
            poller.register(reader.fileno(), select.POLLIN)
    poller.poll(None if left is None else left * 1000)
    return True
