"""The memory of maps, by mmap(2).

The mapping lives as long as anything refers to it: a NumPy view of it is good after the map was closed, too.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref

from stingless._sys.syscall import last_error

_MAP_FIXED_NOREPLACE = 0x100000  # asm-generic/mman-common.h; since Linux 4.17
_libc = ctypes.CDLL(None, use_errno=True)


def map_memory(fd: int, size: int, writable: bool, address: int = 0) -> memoryview:
    """`size` bytes of the map, a multiple of the page's size, at `address` if that is not 0.  Raises `OSError`: EPERM
    or EACCES for a writable mapping of one that is read-only, EEXIST when the address is taken."""
    protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    if not address:
        return memoryview(mmap.mmap(fd, size, mmap.MAP_SHARED, protection))
    call = _libc["mmap"]
    call.restype = ctypes.c_void_p
    call.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    )
    at = call(address, size, protection, mmap.MAP_SHARED | _MAP_FIXED_NOREPLACE, fd, 0)
    if at is None or at == ctypes.c_void_p(-1).value:
        raise last_error()
    memory = (ctypes.c_ubyte * size).from_address(at)
    unmap = _libc["munmap"]
    unmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    weakref.finalize(memory, unmap, at, size)
    view = memoryview(memory).cast("B")
    return view if writable else view.toreadonly()
