"""One C declaration: declarators, and the bodies of structs, unions and enums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stingless.btf.cdecl_names import Names, identifier, tag_word
from stingless.btf.cdecl_order import is_builtin
from stingless.btf.cdecl_scalars import enum_attribute, float_name, integer_name, number
from stingless.btf.kinds import ENUMS, RECORDS, Kind, Member, Type
from stingless.btf.layout import align_of, record_layout, unit_bits
from stingless.errors import ObjectError

if TYPE_CHECKING:
    from stingless.btf.types import Btf

_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict", Kind.TYPE_TAG: ""}
_MAX_CHAIN = 256  # pointers, arrays and qualifiers in one declarator
_MAX_DEPTH = 32  # declarators in declarators: parameters, members of anonymous records
_LARGE_GAP = 1024  # bytes; a smaller one is filled with unnamed bit-fields


class Declarator:
    """Writes declarations; remembers what each type is called."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self.names = Names()
        self.type = btf.type
        self.enumerators: list[tuple[str, int]] = []  # as they were written
        # Characters.  Hostile anonymous records can contain each other in numbers that grow with a power of the depth.
        self._budget = 500_000 + 16 * len(btf.data)

    def declare(self, type_id: int, name: str = "", level: int = 0, depth: int = 0) -> str:
        """`int (*name)[3]`, with the bodies of anonymous types; `level` is how far their lines are indented."""
        text, qualifiers = name, ""
        for _ in range(_MAX_CHAIN):
            found = self.type(type_id)
            kind = found.kind
            if kind == Kind.PTR:
                spaced = f" {qualifiers}{text}" if qualifiers else text
                text, qualifiers = f"*{spaced.lstrip()}".rstrip(), ""
            elif kind in _QUALIFIERS:
                word = _QUALIFIERS[kind]
                if word and word not in qualifiers:
                    qualifiers = f"{qualifiers}{word} "
            elif kind == Kind.ARRAY:
                text = f"({text})" if text.startswith("*") else text
                text = f"{text}[{found.length}]"
            elif kind == Kind.FUNC_PROTO:
                text = f"({text})" if text.startswith("*") else text
                text, qualifiers = f"{text}({self._parameters(found, level, depth)})", ""
            elif not is_builtin(found):
                base = qualifiers + self._base(found, level, depth)
                return f"{base} {text}" if text else base
            type_id = found.type
        raise ObjectError(f"BTF type {type_id} refers to itself")

    def _parameters(self, proto: Type, level: int, depth: int) -> str:
        parts = []
        for number_, member in enumerate(proto.members):
            if not member.type and number_ == len(proto.members) - 1:
                parts.append("...")
            else:
                name = "" if self.names.is_ordinary(member.name) else member.name
                parts.append(
                    self.declare(member.type, name and identifier(name, "parameter"), level, self.deeper(depth))
                )
        return ", ".join(parts) or "void"

    def deeper(self, depth: int, name: str = "") -> int:
        """One line more, of all and of those within each other.  Raises `ObjectError` when there were too many."""
        self._spend(len(name))
        if depth >= _MAX_DEPTH:
            raise ObjectError(f"BTF's types are nested more than {_MAX_DEPTH} deep")
        return depth + 1

    def _spend(self, characters: int) -> None:
        self._budget -= 16 + characters
        if self._budget < 0:
            raise ObjectError("BTF's types contain each other so often that their declarations would have no end")

    def _base(self, found: Type, level: int, depth: int) -> str:
        kind = found.kind
        if kind == Kind.TYPEDEF:
            return self.names.typedef(found)
        if kind in RECORDS or kind == Kind.FWD or kind in ENUMS:
            return self.names.tag(found) if found.name else self.body(found, level, depth)
        if kind == Kind.VOID:
            return "void"
        if kind == Kind.INT:
            return integer_name(found)
        if kind == Kind.FLOAT:
            return float_name(found)
        raise ObjectError(f"BTF type {found.id} is a {kind.name.lower()}, which no declaration can be of")

    def body(self, found: Type, level: int = 0, depth: int = 0, named: bool = True) -> str:
        """The definition of a record or an enum, without a semicolon; not `named`: of another one that is alike."""
        if found.kind == Kind.FWD:
            raise ObjectError(f"BTF type {found.id} is declared, and has no name")
        tag = self.names.tag(found) if found.name and named else tag_word(found)
        if found.kind in ENUMS:
            return self._enum(found, tag, level)
        indent = "\t" * (level + 1)
        layout = record_layout(self.btf, found)
        lines = [f"{indent}{line};\n" for line in self._fields(found, layout.packed, layout.align, level + 1, depth)]
        attributes = ["packed"] if layout.packed else []
        if layout.aligned:
            attributes.append(f"aligned({layout.aligned})")
        suffix = f" __attribute__(({', '.join(attributes)}))" if attributes else ""
        return f"{tag} {{\n{''.join(lines)}{indent[1:]}}}{suffix}"

    def _fields(self, record: Type, packed: bool, align: int, level: int, depth: int) -> Iterator[str]:
        """The members of a record, and what stands for its gaps."""
        union = record.kind == Kind.UNION
        at = end = 0  # bits
        for member in record.members:
            start = 0 if union else self._natural(record, member, at, packed)
            if start > member.bit_offset or (union and member.bit_offset):
                raise ObjectError(f"BTF type {record.id} ({record.name}): member {member.name!r} overlaps another")
            if start < member.bit_offset:
                yield from gap(at, member.bit_offset)
            text = self._member(member, level, self.deeper(depth, member.name))
            yield f"{text}: {member.bit_size}" if member.bit_size else text
            at = member.bit_offset + (member.bit_size or self.btf.size_of(member.type) * 8)
            end = max(end, at)
        if -(-end // (8 * align)) * align < record.size:
            pieces = gap(0 if union else end, record.size * 8)
            yield from [f"struct {{ {''.join(p + '; ' for p in pieces)}}}"] if union else pieces

    def _member(self, member: Member, level: int, depth: int) -> str:
        if member.name:
            return self.declare(member.type, identifier(member.name, "member"), level, depth)
        record = self.btf.resolve(member.type)
        if record.kind in RECORDS:  # one with a name too: since 6.19 the kernel has them (-fms-extensions), C has not
            return self.body(record, level, depth, named=False)
        return self.declare(member.type, "", level, depth)

    def _natural(self, record: Type, member: Member, at: int, packed: bool) -> int:
        """The bit where C puts the member when `at` bits are taken."""
        if member.bit_size:
            unit = unit_bits(self.btf, record, member)
            return at if packed or at % unit + member.bit_size <= unit else -(-at // unit) * unit
        align = 8 if packed else align_of(self.btf, member.type) * 8
        return -(-at // align) * align

    def _enum(self, found: Type, tag: str, level: int) -> str:
        if not found.values:  # only declared; C has no empty enums
            return tag if found.name else integer_name(found)
        indent = "\t" * (level + 1)
        for name, _ in found.values:
            self._spend(len(name))
        given = [(self.names.ordinary(name), value) for name, value in found.values]
        self.enumerators += given
        lines = [f"{indent}{name} = {number(value)},\n" for name, value in given]
        return f"{tag} {{\n{''.join(lines)}{indent[1:]}}}{enum_attribute(found)}"


def gap(start: int, end: int) -> Iterator[str]:
    """Unnamed bit-fields for the bits from `start` to `end`: none crosses a `long`, so that they lie as they stand, and
    being unnamed they ask for no alignment."""
    if end - start > _LARGE_GAP * 8:
        whole = -(-start // 8)
        yield from gap(start, whole * 8)
        yield f"char __gap_{whole}[{end // 8 - whole}]"
        start = end // 8 * 8
    while start < end:
        bits = min(64 - start % 64, end - start)
        yield f"long: {bits}"
        start += bits
