"""`@frozen` classes are as frozen dataclasses are."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from stingless.events import Kprobe, PerfEvent, Uprobe
from stingless.frozen import frozen
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
    with pytest.raises(TypeError, match=message):
        Kprobe(*args, **named)


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
