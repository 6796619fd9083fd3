"""Functions made for one struct: they unpack its bytes in one call and set its fields without a lookup.

The text that is compiled holds only names of our own and the fields' names, which are plain ASCII identifiers (see
`stingless.btf.names`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from stingless.btf.fields import Field, storage
from stingless.btf.records import StructCodec
from stingless.btf.scalars import Codec, Enumeration, Float, Integer
from stingless.frozen import frozen

_MOST_ITEMS = 512  # nested structs beyond that are taken apart by functions of their own
_INTS = {1: "B", 2: "H", 4: "I", 8: "Q"}


@frozen
class Functions:
    struct: struct.Struct
    one: Callable[[tuple[Any, ...]], Any]
    many: Callable[[Any], list[Any]]
    pack: Callable[[Any], bytes]


@frozen
class _Item:
    """One item of the format: `packed` is the expression for it."""

    offset: int
    size: int
    format: str
    variable: str
    packed: str


class _Text:
    def __init__(self) -> None:
        self.names: dict[str, Any] = {"new": object.__new__}
        self.items: list[_Item] = []
        self.loads: list[str] = []
        self.gets: list[str] = []
        self.made = 0

    def name(self, prefix: str, value: Any) -> str:
        self.made += 1
        name = f"{prefix}{self.made}"
        self.names[name] = value
        return name

    def record(self, codec: StructCodec, base: int, target: str, room: int) -> None:
        """Lines that make `target`, and that read it."""
        self.loads.append(f"{target} = new({self.name('C', codec.cls)})")
        bits: list[Field] = []
        for field in codec.stored:
            if field.bit_size:
                bits.append(field)
                continue
            inner, at = field.codec, base + field.offset
            place = f"{target}.{field.name}"
            if isinstance(inner, StructCodec) and len(self.items) + inner.weight <= room:
                self.made += 1
                nested = f"o{self.made}"
                self.gets.append(f"{nested} = {place}")
                self.record(inner, at, nested, room)
                self.loads.append(f"{place} = {nested}")
                continue
            if not inner.size:
                self.loads.append(f"{place} = {self.name('Z', inner.zero)}()")
                continue
            self.leaf(inner, at, place)
        self.bit_fields(bits, base, target)

    def leaf(self, codec: Codec, at: int, place: str) -> None:
        self.made += 1
        item = f"a{self.made}"
        packed = place
        if isinstance(codec, Enumeration):
            self.loads.append(f"{place} = {self.name('E', codec.members.get)}({item}, {item})")
        elif isinstance(codec, Float) or (isinstance(codec, Integer) and codec.plain):
            self.loads.append(f"{place} = {item}")
        else:
            self.loads.append(f"{place} = {self.name('L', codec.load)}({item})")
            packed = f"{self.name('D', codec.dump)}({place}, '')"
        self.items.append(_Item(at, codec.size, codec.format, item, packed))

    def bit_fields(self, bits: list[Field], base: int, target: str) -> None:
        """Bit-fields that share bytes are one item, an int."""
        for start, end in storage(bits):
            group = [field for field in bits if start <= field.offset < end]
            size, order = end - start, group[0].codec.order
            byteorder = "little" if order == "<" else "big"
            self.made += 1
            item, word = f"a{self.made}", f"w{self.made}"
            plain = size in _INTS
            self.loads.append(f"{word} = {item}" if plain else f"{word} = int.from_bytes({item}, {byteorder!r})")
            terms = []
            for field in group:
                low = field.shift + (field.offset - start if order == "<" else end - field.end) * 8
                place = f"{target}.{field.name}"
                taken = f"{word} >> {low} & {(1 << field.bit_size) - 1}"
                value = f"{self.name('V', field.value_of_bits)}({taken})" if _special(field) else taken
                self.loads.append(f"{place} = {value}")
                terms.append(f"{self.name('B', field.bits_of)}({place}, '') << {low}")
            packed = " | ".join(terms)
            if not plain:
                packed = f"({packed}).to_bytes({size}, {byteorder!r})"
            self.items.append(_Item(base + start, size, _INTS.get(size, f"{size}s"), item, packed))


def _special(field: Field) -> bool:
    """Whether the value is more than the bits."""
    return field.signed or not isinstance(field.codec, Integer)


def generate(codec: StructCodec) -> Functions | None:
    """The functions of a struct; None for one whose fields overlap, which no compiler makes, or are very many."""
    if len(codec.stored) > _MOST_ITEMS:
        return None
    text = _Text()
    text.record(codec, 0, "o", _MOST_ITEMS)
    items = sorted(text.items, key=lambda item: item.offset)
    format, at = codec.order, 0
    for item in items:
        if item.offset < at:
            return None
        format += f"{item.offset - at}x" * (item.offset > at) + item.format
        at = item.offset + item.size
    format += f"{codec.size - at}x" * (codec.size > at)
    layout = struct.Struct(format)
    row = "".join(f"{item.variable}, " for item in items)
    target = f"({row})" if row else "_"
    loads = "\n".join(f"        {line}" for line in text.loads)
    gets = "\n".join(f"    {line}" for line in text.gets)
    source = f"""
def one({target if not row else "row"}):
    if True:
        {f"{target} = row" if row else "pass"}
{loads}
    return o

def many(data):
    out = []
    append = out.append
    for {target} in unpack(data):
{loads}
        append(o)
    return out

def pack(o):
{gets}
    return join({", ".join(item.packed for item in items)})
"""
    names: dict[str, Any] = {**text.names, "unpack": layout.iter_unpack, "join": layout.pack}
    exec(compile(source, f"<codec of {codec.cls.__name__}>", "exec"), names)
    return Functions(layout, names["one"], names["many"], names["pack"])
