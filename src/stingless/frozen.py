"""`@frozen`: what `@dataclass(frozen=True)` makes, without its start-up cost.

`dataclasses` writes and compiles six functions for each class, which took a third of the time in which the package
starts.  Here one function each serves all classes.  An instance costs about a microsecond more, so what is made by the
thousand stays a dataclass or a tuple.  `dataclasses.replace()`, `fields()` and kin take these classes too.
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
_MISSING = object()


class FrozenError(AttributeError):
    """An attribute of a frozen object was to be set."""


@dataclass_transform(frozen_default=True)
def frozen(cls: type[T]) -> type[T]:
    """The annotated names are the fields, in order; what a name is set to in the class body is its default."""
    fields = {name: cls.__dict__.get(name, _MISSING) for name in cls.__annotations__}
    made: dict[str, Any] = {
        "_frozen_fields": fields,
        "__init__": _init,
        "__eq__": _eq,
        "__hash__": _hash,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__match_args__": tuple(fields),
        "__dataclass_fields__": _Fields(),
    }
    if "__repr__" not in cls.__dict__:
        made["__repr__"] = _repr
    for name, value in made.items():
        setattr(cls, name, value)
    return cls


def _init(self: Any, *args: Any, **named: Any) -> None:
    fields = self._frozen_fields
    values = self.__dict__
    if len(args) > len(fields):
        raise TypeError(f"{type(self).__name__}() takes {len(fields)} arguments, not {len(args)}")
    for name, value in zip(fields, args, strict=False):
        values[name] = value
    for name, value in named.items():
        if name not in fields or name in values:
            what = "got two values for" if name in values else "has no argument"
            raise TypeError(f"{type(self).__name__}() {what} {name!r}")
        values[name] = value
    if len(values) < len(fields):
        for name, default in fields.items():
            if name not in values:
                if default is _MISSING:
                    raise TypeError(f"{type(self).__name__}() needs {name}=")
                values[name] = default
    check = getattr(self, "__post_init__", None)
    if check is not None:
        check()


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(self.__dict__[name] for name in self._frozen_fields)


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._frozen_fields)
    return f"{type(self).__qualname__}({shown})"


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise FrozenError(
        f"{type(self).__name__} is frozen: {name!r} cannot be changed; dataclasses.replace() makes another"
    )


class _Fields:
    """`__dataclass_fields__`, made when the module `dataclasses` asks for it."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        import dataclasses

        body = {name: value for name, value in owner._frozen_fields.items() if value is not _MISSING}
        kind = type(owner.__name__, (), {"__annotations__": dict(owner.__annotations__), **body})
        made = dataclasses.dataclass(kind).__dataclass_fields__  # type: ignore[attr-defined]
        owner.__dataclass_fields__ = made
        return made
