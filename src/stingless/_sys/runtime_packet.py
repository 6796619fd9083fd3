"""Runs of packet programs by the embedded kernel's runtime: `struct st_packet_run` of embedded/runtime/testrun.c.

Nothing here checks what is asked for.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, byref, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p

from stingless.frozen import frozen

VISIBLE = 192  # bytes of struct __sk_buff
PAGE = 4096
_ROOM = 1 << 16  # bytes beside the packet: what it may grow by
_POOL_SIZE = 1 << 17
_pool: list[ctypes.Array[ctypes.c_char]] = []


class PacketRun(Structure):
    """`struct st_packet_run`, with `struct st_packet` at its end."""

    _fields_ = (
        ("prog", c_void_p),
        ("buffer", c_void_p),
        ("limit", c_void_p),
        ("offset", c_uint32),
        ("length", c_uint32),
        ("meta", c_uint32),
        ("pull", c_uint32),
        ("repeat", c_uint32),
        ("fault", c_uint32),
        ("retval", c_uint32),
        ("duration", c_uint64),
        ("visible", c_uint8 * VISIBLE),
        ("data", c_void_p),
        ("data_end", c_void_p),
        ("data_meta", c_void_p),
        ("frags", c_void_p),
        ("redirect_flags", c_uint64),
        ("frags_size", c_uint32),
        ("redirect_ifindex", c_uint32),
        ("clones", c_uint32),
        ("headroom", c_uint32),
        ("transport", c_uint16),
        ("checksum", c_uint8),
        ("checksum_level", c_uint8),
        ("encapsulated", c_uint8),
        ("hashed", c_uint8),
    )


@frozen
class PacketResult:
    """`data` is the packet after the run, from its metadata (XDP, `meta` bytes) or link header on; `frags` so many of
    its bytes are in fragments.  `visible` is the context's 192 bytes.  `redirect` is the interface of the last
    bpf_redirect() and its flags; `clones` counts bpf_clone_redirect()."""

    retval: int
    data: bytes
    visible: bytes
    duration: int
    meta: int
    frags: int
    fault: int
    redirect: tuple[int, int]
    clones: int


class Memory:
    """Bytes that programs get the address of."""

    def __init__(self, content: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(content, len(content))
        self.address = ctypes.addressof(self._buffer)

    @property
    def content(self) -> bytes:
        return self._buffer.raw


def run_packet(
    library: ctypes.CDLL,
    program: int,
    frame: bytes,
    *,
    headroom: int = _ROOM // 4,
    room: int = 0,
    linear: int | None = None,
    pull: int = 0,
    meta: int = 0,
    visible: bytes = b"",
    repeat: int = 1,
) -> PacketResult:
    """Run the `struct st_prog` at `program` on a frame that lies `headroom` bytes into a buffer.  It may grow until it
    ends at `room` (0: by some 64 KiB in all, for which it moves in the buffer).  What is after `linear` bytes goes to
    fragments."""
    size = room or len(frame) + _ROOM
    try:
        buffer = _pool.pop() if size <= _POOL_SIZE else ctypes.create_string_buffer(size)
    except IndexError:
        buffer = ctypes.create_string_buffer(_POOL_SIZE)
    address = ctypes.addressof(buffer)
    first = len(frame) if linear is None else linear
    ctypes.memmove(address + headroom, frame, first)
    run = PacketRun(program, address, address + size, headroom, first, meta, pull, repeat)
    if first < len(frame):
        rest = ctypes.create_string_buffer(frame[first:], -(len(frame) - first) // PAGE * -PAGE)
        run.frags, run.frags_size = ctypes.addressof(rest), len(frame) - first
    ctypes.memmove(run.visible, visible, len(visible))
    library.st_run_packet(byref(run))
    after = ctypes.string_at(address + run.offset, run.length)
    if run.frags_size:
        after += ctypes.string_at(run.frags, run.frags_size)
    if size <= _POOL_SIZE:
        _pool.append(buffer)
    return PacketResult(
        run.retval,
        after,
        bytes(run.visible),
        run.duration,
        run.meta,
        run.frags_size,
        run.fault,
        (run.redirect_ifindex, run.redirect_flags),
        run.clones,
    )
