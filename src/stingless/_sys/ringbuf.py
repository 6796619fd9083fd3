"""The reader's side of a BPF ring buffer map.  Source: kernel/bpf/ringbuf.c, Documentation/bpf/ringbuf.rst."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from stingless._sys.barrier import barrier
from stingless._sys.pages import Pages
from stingless.streams.records import Run
from stingless.streams.scan import BUSY, HEADER, ring_runs


class RingMemory:
    """A ring's positions (bytes since its beginning) and its data, `size` bytes twice in a row, so that no record is
    ever split.  `consumer` is ours to write."""

    def __init__(self, consumer: memoryview, producer: memoryview, data: memoryview, *, tagged: bool = False) -> None:
        self._consumer = consumer.cast("Q")
        self._producer = producer.cast("Q")
        self._data = data
        self._mask = len(data) // 2 - 1
        self._tagged = tagged

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
