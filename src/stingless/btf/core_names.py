"""Types by name, flavours aside: `task_struct___old` has the name `task_struct` too."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from weakref import WeakKeyDictionary

from stingless.btf.types import Btf, Kind

_FLAVOURED: WeakKeyDictionary[Btf, dict[str, list[str]]] = WeakKeyDictionary()


def essential_name(name: str) -> str:
    """Without the flavour: what is before the last `___` that has other characters on both sides."""
    end = len(name) - 1
    while (at := name.rfind("___", 0, end)) > 0:
        if name[at - 1] != "_" and name[at + 3] != "_":
            return name[:at]
        end = at + 2
    return name


def named(btf: Btf, name: str, kinds: AbstractSet[Kind]) -> list[int]:
    """Ids of the types of these kinds that have the name, with or without a flavour; of split BTF, its own only."""
    names = [name] if essential_name(name) == name else []
    names += _flavoured(btf).get(name, ())
    return sorted(t.id for n in names for t in btf.find_all(n) if t.kind in kinds and t.id >= btf.first_id)


def _flavoured(btf: Btf) -> dict[str, list[str]]:
    """The strings that have a flavour, by essential name: few or none in a kernel."""
    found = _FLAVOURED.get(btf)
    if found is None:
        found = _FLAVOURED[btf] = {}
        strings = btf.strings()
        at = strings.find(b"___")
        while at >= 0:
            start, end = strings.rfind(b"\0", 0, at) + 1, strings.find(b"\0", at)
            name = strings[start:end].decode("utf-8", "replace")
            if (essential := essential_name(name)) != name:
                found.setdefault(essential, []).append(name)
            at = strings.find(b"___", end)
    return found
