"""The layout of a ctypes type as C, in the form that bcc prints it."""

from __future__ import annotations

import ctypes
from typing import Any

# The wider name where two types are the same to ctypes.
_NAMES: dict[Any, str] = {
    ctypes.c_bool: "_Bool",
    ctypes.c_char: "char",
    ctypes.c_byte: "signed char",
    ctypes.c_ubyte: "unsigned char",
    ctypes.c_short: "short",
    ctypes.c_ushort: "unsigned short",
    ctypes.c_int: "int",
    ctypes.c_uint: "unsigned int",
    ctypes.c_long: "long long",
    ctypes.c_ulong: "unsigned long long",
    ctypes.c_float: "float",
    ctypes.c_double: "double",
    ctypes.c_longdouble: "long double",
}


def declaration(kind: Any, name: str, sizeinfo: bool, indent: str = "  ", base: int = 0) -> list[str]:
    """Lines of C that declare `name`; with `sizeinfo`, `[offset +size]` of each member in bytes, and
    `[offset,bit +size bit]` of a bit-field."""
    place = f"[{base} +{ctypes.sizeof(kind)}] " if sizeinfo and indent != "  " else ""
    if not issubclass(kind, ctypes.Structure | ctypes.Union):
        return [f"{indent}{place}{_name(kind)} {name};"]
    word = "struct" if issubclass(kind, ctypes.Structure) else "union"
    lines = [f"{indent}{place}{word} {{"]
    for member, member_kind, *bits in getattr(kind, "_fields_", ()):
        field = getattr(kind, member)
        if bits:
            place = f"[{base + field.offset},{field.size & 0xFFFF} +{bits[0]} bit] " if sizeinfo else ""
            lines.append(f"{indent}  {place}{_name(member_kind)} {member}:{bits[0]};")
        else:
            lines += declaration(member_kind, member, sizeinfo, indent + "  ", base + field.offset)
    return [*lines, f"{indent}}} {name};"]


def _name(kind: Any) -> str:
    if issubclass(kind, ctypes.Array):
        return f"{_name(kind._type_)}[{kind._length_}]"
    if issubclass(kind, ctypes.Structure):
        return "struct"
    if issubclass(kind, ctypes.Union):
        return "union"
    return _NAMES.get(kind) or str(kind.__name__)
