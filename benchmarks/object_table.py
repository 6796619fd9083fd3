"""What `benchmarks.objects` found, as text: counts for each source, what differs and why, and every object."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Verdict:
    """Of one loader on one object: of the whole ("ok" or the reason), and of each program loaded without the others."""

    whole: str
    programs: Mapping[str, str]

    @property
    def loaded(self) -> set[str]:
        return {name for name, verdict in self.programs.items() if verdict == "ok"}


Verdicts = Mapping[str, tuple[Verdict, Verdict]]
"""Object -> (libbpf's verdict, ours)."""

_SUMMARY = (
    "source",
    "objects",
    "both load",
    "only libbpf",
    "only stingless",
    "programs",
    "both load",
    "only libbpf",
    "only stingless",
)


def summary(columns: Mapping[str, Verdicts]) -> str:
    """For each kernel a table: a row for each directory of objects, and one for their sum."""
    parts = []
    for where, found in columns.items():
        sources: dict[str, list[tuple[Verdict, Verdict]]] = {}
        for path, both in found.items():
            sources.setdefault(Path(path).parent.name, []).append(both)
        rows = [(name, *_counts(pairs)) for name, pairs in sources.items()]
        rows.append(("all", *_counts(list(found.values()))))
        parts.append("\n".join([f"### {where}", "", *_table(_SUMMARY, rows)]))
    return "\n\n".join(parts)


def differences(columns: Mapping[str, Verdicts]) -> str:
    """What only one of them loads, with what the other says of it."""
    parts = []
    for where, found in columns.items():
        lines = [f"- only libbpf: {line}" for path, pair in found.items() for line in _beyond(path, *pair)]
        lines += [f"- only stingless: {line}" for path, pair in found.items() for line in _beyond(path, *pair[::-1])]
        parts.append("\n".join([f"### {where}: what differs", "", *(lines or ["Nothing."])]))
    return "\n\n".join(parts)


def reasons(columns: Mapping[str, Verdicts]) -> str:
    """Why programs are refused, by both or by one: how often, and each one's words with the names taken out."""
    parts = []
    for where, found in columns.items():
        pairs: Counter[tuple[str, str]] = Counter()
        for theirs, ours in found.values():
            if not theirs.programs and not ours.programs:
                pairs[_kind(theirs.whole), _kind(ours.whole)] += theirs.whole != "ok" or ours.whole != "ok"
            for name in {**theirs.programs, **ours.programs}:
                said = theirs.programs.get(name, theirs.whole), ours.programs.get(name, ours.whole)
                pairs[_kind(said[0]), _kind(said[1])] += said != ("ok", "ok")
        rows = [(count, *said) for said, count in pairs.most_common() if count]
        parts.append("\n".join([f"### {where}: reasons", "", *_table(("programs", "libbpf", "stingless"), rows)]))
    return "\n\n".join(parts)


def objects(columns: Mapping[str, Verdicts]) -> str:
    """A row for each object: each loader's verdict on the whole, and how many of its programs load by themselves."""
    heads = ["object", *(f"{who} on {where}" for where in columns for who in ("libbpf", "stingless"))]
    rows = []
    for path in dict.fromkeys(path for found in columns.values() for path in found):
        answers = [found.get(path) for found in columns.values()]
        cells = [cell for both in answers for cell in (map(_cell, both) if both else ("not asked", "not asked"))]
        rows.append((_name(path), *cells))
    return "\n".join(_table(heads, rows))


def _counts(pairs: Sequence[tuple[Verdict, Verdict]]) -> tuple[int, ...]:
    whole = Counter((theirs.whole == "ok", ours.whole == "ok") for theirs, ours in pairs)
    return (
        len(pairs),
        whole[True, True],
        whole[True, False],
        whole[False, True],
        sum(len({**theirs.programs, **ours.programs}) for theirs, ours in pairs),
        sum(len(theirs.loaded & ours.loaded) for theirs, ours in pairs),
        sum(len(theirs.loaded - ours.loaded) for theirs, ours in pairs),
        sum(len(ours.loaded - theirs.loaded) for theirs, ours in pairs),
    )


def _beyond(path: str, one: Verdict, other: Verdict) -> list[str]:
    """What the other loader says of what the one loads beyond it; equal reasons together."""
    said: dict[str, list[str]] = {}
    if one.whole == "ok" != other.whole:
        said[other.whole] = ["as a whole"]
    for name in sorted(one.loaded - other.loaded):
        said.setdefault(other.programs.get(name, other.whole), []).append(name)
    return [f"{_name(path)} {', '.join(names)}: {_short(reason)}" for reason, names in said.items()]


def _kind(verdict: str) -> str:
    """The reason without what is particular to one object."""
    return re.sub(r"'[^']*'|\b0x[0-9a-f]+\b|#?\b\d+\b|<[^>]*>", "…", _short(verdict, 200))[:140]


def _name(path: str) -> str:
    return f"{Path(path).parent.name}/{Path(path).name}"


def _cell(verdict: Verdict) -> str:
    return f"{_short(verdict.whole)} ({len(verdict.loaded)} of {len(verdict.programs)})"


def _short(verdict: str, length: int = 120) -> str:
    return re.sub(r"\s+", " ", verdict).replace("|", "\\|")[:length]


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]
