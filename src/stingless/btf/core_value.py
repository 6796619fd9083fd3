"""The number that a field-based CO-RE relocation comes to, once the field is found."""

from __future__ import annotations

from stingless.btf.core_access import Field, RelocationKind
from stingless.btf.core_match import Mismatch
from stingless.btf.types import ENUMS, Btf, Kind

_WIDEST = 8  # bytes that one load fetches


def field_value(kind: RelocationKind, btf: Btf, field: Field) -> int:
    """Raises `Mismatch` for a bit-field that no single load can fetch."""
    inside = btf.resolve(field.type)
    match kind:
        case RelocationKind.FIELD_EXISTS:
            return 1
        case RelocationKind.FIELD_SIGNED:
            return int(inside.signed and (inside.kind == Kind.INT or inside.kind in ENUMS))
    byte_offset, byte_size = _load_unit(btf, field)
    bit_size = field.bit_size or byte_size * 8
    match kind:
        case RelocationKind.FIELD_BYTE_OFFSET:
            return byte_offset
        case RelocationKind.FIELD_BYTE_SIZE:
            return byte_size
        case RelocationKind.FIELD_LSHIFT_U64:
            # The program loads `byte_size` bytes into a zeroed u64: the field's top bit goes to the register's.
            before = field.bit_offset - byte_offset * 8
            shift = 64 - before - bit_size if btf.order == "<" else (_WIDEST - byte_size) * 8 + before
        case _:
            shift = 64 - bit_size
    if shift < 0:
        raise Mismatch(f"it is {byte_size} bytes wide, more than a register holds")
    return shift


def _load_unit(btf: Btf, field: Field) -> tuple[int, int]:
    """(offset, size) in bytes of what is to be loaded.  Of a bit-field: the aligned unit of its own type's size, or the
    smallest larger one, that has all of its bits."""
    at = field.bit_offset
    if not field.bit_size:
        return at // 8, btf.size_of(field.type)
    size = btf.resolve(field.type).size
    while 0 < size <= _WIDEST:
        start = at // (size * 8) * size
        if at + field.bit_size <= (start + size) * 8:
            return start, size
        size *= 2
    raise Mismatch("the bit-field lies across what one load fetches")


def loaded(btf: Btf, field: Field) -> tuple[int, str] | None:
    """What a load of the field fetches: its size in bytes and "pointer", "unsigned", "signed" or "" for what is no
    number.  None for a bit-field, whose loads never change size.  Of an array: its elements."""
    if field.bit_size:
        return None
    inside, _ = btf.element(field.type)
    kinds = {Kind.PTR: "pointer", Kind.INT: "signed" if inside.signed else "unsigned"}
    return btf.size_of(inside.id), kinds.get(inside.kind, "")
