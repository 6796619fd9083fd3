"""What `load()` was given, checked before anything is compiled or loaded: a wrong type is told as such."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stingless.errors import UnknownNameError

if TYPE_CHECKING:
    from stingless.events import Event
    from stingless.kernel import Kernel, Map, Program
    from stingless.maps import TypedMap
    from stingless.object import LoadedProgram


def names(argument: str, given: Iterable[str]) -> tuple[str, ...]:
    """Several names; one string is not taken for its letters.  Raises `TypeError`."""
    if isinstance(given, str | bytes):
        raise TypeError(f"{argument} is a list: [{given!r}], not {given!r}")
    return tuple(_name(argument, each) for each in given)


def named(argument: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Values by name.  Raises `TypeError`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument} is a mapping of names, not {_shown(given)}")
    return {_name(argument, name): value for name, value in given.items()}


def _name(argument: str, given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{argument}: a name is needed, not {_shown(given)}")
    return given


def maps(given: Mapping[str, Map | TypedMap] | None) -> dict[str, Map]:
    """The kernel's maps below.  Raises `TypeError`."""
    found = {name: getattr(each, "map", each) for name, each in named("maps", given).items()}
    for name, each in found.items():
        if not hasattr(each, "value_bytes"):
            raise TypeError(f"maps[{name!r}] is a map (of an object's .maps, or open_pinned()), not {_shown(each)}")
    return found


def programs(given: Mapping[str, LoadedProgram | Program] | None, known: Collection[str]) -> dict[str, Program]:
    """The kernel's programs below, for those of the names `known`.  Raises `TypeError`, `UnknownNameError`."""
    found = {name: getattr(each, "program", each) for name, each in named("extends", given).items()}
    for name, each in found.items():
        if name not in known:
            raise UnknownNameError("program", name, known)
        if not hasattr(each, "spec"):
            raise TypeError(f"extends[{name!r}] is a loaded program (of an object's .programs), not {_shown(each)}")
    return found


def kernel(given: Kernel | None) -> Kernel | None:
    """Raises `TypeError`."""
    if given is not None and not hasattr(given, "load_program"):
        raise TypeError(f"kernel is a LinuxKernel() or an EmbeddedKernel(), not {_shown(given)}")
    return given


def content(argument: str, given: bytes | bytearray | memoryview | None) -> bytes | None:
    """Raises `TypeError`."""
    if given is None or isinstance(given, bytes):
        return given
    if not isinstance(given, bytearray | memoryview):
        raise TypeError(f"{argument} is bytes, not {_shown(given)}")
    return bytes(given)


def event(given: Event) -> Event:
    """Raises `TypeError`."""
    from stingless import events

    if not isinstance(given, events.Event):
        raise TypeError(f"an event is needed, such as Xdp({given!r}) of stingless.events, not {_shown(given)}")
    return given


def _shown(given: Any) -> str:
    return f"{type(given).__name__} {given!r}"[:100]
