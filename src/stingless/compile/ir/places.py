"""Where a pointer comes from, as far as the verifier is concerned."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Kind(Enum):
    """Through all but `OTHER` a program may read directly."""

    NULL = auto()  # and integer constants: it is what the others are
    STACK = auto()
    GLOBAL = auto()  # a map, a variable in a section, a symbol of the kernel
    MAP_VALUE = auto()
    PACKET = auto()
    RECORD = auto()  # memory from a helper: a ring buffer's record, a per-CPU variable
    MEMORY = auto()  # different ones of the kinds above
    SOCKET = auto()
    CONTEXT = auto()
    BTF = auto()  # a pointer to a struct of the kernel whose type the verifier knows
    OFFSET = auto()  # no pointer: an offset that a CO-RE relocation gives
    OTHER = auto()  # a number, or an address that the verifier knows nothing of


class Place(NamedTuple):
    """`offset` is where in it the pointer points, None when that varies: a number of bytes, and the CO-RE relocations
    added to it.  `base` tells variables on the stack (the alloca's name), programs' contexts and BTF types (a node of
    the debug information) apart; "" is any."""

    kind: Kind
    base: str = ""
    offset: tuple[int, tuple[str, ...]] | None = None


START = (0, ())
NULL = Place(Kind.NULL)
OTHER = Place(Kind.OTHER, offset=START)
_VARIED = Place(Kind.OTHER)
_MEMORY = frozenset((Kind.STACK, Kind.GLOBAL, Kind.MAP_VALUE, Kind.PACKET, Kind.RECORD, Kind.MEMORY))


def join(one: Place | None, two: Place | None) -> Place | None:
    """What a value is that is one or the other; None is not known yet."""
    if one == two or two is None or (two.kind is Kind.NULL and one is not None):
        return one
    if one is None or one.kind is Kind.NULL:
        return two
    if one.kind is two.kind:
        if one.kind is Kind.OFFSET:
            return _VARIED
        base = one.base if one.base == two.base else ""
        return Place(one.kind, base, one.offset if one.offset == two.offset and base == one.base else None)
    if one.kind in _MEMORY and two.kind in _MEMORY:
        return Place(Kind.MEMORY)
    return _VARIED


def moved(place: Place, bytes: int | None, symbol: str = "") -> Place:
    """The pointer so many bytes further on (None: it varies), and by the relocation `symbol`."""
    if place.kind is Kind.NULL:
        place = OTHER
    if place.offset is None or bytes is None:
        return place._replace(offset=None)
    number, symbols = place.offset
    return place._replace(offset=(number + bytes, (*symbols, symbol) if symbol else symbols))
