"""A BTF blob to change: strings and types are added at its end, fields of its types are set in place."""

from __future__ import annotations

import struct

from stingless.btf.types import Btf


class BtfEdit:
    """`btf()` gives the changed blob; ids and string offsets of the old one stay as they are."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        data, order = btf.data, btf.order
        (self._header,) = struct.unpack_from(order + "I", data, 4)
        type_off, type_len, str_off, str_len = struct.unpack_from(order + "IIII", data, 8)
        self._types_at = self._header + type_off
        self._types = bytearray(data[self._types_at : self._types_at + type_len])
        self._strings = bytearray(data[self._header + str_off : self._header + str_off + str_len])
        self._count = len(btf)
        self._known: dict[str, int] = {"": 0}

    def string(self, text: str) -> int:
        """The string's offset in the section."""
        if text not in self._known:
            self._known[text] = len(self._strings)
            self._strings += text.replace("\0", " ").encode() + b"\0"
        return self._known[text]

    def add(self, *words: int) -> int:
        """A new type, in 32-bit words.  Its id."""
        self._types += struct.pack(f"{self._btf.order}{len(words)}I", *words)
        self._count += 1
        return self._count - 1

    def set(self, type_id: int, word: int, *values: int) -> None:
        """Set 32-bit words of a type of the old blob, from its word number `word` on."""
        at = self._btf.offset_of(type_id) - self._types_at + 4 * word
        struct.pack_into(f"{self._btf.order}{len(values)}I", self._types, at, *values)

    def btf(self) -> Btf:
        """The blob anew: header, types, then the strings."""
        data, types, strings = self._btf.data, bytes(self._types), bytes(self._strings)
        head = data[:8] + struct.pack(self._btf.order + "IIII", 0, len(types), len(types), len(strings))
        return Btf(head + data[24 : self._header] + types + strings)
