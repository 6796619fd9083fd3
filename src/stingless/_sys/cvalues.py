"""C values as ctypes objects, the way bcc hands keys, values and events to scripts."""

from __future__ import annotations

import ctypes
from typing import Any

_VALUES = (ctypes._SimpleCData, ctypes.Structure, ctypes.Union, ctypes.Array)


def to_bytes(kind: Any, value: Any) -> bytes:
    """A value for a key or leaf of type `kind`: a ctypes value, bytes of the right length, or what `kind()` takes.

    As in bcc, whose scripts pass addresses of what they have, a ctypes value of another size will do: a shorter one is
    filled up with zeros, and a longer one may end in zeros.  Raises `TypeError` or `ValueError` that names the type.
    """
    size = ctypes.sizeof(kind)
    if isinstance(value, kind):
        return bytes(value)
    if isinstance(value, bytes | bytearray) and (len(value) == size or (_is_text(kind) and len(value) < size)):
        return bytes(value).ljust(size, b"\0")
    if isinstance(value, _VALUES):
        if isinstance(value, ctypes._SimpleCData) and _is_number(kind) and isinstance(value.value, int):
            return bytes(kind(value.value))  # c_int for a 64-bit key, as bcc scripts write
        raw = bytes(value)
        if len(raw) <= size:
            return raw.ljust(size, b"\0")
        if not any(raw[size:]):
            return raw[:size]
        raise ValueError(f"{type(value).__name__} has {len(raw)} bytes; {kind.__name__} needs {size}")
    if isinstance(value, list | tuple) and issubclass(kind, ctypes.Array | ctypes.Structure | ctypes.Union):
        return bytes(kind(*value))
    if isinstance(value, int) and _is_number(kind) and not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
        raise ValueError(f"{value} does not fit in {kind.__name__} ({size} bytes)")
    try:
        return bytes(kind(value))
    except TypeError as error:
        raise TypeError(f"{value!r} is no value for {kind.__name__} ({size} bytes): {error}") from None


def _is_text(kind: Any) -> bool:
    return issubclass(kind, ctypes.Array) and kind._type_ is ctypes.c_char


def _is_number(kind: Any) -> bool:
    """An integer, which a conversion keeps (also c_bool)."""
    return issubclass(kind, ctypes._SimpleCData) and isinstance(kind().value, int)


def is_integer(kind: Any) -> bool:
    return isinstance(kind, type) and _is_number(kind)


def is_signed(kind: Any) -> bool:
    """An integer that may be negative."""
    return bool(_is_number(kind) and kind(-1).value < 0)


def is_record(kind: Any) -> bool:
    """A struct (or union)."""
    return issubclass(kind, ctypes.Structure | ctypes.Union)


def is_value(value: Any) -> bool:
    """Of a ctypes class."""
    return isinstance(value, _VALUES)


def is_pointer(value: Any) -> bool:
    """A ctypes pointer, or what byref() gives."""
    return isinstance(value, ctypes._Pointer) or type(value).__name__ == "CArgObject"


def is_array(value: Any) -> bool:
    return isinstance(value, ctypes.Array)


def is_array_of_bytes(value: Any, size: int) -> bool:
    """A ctypes array of elements of that many bytes."""
    return isinstance(value, ctypes.Array) and ctypes.sizeof(value._type_) == size


def from_bytes(kind: Any, data: bytes) -> Any:
    """A value of type `kind` with these bytes: the first of them, or filled up with zeros, when it has another size."""
    return kind.from_buffer_copy(data if len(data) >= ctypes.sizeof(kind) else data.ljust(ctypes.sizeof(kind), b"\0"))


def many_from_bytes(kind: Any, data: bytes, count: int) -> list[Any]:
    """`count` values of type `kind` of packed bytes."""
    if not count:
        return []
    size, step = ctypes.sizeof(kind), len(data) // count
    if size != step:
        return [from_bytes(kind, data[at : at + step]) for at in range(0, step * count, step)]
    block = list((kind * count).from_buffer_copy(data))
    # An array of simple values gives plain Python ones.
    return block if isinstance(block[0], kind) else list(map(kind, block))


def size_of(kind: Any) -> int:
    return ctypes.sizeof(kind)


def address_of(value: Any) -> int:
    return ctypes.addressof(value)


def address_in(pointer: Any) -> int:
    """The address that an int, a c_void_p, a pointer or an array stands for."""
    if isinstance(pointer, int):
        return pointer
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def at_address(kind: Any, address: int, size: int | None = None) -> Any:
    """A copy of the value of type `kind` that lies at an address; zeros after `size` bytes, if there are so few."""
    wanted = ctypes.sizeof(kind)
    if size is None or size >= wanted:
        return kind.from_buffer_copy(ctypes.string_at(address, wanted))
    return from_bytes(kind, ctypes.string_at(address, size))


class Staging:
    """Memory that records are put in for callbacks that take an address.

    It is used again for the next records and freed with this object only: what kept an address too long reads other
    bytes, and nothing worse.
    """

    def __init__(self) -> None:
        self._buffers: list[Any] = []

    def put(self, data: bytes) -> int:
        """The address of a copy."""
        if not self._buffers or len(self._buffers[-1]) < len(data):
            self._buffers.append(ctypes.create_string_buffer(max(1 << 16, 1 << (len(data) - 1).bit_length())))
        address = ctypes.addressof(self._buffers[-1])
        ctypes.memmove(address, data, len(data))
        return address
