"""ctypes classes made from BTF, with the layout that clang gave the types, and bcc's names."""

from __future__ import annotations

import ctypes
from typing import Any

from stingless.btf.types import Btf, Kind, Member, Type

_SIGNED: dict[int, Any] = {1: ctypes.c_int8, 2: ctypes.c_int16, 4: ctypes.c_int, 8: ctypes.c_longlong}
_UNSIGNED: dict[int, Any] = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint, 8: ctypes.c_ulonglong}
_FLOATS: dict[int, Any] = {4: ctypes.c_float, 8: ctypes.c_double, 16: ctypes.c_longdouble}

_PAD = "__pad_"


def integer_type(size: int, signed: bool = False) -> Any:
    """The ctypes integer of 1, 2, 4 or 8 bytes; two of 8 for 16; bytes for any other size."""
    known = _SIGNED if signed else _UNSIGNED
    if size == 16:
        half: Any = known[8]
        return half * 2
    return known.get(size) or ctypes.c_char * size


def stack_type(size: int, build_ids: bool) -> Any:
    """The value of a STACK_TRACE map: addresses, or `struct bpf_stack_build_id`s."""
    if not build_ids:
        return type("bpf_stacktrace", (ctypes.Structure,), {"_fields_": [("ip", ctypes.c_ulonglong * (size // 8))]})
    place = type(
        "bpf_stack_build_id_place",
        (ctypes.Union,),
        {"_fields_": [("offset", ctypes.c_ulonglong), ("ip", ctypes.c_ulonglong)]},
    )
    frame: Any = type(
        "bpf_stack_build_id",
        (ctypes.Structure,),
        {
            "_anonymous_": ["__anon0"],
            "_fields_": [("status", ctypes.c_uint), ("build_id", ctypes.c_ubyte * 20), ("__anon0", place)],
        },
    )
    return type("bpf_stacktrace_buildid", (ctypes.Structure,), {"_fields_": [("trace", frame * (size // 32))]})


def c_type(btf: Btf, type_id: int) -> Any:
    """The ctypes class of a BTF type: scalars have `.value`, structs their fields, char arrays are bytes.  Pointers are
    numbers; an integer of 16 bytes is an array of its two halves."""
    found = btf.resolve(type_id)
    match found.kind:
        case Kind.INT:
            if found.encoding & 4:
                return ctypes.c_bool
            if found.size == 1 and _is_char(btf, type_id):
                return ctypes.c_char
            return integer_type(found.size, found.signed)
        case Kind.ENUM | Kind.ENUM64:
            return integer_type(found.size, found.signed)
        case Kind.FLOAT if found.size in _FLOATS:
            return _FLOATS[found.size]
        case Kind.PTR:
            return ctypes.c_ulonglong
        case Kind.ARRAY:
            return c_type(btf, found.type) * found.length
        case Kind.STRUCT | Kind.UNION:
            return _record(btf, found)
        case _:
            return ctypes.c_char * max(btf.size_of(type_id), 1)


def _is_char(btf: Btf, type_id: int) -> bool:
    """`char`, by its name: `u8` and `unsigned char` are numbers, as in bcc."""
    return btf.resolve(type_id).name == "char"


def _record(btf: Btf, record: Type) -> Any:
    """A struct or union with the kernel's layout: padding is spelled out, so that ctypes adds none of its own.  Padding
    and anonymous members have bcc's names."""
    union = record.kind == Kind.UNION
    fields: list[tuple[Any, ...]] = []
    anonymous: list[str] = []
    bits: dict[str, Any] = {}
    order: list[str] = []
    at = 0
    for number, member in enumerate(record.members):
        if member.bit_size:
            if member.name:
                bits[member.name] = _bit_field(btf, member)
                order.append(member.name)
            continue
        name = member.name or f"__anon{len(anonymous)}"
        kind = c_type(btf, member.type)
        if not union and member.offset > at:
            fields.append((f"{_PAD}{number}", ctypes.c_char * (member.offset - at)))
        fields.append((name, kind))
        order.append(name)
        if not member.name:
            anonymous.append(name)
        at = max(at, member.offset + ctypes.sizeof(kind))
    if at < record.size:
        fields.append((f"{_PAD}end", ctypes.c_char * (record.size if union else record.size - at)))
    base: Any = ctypes.Union if union else ctypes.Structure
    body: dict[str, Any] = {"_pack_": 1, "_fields_": fields, "__repr__": _show}
    if bits:
        body["__init__"] = _setter(order)
    if anonymous:
        body["_anonymous_"] = anonymous
        for name, kind in [(field[0], field[1]) for field in fields if field[0] in anonymous]:
            bits |= {each: _forward(name, each) for each in getattr(kind, "_bits_", ())}
    body |= bits | {"_bits_": tuple(bits), "_order_": tuple(order)}
    return type(record.name or "record", (base,), body)


def _setter(order: list[str]) -> Any:
    """`__init__` of a record with bit-fields, which ctypes does not know of: values in the order of the members."""

    def __init__(self: Any, *values: Any, **named: Any) -> None:
        if len(values) > len(order):
            raise TypeError(f"{type(self).__name__} has {len(order)} members, not {len(values)}")
        for name, value in [*zip(order, values, strict=False), *named.items()]:
            setattr(self, name, value)

    return __init__


def _bit_field(btf: Btf, member: Member) -> property:
    """Its bits are taken out of the record's bytes: ctypes lays out bit-fields in its own way."""
    from stingless.btf.fields import Field
    from stingless.btf.values import codec

    field = Field(member.name, member.name, codec(btf, member.type), member.bit_offset, member.bit_size)

    def get(self: Any) -> int:
        return int(field.read(bytes(self)))

    def set(self: Any, value: Any) -> None:
        data = bytearray(bytes(self))
        field.write(value, data, 0, field.name)
        ctypes.memmove(ctypes.addressof(self), bytes(data), len(data))

    return property(get, set)


def _forward(member: str, name: str) -> property:
    """A bit-field of an anonymous member."""

    def set(self: Any, value: Any) -> None:
        setattr(getattr(self, member), name, value)

    return property(lambda self: getattr(getattr(self, member), name), set)


def _show(value: Any) -> str:
    names = [f[0] for f in value._fields_ if not f[0].startswith(_PAD)] + list(value._bits_)
    return f"{type(value).__name__}({', '.join(f'{n}={getattr(value, n)!r}' for n in names)})"


def field_names(kind: Any) -> list[str]:
    """Of a struct's members, in order, without padding; none for what is no struct."""
    made_here = getattr(kind, "_order_", None)
    if made_here is not None:
        return list(made_here)
    return [field[0] for field in getattr(kind, "_fields_", ()) if not field[0].startswith(_PAD)]
