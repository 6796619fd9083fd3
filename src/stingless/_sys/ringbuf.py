"""The reader's side of a BPF ring buffer map.  Source: kernel/bpf/ringbuf.c, Documentation/bpf/ringbuf.rst."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from stingless._sys.barrier import barrier
from stingless._sys.pages import Pages
from stingless.errors import NotSupportedError
from stingless.streams.records import Run
from stingless.streams.scan import BUSY, HEADER, even_run, ring_runs


@cache
def _copier() -> Callable[[int, int, int, int], int] | None:
    """The runtime's, which checks and copies a record in one pass over memory; None where there is no runtime."""
    from stingless._sys.runtime import library

    try:
        return library().st_ring_copy
    except NotSupportedError:
        return None


class RingMemory:
    """A ring's positions (bytes since its beginning) and its data, `size` bytes twice in a row, so that no record is
    ever split.  `consumer` is ours to write."""

    def __init__(self, consumer: memoryview, producer: memoryview, data: memoryview, *, tagged: bool = False) -> None:
        self._consumer = consumer.cast("Q")
        self._producer = producer.cast("Q")
        self._data = data
        self._mask = len(data) // 2 - 1
        self._tagged = tagged
        self._address = 0  # of `_data`, once it is known

    @property
    def available(self) -> int:
        """Bytes between the reader and the writers, headers included."""
        return self._producer[0] - self._consumer[0]

    @property
    def held(self) -> bool:
        """The next record is still being written: the descriptor is readable, yet there is nothing to read."""
        position = self._consumer[0]
        if position == self._producer[0]:
            return False
        barrier()
        at = position & self._mask
        return bool(int.from_bytes(self._data[at : at + 4], "little") & BUSY)

    def runs(self, limit: int | None = None) -> Iterator[Run]:
        """The committed records that are there now, at most `limit`.  What was looked at is given back to the writers
        when the iteration ends, in one step; the run at which it is broken off is not."""
        start = done = self._consumer[0]
        end = self._producer[0]
        if start == end:
            return
        barrier()  # the headers are read after the position that says they are there
        shift = start - (start & self._mask)
        runs = ring_runs(self._data, start - shift, end - shift, limit, tagged=self._tagged, order=barrier)
        try:
            for run, following in runs:
                if limit is not None and len(run) >= limit:
                    following = run.offsets[limit] - HEADER if len(run) > limit else following
                    if limit:
                        yield run.first(limit)
                        done = following + shift
                    return
                yield run
                done = following + shift
                if limit is not None:
                    limit -= len(run)
        finally:
            runs.close()  # type: ignore[attr-defined]
            self._give_back(start, done)

    def copy(self, size: int, to: Any, limit: int | None = None) -> int:
        """Copy the committed records that come next and are of `size` bytes, at most `limit`, one after the other to
        the writable buffer `to`, and give their room back; how many.  It ends at the first that is being written,
        discarded or of another size, and where `to` is full; `runs()` goes on there.  Without the runtime it is 0."""
        position = self._consumer[0]
        step = (size + HEADER + 7) & ~7
        count = (self._producer[0] - position) // step
        if limit is not None:
            count = min(count, limit)
        if size <= 0 or self._tagged or (count := min(count, len(to) // size)) <= 0 or (copier := _copier()) is None:
            return 0
        if not self._address:
            import numpy as np  # ctypes takes no addresses of what is only to be read

            self._address = np.frombuffer(self._data, np.uint8).ctypes.data
        barrier()
        target = ctypes.addressof(ctypes.c_char.from_buffer(to))
        done = copier(self._address + (position & self._mask), count, size, target)
        self._give_back(position, position + done * step)
        return done

    @contextlib.contextmanager
    def lease(self, limit: int | None = None) -> Iterator[Run]:
        """The committed records that come next as far as they are alike, at most `limit`, where they lie.  Their room
        is given back at the end of the block; after an exception it is not."""
        start, end = self._consumer[0], self._producer[0]
        barrier()
        shift = start - (start & self._mask)
        run, following = even_run(self._data, start - shift, end - shift, limit)
        barrier()
        yield run
        del run
        self._give_back(start, following + shift)

    def _give_back(self, start: int, done: int) -> None:
        if done != start:
            barrier()  # all was read before its room is given back
            self._consumer[0] = done
            barrier()  # and that is seen before we look, for the last time, whether there is more

    def release(self) -> None:
        # A traceback may still hold a view of the memory, which is unmapped when the last of them is gone.
        for view in (self._data, self._producer, self._consumer):
            with contextlib.suppress(BufferError):
                view.release()


class RingBuffer(RingMemory):
    """Of a map of the kernel: three mappings, of the consumer's position, of the producers', and of the data."""

    def __init__(self, map_fd: int, size: int) -> None:
        _copier()  # it is loaded now, not when many records wait
        page = os.sysconf("SC_PAGESIZE")
        self._mine = Pages(map_fd, page, writable=True)
        try:
            self._theirs = Pages(map_fd, page + 2 * size, offset=page)
        except OSError:
            self._mine.close()
            raise
        super().__init__(self._mine.view, self._theirs.view[:page], self._theirs.view[page:])

    def close(self) -> None:
        self.release()
        for pages in (self._theirs, self._mine):
            with contextlib.suppress(BufferError):
                pages.close()
