"""Symbols of the running kernel and its modules, as /proc/kallsyms has them.

Ordinary users see zeros for the addresses (kernel.kptr_restrict), and so no symbols.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KALLSYMS = Path("/proc/kallsyms")
_DATA = b"bBdDrR"
_LOWEST = 0x00FFFFFFFFFFFFFF  # per-CPU variables have their offsets for addresses
_DIGITS, _TYPE, _NAME = 16, 17, 19  # places in a line "ADDRESS TYPE NAME[\t[MODULE]]"


class KernelSymbol(NamedTuple):
    name: bytes
    start: int
    module: bytes  # b"kernel" for what is in none


class KernelSymbols:
    """All symbols but those of variables, by address and by name."""

    def __init__(self, text: bytes) -> None:
        """`text` as of /proc/kallsyms."""
        self._text = text

    def _load(self) -> None:
        if hasattr(self, "_starts"):
            return
        import numpy as np

        data = np.frombuffer(self._text, np.uint8)
        ends = np.flatnonzero(data == ord("\n"))
        begins = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
        begins = begins[ends - begins > _NAME]
        starts = _hexadecimal(data, begins)
        wanted = (starts > _LOWEST) & (starts < np.uint64(0xFFFFFFFFFFFFFFFF))
        wanted &= ~np.isin(data[begins + _TYPE], np.frombuffer(_DATA, np.uint8))
        begins, starts = begins[wanted], starts[wanted]
        # Of names for one address the first is the one that the kernel itself shows, so it is the last here.
        order = np.lexsort((-np.arange(len(starts)), starts))
        self._starts, self._lines = starts[order].data, begins[order].data

    def find(self, address: int) -> KernelSymbol | None:
        """The symbol at or before an address."""
        self._load()
        at = bisect_right(self._starts, address) - 1
        if at < 0:
            return None
        begin = self._lines[at] + _NAME
        name, _, module = self._text[begin : self._text.index(b"\n", begin)].partition(b"\t")
        return KernelSymbol(name, self._starts[at], module.strip(b"[]") or b"kernel")

    def address(self, name: bytes) -> int | None:
        """Of the symbol of that name: the highest, where there are several."""
        best, wanted = 0, b" " + name
        at = self._text.find(wanted)
        while at >= 0:
            end = at + len(wanted)
            if self._text[end : end + 1] in (b"\n", b"\t") and self._text[at - 1] not in _DATA:
                start = int(self._text[at - 2 - _DIGITS : at - 2], 16)
                if _LOWEST < start < (1 << 64) - 1:
                    best = max(best, start)
            at = self._text.find(wanted, end)
        return best or None


def _hexadecimal(data: NDArray[np.uint8], begins: NDArray[np.intp]) -> NDArray[np.uint64]:
    import numpy as np

    values = np.zeros(len(begins), np.uint64)
    for i in range(_DIGITS):
        digit = data[begins + i]
        digit = np.where(digit >= ord("a"), digit - (ord("a") - 10), digit - ord("0"))
        values = values << np.uint64(4) | digit.astype(np.uint64)
    return values


@cache
def kernel_symbols() -> KernelSymbols:
    """Those of the running kernel, read once; none where /proc/kallsyms cannot be read."""
    try:
        return KernelSymbols(KALLSYMS.read_bytes())
    except OSError:
        return KernelSymbols(b"")
