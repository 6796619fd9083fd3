"""An object's BTF for a kernel that does not know all of its kinds.

A type keeps its id and its record its length, so that nothing else has to change: a type of a kind that came later than
the kernel turns into one of the same size.
Source: kernel/bpf/btf.c, `btf_*_check_meta()`.
"""

from __future__ import annotations

from collections.abc import Collection

from stingless.btf.types import Btf, Kind
from stingless.obj.btf_edit import BtfEdit

# What a kernel may lack, and its first version.
SINCE = {
    "global functions": "5.6",
    "FLOAT": "5.13",
    "DECL_TAG": "5.16",
    "TYPE_TAG": "5.17",
    "ENUM64": "6.0",
}
_INT_8_BITS = 8  # an int's encoding, offset and number of bits in one word


def for_older(btf: Btf, lacking: Collection[str]) -> bytes:
    """The bytes to load on a kernel that lacks those of `SINCE`."""
    return _Older(btf, lacking).result()


class _Older:
    def __init__(self, btf: Btf, lacking: Collection[str]) -> None:
        self._btf = btf
        self._lacking = lacking
        self._edit = BtfEdit(btf)
        self._number = 0  # id of an int that stands for what is not there; made when needed

    def result(self) -> bytes:
        for type_id in range(1, len(self._btf)):
            self._type(type_id, self._btf.kind(type_id))
        return self._edit.btf().data

    def _type(self, type_id: int, kind: Kind) -> None:
        lacking = self._lacking
        match kind:
            case Kind.FUNC if "global functions" in lacking:
                self._head(type_id, Kind.FUNC, 0)
            case Kind.DATASEC:
                section = self._btf.type(type_id)
                if section.name.startswith("?") or not section.size:  # such names are taken since 6.10
                    self._head(type_id, Kind.UNION, len(section.members), name=0, last=1)
                    self._members(type_id, len(section.members), named=False)
            case Kind.FLOAT if "FLOAT" in lacking:
                self._head(type_id, Kind.STRUCT, 0, name=0)
            case Kind.DECL_TAG if "DECL_TAG" in lacking:
                self._head(type_id, Kind.INT, 0, name=0, last=1)
                self._edit.set(type_id, 3, _INT_8_BITS)
            case Kind.TYPE_TAG if "TYPE_TAG" in lacking:
                self._head(type_id, Kind.CONST, 0, name=0)
            case Kind.ENUM if "ENUM64" in lacking:
                values = len(self._btf.type(type_id).values)
                self._head(type_id, Kind.ENUM, values)  # without the flag of signed values, which came with ENUM64
            case Kind.ENUM64 if "ENUM64" in lacking:
                values = len(self._btf.type(type_id).values)
                self._head(type_id, Kind.UNION, values)
                self._members(type_id, values, named=True)

    def _members(self, type_id: int, count: int, named: bool) -> None:
        """The records of enumerators or of a section's variables, as members of a union of one-byte ints."""
        for i in range(count):
            if not named:
                self._edit.set(type_id, 3 + 3 * i, 0)
            self._edit.set(type_id, 4 + 3 * i, self._int(), 0)

    def _int(self) -> int:
        if not self._number:
            self._number = self._edit.add(self._edit.string("absent"), Kind.INT << 24, 1, _INT_8_BITS)
        return self._number

    def _head(self, type_id: int, kind: Kind, vlen: int, name: int | None = None, last: int | None = None) -> None:
        if name is not None:
            self._edit.set(type_id, 0, name)
        self._edit.set(type_id, 1, kind << 24 | vlen)
        if last is not None:
            self._edit.set(type_id, 2, last)
