"""bcc's functions take names as bytes, str, or its `ArgString`, which is both."""

from __future__ import annotations

from typing import Any, SupportsBytes

Name = str | bytes | SupportsBytes


def text_of(value: Any) -> str:
    """Raises `TypeError` for what is none of them.  Bytes that are not UTF-8 are kept as `os.fsdecode` does."""
    if isinstance(value, str):
        return value
    return bytes_of(value).decode(errors="surrogateescape")


def bytes_of(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogateescape")
    if isinstance(value, bytes) or hasattr(value, "__bytes__"):
        return bytes(value)
    raise TypeError(f"a name or a text is str or bytes, not {value!r}")
