"""Maps whose values are maps or programs."""

from __future__ import annotations

from typing import Any

from stingless.btf.values import integer
from stingless.kernel import Map
from stingless.maps.base import TypedMap, descriptor
from stingless.maps.mapping import K, KeyedMap


class MapOfMaps(KeyedMap[K, Any]):
    """ARRAY_OF_MAPS and HASH_OF_MAPS: a value is set from a map (typed or the kernel's), and comes as a typed map.

    That is closed with this one, or before by its own `close()`.  The same map comes as the same object.

    Reading values needs CAP_SYS_ADMIN: the kernel tells ids.
    """

    def __init__(self, map: Map) -> None:
        super().__init__(map)
        self._open: dict[int, TypedMap] = {}

    def new_inner(self) -> TypedMap:
        """A new map like the template, to be put in.  Raises `MapError` when the template is not known: that of a map
        that was opened by its pin or id is not."""
        from stingless.maps import open_typed

        made = open_typed(self.map.new_inner())
        self._open[made.info.id] = made
        return made

    def _encode_value(self, value: Any) -> bytes:
        return integer(4).encode(descriptor(value, "value"))

    def _encode_values(self, values: Any) -> bytes:
        return b"".join([self._encode_value(value) for value in values])

    def _decode_value(self, data: bytes) -> TypedMap:
        from stingless.errors import ClosedError
        from stingless.maps import open_typed

        number = int(integer(4).decode(data))
        if (known := self._open.get(number)) is not None:
            try:
                _ = known.fd
                return known
            except ClosedError:
                pass
        made = open_typed(self.map.inner(number))
        self._open[number] = made
        return made

    def _decode_values(self, data: bytes, count: int) -> list[Any]:
        return [self._decode_value(data[at : at + 4]) for at in range(0, 4 * count, 4)]

    def close(self) -> None:
        """Also closes the inner maps that were opened here."""
        for each in self._open.values():
            each.close()
        self._open.clear()
        super().close()


class ProgramArray(KeyedMap[int, int]):
    """PROG_ARRAY: the targets of tail calls.  A value is set from a program or its descriptor, and comes as the
    program's id."""

    def _encode_value(self, value: Any) -> bytes:
        program = getattr(value, "program", value)
        return integer(4).encode(descriptor(program, "value"))

    def _encode_values(self, values: Any) -> bytes:
        return b"".join([self._encode_value(value) for value in values])

    def _make_value_codec(self) -> Any:
        return integer(4)
