"""A table of symbols in the order of their addresses: address to name, name to address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from stingless.symbols.elf_file import SHT_DYNSYM, SHT_SYMTAB, ElfFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STT_FUNC, STT_GNU_IFUNC = 2, 10
_STT_OBJECT, _STT_NOTYPE, _STT_TLS = 1, 0, 6
FUNCTIONS = frozenset({STT_FUNC, STT_GNU_IFUNC})
# What an operand or a probe may name: not sections, files and thread-local variables.
NAMED = frozenset({_STT_NOTYPE, _STT_OBJECT, STT_FUNC, STT_GNU_IFUNC})
_GLOBAL, _WEAK = 1, 2
_UNDERSCORE, _AT = b"_@"


class Symbol(NamedTuple):
    """`start` and `size` in bytes, addresses as the file has them."""

    name: bytes
    start: int
    size: int


class SymbolTable:
    """The columns of a table, sorted; where several symbols begin at one address, the one to show is the last."""

    def __init__(
        self,
        starts: NDArray[np.uint64],
        sizes: NDArray[np.uint64],
        names: NDArray[np.uint32],
        strings: bytes,
    ) -> None:
        """`names` are places in `strings`, where each name ends with a zero."""
        import numpy as np

        # Single elements of a memoryview are read faster than those of an array.
        self._starts, self._sizes, self._places = starts.data, sizes.data, names.data
        self._reach = (np.maximum.accumulate(starts + sizes) if len(starts) else starts).data
        self._names = names
        self._strings = strings

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Symbol]:
        return (self._symbol(i) for i in range(len(self)))

    def find(self, address: int) -> Symbol | None:
        """The innermost symbol around an address; a symbol without a size holds none."""
        at = bisect_right(self._starts, address) - 1
        # Symbols nest: go back until none before reaches as far.
        while at >= 0 and self._reach[at] > address:
            if address < self._starts[at] + self._sizes[at]:
                return self._symbol(at)
            at -= 1
        return None

    def address(self, name: bytes) -> int | None:
        """Of the symbol of that name: the lowest, where a file has several."""
        return next((symbol.start for symbol in self.named(name)), None)

    def named(self, name: bytes) -> Iterator[Symbol]:
        import numpy as np

        places, at = [], self._strings.find(name + b"\0")
        while at >= 0:
            places.append(at)  # a name may be the end of another's
            at = self._strings.find(name + b"\0", at + 1)
        if places:
            for i in np.flatnonzero(np.isin(self._names, places)):
                yield self._symbol(int(i))

    def _symbol(self, i: int) -> Symbol:
        at = self._places[i]
        name = self._strings[at : self._strings.find(b"\0", at)]
        return Symbol(name, self._starts[i], self._sizes[i])


def table_of(files: Iterable[ElfFile], types: frozenset[int] = FUNCTIONS) -> SymbolTable:
    """The symbols of some types that the files (a program, and what debug information of it there is) define.

    Raises `ObjectError`."""
    import numpy as np

    columns, strings = [], b""
    for file in files:
        for section in file.sections:
            if section.kind not in (SHT_SYMTAB, SHT_DYNSYM) or not section.link < len(file.sections):
                continue
            symbols = np.frombuffer(_whole(file.content(section), file.wide), _layout(file.wide))
            text = file.content(file.sections[section.link])
            wanted = np.isin(symbols["info"] & 15, list(types)) & (symbols["shndx"] != 0) & (symbols["value"] != 0)
            symbols = symbols[wanted & (symbols["name"] != 0) & (symbols["name"] < len(text))]
            columns.append((symbols, symbols["name"].astype(np.uint32) + len(strings)))
            strings += text + b"\0"
    if not columns:
        empty = np.zeros(0, np.uint64)
        return SymbolTable(empty, empty, np.zeros(0, np.uint32), b"")
    starts = np.concatenate([s["value"] for s, _ in columns]).astype(np.uint64)
    sizes = np.concatenate([s["size"] for s, _ in columns]).astype(np.uint64)
    binds = np.concatenate([s["info"] >> 4 for s, _ in columns])
    names = np.concatenate([n for _, n in columns])
    order = _order(starts, sizes, binds, names, strings)
    return SymbolTable(starts[order], sizes[order], names[order], strings)


def _order(starts: Any, sizes: Any, binds: Any, names: Any, strings: bytes) -> Any:
    """By address; of those at one address the one to show last: a size, then no version in its name, then a global
    name, then a weak one, then few underscores at its beginning, then a short name."""
    import numpy as np

    text = np.frombuffer(strings + b"\0", np.uint8)
    ends = np.flatnonzero(text == 0)
    ends = ends[np.searchsorted(ends, names)]
    versions = np.append(np.flatnonzero(text == _AT), len(text))
    plain = versions[np.searchsorted(versions, names)] > ends
    first = text[names] == _UNDERSCORE
    second = first & (text[names + 1] == _UNDERSCORE)
    strength = np.where(binds == _GLOBAL, 2, np.where(binds == _WEAK, 1, 0))
    return np.lexsort((names - ends, -first.astype(np.int8) - second, strength, plain, sizes != 0, starts))


def _whole(data: bytes, wide: bool) -> bytes:
    size = 24 if wide else 16
    return data[: len(data) // size * size]


def _layout(wide: bool) -> Any:
    import numpy as np

    name, value, size = ("name", "<u4"), ("value", "<u8" if wide else "<u4"), ("size", "<u8" if wide else "<u4")
    info, other, section = ("info", "u1"), ("other", "u1"), ("shndx", "<u2")
    return np.dtype([name, info, other, section, value, size] if wide else [name, value, size, info, other, section])
