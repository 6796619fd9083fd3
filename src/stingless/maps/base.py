"""What all typed maps have in common."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from stingless.btf.values import codec, raw
from stingless.kernel import Map, MapInfo

if TYPE_CHECKING:
    from stingless.btf.scalars import Codec
    from stingless.obj.spec import MapSpec


class TypedMap:
    """A map with keys and values as Python values.  `map` is the kernel's map below it, which takes bytes.

    Made by `open_typed()`.  Closing it closes the kernel's map; a pin keeps that alive.
    """

    def __init__(self, map: Map) -> None:
        self.map = map
        self._value_codec: Codec | None = None
        self._made_at = ""  # where the user opened it, if that was by itself

    @property
    def spec(self) -> MapSpec:
        return self.map.spec

    @property
    def name(self) -> str:
        return self.map.spec.name

    @property
    def value_codec(self) -> Codec:
        """Of one value; of one CPU's, in a per-CPU map."""
        if self._value_codec is None:
            self._value_codec = self._make_value_codec()
        return self._value_codec

    def _make_value_codec(self) -> Codec:
        return typed(self.spec, self.spec.value_type, self.spec.value_size) or raw(self.spec.value_size)

    @property
    def value_type(self) -> Any:
        """The class of values that are records: `map.value_type(packets=1)`.  None for others."""
        return getattr(self.value_codec, "cls", None)

    @property
    def info(self) -> MapInfo:
        """What the kernel tells of it."""
        return self.map.info

    @property
    def fd(self) -> int:
        return self.map.fd

    def fileno(self) -> int:
        return self.map.fd

    def freeze(self) -> None:
        """No more changes from user space.  Raises `MapError` (EBUSY) while writable views of its memory are in use."""
        self.map.freeze()

    def pin(self, path: str | Path) -> None:
        """Keep it under a path of a bpffs, also after this process.  Raises `FileExistsError` and other `OSError`s."""
        self.map.pin(path)

    @staticmethod
    def unpin(path: str | Path) -> None:
        """Remove a pin.  Raises `FileNotFoundError`."""
        Path(path).unlink()

    def close(self) -> None:
        """Idempotent."""
        self.map.close()

    def __del__(self) -> None:
        if getattr(self, "_made_at", "") and not self.map.closed:
            what = f"map {self.name!r} was never closed; it was opened at {self._made_at}"
            warnings.warn(what, ResourceWarning, stacklevel=2, source=self)
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        spec = self.spec
        return f"<{type(self).__name__} {spec.name!r} {spec.type.name}, {spec.max_entries} entries>"


def typed(spec: MapSpec, type_id: int, size: int) -> Codec | None:
    """The codec by BTF; None where there is no BTF, or it is of another size."""
    if spec.btf is None or not type_id:
        return None
    made = codec(spec.btf, type_id)
    return made if made.size == size else None


def descriptor(value: Any, what: str) -> int:
    """The number of an int or of an object with a descriptor (a map, program, socket, file).  Raises `TypeError`."""
    if hasattr(value, "fileno"):
        return int(value.fileno())
    if isinstance(found := getattr(value, "fd", None), int):
        return found
    if isinstance(value, int):
        return value
    raise TypeError(f"{what}: a descriptor or an object that has one is needed, not {type(value).__name__} {value!r}")
