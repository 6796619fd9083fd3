"""Where a bit-field is: clang loads a unit of its own choosing, a CO-RE relocation speaks of another one.

clang's field access takes the offset of the relocation (libbpf's choice: the word of the field's declared type that has
all of it) for that of its own unit: right only where the two are the same.
"""

from __future__ import annotations

from typing import NamedTuple


class BitField(NamedTuple):
    """`start` is the struct's offset and `offset` the field's in that, both in bits; `declared` the size of its type in
    bytes; `starts` the bytes of the struct at which bit-fields begin that begin with a byte."""

    start: int
    offset: int
    size: int
    declared: int
    starts: tuple[int, ...]

    def word(self) -> tuple[int, int]:
        """The word that the relocations speak of: where it begins, in bytes from where `start` counts, and its size."""
        bit = self.start + self.offset
        size = self.declared
        at = bit // 8 // size * size
        while bit + self.size > (at + size) * 8 and size < 8:
            size *= 2
            at = bit // 8 // size * size
        return at, size

    def shifts(self) -> tuple[int, int]:
        """By how much that word, of 64 bits, is shifted left and then right for the field's value."""
        at, _ = self.word()
        return 64 - (self.start + self.offset + self.size - at * 8), 64 - self.size

    def unit(self, bits: int) -> int:
        """The byte of the struct at which the unit of `bits` begins that clang loads.

        It has whole bit-fields, begins where one begins, and is aligned unless it is of one span of them only."""
        fitting = [
            at for at in self.starts if at * 8 <= self.offset and self.offset + self.size <= at * 8 + bits
        ]  # fmt: skip
        size = 1 << (bits // 8 - 1).bit_length() if bits >= 8 else 1
        aligned = [at for at in fitting if at % size == 0]
        return max(aligned or fitting or [self.offset // 8])

    def shift(self, bits: int) -> int:
        """How many bits into clang's unit the field begins."""
        return self.offset - self.unit(bits) * 8

    def correction(self, bits: int) -> int:
        """How many bytes clang's unit is behind where the relocation points."""
        return self.start // 8 + self.unit(bits) - self.word()[0]
