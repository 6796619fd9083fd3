"""`diagnose()`: a parsed log, and the program's spec if there is one, to a `Diagnostic`."""

from __future__ import annotations

import re

from stingless.explain.diagnostic import DOCS, Diagnostic, History
from stingless.explain.log import NO_REASON
from stingless.explain.registers import describe
from stingless.explain.rules import Case, Rule, filled, matching
from stingless.explain.source import Source
from stingless.explain.trace import Step, VerifierLog
from stingless.obj.spec import ProgramSpec

_REGISTER = re.compile(r"\b[Rr](?P<number>\d+)\b")


def diagnose(
    log: VerifierLog, spec: ProgramSpec | None = None, *, program: str = "", read_files: bool = True
) -> Diagnostic:
    """Explain the refusal that `log` ends with.  Without `spec` the C lines are those that the log quotes.
    `read_files`: look at the source files themselves, where they still are what was compiled.

    A log without a verdict gives a diagnostic of the rule "unknown"."""
    source = Source(log, spec, read_files=read_files)
    step = log.last
    case, rule = _matched(log, source, step, spec)
    name = program or (spec.name if spec is not None else "")
    insn = _insn(case)
    span = source.at(insn, step if step is not None and step.insn == insn else None) if insn is not None else None
    text = filled(rule.message, case)
    return Diagnostic(
        rule.id,
        text,
        name,
        insn,
        span,
        filled(rule.label, case),
        (case.history,) if case.history is not None else (),
        (),
        filled(rule.reason, case) or (log.report.reason if log.report is not None else ""),
        filled(rule.hint, case) or (log.report.suggestion if log.report is not None else ""),
        rule.edit(case) if rule.edit is not None else None,
        f"{DOCS}#{rule.anchor}" if rule.id != "unknown" else "",
        log.verdict,
        step.text if step is not None and step.insn == insn else "",
    )


UNKNOWN = Rule("unknown", (), lambda case: case.verdict.partition("\n")[0] or NO_REASON, "")


def _matched(log: VerifierLog, source: Source, step: Step | None, spec: ProgramSpec | None) -> tuple[Case, Rule]:
    for rule, found in matching(log):
        case = _case(log, source, step, spec, found)
        if rule.applies is None or rule.applies(case):
            return case, rule
    return _case(log, source, step, spec, {}), UNKNOWN


def _case(log: VerifierLog, source: Source, step: Step | None, spec: ProgramSpec | None, found: dict[str, str]) -> Case:
    verdict = "\n".join(log.verdict)
    register = found.get("register", "")
    if not register and (named := _REGISTER.search(verdict)):
        register = f"R{named['number']}"
    history = None
    if register:
        value = (step.before.get(register) or step.after.get(register)) if step is not None else None
        text = value.text if value is not None else ""
        history = History(register, "", describe(register, text), text)
    return Case(log, verdict, found, step, register, history, source, spec)


def _insn(case: Case) -> int | None:
    """The refused instruction: the one that was followed last, or that the verdict names."""
    if case.step is not None:
        return case.step.insn
    named = re.search(r"insn (?:at )?#?(\d+)", case.verdict)
    return int(named[1]) if named else None
