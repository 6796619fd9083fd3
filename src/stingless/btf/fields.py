"""Members of records: where they are, and their values in a record's bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stingless.btf.scalars import Boolean, Codec, Enumeration, fitting
from stingless.frozen import frozen


@frozen
class Field:
    """A named member: `bit_size` is 0 unless it is a bit-field."""

    name: str
    c_name: str
    codec: Codec
    bit_offset: int
    bit_size: int = 0

    @property
    def offset(self) -> int:
        return self.bit_offset // 8

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return (self.bit_offset + self.bit_size + 7) // 8 if self.bit_size else self.offset + self.codec.size

    @property
    def signed(self) -> bool:
        return bool(getattr(self.codec.type, "signed", False))

    @property
    def shift(self) -> int:
        """Of a bit-field: how far its last bit is from the last bit of its bytes taken as one int."""
        if self.codec.order == "<":
            return self.bit_offset - self.offset * 8
        return self.end * 8 - self.bit_offset - self.bit_size

    def value_of_bits(self, bits: int) -> Any:
        """The value that a bit-field's bits stand for."""
        if self.signed and bits >> self.bit_size - 1:
            bits -= 1 << self.bit_size
        if isinstance(self.codec, Boolean):
            return bool(bits)
        return self.codec.load(bits) if isinstance(self.codec, Enumeration) else bits

    def bits_of(self, value: Any, what: str) -> int:
        """A bit-field's bits.  Raises `TypeError`, `ValueError`."""
        if isinstance(self.codec, Enumeration) and isinstance(value, str):
            value = self.codec.dump(value, what)
        return fitting(value, self.bit_size, self.signed, what) & (1 << self.bit_size) - 1

    def read(self, data: bytes | bytearray | memoryview, at: int = 0) -> Any:
        """Its value in the record at `at`."""
        if not self.bit_size:
            return self.codec.decode(data, at + self.offset)
        word = int.from_bytes(data[at + self.offset : at + self.end], self._byteorder)
        return self.value_of_bits(word >> self.shift & (1 << self.bit_size) - 1)

    def write(self, value: Any, into: bytearray, at: int, what: str) -> None:
        if not self.bit_size:
            self.codec.write(value, into, at + self.offset, what)
            return
        bits = self.bits_of(value, what)
        span = slice(at + self.offset, at + self.end)
        word = int.from_bytes(into[span], self._byteorder)
        word = word & ~((1 << self.bit_size) - 1 << self.shift) | bits << self.shift
        into[span] = word.to_bytes(self.end - self.offset, self._byteorder)

    @property
    def _byteorder(self) -> Any:
        return "little" if self.codec.order == "<" else "big"


def storage(fields: Iterable[Field]) -> list[tuple[int, int]]:
    """The ranges of bytes that bit-fields are in, in order; those that share a byte are one."""
    ranges: list[tuple[int, int]] = []
    for start, end in sorted((field.offset, field.end) for field in fields if field.bit_size):
        if ranges and start < ranges[-1][1]:
            ranges[-1] = ranges[-1][0], max(end, ranges[-1][1])
        else:
            ranges.append((start, end))
    return ranges
