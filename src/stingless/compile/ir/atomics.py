"""Atomic operations whose result nobody uses: without an order, clang makes the instruction that does not fetch.

That is what all kernels have; the fetching ones came with Linux 5.12.
"""

from __future__ import annotations

import re

from stingless.compile.ir.model import Function

_ATOMIC = re.compile(r"\s*(%[\w.$-]+|%\"[^\"]*\") = atomicrmw (?:add|sub|and|or|xor) ")
_ORDER = re.compile(r" (?:seq_cst|acq_rel|acquire|release)(?=,|$)")


def without_fetch(function: Function) -> None:
    """Drop the order of those operations."""
    for at, line in enumerate(function.body):
        if isinstance(line, str) and (found := _ATOMIC.match(line)) and not _used(function, found[1]):
            function.body[at] = _ORDER.sub(" monotonic", line, count=1)


def _used(function: Function, name: str) -> bool:
    use = re.compile(re.escape(name) + r"(?![\w.$-])")
    return len(use.findall(function.text())) > 1
