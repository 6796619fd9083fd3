"""What the page shows, as plain data: programs, their instructions and source, and a verifier's steps over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stingless.frozen import field, frozen
from stingless.report.operands import operands


@frozen(slots=True)
class Place:
    """A place of a program: a source line (`line` 0: not known), an instruction (-1: none), or both."""

    file: str = ""
    line: int = 0
    insn: int = -1


@frozen
class Reason:
    """Why a program is refused.  `history`: what led there, the first first.  `edit`: lines of the source with a sign,
    "-", "+" or " ".  `link`: where more is told."""

    message: str
    where: Place | None = None
    history: Sequence[tuple[str, Place]] = ()
    notes: Sequence[str] = ()
    hint: str = ""
    edit: Sequence[tuple[str, str]] = ()
    link: str = ""


@frozen(slots=True)
class Step:
    """The verifier looks at instruction `insn`.  `parent` is the step that led here (-1: none), `state` what is known
    before: from "R1", "fp-8" or another name to words.  `frame`: how many calls deep."""

    insn: int
    parent: int
    state: Mapping[str, str]
    frame: int = 0


@frozen
class Walk:
    """A program and what one verifier made of it.  `insns`: the text of each instruction, by index; `lines`: the source
    line that it comes from; `source`: all lines that are known, as (file, number) -> text.  `path`: the steps that led
    to the refusal, the refused one last.  `omitted`: how many steps came before the first one here."""

    name: str
    verifier: str
    accepted: bool
    verdict: str = ""
    insns: Mapping[int, str] = field(default_factory=dict)
    lines: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    source: Mapping[tuple[str, int], str] = field(default_factory=dict)
    steps: Sequence[Step] = ()
    path: Sequence[int] = ()
    statistics: Sequence[tuple[str, str]] = ()
    reason: Reason | None = None
    omitted: int = 0

    @property
    def label(self) -> str:
        return f"{self.name}: {'accepted' if self.accepted else 'refused'} by {self.verifier}"


def data(walk: Walk) -> dict[str, Any]:
    """The JSON of a walk, as data.js unpacks it: steps name only what differs from the step that led to them."""
    source, rows = _source(walk)
    places = {pc: number for number, pc in enumerate(sorted(walk.insns))}
    insns = []
    for pc in places:
        text = walk.insns[pc]
        found = operands(pc, text)
        insns.append([pc, text, rows.get(walk.lines.get(pc, ("", 0)), -1), found.target, found.sets, found.reads])
    return {
        "name": walk.name,
        "verifier": walk.verifier,
        "accepted": walk.accepted,
        "verdict": walk.verdict,
        "note": f"; {walk.omitted} before them are left out" if walk.omitted else "",
        "statistics": list(walk.statistics),
        "diagnostic": _reason(walk.reason) if walk.reason is not None else None,
        "source": source,
        "insns": insns,
        "steps": [
            [places[step.insn], step.parent, step.frame, _changes(walk.steps[step.parent].state, step.state)]
            if step.parent >= 0
            else [places[step.insn], -1, step.frame, dict(step.state)]
            for step in walk.steps
        ],
        "path": list(walk.path),
    }


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str | None]:
    """None stands for what is not known any more."""
    changed: dict[str, str | None] = {name: text for name, text in now.items() if before.get(name) != text}
    changed.update((name, None) for name in before if name not in now)
    return changed


def _source(walk: Walk) -> tuple[list[list[Any]], dict[tuple[str, int], int]]:
    """Rows of the source, each file's under its name (number 0), and the row of each line."""
    known = {place: "" for place in walk.lines.values() if place[1]} | dict(walk.source)
    rows: list[list[Any]] = []
    places = {}
    files = dict.fromkeys(file for file, _ in [*walk.lines.values(), *known])
    for file in files:
        mine = sorted(place for place in known if place[0] == file)
        if mine:
            rows.append([file, 0, ""])
        for place in mine:
            places[place] = len(rows)
            rows.append([file, place[1], known[place]])
    return rows, places


def _place(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else {"file": place.file, "line": place.line, "insn": place.insn}


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "message": reason.message,
        "where": _place(reason.where),
        "history": [{"text": text, "where": _place(where)} for text, where in reason.history],
        "notes": list(reason.notes),
        "hint": reason.hint,
        "edit": list(reason.edit),
        "link": reason.link,
    }
