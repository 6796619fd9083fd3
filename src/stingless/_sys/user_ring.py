"""The writer's side of a user ring buffer map.  Source: kernel/bpf/ringbuf.c, `__bpf_user_ringbuf_peek()`."""

from __future__ import annotations

import contextlib
import os

from stingless._sys.barrier import barrier
from stingless._sys.pages import Pages
from stingless.streams.scan import BUSY, DISCARDED, HEADER


class UserRingMemory:
    """The consumer's position is the kernel's to write; the producer's and the data (twice in a row) are ours."""

    def __init__(self, consumer: memoryview, producer: memoryview, data: memoryview) -> None:
        self.capacity = len(data) // 2
        self._consumer = consumer.cast("Q")
        self._producer = producer.cast("Q")
        self._data = data
        self._headers = data.cast("I")

    def reserve(self, size: int) -> tuple[int, memoryview] | None:
        """See `stingless.kernel.UserRing`."""
        position = self._producer[0]
        total = (size + HEADER + 7) & ~7
        if self.capacity - (position - self._consumer[0]) < total:
            return None
        barrier()  # the room is written to after the position that says it is free
        at = position & self.capacity - 1
        self._headers[at // 4] = size | BUSY
        self._headers[at // 4 + 1] = 0
        barrier()
        self._producer[0] = position + total
        return at, self._data[at + HEADER : at + HEADER + size]

    def commit(self, place: int, discard: bool = False) -> None:
        length = self._headers[place // 4] & ~BUSY
        barrier()  # the data is seen before it is said to be there
        self._headers[place // 4] = length | (DISCARDED if discard else 0)

    def close(self) -> None:
        for view in (self._headers, self._data, self._producer, self._consumer):
            with contextlib.suppress(BufferError):  # a record is still held; unmapped when it is gone
                view.release()


class MappedUserRing(UserRingMemory):
    """Of a map of Linux."""

    def __init__(self, map_fd: int, size: int) -> None:
        page = os.sysconf("SC_PAGESIZE")
        self._theirs = Pages(map_fd, page)
        try:
            self._mine = Pages(map_fd, page + 2 * size, offset=page, writable=True)
        except OSError:
            self._theirs.close()
            raise
        super().__init__(self._theirs.view, self._mine.view[:page], self._mine.view[page:])

    def close(self) -> None:
        super().close()
        for pages in (self._mine, self._theirs):
            with contextlib.suppress(BufferError):
                pages.close()
