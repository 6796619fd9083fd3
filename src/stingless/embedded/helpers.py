"""The helpers that the embedded kernel has (numbers of `stingless._gen.uapi.Helper`), told by the C runtime's table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from stingless._sys import runtime


@cache
def supported_helpers() -> frozenset[int]:
    return runtime.helper_numbers()


@cache
def supported_kfuncs() -> Mapping[str, int]:
    """Kernel functions by name, each with the number that a call of the runtime's has."""
    return runtime.kfunc_numbers()
