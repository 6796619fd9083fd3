"""A tracepoint's format description (tracefs events/CATEGORY/NAME/format) to the C struct that bcc gives programs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from stingless.errors import UnknownNameError

if TYPE_CHECKING:
    from stingless.compile.dialect.facts import Facts

_FIELD = re.compile(r"field:(?P<decl>[^;]+);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);\s*signed:(?P<signed>\d)")
_COMMON = 8  # bytes of the common fields, which a program may not read

_STRUCT = re.compile(r"struct (?P<name>tracepoint__(?P<category>\w+?)__(?P<event>\w+))$")


class Field(NamedTuple):
    """One field of a record: `declaration` as tracefs prints it, offset and size in bytes."""

    declaration: str
    offset: int
    size: int
    signed: bool


def parse_format(text: str) -> list[Field]:
    """The fields of a tracefs format file, the common ones left out."""
    found = (
        Field(m["decl"].strip(), int(m["offset"]), int(m["size"]), m["signed"] == "1") for m in _FIELD.finditer(text)
    )
    return [field for field in found if field.offset >= _COMMON]


class RecordMember(NamedTuple):
    """A field as the C struct has it: `length` elements (0: it is no array) of `width` bytes, which are pointers when
    `pointee` has the type that they point to."""

    name: str
    offset: int
    width: int
    signed: bool
    length: int = 0
    char: bool = False
    pointee: str = ""

    @property
    def size(self) -> int:
        return self.width * (self.length or 1)

    def declaration(self) -> str:
        if self.pointee:
            return f"const {self.pointee} *{self.name};" if self.pointee == "char" else f"{self.pointee} *{self.name};"
        element = "char" if self.char else f"{'s' if self.signed else 'u'}{self.width * 8}"
        return f"{element} {self.name}{f'[{self.length}]' if self.length else ''};"


def record_members(fields: Iterable[Field]) -> list[RecordMember]:
    """The members of a record's struct, by offset."""
    return sorted((_member(field) for field in fields), key=lambda member: member.offset)


def struct_declaration(name: str, fields: Iterable[Field], used: Collection[str] = ()) -> str:
    """The fields as one line of C, with the offsets that the kernel uses.

    Accesses can be adapted to another kernel's format, but for a program that has an array of the record among the
    members `used`: the address of an element would be computed from the context's, and nobody may read there.
    """
    parts = ["u64 __do_not_use__;"]
    at = _COMMON
    members = record_members(fields)
    fixed = any(member.length and member.name in used for member in members)
    for member in members:
        if member.offset > at:
            parts.append(f"char __pad_{at}[{member.offset - at}];")
        parts.append(member.declaration())
        at = member.offset + member.size
    attribute = "" if fixed else " __attribute__((preserve_access_index))"
    return f"struct {name} {{ {' '.join(parts)} }}{attribute};"


def _member(field: Field) -> RecordMember:
    declaration = re.sub(r"\b(__user|const)\b", "", field.declaration)
    located = re.match(r"__(?:data|rel)_loc\s+.*?(\w+)$", declaration.replace("[]", ""))
    if located:
        return RecordMember(f"data_loc_{located[1]}", field.offset, 4, False)
    array = re.match(r"(?P<type>.*?)(?P<name>\w+)\[(?P<count>[^\]]*)\]$", declaration)
    if array:
        count = int(array["count"]) if array["count"].isdigit() and int(array["count"]) else field.size
        width = field.size // count if count else 1
        is_char = "char" in array["type"]
        element = 1 if is_char else _width(width)
        return RecordMember(array["name"], field.offset, element, field.signed, field.size // max(element, 1), is_char)
    name = re.findall(r"\w+", declaration)[-1]
    if "*" in declaration:
        return RecordMember(name, field.offset, 8, False, pointee="char" if "char" in declaration else "void")
    if field.size not in (1, 2, 4, 8):  # a struct: as bytes
        return RecordMember(name, field.offset, 1, False, field.size)
    return RecordMember(name, field.offset, field.size, field.signed)


def _width(size: int) -> int:
    return size if size in (1, 2, 4, 8) else 1


def tracepoint_records(
    facts: Facts, tags: Iterable[str], used: Collection[str]
) -> tuple[str, dict[str, UnknownNameError]]:
    """C for those structs among `tags` that are named `tracepoint__CATEGORY__EVENT`, for a program that uses these
    members; and for those of tracepoints that the kernel does not have, what it says."""
    found = []
    absent = {}
    for tag in sorted(tags):
        if match := _STRUCT.match(tag):
            try:
                fields = facts.fields_of(match["category"], match["event"])
                found.append(struct_declaration(match["name"], fields, used) + "\n")
            except UnknownNameError as error:
                absent[tag] = error
    return "".join(found), absent
