"""Keys: what is read can be looked up again.

Padding, bytes after a text's NUL and the like are no part of a value, yet they are part of a hash map's key.  A key
that was read remembers them, and goes back as the very same bytes unless it was changed.
"""

from __future__ import annotations

from typing import Any

from stingless.btf.fields import storage
from stingless.btf.records import Record, StructCodec
from stingless.btf.scalars import Array, Boolean, Chars, Codec


class _Text(bytes):
    """Text of a key, with the bytes after its NUL."""

    raw: bytes


class _Items(tuple[Any, ...]):
    """An array of a key whose elements do not tell all of its bytes."""

    raw: bytes


def is_lossy(codec: Codec) -> bool:
    """Whether different bytes can be one value."""
    if isinstance(codec, Array):
        return is_lossy(codec.element)
    if isinstance(codec, StructCodec):
        covered = sum(field.codec.size for field in codec.stored if not field.bit_size)
        shared = storage(codec.stored)
        covered += sum(end - start for start, end in shared)
        whole = sum(field.bit_size for field in codec.stored) == sum(end - start for start, end in shared) * 8
        return covered != codec.size or not whole or any(is_lossy(field.codec) for field in codec.stored)
    return isinstance(codec, Boolean | Chars)


class KeyCodec:
    """A codec for keys.  Arrays come as tuples, so that keys can be hashed."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.size = codec.size
        self._lossy = is_lossy(codec)
        self._array = isinstance(codec, Array)

    def encode(self, key: Any) -> bytes:
        """Raises `TypeError`, `ValueError` that name the field."""
        raw = _remembered(key) if self._lossy else None
        if raw is not None and len(raw) == self.size and self._value(raw) == key:
            return raw
        return self.codec.encode(key, "key")

    def encode_many(self, keys: Any) -> bytes:
        if self._lossy:
            return b"".join([self.encode(key) for key in keys])
        return self.codec.encode_many(keys, "key")

    def _value(self, raw: bytes) -> Any:
        value = self.codec.decode(raw)
        return _hashable(value) if self._array else value

    def decode(self, raw: bytes) -> Any:
        return self.decode_many(raw, 1)[0]

    def decode_many(self, data: bytes, count: int) -> list[Any]:
        values = self.codec.decode_many(data, count)
        if self._array:
            values = [_hashable(value) for value in values]
        if self._lossy and self.codec.encode_many(values) != data:
            size = self.size
            for at, value in enumerate(values):
                raw = data[at * size : at * size + size]
                if self.codec.encode(value) != raw:
                    values[at] = _remembering(value, raw)
        return values


def _hashable(value: Any) -> Any:
    return tuple(_hashable(each) for each in value) if isinstance(value, list) else value


def _remembered(key: Any) -> bytes | None:
    if isinstance(key, _Text | _Items):
        return key.raw
    return getattr(key, "__raw__", None) if isinstance(key, Record) else None


def _remembering(value: Any, raw: bytes) -> Any:
    made: Any = value
    if isinstance(value, Record):
        made.__raw__ = raw
        return made
    if isinstance(value, bytes):
        made = _Text(value)
    elif isinstance(value, tuple):
        made = _Items(value)
    else:
        return value  # a bool
    made.raw = raw
    return made
