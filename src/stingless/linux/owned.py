"""Ownership: a kernel object frees what it made and what is still open."""

from __future__ import annotations


class Owned:
    """Something that a `LinuxKernel` made.  `close()` may be called twice; `_free()` is called once."""

    _home: dict[int, Owned] | None = None
    _freed = False

    def _free(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        if self._home is not None:
            self._home.pop(id(self), None)
            self._home = None
        if not self._freed:
            self._freed = True
            self._free()
