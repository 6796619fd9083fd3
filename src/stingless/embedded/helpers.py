"""The helpers that the embedded kernel has (numbers of `stingless._gen.uapi.Helper`), told by the C runtime's table."""

from __future__ import annotations

from stingless._sys import runtime

SUPPORTED_HELPERS: frozenset[int] = runtime.helper_numbers()
