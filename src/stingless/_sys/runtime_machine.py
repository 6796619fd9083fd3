"""What the JIT takes from the C runtime, and gives to it: addresses, descriptors of maps, machine code of programs."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from ctypes import c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path

from stingless._sys.runtime import Program, _Env, library

# Of machine.h and interp.h, what machine code calls.
_FUNCTIONS = ("st_tail_call", "st_legacy_load", "st_probe_load", "st_callback")

CPU_OFFSET: int = _Env.cpu.offset
"""Of the field `cpu` in `struct st_env`."""


class _Descriptor(ctypes.Structure):
    """The head of `struct st_map`."""

    _fields_ = (("type", c_uint32), ("key_size", c_uint32), ("value_size", c_uint32), ("max_entries", c_uint32))


def bitcode() -> bytes | None:
    """Map look-ups as LLVM bitcode, or None where they were not built."""
    path = Path(__file__).with_name(f"libstingless-lookup.{platform.machine()}.bc")
    return path.read_bytes() if path.exists() else None


@cache
def functions() -> dict[str, int]:
    """The addresses of the functions that machine code calls."""
    return {name: ctypes.cast(getattr(library(), name), c_void_p).value or 0 for name in _FUNCTIONS}


@cache
def helper(number: int) -> int:
    """The address of a helper, or 0."""
    address = library().st_helper_address
    address.restype, address.argtypes = c_uint64, [c_uint32]
    return int(address(number))


def map_type(address: int) -> int:
    """The type of the map whose descriptor is at `address`."""
    return int(_Descriptor.from_address(address).type)


def descriptor(address: int) -> bytes:
    """A map's descriptor, which does not change while the map lives (but for its link to the next map)."""
    size = library().st_map_descriptor_size
    size.restype = c_uint32
    return ctypes.string_at(address, size())


def install(program: Program, address: int, keep: object) -> None:
    """Have `program` run as the machine code at `address` from its next run on.  `keep` owns the code: it lives as long
    as the program does, since runs and callbacks may be in it."""
    program.keep(keep)
    install = library().st_prog_set_machine
    install.restype, install.argtypes = None, [c_void_p, c_void_p]
    install(program.address, address)


_HOT = ctypes.CFUNCTYPE(None, c_void_p)
_hot_callback: object = None


def when_hot(callback: Callable[[int], None]) -> None:
    """Call `callback` with the address of each program's `struct st_prog` once, when the interpreter has run it often;
    from the thread that ran it."""
    global _hot_callback
    _hot_callback = _HOT(lambda address: callback(address or 0))
    library().st_when_hot(_hot_callback)
