"""`@frozen` classes are as frozen dataclasses are."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from stingless.events import Kprobe, PerfEvent, Uprobe
from stingless.frozen import asdict, field, frozen, replace
from stingless.kernel import EventOptions


@dataclasses.dataclass(frozen=True)
class Model:
    function: str
    offset: int = 0
    ret: bool = False
    cookie: int = 0


@pytest.mark.parametrize(
    ("args", "named"),
    [(("f",), {}), (("f", 3), {"ret": True}), ((), {"function": "f", "cookie": 7}), (("f", 1, True, 2), {})],
)
def test_same_as_a_dataclass(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    ours: Any
    ours, model = Kprobe(*args, **named), Model(*args, **named)
    assert dataclasses.asdict(ours) == dataclasses.asdict(model)
    assert repr(ours) == repr(model).replace("Model", "Kprobe")
    assert hash(ours) == hash(model)
    assert ours == Kprobe(*args, **named)
    assert ours != model
    assert [f.name for f in dataclasses.fields(ours)] == [f.name for f in dataclasses.fields(model)]
    assert dataclasses.astuple(dataclasses.replace(ours, offset=9)) == dataclasses.astuple(
        dataclasses.replace(model, offset=9)
    )
    assert pickle.loads(pickle.dumps(ours)) == copy.copy(ours) == copy.deepcopy(ours) == ours
    assert dataclasses.is_dataclass(ours)


@pytest.mark.parametrize(
    ("args", "named", "message"),
    [
        ((), {}, "needs function="),
        (("f", 1, True, 2, 3), {}, "takes 4 arguments, not 5"),
        (("f",), {"function": "g"}, "two values for 'function'"),
        (("f",), {"no_such": 1}, "has no argument 'no_such'"),
    ],
)
def test_wrong_arguments(args: tuple[Any, ...], named: dict[str, Any], message: str) -> None:
    @frozen
    class Event:
        function: str
        offset: int = 0
        ret: bool = False
        cookie: int = 0

    with pytest.raises(TypeError, match=message):
        Event(*args, **named)
    for _ in range(100):
        Event("f")
    with pytest.raises(TypeError, match=r"Event\.__init__\(\)"):
        Event(*args, **named)


def test_frozen() -> None:
    event: Any = Kprobe("f")
    with pytest.raises(AttributeError, match="frozen: 'offset'"):
        event.offset = 1
    with pytest.raises(AttributeError, match="frozen"):
        del event.offset
    assert len({Kprobe("f"), Kprobe("f"), Kprobe("g")}) == 2
    assert event != Uprobe("f", 0)


def test_checks_and_patterns() -> None:
    with pytest.raises(ValueError, match="power of two"):
        EventOptions(3)
    match PerfEvent(1, 2, 3):
        case PerfEvent(kind, config, period):
            assert (kind, config, period) == (1, 2, 3)

    @frozen
    class Shown:
        x: int = 1

        def __repr__(self) -> str:
            return "shown"

    assert repr(Shown()) == "shown"


@frozen(slots=True)
class Slotted:
    name: str
    size: int = 0
    parts: list[int] = field(default_factory=list, compare=False)
    note: str = field(default="", repr=False)


def test_fields_of_all_kinds() -> None:
    """Before and after the class gets an `__init__` of its own."""
    for at in range(100):
        one = Slotted("a", note=str(at))
        assert (one.name, one.size, one.parts, one.note) == ("a", 0, [], str(at))
        assert one.parts is not Slotted("a").parts
        assert repr(one) == "Slotted(name='a', size=0, parts=[])"
        assert one == Slotted("a", 0, [1], str(at)) != Slotted("a", 1, [], str(at))
        assert hash(one) == hash(Slotted("a", 0, [1], str(at)))
    assert not hasattr(one, "__dict__")
    assert asdict(replace(one, size=4)) == {"name": "a", "size": 4, "parts": [], "note": "99"}
    assert dataclasses.replace(one, size=4) == replace(one, size=4) == pickle.loads(pickle.dumps(replace(one, size=4)))
    wrong: Any = Slotted
    with pytest.raises(TypeError, match="unknown"):
        wrong("a", unknown=2)
    with pytest.raises(TypeError, match="name"):
        wrong()
    with pytest.raises(AttributeError, match="frozen"):
        wrong("a").name = "b"


def test_a_field_without_default_after_one_with() -> None:
    with pytest.raises(TypeError, match="'b' has no default"):

        @frozen
        class Wrong:
            a: int = 1
            b: int  # type: ignore[misc]


def test_equal_to_itself_only() -> None:
    @frozen(eq=False)
    class Alone:
        a: list[int]

    one = Alone([])
    assert one == one != Alone([])
    assert len({one, Alone([])}) == 2
