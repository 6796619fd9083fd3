"""Global variables of a loaded object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stingless.btf.values import Codec, codec, raw
from stingless.errors import MapError, NotSupportedError
from stingless.kernel import BPF_ANY, Map
from stingless.obj.spec import VariableSpec

if TYPE_CHECKING:
    import numpy as np


class Variable:
    """A global variable: `.value` reads and sets it, `.view()` is its memory.

    Where the kernel shares the memory of data sections (Linux 5.5), a variable is read and written in place; before
    that the whole section is read, and written back, which can undo what a program writes to another variable of it in
    between.
    """

    def __init__(self, map: Map, spec: VariableSpec) -> None:
        self.map = map
        self.spec = spec
        self._codec: Codec | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def codec(self) -> Codec:
        if self._codec is None:
            spec = self.spec
            found = codec(spec.btf, spec.type) if spec.btf is not None and spec.type else None
            self._codec = found if found is not None and found.size == spec.size else raw(spec.size)
        return self._codec

    @property
    def type(self) -> Any:
        """The class of a value that is a record; None for others."""
        return getattr(self.codec, "cls", None)

    @property
    def value(self) -> Any:
        """What it is now.  Raises `ClosedError`."""
        return self.codec.decode(self._bytes())

    @value.setter
    def value(self, value: Any) -> None:
        """Raises `TypeError`, `ValueError` that name the field; `MapError` (EPERM) for a constant."""
        encoded = self.codec.encode(value, self.name)
        if self.spec.constant:
            raise MapError(f"{self.name!r} is a constant: it can be set before the load only", 1)
        start, end = self.spec.offset, self.spec.offset + self.spec.size
        try:
            self.map.memory()[start:end] = encoded
        except NotSupportedError:
            section = bytearray(self.map.lookup(bytes(4)) or b"")
            section[start:end] = encoded
            self.map.update(bytes(4), bytes(section), BPF_ANY)

    def _bytes(self) -> bytes:
        start, end = self.spec.offset, self.spec.offset + self.spec.size
        try:
            return bytes(self.map.memory()[start:end])
        except NotSupportedError:
            return (self.map.lookup(bytes(4)) or b"")[start:end]

    def view(self) -> np.ndarray[Any, Any]:
        """Its memory as a NumPy array: of the array's shape for an array, else without dimensions, so that `view()[()]`
        is the value.  Read-only for constants.  Raises `NotSupportedError` where the memory is not shared."""
        import numpy as np

        start, end = self.spec.offset, self.spec.offset + self.spec.size
        dtype = self.codec.dtype
        return np.frombuffer(self.map.memory()[start:end], dtype.base).reshape(dtype.shape)

    def __repr__(self) -> str:
        constant = "constant " if self.spec.constant else ""
        return f"<{constant}variable {self.name!r} at {self.spec.map}+{self.spec.offset}, {self.spec.size} bytes>"
