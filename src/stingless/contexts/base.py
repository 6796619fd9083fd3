"""What all contexts have: fields by name at places of a struct."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

from stingless._gen.uapi import ProgramType
from stingless.kernel import RunResult


class Field(NamedTuple):
    """`times` numbers of `size` bytes; `kind` is "" (a number), "signed", "port" (16 bits in network order), "ip4" or
    "ip6" (an address)."""

    offset: int
    size: int = 4
    times: int = 1
    kind: str = ""

    def encode(self, name: str, value: Any) -> bytes:
        if self.kind in ("ip4", "ip6"):
            return self._address(name, value)
        if self.times > 1:
            values = list(value)
            if len(values) > self.times:
                raise ValueError(f"{name} has {self.times} numbers, not {len(values)}")
            one = self._replace(times=1)
            return b"".join(one.encode(name, each) for each in values).ljust(self.size * self.times, b"\0")
        if not isinstance(value, int):
            raise TypeError(f"{name} is a number, not {value!r}")
        if self.kind == "port":
            return self._number(name, value, 2).to_bytes(2, "big").ljust(self.size, b"\0")
        if self.kind == "signed":
            return (self._number(name, value, self.size, signed=True) % (1 << 8 * self.size)).to_bytes(
                self.size, "little"
            )
        return self._number(name, value, self.size).to_bytes(self.size, "little")

    def _number(self, name: str, value: int, size: int, *, signed: bool = False) -> int:
        low, high = (-(1 << 8 * size - 1), 1 << 8 * size - 1) if signed else (0, 1 << 8 * size)
        if not low <= value < high:
            raise ValueError(f"{name} is {value}: {'a signed' if signed else 'an unsigned'} number of {8 * size} bits")
        return value

    def _address(self, name: str, value: Any) -> bytes:
        wanted = 4 if self.kind == "ip4" else 16
        if isinstance(value, str):
            value = ipaddress.ip_address(value).packed
        if isinstance(value, int) and wanted == 4:
            value = self._number(name, value, 4).to_bytes(4, "little")
        if isinstance(value, bytes | bytearray) and len(value) == wanted:
            return bytes(value)
        raise ValueError(f"{name} is an IPv{self.kind[2]} address (text, or {wanted} bytes), not {value!r}")

    def decode(self, content: bytes) -> Any:
        raw = content[self.offset : self.offset + self.size * self.times]
        if self.kind in ("ip4", "ip6"):
            return str(ipaddress.ip_address(raw))
        if self.kind == "port":
            return int.from_bytes(raw[:2], "big")
        if self.times > 1:
            return tuple(
                int.from_bytes(raw[i : i + self.size], "little") for i in range(0, self.size * self.times, self.size)
            )
        return int.from_bytes(raw, "little", signed=self.kind == "signed")


def words(names: str, offset: int = 0) -> dict[str, Field]:
    """Fields of 32 bits one after the other; "-" for a place without a name."""
    return {name: Field(offset + 4 * i) for i, name in enumerate(names.split()) if name != "-"}


class Context:
    """A struct with its fields by name, and the data that its pointers lead to (`data`, None where it has none).

    `TYPES` are the program types that get it, `FIELDS` what can be given and is shown, `SHOWN` what is only shown;
    `DERIVED` are names of what the kernel finds out itself.  Fields and size that depend on the machine or on a format
    are given to the constructor as `layout`."""

    STRUCT: ClassVar[str]
    SIZE: ClassVar[int]
    TYPES: ClassVar[frozenset[ProgramType]]
    FIELDS: ClassVar[Mapping[str, Field]]
    SHOWN: ClassVar[Mapping[str, Field]] = {}
    DERIVED: ClassVar[frozenset[str]] = frozenset()
    HAS_DATA: ClassVar[bool] = False

    def __init__(
        self, layout: tuple[Mapping[str, Field], int] | None = None, /, *, data: bytes | None = None, **fields: Any
    ) -> None:
        self._fields, self._size = layout or (self.FIELDS, self.SIZE)
        if data is not None and not self.HAS_DATA:
            raise TypeError(f"{type(self).__name__} has no data")
        self.data = bytes(data) if data is not None else b"" if self.HAS_DATA else None
        self._content = bytearray(self._size)
        for name, value in fields.items():
            self._set(name, value)

    def _set(self, name: str, value: Any) -> None:
        field = self._fields.get(name)
        if field is None:
            if name in self.SHOWN or name in self.DERIVED:
                raise TypeError(f"{type(self).__name__}: {name} is not given, the kernel finds it out")
            near = difflib.get_close_matches(name, self._fields, n=3, cutoff=0.5)
            known = f"the nearest: {', '.join(near)}" if near else f"it has {', '.join(self._fields)}"
            raise TypeError(f"{type(self).__name__} ({self.STRUCT}) has no field {name!r}; {known}")
        encoded = field.encode(name, value)
        self._content[field.offset : field.offset + len(encoded)] = encoded

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            field = self._fields.get(name) or self.SHOWN.get(name)
            if field is not None:
                return field.decode(bytes(self._content))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def inputs(self, type: ProgramType) -> tuple[bytes | None, bytes | None]:
        """Data and context for a run of a program of that type.  Raises `TypeError` for other types."""
        if type not in self.TYPES:
            taken = ", ".join(sorted(each.name for each in self.TYPES))
            raise TypeError(f"{self.__class__.__name__} is for programs of type {taken}, not {type.name}")
        return self._inputs()

    def _inputs(self) -> tuple[bytes | None, bytes | None]:
        return self.data, bytes(self._content)

    def after(self, result: RunResult) -> Self:
        """What a run left of this context."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made._content = bytearray(result.ctx.ljust(self._size, b"\0")[: self._size])
        if self.HAS_DATA:
            made.data = result.data
        return made

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __repr__(self) -> str:
        shown = [f"data={self.data!r}"] if self.data else []
        for name, field in {**self._fields, **self.SHOWN}.items():
            if any(self._content[field.offset : field.offset + field.size * field.times]):
                shown.append(f"{name}={getattr(self, name)!r}")
        return f"{type(self).__name__}({', '.join(shown)})"
