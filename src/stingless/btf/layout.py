"""How C would lay out a record, against how BTF says that it lies: what must be packed, padded or aligned.

BTF has offsets and sizes, no alignment and no `packed`.  The rule: a record is packed where natural alignment could not
give its offsets; all other gaps are spelled out, so that the alignment that the original asked for need not be known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless.btf.kinds import ENUMS, RECORDS, Kind, Member, Type
from stingless.errors import ObjectError
from stingless.frozen import frozen

if TYPE_CHECKING:
    from stingless.btf.types import Btf

_MAX_DEPTH = 64  # records in records


@frozen
class RecordLayout:
    packed: bool
    align: int  # bytes, with what `aligned` asks for
    aligned: int = 0  # bytes to ask for; 0: nothing


def record_layout(btf: Btf, record: Type, depth: int = 0) -> RecordLayout:
    """Raises `ObjectError` for a record that contains itself."""
    layouts: dict[int, RecordLayout] = btf._layouts
    if record.id not in layouts:
        if depth > _MAX_DEPTH:
            raise ObjectError(f"BTF type {record.id} ({record.name or 'anonymous'}) contains itself")
        layouts[record.id] = _layout(btf, record, depth)
    return layouts[record.id]


def align_of(btf: Btf, type_id: int, depth: int = 0) -> int:
    found, _ = btf.element(type_id)
    if found.kind in RECORDS:
        return record_layout(btf, found, depth + 1).align
    size = btf.pointer_size if found.kind == Kind.PTR else found.size
    return min(size & -size, 16) or 1


def unit_bits(btf: Btf, record: Type, member: Member) -> int:
    """The bits of a bit-field's declared type, of which it may not leave one."""
    declared = btf.resolve(member.type)
    bits = declared.size * 8
    if declared.kind not in ENUMS | {Kind.INT} or not 0 < member.bit_size <= bits:
        raise ObjectError(
            f"bit-field {member.name!r} of {record.name or 'an anonymous record'} has {member.bit_size} bits of a "
            f"{declared.kind.name.lower()} of {bits}"
        )
    return bits


def _layout(btf: Btf, record: Type, depth: int) -> RecordLayout:
    align, packed, end = 1, False, 0
    for member in record.members:
        if member.bit_size:
            unit = unit_bits(btf, record, member)
            align = max(align, align_of(btf, member.type, depth))
            packed = packed or member.bit_offset % unit + member.bit_size > unit
            end = max(end, member.bit_offset + member.bit_size)
            continue
        own = align_of(btf, member.type, depth)
        align = max(align, own)
        packed = packed or member.bit_offset % (own * 8) != 0
        end = max(end, member.bit_offset + btf.size_of(member.type) * 8)
    if end > record.size * 8:
        raise ObjectError(f"BTF type {record.id} ({record.name or 'anonymous'}): {record.size} bytes do not hold it")
    packed = packed or record.size % align != 0
    if packed:
        align = 1
    natural = -(-end // (8 * align)) * align
    if record.kind == Kind.UNION and natural < record.size:  # no member can pad a union
        wanted = align
        while wanted < record.size and -(-end // (8 * wanted)) * wanted < record.size:
            wanted *= 2
        if -(-end // (8 * wanted)) * wanted == record.size:
            return RecordLayout(packed, wanted, wanted)
    return RecordLayout(packed, align)
