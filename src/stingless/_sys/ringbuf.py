"""The reader's side of a BPF ring buffer map.  Source: kernel/bpf/ringbuf.c, Documentation/bpf/ringbuf.rst."""

from __future__ import annotations

import os

from stingless._sys.barrier import barrier
from stingless._sys.pages import Pages

_BUSY, _DISCARD = 1 << 31, 1 << 30
_HEADER = 8


class RingBuffer:
    """Three mappings: the consumer's position (ours to write), the producers', and the data twice in a row, so that
    no record is ever split."""

    def __init__(self, map_fd: int, size: int) -> None:
        page = os.sysconf("SC_PAGESIZE")
        self._mask = size - 1
        self._mine = Pages(map_fd, page, writable=True)
        try:
            self._theirs = Pages(map_fd, page + 2 * size, offset=page)
        except OSError:
            self._mine.close()
            raise
        self._consumer = self._mine.view.cast("Q")
        self._producer = self._theirs.view[:page].cast("Q")
        self._data = self._theirs.view[page:]
        self._headers = self._data.cast("I")

    def drain(self) -> list[bytes]:
        """Every committed record up to the first one that is still being written."""
        found = []
        position = start = self._consumer[0]
        end = self._producer[0]
        while position < end:
            barrier()  # the header is read after the position, the data after the header
            at = position & self._mask
            header = self._headers[at // 4]
            if header & _BUSY:
                break
            length = header & ~(_BUSY | _DISCARD)
            if not header & _DISCARD:
                barrier()
                found.append(bytes(self._data[at + _HEADER : at + _HEADER + length]))
            position += (length + _HEADER + 7) // 8 * 8
        if position != start:
            barrier()  # all was read before its room is given back
            self._consumer[0] = position
        return found

    def close(self) -> None:
        for view in (self._headers, self._data, self._producer, self._consumer):
            view.release()
        self._theirs.close()
        self._mine.close()
