"""The types of the kernel, as far as one verification asks for them."""

from __future__ import annotations

from collections.abc import Callable

from stingless.btf.kinds import RECORDS, Kind, Type
from stingless.btf.types import Btf

_WRAPPED = (Kind.TYPEDEF, Kind.CONST, Kind.VOLATILE, Kind.RESTRICT)


class Types:
    """`kernel` is read when the first type is asked for; a kernel without BTF has no types.  `local` are the
    program's own."""

    def __init__(self, kernel: Callable[[], Btf | None], local: Btf | None) -> None:
        self._load = kernel
        self._kernel: Btf | None = None
        self._loaded = False
        self.local = local
        self._structs: dict[str, int] = {}
        self._prefixes: dict[tuple[int, int], bool] = {}
        self._invented: list[str] = []

    @property
    def kernel(self) -> Btf | None:
        if not self._loaded:
            self._kernel = self._load()
            self._loaded = True
        return self._kernel

    def struct(self, name: str) -> int:
        """The id of a struct of the kernel.  A kernel that has it not, or has no types, gets a number of its own for
        it: the pointer can be passed on, but not be looked into."""
        found = self._structs.get(name)
        if found is None:
            type_ = self.kernel.find(name, Kind.STRUCT) if self.kernel is not None else None
            if type_ is None:
                self._invented.append(name)
            found = self._structs[name] = type_.id if type_ is not None else -len(self._invented)
        return found

    def name(self, type_id: int, local: bool = False) -> str:
        if type_id < 0:
            return self._invented[-type_id - 1]
        btf = self.local if local else self.kernel
        return btf.type(type_id).name if btf is not None and type_id else "?"

    def is_a(self, type_id: int, wanted: int, off: int = 0) -> bool:
        """Whether what is at `off` of a struct `type_id` of the kernel is a struct `wanted`: itself, or its member."""
        for _ in range(16):
            if type_id == wanted and off == 0:
                return True
            if type_id <= 0 or self.kernel is None:
                return False
            inner = self._member_at(self.kernel.type(type_id), off)
            if inner is None:
                return False
            type_id, off = inner
        return False

    def _member_at(self, struct: Type, off: int) -> tuple[int, int] | None:
        assert self.kernel is not None
        for member in struct.members:
            at = member.bit_offset // 8
            if member.bit_size or not at <= off:
                continue
            element, count = self.kernel.element(member.type)
            size = element.size * count
            if off < at + size and element.kind in RECORDS and element.size:
                return element.id, (off - at) % element.size
        return None


def pointee(btf: Btf, type_id: int) -> tuple[Type, frozenset[str]] | None:
    """What a pointer type points to, without qualifiers, and the tags on the way; None for another type."""
    found = btf.type(type_id)
    for _ in range(32):
        if found.kind not in _WRAPPED:
            break
        found = btf.type(found.type)
    if found.kind is not Kind.PTR:
        return None
    tags: set[str] = set()
    found = btf.type(found.type)
    for _ in range(32):
        if found.kind is Kind.TYPE_TAG:
            tags.add(found.name)
        elif found.kind not in _WRAPPED:
            break
        found = btf.type(found.type)
    return found, frozenset(tags)
