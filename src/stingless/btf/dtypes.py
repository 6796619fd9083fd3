"""NumPy types with the layout of BTF types.

Structs are structured types with the C offsets and size; arrays are sub-arrays, arrays of `char` are "S" (of which
NumPy drops the NULs at the end, and only those), unions have their members at the same offset.  NumPy has no
bit-fields: the bytes that they share are one unsigned field, `_bits_OFFSET`; `bits(array, codec, name)` takes one out.
Fields of no size (flexible arrays) are left out.  Ints of 16 bytes and other bytes are "V".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stingless.btf.fields import Field, storage
from stingless.btf.records import RecordCodec
from stingless.btf.scalars import Array, Boolean, Chars, Codec, Enumeration, Float, Integer, Raw


def dtype_of(codec: Codec) -> np.dtype[Any]:
    """The dtype of a codec's type."""
    order = codec.order
    match codec:
        case Boolean():
            return np.dtype(np.bool_)
        case Integer() if codec.plain:
            return np.dtype(f"{order}{'i' if codec.signed else 'u'}{codec.size}")
        case Enumeration():
            return np.dtype(f"{order}{'i' if codec.type.signed else 'u'}{codec.size}")
        case Float():
            return np.dtype(f"{order}f{codec.size}")
        case Chars() if codec.size:
            return np.dtype(f"S{codec.size}")
        case Array() if codec.size:
            return np.dtype((codec.element.dtype, (codec.length,)))
        case RecordCodec():
            return _record(codec)
        case Raw() | _:
            return np.dtype(f"V{codec.size}")


def _record(codec: RecordCodec) -> np.dtype[Any]:
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    for field in codec.fields:
        if not field.bit_size and field.codec.size:
            names.append(field.name)
            formats.append(field.codec.dtype)
            offsets.append(field.offset)
    for start, end in storage(codec.fields):
        size = end - start
        names.append(f"_bits_{start}")
        formats.append(np.dtype(f"{codec.order}u{size}" if size in (1, 2, 4, 8) else f"V{size}"))
        offsets.append(start)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": codec.size})


def bits(array: np.ndarray[Any, Any], codec: RecordCodec, name: str) -> np.ndarray[Any, Any]:
    """The values of bit-field `name` in an array of the codec's dtype, as 64-bit ints.  Raises `KeyError`."""
    field = next((field for field in codec.fields if field.name == name and field.bit_size), None)
    if field is None:
        raise KeyError(f"{codec.cls.__name__} has no bit-field {name!r}")
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(-1, codec.size)[:, field.offset : field.end]
    return _taken(raw, field).reshape(array.shape)


def _taken(raw: np.ndarray[Any, Any], field: Field) -> np.ndarray[Any, Any]:
    """Bit by bit, so that a field over nine bytes is no special case."""
    one_by_one = np.unpackbits(raw, axis=1, bitorder="little" if field.codec.order == "<" else "big")
    first = field.shift if field.codec.order == "<" else field.bit_offset - field.offset * 8
    chosen = one_by_one[:, first : first + field.bit_size]
    if field.codec.order == ">":
        chosen = chosen[:, ::-1]
    weights = np.left_shift(np.uint64(1), np.arange(field.bit_size, dtype=np.uint64))
    total = (chosen.astype(np.uint64) * weights).sum(axis=1, dtype=np.uint64)
    if not field.signed:
        return np.asarray(total)
    shift = np.int64(64 - field.bit_size)
    return np.asarray(total.view(np.int64) << shift >> shift)
