"""The names in BTF that are nearest to one that is not there: a kernel has 100,000, too many for difflib."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING

from stingless.btf.index import LONGEST_NAME
from stingless.btf.kinds import Kind

if TYPE_CHECKING:
    from stingless.btf.types import Btf

_FEW = 1000  # types: all their names may be compared
_CANDIDATES = 400
_ENOUGH = 40
_HITS = 200_000  # of one piece


def near(btf: Btf, name: str, kind: Kind | None = None) -> list[str]:
    """Names of types (of that kind) that share most three-letter pieces with `name`; of a small blob, all names."""
    if len(btf) < _FEW:
        return [found.name for found in btf.types() if found.name and kind in (None, found.kind)]
    ranked: list[tuple[float, str]] = []
    blob: Btf | None = btf
    while blob is not None:
        ranked += _sharing(blob.strings(), name.encode("utf-8", "replace"))
        blob = blob.base
    best: list[str] = []
    for _, other in heapq.nlargest(_CANDIDATES, ranked):
        if any(kind in (None, found.kind) for found in btf.find_all(other)):
            best.append(other)
            if len(best) == _ENOUGH:
                break
    return best


def _sharing(strings: bytes, name: bytes) -> list[tuple[float, str]]:
    """The strings that share a piece with `name`, and how alike they are (0 to 1)."""
    pieces = {name[i : i + 3] for i in range(min(len(name), 128) - 2)}
    shared: Counter[int] = Counter()
    for piece in pieces:
        at = strings.find(piece)
        for _ in range(_HITS):
            if at < 0:
                break
            start = strings.rfind(b"\0", max(at - LONGEST_NAME, 0), at)
            if start >= 0:
                shared[start + 1] += 1
            at = strings.find(piece, at + 3)
    least = max(shared.values(), default=0) // 2
    ranked = []
    for start, count in shared.items():
        if count >= least:
            length = strings.find(b"\0", start, start + LONGEST_NAME) - start
            if length < 0:
                continue
            likeness = count / max(len(pieces) + length - 2 - count, 1)
            ranked.append((likeness, strings[start : start + length].decode("utf-8", "replace")))
    return ranked
