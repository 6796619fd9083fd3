"""Memory shared with the kernel by mmap(2)."""

from __future__ import annotations

import mmap


class Pages:
    """A shared mapping of `size` bytes of `fd` from `offset` on, seen through `view`."""

    def __init__(self, fd: int, size: int, *, offset: int = 0, writable: bool = False) -> None:
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self._map = mmap.mmap(fd, size, mmap.MAP_SHARED, protection, offset=offset)
        self.view = memoryview(self._map)

    def close(self) -> None:
        """Every slice of `view` must have been released before."""
        self.view.release()
        self._map.close()
