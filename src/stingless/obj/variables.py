"""Global variables of an object that is not loaded yet: their initial values can be read and set.

Values are typed by BTF (see `stingless.btf.values`); of a variable without BTF they are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from stingless.errors import ObjectError, UnknownNameError
from stingless.frozen import replace
from stingless.obj.spec import MapSpec, ObjectSpec, VariableSpec

if TYPE_CHECKING:
    from stingless.btf.types import Type
    from stingless.btf.values import Codec


class Variable:
    """One variable.  `spec` says where it is."""

    def __init__(self, object: ObjectSpec, spec: VariableSpec) -> None:
        self._object = object
        self.spec = spec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.spec.size

    @property
    def constant(self) -> bool:
        """Whether programs cannot change it; then the verifier knows its value."""
        return self.spec.constant

    @property
    def type(self) -> Type | None:
        """Its BTF type, without typedefs and qualifiers; None where the object has no BTF."""
        return self.spec.btf.resolve(self.spec.type) if self.spec.btf is not None and self.spec.type else None

    @property
    def value(self) -> Any:
        """The initial value.  A struct or an array is a copy: change it, then set it.  Setting raises `TypeError` or
        `ValueError` that names the variable, and the field where there is one."""
        return self._codec.decode(self.data)

    @value.setter
    def value(self, value: Any) -> None:
        self.data = self._codec.encode(value, self.name)

    @property
    def data(self) -> bytes:
        """The initial value's bytes.  Setting raises `ValueError` when there are more or fewer than `size`."""
        content = self._map.initial or b""
        return content[self.spec.offset : self.spec.offset + self.spec.size]

    @data.setter
    def data(self, data: bytes) -> None:
        if len(data) != self.size:
            raise ValueError(f"variable {self.name!r} has {self.size} bytes, not {len(data)}")
        map, maps = self._map, self._object.maps
        if not isinstance(maps, MutableMapping):
            raise TypeError("the maps of this object cannot be changed: use those of its copy()")
        content = bytearray(map.initial or b"")
        content[self.spec.offset : self.spec.offset + self.size] = data
        maps[self.spec.map] = replace(map, initial=bytes(content))

    @property
    def _map(self) -> MapSpec:
        map = self._object.maps.get(self.spec.map)
        if map is None or map.initial is None or len(map.initial) < self.spec.offset + self.size:
            raise ObjectError(f"variable {self.name!r} is in map {self.spec.map!r}, which has no content there")
        return map

    @property
    def _codec(self) -> Codec:
        from stingless.btf.values import codec, raw

        if self.spec.btf is not None and self.spec.type:
            typed = codec(self.spec.btf, self.spec.type)
            if typed.size == self.size:  # a struct whose last array has no length may have more behind it
                return typed
        return raw(self.size)

    def __repr__(self) -> str:
        try:
            value = repr(self.value)
        except (ObjectError, ValueError) as error:
            value = f"<{error}>"
        return f"Variable({self.name!r}, {value}, {self.spec.map!r}, {self.size} bytes)"


class Variables(Mapping[str, Variable]):
    """`variables["pid"].value = 7`: the variables of an object by name.  Setting one replaces the map's spec in the
    object's `maps`."""

    def __init__(self, spec: ObjectSpec) -> None:
        self._spec = spec

    def __getitem__(self, name: str) -> Variable:
        """Raises `UnknownNameError`."""
        found = self._spec.variable_specs.get(name)
        if found is None:
            raise UnknownNameError("variable", name, self._spec.variable_specs)
        return Variable(self._spec, found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._spec.variable_specs)

    def __len__(self) -> int:
        return len(self._spec.variable_specs)

    def __repr__(self) -> str:
        return f"Variables({', '.join(map(repr, self.values()))})"
