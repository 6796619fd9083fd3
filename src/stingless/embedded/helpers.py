"""The helpers that the embedded kernel has (numbers of `stingless._gen.uapi.Helper`), told by the C runtime's table."""

from __future__ import annotations

from collections.abc import Mapping

from stingless._sys import runtime

SUPPORTED_HELPERS: frozenset[int] = runtime.helper_numbers()
# Kernel functions by name, each with the number that a call of the runtime's has.
SUPPORTED_KFUNCS: Mapping[str, int] = runtime.kfunc_numbers()
