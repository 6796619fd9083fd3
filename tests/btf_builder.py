"""Small BTF blobs for tests, a type at a time."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from stingless.btf.types import MAGIC, Btf, Kind
from stingless.obj.btf_edit import BtfEdit

EMPTY = struct.pack("<HBBIIIII", MAGIC, 1, 0, 24, 0, 0, 0, 1) + b"\0"


class BtfBuilder:
    """Every method but the last two adds a type and gives its id."""

    def __init__(self) -> None:
        self._edit = BtfEdit(Btf(EMPTY))

    def _add(self, kind: Kind, name: str, last: int, vlen: int = 0, rest: Sequence[int] = ()) -> int:
        return self._edit.add(self._edit.string(name), kind << 24 | vlen, last, *rest)

    def integer(self, name: str, size: int, encoding: int = 0) -> int:
        """`encoding`: 1 signed, 2 char, 4 bool."""
        return self._add(Kind.INT, name, size, 0, [encoding << 24 | size * 8])

    def pointer(self, to: int) -> int:
        return self._add(Kind.PTR, "", to)

    def array(self, element: int, length: int) -> int:
        return self._add(Kind.ARRAY, "", 0, 0, [element, element, length])

    def struct(self, name: str, size: int, members: Sequence[tuple[str, int, int]] = ()) -> int:
        """Members are (name, type, offset in bytes)."""
        rest = [word for n, t, at in members for word in (self._edit.string(n), t, at * 8)]
        return self._add(Kind.STRUCT, name, size, len(members), rest)

    def enum(self, name: str, values: Sequence[tuple[str, int]]) -> int:
        rest = [word for n, v in values for word in (self._edit.string(n), v)]
        return self._add(Kind.ENUM, name, 4, len(values), rest)

    def proto(self, result: int, *parameters: int) -> int:
        rest = [word for t in parameters for word in (self._edit.string("p"), t)]
        return self._add(Kind.FUNC_PROTO, "", result, len(parameters), rest)

    def func(self, name: str, proto: int, linkage: int = 1) -> int:
        return self._add(Kind.FUNC, name, proto, linkage)

    def var(self, name: str, of: int, linkage: int = 1) -> int:
        return self._add(Kind.VAR, name, of, 0, [linkage])

    def typedef(self, name: str, of: int) -> int:
        return self._add(Kind.TYPEDEF, name, of)

    def string(self, text: str) -> int:
        """Not a type: the text's offset in the strings."""
        return self._edit.string(text)

    def btf(self) -> Btf:
        return self._edit.btf()
