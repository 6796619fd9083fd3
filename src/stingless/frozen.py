"""`@frozen`: what `@dataclass(frozen=True)` makes, without its start-up cost.

`dataclasses` writes and compiles six functions for each class when it is defined, and imports `inspect`, which took a
third of the time in which the package starts.  Here one function each serves all classes, and only a class that many
objects are made of gets an `__init__` of its own.  `dataclasses.replace()`, `fields()` and kin take these classes too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")
_MISSING: Any = object()
_MANY = 32  # from then on, compiling (100 us) pays


class FrozenError(AttributeError):
    """An attribute of a frozen object was to be set."""


class Field:
    """What `field()` tells of a field."""

    __slots__ = ("compare", "default", "factory", "repr")

    def __init__(self, default: Any, factory: Any, repr: bool, compare: bool) -> None:
        self.default, self.factory, self.repr, self.compare = default, factory, repr, compare

    def value(self) -> Any:
        """Its default."""
        return self.default if self.factory is _MISSING else self.factory()

    @property
    def required(self) -> bool:
        return self.default is _MISSING and self.factory is _MISSING


def field(
    *,
    default: Any = _MISSING,
    default_factory: Callable[[], Any] = _MISSING,
    repr: bool = True,
    compare: bool = True,
) -> Any:
    """As `dataclasses.field()`; what is not compared is not hashed either."""
    return Field(default, default_factory, repr, compare)


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(*, slots: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: Any = None, /, *, slots: bool = False, eq: bool = True) -> Any:
    """The annotated names are the fields, in order; what a name is set to in the class body is its default.  With
    `slots`, objects take less memory and have no other attributes.  Without `eq`, each is equal to itself only."""
    if cls is None:
        return lambda cls: _freeze(cls, slots, eq)
    return _freeze(cls, slots, eq)


def _freeze(cls: Any, slots: bool, eq: bool) -> Any:
    fields: dict[str, Field] = {}
    for name in cls.__annotations__:
        given = cls.__dict__.get(name, _MISSING)
        each = fields[name] = given if isinstance(given, Field) else Field(given, _MISSING, True, True)
        if each.required and any(not before.required for before in fields.values()):
            raise TypeError(f"{cls.__name__}: {name!r} has no default and comes after a field that has one")
    if slots:
        body = {name: value for name, value in cls.__dict__.items() if name not in fields}
        for unwanted in ("__dict__", "__weakref__"):
            body.pop(unwanted, None)
        cls = type(cls)(cls.__name__, cls.__bases__, body | {"__slots__": tuple(fields)})
    else:
        for name, each in fields.items():
            if isinstance(cls.__dict__.get(name), Field):
                if each.default is _MISSING:
                    delattr(cls, name)
                else:
                    setattr(cls, name, each.default)
    made: dict[str, Any] = {
        "_frozen_fields": fields,
        "_frozen_made": 0,
        "_frozen_slots": slots,
        "__init__": _init,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__match_args__": tuple(fields),
        "__dataclass_fields__": _Fields(),
    }
    if eq:
        made |= {"__eq__": _eq, "__hash__": _hash}
    if slots:
        made |= {"__getstate__": _values, "__setstate__": _set_values}
    if cls.__repr__ is object.__repr__:
        made["__repr__"] = _repr
    for name, value in made.items():
        setattr(cls, name, value)
    return cls


def replace(given: T, **changes: Any) -> T:
    """Another one, with these fields changed.  As `dataclasses.replace()`."""
    return type(given)(**asdict(given) | changes)


def asdict(given: Any) -> dict[str, Any]:
    """The values by name, those of frozen objects in it as they are."""
    return dict(zip(given._frozen_fields, _values(given), strict=True))


def fields(given: Any) -> dict[str, Field]:
    """The fields of a frozen class or object, by name."""
    found: dict[str, Field] = given._frozen_fields
    return found


_set = object.__setattr__


def _init(self: Any, *args: Any, **named: Any) -> None:
    fields = self._frozen_fields
    if len(args) > len(fields):
        raise TypeError(f"{type(self).__name__}() takes {len(fields)} arguments, not {len(args)}")
    values = dict(zip(fields, args, strict=False))
    for name, value in named.items():
        if name not in fields or name in values:
            what = "got two values for" if name in values else "has no argument"
            raise TypeError(f"{type(self).__name__}() {what} {name!r}")
        values[name] = value
    for name, each in fields.items():
        if name not in values:
            if each.required:
                raise TypeError(f"{type(self).__name__}() needs {name}=")
            values[name] = each.value()
        _set(self, name, values[name])
    check = getattr(self, "__post_init__", None)
    if check is not None:
        check()
    home: Any = next(each for each in type(self).__mro__ if "_frozen_made" in each.__dict__)
    home._frozen_made += 1
    if home._frozen_made == _MANY:
        home.__init__ = _compiled(home)


def _compiled(cls: Any) -> Any:
    """An `__init__` with the fields as arguments.  It refuses wrong arguments in Python's own words."""
    known: dict[str, Any] = {"_set": _set, "_absent": _MISSING}
    arguments, body = ["self"], []
    if not cls._frozen_slots:
        body.append("_values = self.__dict__")
    optional = False
    for name, each in cls._frozen_fields.items():
        value = name
        if each.factory is not _MISSING:
            known[f"_new_{name}"] = each.factory
            value = f"_new_{name}() if {name} is _absent else {name}"
        default = "_absent"
        if each.default is not _MISSING:
            known[f"_default_{name}"] = each.default
            default = f"_default_{name}"
        if not each.required and not optional:
            optional = True
        arguments.append(f"{name}={default}" if optional else name)
        body.append(f"_set(self, {name!r}, {value})" if cls._frozen_slots else f"_values[{name!r}] = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    exec(f"def __init__({', '.join(arguments)}):\n " + "\n ".join(body), known)
    made = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"  # which its errors name
    return made


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self._frozen_fields])


def _set_values(self: Any, values: tuple[Any, ...]) -> None:
    for name, value in zip(self._frozen_fields, values, strict=True):
        _set(self, name, value)


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name, each in self._frozen_fields.items() if each.compare])


def _eq(self: Any, other: object) -> Any:
    return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, each in self._frozen_fields.items() if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise FrozenError(
        f"{type(self).__name__} is frozen: {name!r} cannot be changed; dataclasses.replace() makes another"
    )


class _Fields:
    """`__dataclass_fields__`, made when the module `dataclasses` asks for it."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        import dataclasses

        kind: Any = type(owner.__name__, (), {"__annotations__": dict(owner.__annotations__)})
        for name, each in owner._frozen_fields.items():
            given = {"default": each.default, "default_factory": each.factory}
            given = {key: value for key, value in given.items() if value is not _MISSING}
            setattr(kind, name, dataclasses.field(repr=each.repr, compare=each.compare, **given))
        made = dataclasses.dataclass(kind).__dataclass_fields__
        owner.__dataclass_fields__ = made
        return made
