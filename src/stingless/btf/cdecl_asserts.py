"""C text that proves a header: every size, offset and enumerator, as `_Static_assert`s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from stingless.btf.cdecl import Header
from stingless.btf.cdecl_order import is_builtin
from stingless.btf.cdecl_scalars import number
from stingless.btf.kinds import ENUMS, RECORDS, Kind, Type

if TYPE_CHECKING:
    from stingless.btf.types import Btf

_QUALIFIERS = frozenset({Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG})


def static_asserts(btf: Btf, names: Iterable[str] | None = None) -> str:
    """What `declarations(btf, names)` must fulfil; to stand behind it."""
    header = Header(btf, names)
    header.text()
    return asserts(header)


def asserts(header: Header) -> str:
    """The same for a header whose text has been made.  Bit-fields have no offset in C: all that is asserted of them is
    that what follows lies where it should."""
    writer = header.writer
    lines: list[str] = []
    for type_id, whole in header.declared:
        found = writer.type(type_id)
        if found.kind == Kind.TYPEDEF:
            if whole and not is_builtin(found):
                name = writer.names.typedef(found)
                lines += _size(header, name, type_id)
                target = _unqualified(header, found.type)
                if target.kind in RECORDS and not target.name:
                    lines += _members(header, name, target, "", 0, 0)
        elif found.kind in RECORDS and whole:
            lines.append(f'_Static_assert(sizeof({writer.names.tag(found)}) == {found.size}, "");\n')
            lines += _members(header, writer.names.tag(found), found, "", 0, 0)
        elif found.kind in ENUMS and found.name and found.values:
            lines += _size(header, writer.names.tag(found), type_id)
    lines += [f'_Static_assert({name} == {number(value)}, "");\n' for name, value in writer.enumerators]
    return "".join(lines)


def _size(header: Header, name: str, type_id: int) -> list[str]:
    if header.writer.btf.element(type_id)[0].kind in (Kind.VOID, Kind.FUNC_PROTO, Kind.FWD):
        return []
    return [f'_Static_assert(sizeof({name}) == {header.writer.btf.size_of(type_id)}, "");\n']


def _unqualified(header: Header, type_id: int) -> Type:
    found = header.writer.type(type_id)
    while found.kind in _QUALIFIERS:
        found = header.writer.type(found.type)
    return found


def _members(header: Header, name: str, record: Type, path: str, base: int, depth: int) -> Iterator[str]:
    """One for each member, and for those of anonymous records in it."""
    btf = header.writer.btf
    for member in record.members:
        if member.bit_size:
            continue
        offset = base + member.offset
        deeper = header.writer.deeper(depth, f"{name}{path}{member.name}")
        inner, spot = _unqualified(header, member.type), path
        if member.name:
            spot = f"{path}.{member.name}" if path else member.name
            size = f"sizeof((({name} *)0)->{spot}) == {btf.size_of(member.type)}"
            yield f'_Static_assert(__builtin_offsetof({name}, {spot}) == {offset} && {size}, "");\n'
            while inner.kind == Kind.ARRAY:
                inner, spot = _unqualified(header, inner.type), f"{spot}[0]"
        else:
            inner = btf.resolve(member.type)
        if inner.kind in RECORDS and not (inner.name and member.name):
            yield from _members(header, name, inner, spot, offset, deeper)
