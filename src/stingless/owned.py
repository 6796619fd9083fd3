"""Ownership: a kernel object frees what it made and what is still open."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Self

from stingless.errors import ClosedError


class Owned:
    """Something that a kernel made.  `close()` may be called twice; `_free()` is called once."""

    _home: MutableMapping[int, Owned] | None = None
    _closed = False

    def _free(self) -> None:
        raise NotImplementedError  # each kind frees in its own way

    def _open(self, what: str) -> None:
        if self._closed:
            raise ClosedError(f"{what} is closed")

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self._home is not None:
            self._home.pop(id(self), None)
            self._home = None
        if not self._closed:
            self._closed = True
            self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
