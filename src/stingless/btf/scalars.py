"""Codecs: C values as Python values and back.  Here the base, and everything that is not a record.

A codec stands for one type of one layout: numbers, `bool`, enumerators, `bytes` of char arrays, lists of other arrays.
"""

from __future__ import annotations

import operator
import struct
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from stingless.btf.types import Kind, Type
from stingless.errors import ObjectError

if TYPE_CHECKING:
    import numpy as np

LARGEST = 1 << 30  # bytes of a value; what a hostile array could claim beyond that nobody means
_NATIVE = "<" if sys.byteorder == "little" else ">"
_CHARS = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q"} | {
    (1, True): "b",
    (2, True): "h",
    (4, True): "i",
    (8, True): "q",
}


class Codec:
    """Values of one type: `size` bytes each.  `type` is the BTF type without typedefs and qualifiers."""

    def __init__(self, type: Type, size: int, format: str, order: str) -> None:
        if size > LARGEST:
            raise ObjectError(f"BTF type {type.id} ({described(type)}) claims {size} bytes")
        self.type = type
        self.size = size
        self.order = order
        self.format = format  # of the struct module: one item
        self._struct = struct.Struct(order + format)

    def load(self, raw: Any) -> Any:
        """The value that the unpacked item stands for."""
        return raw

    def dump(self, value: Any, what: str) -> Any:
        """The item to pack.  Raises `TypeError` or `ValueError` that begins with `what`."""
        raise NotImplementedError  # each kind checks in its own way

    def zero(self) -> Any:
        """The value of all-zero bytes."""
        return self.decode(bytes(self.size))

    def decode(self, data: bytes | bytearray | memoryview, offset: int = 0) -> Any:
        """The value at `offset`.  Raises `ValueError` when the bytes end before it does."""
        try:
            return self.load(self._struct.unpack_from(data, offset)[0])
        except struct.error:
            raise self._short(len(data) - offset) from None

    def encode(self, value: Any, what: str = "value") -> bytes:
        """The bytes of a value.  Raises `TypeError` (wrong kind) or `ValueError` (does not fit) that names the field,
        from `what` on: "value.flow.sport: 70000 does not fit in 16 bits unsigned (0..65535)"."""
        return self._struct.pack(self.dump(value, what))

    def decode_many(self, data: bytes | bytearray | memoryview, count: int) -> list[Any]:
        """`count` values that lie one after the other."""
        if len(data) < count * self.size:
            raise self._short(len(data))
        if not self.size:  # iter_unpack() refuses that
            return [self.zero() for _ in range(count)]
        exact = data if len(data) == count * self.size else memoryview(data)[: count * self.size]
        return self._many(exact, count)

    def _many(self, data: Any, count: int) -> list[Any]:
        load = self.load
        return [load(item) for (item,) in self._struct.iter_unpack(data)]

    def encode_many(self, values: Iterable[Any], what: str = "value") -> bytes:
        """The bytes of many values, one after the other."""
        return b"".join([self.encode(value, what) for value in values])

    def write(self, value: Any, into: bytearray, offset: int, what: str) -> None:
        """Encode into a buffer, in the way that can tell the path to what is wrong."""
        self._struct.pack_into(into, offset, self.dump(value, what))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of the same layout (see `stingless.btf.dtypes`)."""
        from stingless.btf.dtypes import dtype_of

        return dtype_of(self)

    def _short(self, there: int) -> ValueError:
        return ValueError(f"{described(self.type)} has {self.size} bytes, there are {max(there, 0)}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {described(self.type)}, {self.size} bytes>"


def described(type: Type) -> str:
    """A type in words: "struct flow", "int"."""
    return f"{type.kind.name.lower()} {type.name}".strip() if type.kind != Kind.INT else type.name


class Raw(Codec):
    """Bytes that no type is known of."""

    def __init__(self, type: Type, size: int, order: str = "<") -> None:
        super().__init__(type, size, f"{size}s", order)

    def load(self, raw: bytes) -> bytes:
        return raw

    def dump(self, value: Any, what: str) -> bytes:
        data = bytes_of(value)
        if data is None:
            raise TypeError(f"{what}: {self.size} bytes are needed, not {shown(value)}")
        if len(data) != self.size:
            raise ValueError(f"{what}: {self.size} bytes are needed, not {len(data)}")
        return data


class Integer(Codec):
    """An int of any size; an address is an unsigned one."""

    def __init__(self, type: Type, size: int, signed: bool, order: str) -> None:
        char = _CHARS.get((size, signed))
        super().__init__(type, size, char or f"{size}s", order)
        self.signed = signed
        self.plain = char is not None
        self.low, self.high = limits(size * 8, signed)

    def load(self, raw: Any) -> int:
        if self.plain:
            return cast(int, raw)
        return int.from_bytes(raw, "little" if self.order == "<" else "big", signed=self.signed)

    def dump(self, value: Any, what: str) -> Any:
        if isinstance(value, bytes) and self.size == 1 and len(value) == 1:
            value = value[0] - (256 if self.signed and value[0] > 127 else 0)
        number = fitting(value, self.size * 8, self.signed, what)
        if self.plain:
            return number
        return number.to_bytes(self.size, "little" if self.order == "<" else "big", signed=self.signed)

    def _many(self, data: Any, count: int) -> list[int]:
        if self.plain and self.order == _NATIVE:
            items: Any = memoryview(data).cast("B")
            return cast(list[int], items.cast(self.format).tolist())
        return super()._many(data, count)

    def encode_many(self, values: Iterable[Any], what: str = "value") -> bytes:
        many = list(values)
        try:
            return struct.pack(f"{self.order}{len(many)}{self.format}", *many)
        except struct.error:  # some value is wrong, or the format does not do
            return super().encode_many(many, what)


class Boolean(Codec):
    """`_Bool`: any byte but 0 is True."""

    def __init__(self, type: Type, order: str) -> None:
        super().__init__(type, 1, "?", order)

    def dump(self, value: Any, what: str) -> bool:
        return bool(fitting(value, 1, False, what))


class Float(Codec):
    def __init__(self, type: Type, order: str) -> None:
        super().__init__(type, type.size, "f" if type.size == 4 else "d", order)

    def dump(self, value: Any, what: str) -> float:
        try:
            number = float(value)
            self._struct.pack(number)
        except (TypeError, ValueError):
            raise TypeError(f"{what}: a number is needed, not {shown(value)}") from None
        except OverflowError:
            raise ValueError(f"{what}: {value!r} does not fit in a float of {self.size * 8} bits") from None
        return number


class Enumerator(IntEnum):
    """Base of the enums made from BTF: their members are ints and show as their C names."""

    def __repr__(self) -> str:
        return self.name


class Enumeration(Codec):
    """An enum: members of an `IntEnum`, plain ints for values that have no name.  Names can be written, too:
    "TCP_CLOSE"."""

    def __init__(self, type: Type, order: str) -> None:
        from stingless.btf.names import identifiers

        size = type.size
        char = _CHARS.get((size, type.signed))
        if char is None:
            raise ObjectError(f"BTF type {type.id} (enum {type.name}) has {size} bytes")
        super().__init__(type, size, char, order)
        wrap = (1 << size * 8) - 1 if not type.signed else -1
        values = [value & wrap for _, value in type.values]
        self.by_name = dict(zip([name for name, _ in type.values], values, strict=True))
        self.members: dict[int, Enumerator] = {}
        if 0 < len(values) <= _MOST_NAMED:
            own = [name for name, _ in type.values]
            sunder = {name for name in own if name.startswith("_") and name.endswith("_")}
            names = identifiers(own, reserved=_ENUM_RESERVED | sunder)
            (class_name,) = identifiers([type.name or "enum"])
            make: Any = Enumerator
            enum = make(class_name, list(zip(names, values, strict=True)), module=__name__)
            self.members = {int(member): member for member in enum}

    def load(self, raw: int) -> int:
        return cast(int, self.members.get(raw, raw))

    def dump(self, value: Any, what: str) -> int:
        if isinstance(value, str):
            if value not in self.by_name:
                known = ", ".join(list(self.by_name)[:8])
                raise ValueError(f"{what}: {described(self.type)} has no {value!r} (it has {known})")
            return self.by_name[value]
        return fitting(value, self.size * 8, self.type.signed, what)


class Chars(Codec):
    """An array of `char`: `bytes` up to the first NUL.  Text that is shorter than the array is filled up with NULs."""

    def __init__(self, type: Type, length: int, order: str) -> None:
        super().__init__(type, length, f"{length}s", order)

    def load(self, raw: bytes) -> bytes:
        return raw.partition(b"\0")[0]

    def dump(self, value: Any, what: str) -> bytes:
        data = value.encode() if isinstance(value, str) else bytes_of(value)
        if data is None:
            raise TypeError(f"{what}: bytes or text are needed, not {shown(value)}")
        if len(data) > self.size:
            raise ValueError(f"{what}: {len(data)} bytes do not fit in char[{self.size}]")
        return data


class Array(Codec):
    """An array of anything but `char`: a list of `length` values of `element`."""

    def __init__(self, type: Type, element: Codec, length: int) -> None:
        size = element.size * length
        super().__init__(type, size, f"{min(size, LARGEST + 1)}s", element.order)
        # Of empty structs there can be any number in no bytes.
        self.element, self.length = element, length if size else 0

    def load(self, raw: bytes) -> list[Any]:
        return self.element.decode_many(raw, self.length)

    def dump(self, value: Any, what: str) -> bytes:
        out = bytearray(self.size)
        self.write(value, out, 0, what)
        return bytes(out)

    def write(self, value: Any, into: bytearray, offset: int, what: str) -> None:
        if self.element.size == 1 and (data := bytes_of(value)) is not None and len(data) == self.size:
            into[offset : offset + self.size] = data
            return
        try:
            many = list(value)
        except TypeError:
            raise TypeError(f"{what}: a sequence of {self.length} is needed, not {shown(value)}") from None
        if isinstance(value, str | dict) or len(many) != self.length:
            raise ValueError(f"{what}: the array has {self.length} elements, not {len(many)}")
        step = self.element.size
        if isinstance(self.element, Integer) and self.element.plain:
            try:
                struct.pack_into(f"{self.order}{len(many)}{self.element.format}", into, offset, *many)
                return
            except struct.error:
                pass  # told below, with the index
        for index, each in enumerate(many):
            self.element.write(each, into, offset + index * step, f"{what}[{index}]")


_MOST_NAMED = 4096  # enumerators: Python takes 10 us for each
_ENUM_RESERVED = frozenset(dir(Enumerator)) | {"mro"}


def limits(bits: int, signed: bool) -> tuple[int, int]:
    """The lowest and the highest number."""
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def fitting(value: Any, bits: int, signed: bool, what: str) -> int:
    """`value` as an int of so many bits.  Raises `TypeError`, `ValueError`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: an integer is needed, not {shown(value)}") from None
    low, high = limits(bits, signed)
    if not low <= number <= high:
        kind = "signed" if signed else "unsigned"
        raise ValueError(f"{what}: {number} does not fit in {bits} bits {kind} ({low}..{high})")
    return number


def bytes_of(value: Any) -> bytes | None:
    """The bytes of a bytes-like object, such as a ctypes value or a NumPy record; None when it is none."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str | Sequence) and not isinstance(value, bytearray | memoryview):
        return None
    if getattr(getattr(value, "dtype", None), "kind", "") == "V":
        return bytes(value.tobytes())  # NumPy does not lend the memory of all records
    try:
        return bytes(memoryview(value))
    except (TypeError, ValueError, BufferError, NotImplementedError):
        return None


def shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
