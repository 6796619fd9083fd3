"""bcc's C structures for symbols, which a few scripts hand to `bcc.lib`."""

from __future__ import annotations

import ctypes
from typing import Any


class bcc_symbol(ctypes.Structure):
    """A symbol that was found: `offset` is where it is in the file, `module` the file's path."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("demangle_name", ctypes.c_char_p),
        ("module", ctypes.POINTER(ctypes.c_char)),
        ("offset", ctypes.c_ulonglong),
    )


class bcc_symbol_option(ctypes.Structure):
    """How to look: `use_symbol_type` is a set of bits, 1 << STT_*; 0 means functions."""

    _fields_ = (
        ("use_debug_file", ctypes.c_int),
        ("check_debug_file_crc", ctypes.c_int),
        ("lazy_symbolize", ctypes.c_int),
        ("use_symbol_type", ctypes.c_uint),
    )


class bcc_ip_offset_union(ctypes.Union):
    _fields_ = (("offset", ctypes.c_uint64), ("ip", ctypes.c_uint64))


class bcc_stacktrace_build_id(ctypes.Structure):
    """A frame of a stack by build id."""

    _fields_ = (("status", ctypes.c_uint32), ("build_id", ctypes.c_ubyte * 20), ("u", bcc_ip_offset_union))


def referred(argument: Any) -> Any:
    """The object that `ctypes.byref()` or `ctypes.pointer()` was given, or the argument itself."""
    if argument is None:
        return None
    inner = getattr(argument, "_obj", None)
    return inner if inner is not None else getattr(argument, "contents", argument)


def set_symbol(symbol: bcc_symbol, name: bytes, module: bytes, offset: int) -> None:
    """Fill one in; it keeps what its pointers point to."""
    text = ctypes.create_string_buffer(module)
    symbol.name = symbol.demangle_name = name
    symbol.module = ctypes.cast(text, ctypes.POINTER(ctypes.c_char))
    symbol.offset = offset
    symbol._kept = text


def bytes_at(pointer: Any) -> bytes:
    """A C string by its address."""
    return ctypes.cast(pointer, ctypes.c_char_p).value or b""
