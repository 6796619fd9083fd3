"""User ring buffers: records from user space to programs.

Minimum kernel: 6.1.  Privileges: CAP_BPF.  Source: kernel/bpf/ringbuf.c, `user_ringbuf_map_ops`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import MapType
from stingless._sys.user_ring import MappedUserRing
from stingless.errors import MapError
from stingless.linux.maps import LinuxMap
from stingless.owned import Owned


class LinuxUserRing(Owned):
    """See `stingless.kernel.UserRing`."""

    def __init__(self, map: LinuxMap) -> None:
        self._map = map
        self._memory = MappedUserRing(map.fd, map.spec.max_entries)
        self.capacity = map.spec.max_entries

    def fileno(self) -> int:
        """Writable when a program has drained the ring."""
        return self._map.fd

    def reserve(self, size: int) -> tuple[int, memoryview] | None:
        self._open(f"the user ring {self._map.spec.name!r}")
        return self._memory.reserve(size)

    def commit(self, place: int, discard: bool = False) -> None:
        self._open(f"the user ring {self._map.spec.name!r}")
        self._memory.commit(place, discard)

    def _free(self) -> None:
        self._memory.close()


def open_user_ring(map: LinuxMap) -> LinuxUserRing:
    """Raises `MapError` for other map types."""
    if map.spec.type is not MapType.USER_RINGBUF:
        raise MapError(f"map {map.spec.name!r} is a {map.spec.type.name}, not a USER_RINGBUF", errno.EINVAL)
    return LinuxUserRing(map)
