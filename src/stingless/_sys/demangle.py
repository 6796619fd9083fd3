"""Names of C++ (and of Rust before its v0 scheme) as their compilers' own run-time library demangles them."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from functools import cache, lru_cache

_LIBRARIES = ("libstdc++.so.6", "libc++abi.so.1")


@cache
def _function() -> Callable[[bytes], bytes | None] | None:
    """None on a system without such a library."""
    for name in _LIBRARIES:
        with contextlib.suppress(OSError, AttributeError):
            return _bound(ctypes.CDLL(name))
    return None


def _bound(library: ctypes.CDLL) -> Callable[[bytes], bytes | None]:
    demangle, free = library.__cxa_demangle, ctypes.CDLL(None).free
    demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
    demangle.restype = ctypes.c_void_p
    free.argtypes = [ctypes.c_void_p]
    free.restype = None

    def call(mangled: bytes) -> bytes | None:
        text = demangle(mangled, None, None, ctypes.byref(ctypes.c_int()))
        if not text:
            return None
        try:
            return ctypes.string_at(text)
        finally:
            free(text)

    return call


@lru_cache(maxsize=4096)
def cxa_demangle(mangled: bytes) -> bytes | None:
    """None for what is no mangled name, and where no library can tell."""
    function = _function()
    return function(mangled) if function else None
