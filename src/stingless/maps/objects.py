"""Maps whose keys or values stand for something of the kernel: interfaces, CPUs, sockets, tasks, files, stacks."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from stingless.btf.values import integer
from stingless.maps.base import TypedMap, descriptor
from stingless.maps.mapping import K, KeyedMap, V

if TYPE_CHECKING:
    import numpy as np


class DescriptorMap(KeyedMap[K, int]):
    """PERF_EVENT_ARRAY, CGROUP_ARRAY, SOCKMAP, SOCKHASH, XSKMAP and REUSEPORT_SOCKARRAY: a value is set from an object
    with a descriptor (`fileno()`), or from the descriptor.  What comes back, where the kernel gives it, is an int: for
    sockets in values of 8 bytes their cookie."""

    def _encode_value(self, value: Any) -> bytes:
        return integer(self.spec.value_size).encode(descriptor(value, "value"))

    def _encode_values(self, values: Iterable[Any]) -> bytes:
        return b"".join([self._encode_value(value) for value in values])

    def _make_value_codec(self) -> Any:
        return integer(self.spec.value_size)


class Redirect(NamedTuple):
    """A value of 8 bytes of a DEVMAP (`target` is the interface's index) or CPUMAP (the queue's size), with the program
    to run there: its descriptor when set (0: none), its id when read."""

    target: int
    program: int = 0


class RedirectMap(KeyedMap[K, Any]):
    """DEVMAP, DEVMAP_HASH and CPUMAP.  A value is an int or, in values of 8 bytes, a `Redirect`; both can be set with
    either, and an interface also by its name."""

    def _encode_value(self, value: Any) -> bytes:
        target, program = (value, 0) if isinstance(value, int | str) else value
        if isinstance(target, str):
            import socket

            target = socket.if_nametoindex(target)
        first = integer(4).encode(target, "value")
        if self.spec.value_size == 4:
            if program:
                raise ValueError(f"value: map {self.name!r} has values of 4 bytes, which have no room for a program")
            return first
        return first + integer(4).encode(descriptor(program, "value.program"), "value.program")

    def _encode_values(self, values: Iterable[Any]) -> bytes:
        return b"".join([self._encode_value(value) for value in values])

    def _decode_value(self, data: bytes) -> Any:
        if len(data) == 4:
            return integer(4).decode(data)
        return Redirect(*struct.unpack("=II", data[:8]))

    def _decode_values(self, data: bytes, count: int) -> list[Any]:
        size = self.spec.value_size
        return [self._decode_value(data[at : at + size]) for at in range(0, size * count, size)]


class StorageMap(KeyedMap[Any, V]):
    """TASK_STORAGE, SK_STORAGE, INODE_STORAGE and CGRP_STORAGE: values that live and die with a task, socket, inode or
    cgroup.  A key is the object's descriptor, or an object with one: a pidfd (`os.pidfd_open(pid)`; for the thread that
    it names), a socket, a file, a cgroup's directory.  The kernel does not list the keys."""

    def _encode_key(self, key: Any) -> bytes:
        return integer(4, signed=True).encode(descriptor(key, "key"), "key")

    def _encode_keys(self, keys: Iterable[Any]) -> bytes:
        return b"".join([self._encode_key(key) for key in keys])


class BuildIdFrame(NamedTuple):
    """A frame of a STACK_TRACE map with BPF_F_STACK_BUILD_ID.  `offset` is into the file of that build id when `status`
    is 1 (BPF_STACK_BUILD_ID_VALID), and an address when it is 2 (BPF_STACK_BUILD_ID_IP)."""

    status: int
    build_id: bytes
    offset: int


_BUILD_ID = 1 << 5  # BPF_F_STACK_BUILD_ID
_FRAME = struct.Struct("=i20sQ")


class StackTraceMap(KeyedMap[int, list[Any]]):
    """STACK_TRACE: by stack id, the addresses of its frames, innermost first (or `BuildIdFrame`s)."""

    def _decode_value(self, data: bytes) -> list[Any]:
        if self.spec.flags & _BUILD_ID:
            frames = [BuildIdFrame(*frame) for frame in _FRAME.iter_unpack(data)]
            return [frame for frame in frames if frame.status]
        addresses = struct.unpack(f"={len(data) // 8}Q", data[: len(data) // 8 * 8])
        end = addresses.index(0) if 0 in addresses else len(addresses)
        return list(addresses[:end])

    def _decode_values(self, data: bytes, count: int) -> list[Any]:
        size = self.spec.value_size
        return [self._decode_value(data[at : at + size]) for at in range(0, size * count, size)]


class RingMap(TypedMap):
    """RINGBUF and USER_RINGBUF: streams of records, not entries; see `stingless.streams`."""


class ArenaMap(TypedMap):
    """ARENA (Linux 6.9): pages that programs and this process share."""

    def view(self) -> np.ndarray[Any, Any]:
        """Its bytes, shared.  A page is there from its first use on."""
        import numpy as np

        return np.frombuffer(self.map.memory(), np.uint8)
