"""BTF written by hand, so that a test can have types that no compiler makes; and BTF of C text."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from stingless.btf.file import elf_section
from stingless.btf.types import Btf, Kind


class Blob:
    """Types are added in order and get the ids 1, 2, ...: behind those of `base`, if there is one."""

    def __init__(self, order: str = "<", base: Btf | None = None) -> None:
        self.order = order
        self.base = base
        self.next_id = len(base) if base else 1
        self._strings = bytearray(b"" if base else b"\0")
        self._types = bytearray()

    def string(self, text: str) -> int:
        start = len(self._strings) + (self.base.strings_length if self.base else 0)
        self._strings += text.encode() + b"\0"
        return start if text else 0

    def add(
        self,
        kind: int,
        name: str | int = "",
        last: int = 0,
        tail: bytes = b"",
        vlen: int = 0,
        flag: bool = False,
    ) -> int:
        """One record: `last` is its size or type; a name may be an offset.  Returns its id."""
        offset = self.string(name) if isinstance(name, str) else name
        self._types += struct.pack(self.order + "III", offset, flag << 31 | kind << 24 | vlen, last) + tail
        self.next_id += 1
        return self.next_id - 1

    def words(self, *numbers: int) -> bytes:
        return struct.pack(f"{self.order}{len(numbers)}I", *(n & 0xFFFFFFFF for n in numbers))

    def integer(self, name: str = "int", size: int = 4, encoding: int = 1) -> int:
        return self.add(Kind.INT, name, size, self.words(encoding << 24 | size * 8))

    def record(
        self, name: str, size: int, members: Sequence[tuple[str, int, int]], kind: int = Kind.STRUCT, flag: bool = False
    ) -> int:
        """Members are name, type, offset in bits (with `flag`: bit size << 24 | offset)."""
        tail = b"".join(self.words(self.string(name), type_id, offset) for name, type_id, offset in members)
        return self.add(kind, name, size, tail, len(members), flag)

    def enum(self, name: str, values: Sequence[tuple[str, int]], size: int = 4, signed: bool = False) -> int:
        tail = b"".join(self.words(self.string(name), value) for name, value in values)
        return self.add(Kind.ENUM, name, size, tail, len(values), signed)

    def enum64(self, name: str, values: Sequence[tuple[str, int]], size: int = 8, signed: bool = False) -> int:
        tail = b"".join(self.words(self.string(name), value, value >> 32) for name, value in values)
        return self.add(Kind.ENUM64, name, size, tail, len(values), signed)

    def proto(self, returns: int, parameters: Sequence[tuple[str, int]] = ()) -> int:
        tail = b"".join(self.words(self.string(name), type_id) for name, type_id in parameters)
        return self.add(Kind.FUNC_PROTO, "", returns, tail, len(parameters))

    def struct(self, name: str, size: int, members: Sequence[tuple[str, int, int]] = ()) -> int:
        """Members are name, type, offset in bytes."""
        return self.record(name, size, [(member, type_id, at * 8) for member, type_id, at in members])

    def pointer(self, to: int) -> int:
        return self.add(Kind.PTR, "", to)

    def func(self, name: str, proto: int) -> int:
        """A global one."""
        return self.add(Kind.FUNC, name, proto, vlen=1)

    def var(self, name: str, of: int) -> int:
        """A global one."""
        return self.add(Kind.VAR, name, of, self.words(1))

    def typedef(self, name: str, of: int) -> int:
        return self.add(Kind.TYPEDEF, name, of)

    def array(self, element: int, length: int, index: int = 1) -> int:
        return self.add(Kind.ARRAY, "", 0, self.words(element, index, length))

    def bytes(self) -> bytes:
        head = struct.pack(self.order + "HBBI", 0xEB9F, 1, 0, 24)
        sections = self.words(0, len(self._types), len(self._types), len(self._strings))
        return head + sections + self._types + self._strings

    def btf(self) -> Btf:
        return Btf(self.bytes(), self.base)


def object_of(text: str, name: str = "types.c", cflags: Sequence[str] = ()) -> bytes:
    """An object of C text alone, without any header."""
    from stingless.compile.driver import Run, target_flags

    return Run(
        [*target_flags(), "-nostdinc", *cflags, "-c", "-x", "c", "-", "-o", "-"], text.encode(), name, text
    ).output()


def compiled(text: str, *cflags: str) -> Btf:
    """The BTF that clang makes of C text."""
    section = elf_section(object_of(text, "types.c", cflags), b".BTF")
    assert section is not None
    return Btf(section)
