"""A tracepoint's format description (tracefs events/CATEGORY/NAME/format) to the C struct that bcc gives programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_FIELD = re.compile(r"field:(?P<decl>[^;]+);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);\s*signed:(?P<signed>\d)")
_COMMON = 8  # bytes of the common fields, which a program may not read


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


def struct_declaration(name: str, fields: Iterable[Field]) -> str:
    """The fields as one line of C, with the offsets that the kernel uses."""
    parts = ["u64 __do_not_use__;"]
    at = _COMMON
    for field in sorted(fields, key=lambda f: f.offset):
        if field.offset > at:
            parts.append(f"char __pad_{at}[{field.offset - at}];")
        parts.append(_member(field))
        at = field.offset + field.size
    return f"struct {name} {{ {' '.join(parts)} }};"


def _member(field: Field) -> str:
    declaration = re.sub(r"\b(__user|const)\b", "", field.declaration)
    located = re.match(r"__(?:data|rel)_loc\s+.*?(\w+)$", declaration.replace("[]", ""))
    if located:
        return f"u32 data_loc_{located[1]};"
    array = re.match(r"(?P<type>.*?)(?P<name>\w+)\[(?P<count>[^\]]*)\]$", declaration)
    if array:
        is_char = "char" in array["type"]
        count = int(array["count"]) if array["count"].isdigit() and int(array["count"]) else field.size
        width = field.size // count if count else 1
        element = "char" if is_char else _integer(width, field.signed)
        return f"{element} {array['name']}[{field.size // max(width, 1)}];"
    name = re.findall(r"\w+", declaration)[-1]
    if "*" in declaration:
        return f"const char *{name};" if "char" in declaration else f"void *{name};"
    return f"{_integer(field.size, field.signed)} {name};"


def _integer(size: int, signed: bool) -> str:
    return f"{'s' if signed else 'u'}{size * 8 if size in (1, 2, 4, 8) else 8}"
