"""What a rule of the verifier's is to us: how its refusals are worded, what to say, and how to mend the text.

A rule is declared in one of the tables (`stingless.explain.rules_*`), each of which has a tuple `RULES`; the first rule
that matches the verdict is it, tables in the order of `TABLES`.  A maker is a function of a `Case`; a plain string
stands for a function that returns it, with the pattern's named groups filled in (`"{register} is ..."`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from stingless.explain.diagnostic import Edit, History
from stingless.explain.trace import Step, VerifierLog
from stingless.frozen import field, frozen

if TYPE_CHECKING:
    from stingless.explain.source import Source
    from stingless.obj.spec import ProgramSpec

TABLES = ("rules_general",)


@frozen(eq=False)
class Case:
    """A refusal that a rule is asked about.

    `found` has the pattern's named groups; by custom `register` ("R0"), `off`, `size`, `limit`, `kind`, `func`.  `step`
    is the refused instruction with the states around it (None: the program's form was refused before any was followed).
    `register` is the register that the verdict names or that the instruction uses ("" when none), `history` where its
    value came from.  `source` gives the user's lines, indentation and names.  `spec` is there when the object is."""

    log: VerifierLog
    verdict: str  # all of its lines, joined by newlines
    found: dict[str, str]
    step: Step | None
    register: str
    history: History | None
    source: Source
    spec: ProgramSpec | None = None

    @property
    def name(self) -> str:
        """What to call the value: the C variable in quotes, or the register."""
        if self.history is not None and self.history.name:
            return f"`{self.history.name}`"
        return self.register or "the value"


Text = str | Callable[[Case], str]


@frozen(eq=False)
class Rule:
    """`id` is stable: users and the docs' anchors name it.  `patterns` are regular expressions, searched for in the
    verdict (its lines joined by newlines), one for each wording that kernels, PREVAIL or the embedded verifier have.
    `reports` are titles of Linux 7.3's report ("Register Type Safety: Invalid dereference"), for verdicts that no
    pattern knows.  `applies` may look at the case and say no.

    `message` is one line, `label` what to say under the marked place, `reason` why it cannot be allowed, `hint` what to
    do.  `edit` makes the change of the user's text, or None if it is not certain that it helps."""

    id: str
    patterns: tuple[str, ...]
    message: Text
    hint: Text
    label: Text = ""
    reason: Text = ""
    edit: Callable[[Case], Edit | None] | None = None
    reports: tuple[str, ...] = ()
    applies: Callable[[Case], bool] | None = None
    see: str = field(default="")  # the anchor in the docs, when it is not `id`

    @property
    def anchor(self) -> str:
        return self.see or self.id


def filled(text: Text, case: Case) -> str:
    """A rule's text for a case."""
    if not isinstance(text, str):
        return text(case)
    if "{" not in text:
        return text
    return re.sub(r"\{(\w+)\}", lambda m: _fact(case, m[1], m[0]), text)


def _fact(case: Case, name: str, absent: str) -> str:
    if name == "name":
        return case.name
    if name == "register":
        return case.register
    return case.found.get(name, absent)


@lru_cache(1)
def rules() -> tuple[Rule, ...]:
    """All of them, in the order in which they are tried."""
    found: list[Rule] = []
    for table in TABLES:
        found += import_module(f"stingless.explain.{table}").RULES
    return tuple(found)


@lru_cache(1)
def _compiled() -> tuple[tuple[Rule, tuple[re.Pattern[str], ...]], ...]:
    return tuple((rule, tuple(re.compile(each) for each in rule.patterns)) for rule in rules())


def matching(log: VerifierLog) -> Iterator[tuple[Rule, dict[str, str]]]:
    """The rules that know the verdict's words, with the named groups that were found; then those that know the title
    of the kernel's report."""
    verdict = "\n".join(log.verdict)
    for rule, patterns in _compiled():
        for pattern in patterns:
            if found := pattern.search(verdict):
                yield rule, {name: text for name, text in found.groupdict().items() if text is not None}
                break
    if log.report is not None:
        title = f"{log.report.category}: {log.report.rule}"
        for rule in rules():
            if title in rule.reports:
                yield rule, {}
