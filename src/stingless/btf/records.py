"""Records: structs and unions as generated classes with their C fields.

A record is mutable, compares and hashes by value, prints its fields, and can be made from keywords, in order, from a
dict or a tuple; what is not given is zero.  Members of anonymous structs and unions are the record's own.  Bit-fields
are ints.  Names that Python does not allow get a "_" (see `stingless.btf.names`).  `bytes(record)` is its C layout,
`copy.copy(record)` (a record's copy shares nothing) and `replace(record, field=...)` make others.  No method has an
ordinary name, since fields may have any.

All members of a union are views of the same bytes, which are kept as they are.  A nested record or list that was read
from a union is written back until another member is read or set: `u.pair.low = 1` works.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar, Self, cast

from stingless.btf.fields import Field
from stingless.btf.names import identifiers
from stingless.btf.scalars import Array, Codec, bytes_of, described, shown
from stingless.btf.types import Btf, Kind, Type
from stingless.errors import ObjectError
from stingless.frozen import frozen

_MOST_FIELDS = 65536  # of a record with its anonymous members: BTF counts the members of one type in 16 bits
_HEAVIEST = 1 << 20  # fields with all nested ones: empty structs can be nested without end in no bytes


class Record:
    """Base of all record classes."""

    __slots__ = ("__raw__",)  # see stingless.maps.keys
    __codec__: ClassVar[RecordCodec]
    __fields__: ClassVar[tuple[str, ...]] = ()

    def __init__(self, /, *values: Any, **named: Any) -> None:
        self.__codec__.fill(self, values, named, type(self).__name__)

    def __bytes__(self) -> bytes:
        return self.__codec__.encode(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.__fields__)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        key = self.__codec__.compared
        return bool(key(self) == key(other))

    def __hash__(self) -> int:
        """By value: leave a record as it is while it is a key of a dict."""
        return hash(_frozen(self.__codec__.compared(self)))

    def __copy__(self) -> Self:
        return self.__codec__.decode(bytes(self))  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: object) -> Self:
        return self.__copy__()

    def __replace__(self, /, **changes: Any) -> Self:
        return cast(Self, replace(self, **changes))


def replace(record: Any, /, **changes: Any) -> Any:
    """A copy of a record with other values in some fields."""
    made = record.__copy__()
    made.__codec__.assign(made, changes, type(record).__name__)
    return made


def asdict(record: Any) -> dict[str, Any]:
    """The fields of a record, nested ones as dicts too."""

    def plain(value: Any) -> Any:
        if isinstance(value, Record):
            return asdict(value)
        return [plain(each) for each in value] if isinstance(value, list) else value

    return {name: plain(getattr(record, name)) for name in record.__fields__}


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list | tuple) else value


class UnionRecord(Record):
    """Base of the classes of unions."""

    __slots__ = ("__data__", "__view__")
    __data__: bytearray
    __view__: tuple[Field, Any] | None

    def __settled__(self) -> bytearray:
        """The bytes, after what was changed in a nested value."""
        if self.__view__ is not None:
            field, value = self.__view__
            field.write(value, self.__data__, 0, f"{type(self).__name__}.{field.name}")
        return self.__data__


class RecordCodec(Codec):
    """The codec of a struct or union: `cls` its class, `fields` all its fields, those of anonymous members too."""

    cls: type[Any]
    fields: tuple[Field, ...]
    in_order: tuple[str, ...]  # the fields that values without names go to
    compared: Callable[[Any], Any]

    def __init__(self, type: Type, fields: tuple[Field, ...], order: str) -> None:
        super().__init__(type, type.size, f"{type.size}s", order)
        self.fields = fields
        _check_ends(type, fields)
        self.weight = 1 + sum(getattr(field.codec, "weight", 1) for field in fields)
        if self.weight > _HEAVIEST:
            raise ObjectError(f"BTF type {type.id} ({described(type)}) has more than {_HEAVIEST} nested fields")
        self._renamed = {field.c_name: field.name for field in fields if field.c_name != field.name}
        self._names = frozenset(field.name for field in fields)

    def load(self, raw: bytes) -> Any:
        return self.decode(raw)

    def dump(self, value: Any, what: str) -> bytes:
        return self.encode(value, what)

    def blank(self, record: Any) -> None:
        """Make all fields zero."""
        raise NotImplementedError  # structs and unions keep them in different ways

    def fill(self, record: Any, values: Sequence[Any], named: Mapping[str, Any], what: str) -> None:
        """Give a new record its values.  Raises `TypeError` for names that it does not have."""
        self.blank(record)
        if len(values) > len(self.in_order):
            raise TypeError(f"{what}: {described(self.type)} has {len(self.in_order)} fields, not {len(values)}")
        for name, value in zip(self.in_order, values, strict=False):
            setattr(record, name, value)
        self.assign(record, named, what)

    def assign(self, record: Any, named: Mapping[str, Any], what: str) -> None:
        for c_name, value in named.items():
            name = self._renamed.get(c_name, c_name)
            if name not in self._names:
                there = ", ".join([field.name for field in self.fields][:12])
                raise TypeError(f"{what}: {described(self.type)} has no field {c_name!r} (it has {there})")
            setattr(record, name, value)

    def made(self, value: Any, what: str) -> Any:
        """A record of this class from a dict, a sequence, the bytes or a record of the same fields."""
        if isinstance(value, self.cls):
            return value
        record = object.__new__(self.cls)
        if isinstance(value, Record):
            if value.__fields__ != self.cls.__fields__:
                raise TypeError(f"{what}: {described(self.type)} is needed, not {shown(value)}")
            value = {name: getattr(value, name) for name in value.__fields__}
        if isinstance(value, Mapping):
            self.fill(record, (), value, what)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
            self.fill(record, value, {}, what)
        elif (data := bytes_of(value)) is not None:
            if len(data) != self.size:
                raise ValueError(f"{what}: {described(self.type)} has {self.size} bytes, not {len(data)}")
            return self.decode(data)
        else:
            raise TypeError(f"{what}: {described(self.type)} is needed, not {shown(value)}")
        return record


class StructCodec(RecordCodec):
    """`stored` is what an instance holds: its fields, and each anonymous union as a whole in a slot of its own."""

    def __init__(
        self, type: Type, fields: tuple[Field, ...], stored: tuple[Field, ...], in_order: tuple[str, ...], order: str
    ) -> None:
        super().__init__(type, fields, order)
        _check_ends(type, stored)
        self.stored = stored
        self.in_order = in_order
        get = attrgetter(*(field.name for field in stored)) if stored else lambda record: ()
        self.compared = get

    @cached_property
    def _fast(self) -> Any:
        from stingless.btf.generated import generate

        return generate(self)

    def decode(self, data: bytes | bytearray | memoryview, offset: int = 0) -> Any:
        if offset < 0 or len(data) - offset < self.size:
            raise self._short(len(data) - offset)
        if self._fast is not None:
            return self._fast.one(self._fast.struct.unpack_from(data, offset))
        record = object.__new__(self.cls)
        for field in self.stored:
            setattr(record, field.name, field.read(data, offset))
        return record

    def _many(self, data: Any, count: int) -> list[Any]:
        if self._fast is not None:
            return self._fast.many(data)  # type: ignore[no-any-return]
        return [self.decode(data, at * self.size) for at in range(count)]

    def encode(self, value: Any, what: str = "value") -> bytes:
        if type(value) is self.cls and self._fast is not None:
            with contextlib.suppress(Exception):  # whatever is wrong is told below, by its path
                return self._fast.pack(value)  # type: ignore[no-any-return]
        out = bytearray(self.size)
        self.write(value, out, 0, what)
        return bytes(out)

    def write(self, value: Any, into: bytearray, offset: int, what: str) -> None:
        record = self.made(value, what)
        for field in self.stored:
            path = what if isinstance(field.codec, UnionCodec) and not field.c_name else f"{what}.{field.name}"
            field.write(getattr(record, field.name), into, offset, path)

    def blank(self, record: Any) -> None:
        for field in self.stored:
            setattr(record, field.name, 0 if field.bit_size else field.codec.zero())


class UnionCodec(RecordCodec):
    def __init__(self, type: Type, fields: tuple[Field, ...], order: str) -> None:
        super().__init__(type, fields, order)
        self.in_order = tuple(field.name for field in fields[:1])
        self.compared = lambda record: bytes(record.__settled__())

    def decode(self, data: bytes | bytearray | memoryview, offset: int = 0) -> Any:
        if offset < 0 or len(data) - offset < self.size:
            raise self._short(len(data) - offset)
        record = object.__new__(self.cls)
        record.__data__, record.__view__ = bytearray(data[offset : offset + self.size]), None
        return record

    def encode(self, value: Any, what: str = "value") -> bytes:
        record = self.made(value, what)
        if record.__view__ is not None:
            field, nested = record.__view__
            field.write(nested, record.__data__, 0, f"{what}.{field.name}")
        return bytes(record.__data__)

    def write(self, value: Any, into: bytearray, offset: int, what: str) -> None:
        into[offset : offset + self.size] = self.encode(value, what)

    def blank(self, record: Any) -> None:
        record.__data__, record.__view__ = bytearray(self.size), None


def _view(field: Field) -> property:
    """A union's member."""
    nested = isinstance(field.codec, RecordCodec | Array)

    def get(self: UnionRecord) -> Any:
        value = field.read(self.__settled__())
        self.__view__ = (field, value) if nested else None
        return value

    def set(self: UnionRecord, value: Any) -> None:
        data = self.__settled__()
        self.__view__ = None
        field.write(value, data, 0, f"{type(self).__name__}.{field.name}")

    return property(get, set)


def _through(slot: str, name: str) -> property:
    """A member of the anonymous union in `slot`."""
    inner = attrgetter(slot)

    def get(self: Record) -> Any:
        return getattr(inner(self), name)

    def set(self: Record, value: Any) -> None:
        setattr(inner(self), name, value)

    return property(get, set)


@frozen
class _Found:
    """A member with its bits counted from the outermost record; `c_name` "" for an anonymous union."""

    c_name: str
    type: int
    bit_offset: int
    bit_size: int


def _members(btf: Btf, record: Type, base: int, into_unions: bool, depth: int = 0) -> Iterator[_Found]:
    """The members, with those of anonymous structs, and of anonymous unions if asked for."""
    if depth > 32:
        raise ObjectError(f"BTF type {record.id} ({record.name}) is nested too deeply")
    for member in record.members:
        name = member.name
        if record.kind == Kind.DATASEC:
            name = btf.type(member.type).name
        at = base + member.bit_offset
        bits = member.bit_size if record.kind != Kind.DATASEC else 0
        if name:
            yield _Found(name, member.type, at, bits)
            continue
        inner = btf.resolve(member.type)
        if inner.kind == Kind.STRUCT or (inner.kind == Kind.UNION and into_unions):
            yield from _members(btf, inner, at, into_unions, depth + 1)
        elif inner.kind == Kind.UNION:
            yield _Found("", member.type, at, 0)


def make(btf: Btf, record: Type, codec_of: Callable[[int], Codec]) -> RecordCodec:
    """The codec of a struct, union or data section, with its class."""
    union = record.kind == Kind.UNION
    found: list[_Found] = []
    for member in _members(btf, record, 0, into_unions=union):
        found.append(member)
        if len(found) > _MOST_FIELDS:
            raise ObjectError(f"BTF type {record.id} ({record.name}) has more than {_MOST_FIELDS} fields")
    # The fields' names are made together with those of the members of anonymous unions, so that all are different.
    rows: list[tuple[_Found, Codec, list[Field]]] = []
    c_names: list[str] = []
    for member in found:
        codec = codec_of(member.type)
        _check(record, member, codec)
        shared = list(codec.fields) if not member.c_name and isinstance(codec, UnionCodec) else []
        rows.append((member, codec, shared))
        c_names += [field.c_name for field in shared] if not member.c_name else [member.c_name]
    names = iter(identifiers(c_names))
    fields: list[Field] = []
    stored: list[Field] = []
    in_order: list[str] = []
    body: dict[str, Any] = {}
    hidden = 0
    for member, codec, shared in rows:
        if member.c_name:
            field = Field(next(names), member.c_name, codec, member.bit_offset, member.bit_size)
            fields.append(field)
            stored.append(field)
            in_order.append(field.name)
            continue
        slot, hidden = f"__union{hidden}__", hidden + 1  # no field's name is like that
        stored.append(Field(slot, "", codec, member.bit_offset))
        for number, inner in enumerate(shared):
            name = next(names)
            body[name] = _through(slot, inner.name)
            at = member.bit_offset + inner.bit_offset
            fields.append(Field(name, inner.c_name, inner.codec, at, inner.bit_size))
            if number == 0:
                in_order.append(name)
    made: RecordCodec
    if union:
        made = UnionCodec(record, tuple(fields), btf.order)
        body |= {field.name: _view(field) for field in fields} | {"__slots__": ()}
    else:
        made = StructCodec(record, tuple(fields), tuple(stored), tuple(in_order), btf.order)
        body["__slots__"] = tuple(field.name for field in stored)
    body |= {
        "__codec__": made,
        "__fields__": tuple(field.name for field in fields),
        "__match_args__": made.in_order,
        "__module__": __name__,
    }
    # Under the name "_" Python does not mangle slots such as `__state`, of which the kernel has many.
    cls = type("_", (UnionRecord if union else Record,), body)
    cls.__name__ = cls.__qualname__ = identifiers([record.name or record.kind.name.lower()])[0]
    made.cls = cls
    return made


def _check_ends(type: Type, fields: tuple[Field, ...]) -> None:
    for field in fields:
        if field.end > type.size:
            raise ObjectError(f"BTF type {type.id}: {field.c_name!r} ends after {described(type)} does")


def _check(record: Type, member: _Found, codec: Codec) -> None:
    what = f"BTF type {record.id} ({record.name}): {member.c_name!r}"
    if member.bit_size:
        if codec.type.kind not in (Kind.INT, Kind.ENUM, Kind.ENUM64):
            raise ObjectError(f"{what} is a bit-field of {described(codec.type)}")
        if member.bit_size > codec.size * 8:
            raise ObjectError(f"{what} has {member.bit_size} bits of {codec.size * 8}")
    elif member.bit_offset % 8:
        raise ObjectError(f"{what} begins at bit {member.bit_offset}, within a byte")
