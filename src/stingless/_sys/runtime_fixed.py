"""`struct st_fixed` of embedded/runtime/fixed.h."""

from __future__ import annotations

from ctypes import Structure, addressof, c_int32, c_uint8, c_uint64

from stingless._sys.runtime import Task


class Fixed(Structure):
    """What a kernel's programs are told instead of the machine's time, random numbers, CPU and task."""

    _fields_ = (
        ("time", c_uint64),
        ("step", c_uint64),
        ("random", c_uint64),
        ("cpu", c_int32),
        ("has_time", c_uint8),
        ("has_random", c_uint8),
        ("has_task", c_uint8),
        ("task", Task),
    )

    @property
    def address(self) -> int:
        """Valid while this object lives."""
        return addressof(self)
