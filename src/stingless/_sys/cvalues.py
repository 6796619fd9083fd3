"""C values as ctypes, the way bcc hands keys, values and events to scripts: types made from BTF."""

from __future__ import annotations

import ctypes
from typing import Any

from stingless.btf.types import Btf, Kind, Member, Type

_SIGNED: dict[int, Any] = {1: ctypes.c_int8, 2: ctypes.c_int16, 4: ctypes.c_int, 8: ctypes.c_longlong}
_UNSIGNED: dict[int, Any] = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint, 8: ctypes.c_ulonglong}
_FLOATS: dict[int, Any] = {4: ctypes.c_float, 8: ctypes.c_double}


def integer_type(size: int, signed: bool = False) -> Any:
    """The ctypes integer of 1, 2, 4 or 8 bytes; bytes for any other size."""
    return (_SIGNED if signed else _UNSIGNED).get(size) or ctypes.c_char * size


def c_type(btf: Btf, type_id: int) -> Any:
    """The ctypes class of a BTF type: scalars have `.value`, structs their fields, char arrays are bytes."""
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
    """A struct or union with the kernel's layout: padding is spelled out, so that ctypes adds none of its own."""
    union = record.kind == Kind.UNION
    fields: list[tuple[Any, ...]] = []
    anonymous: list[str] = []
    bits: dict[str, Any] = {}
    at = 0
    for number, member in enumerate(record.members):
        name = member.name or f"__anonymous_{number}"
        kind = c_type(btf, member.type)
        if member.bit_size:
            bits[name] = _bit_field(btf, member)
            continue
        offset = member.offset
        if not union and offset > at:
            fields.append((f"__pad_{at}", ctypes.c_char * (offset - at)))
        fields.append((name, kind))
        if not member.name and hasattr(kind, "_fields_"):
            anonymous.append(name)
        at = max(at, offset + ctypes.sizeof(kind))
    if at < record.size:
        fields.append((f"__pad_{at}", ctypes.c_char * (record.size if union else record.size - at)))
    base: Any = ctypes.Union if union else ctypes.Structure
    body: dict[str, Any] = {"_pack_": 1, "_fields_": fields, "__repr__": _show}
    if anonymous:
        body["_anonymous_"] = anonymous
        for name, kind in [(field[0], field[1]) for field in fields if field[0] in anonymous]:
            bits |= {each: _forward(name, each) for each in getattr(kind, "_bits_", ())}
    body |= bits | {"_bits_": tuple(bits)}
    return type(record.name or "record", (base,), body)


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
    names = [f[0] for f in value._fields_ if not f[0].startswith("__pad_")] + list(value._bits_)
    return f"{type(value).__name__}({', '.join(f'{n}={getattr(value, n)!r}' for n in names)})"


def to_bytes(kind: Any, value: Any) -> bytes:
    """A value for a key or leaf of type `kind`: a ctypes value, bytes of the right length, or what `kind()` takes.

    Raises `TypeError` or `ValueError` that names the type.
    """
    size = ctypes.sizeof(kind)
    if isinstance(value, bytes | bytearray) and len(value) == size:
        return bytes(value)
    if isinstance(value, ctypes._SimpleCData | ctypes.Structure | ctypes.Union | ctypes.Array):
        raw = bytes(value)
        if len(raw) == size:
            return raw
        if isinstance(value, ctypes._SimpleCData) and issubclass(kind, ctypes._SimpleCData):
            return bytes(kind(value.value))  # c_int for a 64-bit key, as bcc scripts write
        raise ValueError(f"{type(value).__name__} has {len(raw)} bytes; {kind.__name__} needs {size}")
    if issubclass(kind, ctypes.Array) and isinstance(value, list | tuple):
        return bytes(kind(*value))
    try:
        return bytes(kind(value))
    except TypeError as error:
        raise TypeError(f"{value!r} is no value for {kind.__name__} ({size} bytes): {error}") from None


def from_bytes(kind: Any, data: bytes) -> Any:
    """A value of type `kind` with these bytes."""
    return kind.from_buffer_copy(data)


def size_of(kind: Any) -> int:
    return ctypes.sizeof(kind)


def buffer(data: bytes) -> Any:
    """A buffer with these bytes; `address_of()` it for callbacks that take a pointer."""
    return ctypes.create_string_buffer(data, len(data))


def address_of(value: Any) -> int:
    return ctypes.addressof(value)


def at_address(kind: Any, address: int) -> Any:
    """A copy of the value of type `kind` that lies at an address."""
    return kind.from_buffer_copy(ctypes.string_at(address, ctypes.sizeof(kind)))
