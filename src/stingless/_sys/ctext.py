"""C values as text: bcc's form of `key_sprintf()` and `leaf_scanf()`.

Integers are `0x` and hexadecimal digits (when read also decimal, or octal after a 0), arrays of bytes `"text"`, other
arrays `[ a b ]`, structs `{ a b }`.  A union is its largest member, in braces too.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

from stingless._sys.c_types import field_names
from stingless._sys.cvalues import from_bytes

_BYTES = (ctypes.c_char, ctypes.c_ubyte, ctypes.c_byte)
_TOKEN = re.compile(rb'\s*([{}\[\]]|"[^"]*"|[^\s{}\[\]"]+)')


def sprintf(value: Any) -> bytes:
    """The text of a ctypes value."""
    return _text(type(value), value)


def _text(kind: Any, value: Any) -> bytes:
    """`value` is of type `kind`, or what ctypes gives for a member or element of that type."""
    if kind is None:  # a bit-field
        return b"0x%x" % (value & (1 << 64) - 1)
    if issubclass(kind, ctypes.Array):
        if kind._type_ in _BYTES:
            return b'"%s"' % bytes(value).partition(b"\0")[0]
        return b"[ %s]" % b"".join([_text(kind._type_, each) + b" " for each in value])
    if issubclass(kind, ctypes.Structure | ctypes.Union):
        return b"{ %s}" % b"".join([_text(member, getattr(value, name)) + b" " for name, member in _members(kind)])
    if not isinstance(value, kind):
        value = kind(value)
    if isinstance(value.value, float):
        return repr(value.value).encode()
    return b"0x%x" % int.from_bytes(bytes(value), "little")


def _members(kind: Any) -> list[tuple[str, Any]]:
    """Names and types of a record's members (None: a bit-field); of a union, the largest one."""
    types = {field[0]: field[1] for field in kind._fields_}
    found = [(name, types.get(name)) for name in field_names(kind)]
    if issubclass(kind, ctypes.Union) and found:
        return [max(found, key=lambda each: ctypes.sizeof(each[1]) if each[1] else 0)]
    return found


def scanf(kind: Any, text: bytes) -> Any:
    """The value of type `kind` that `sprintf()` shows so.  Raises `ValueError`."""
    tokens = _TOKEN.findall(text)[::-1]
    try:
        value = _value(kind, tokens)
    except IndexError:
        raise ValueError(f"{text!r} ends before its value does") from None
    if tokens:
        raise ValueError(f"{text!r} goes on after its value")
    return value if isinstance(value, kind) else kind(value)


def _value(kind: Any, tokens: list[bytes]) -> Any:
    """Take a value from the end of `tokens`."""
    if kind is None or issubclass(kind, ctypes._SimpleCData):
        return _number(kind, tokens.pop())
    if issubclass(kind, ctypes.Array) and kind._type_ in _BYTES:
        token = tokens.pop()
        if not token.startswith(b'"') or len(token) - 2 > ctypes.sizeof(kind):
            raise ValueError(f'{token!r} is no "text" of at most {ctypes.sizeof(kind)} bytes')
        return from_bytes(kind, token[1:-1])
    value = kind()
    if issubclass(kind, ctypes.Array):
        _expect(b"[", tokens)
        for index in range(len(value)):
            value[index] = _value(kind._type_, tokens)
        _expect(b"]", tokens)
        return value
    _expect(b"{", tokens)
    for name, member in _members(kind):
        found = _value(member, tokens)
        # ctypes takes a member that is an array of char as bytes only
        setattr(value, name, found.value if getattr(member, "_type_", None) is ctypes.c_char else found)
    _expect(b"}", tokens)
    return value


def _expect(wanted: bytes, tokens: list[bytes]) -> None:
    if (found := tokens.pop()) != wanted:
        raise ValueError(f"{found!r} where {wanted!r} is needed")


def _number(kind: Any, token: bytes) -> Any:
    if kind is not None and isinstance(kind().value, float):
        return float(token)
    digits = token.lstrip(b"+-")
    octal = len(digits) > 1 and digits.isdigit() and digits[:1] == b"0"
    number = int(token, 8 if octal else 0)
    if kind is ctypes.c_char:
        return bytes([number & 0xFF])
    return number
