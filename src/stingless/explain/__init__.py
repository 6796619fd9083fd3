"""Verifier logs turned into one explanation: the C line, where the values came from, the reason, and what to change.

`parse_log(text)` gives a `VerifierLog` (`stingless.explain.trace`): the steps, states and branches of any verifier's
log.  `diagnose(log, spec)` gives a `Diagnostic` (`stingless.explain.diagnostic`), which every renderer draws from.
`verifier_error()` wraps it all for a program that a kernel refused.  What is said of each kind of refusal is in tables
of rules (`stingless.explain.rules`).
"""

from __future__ import annotations

import errno as _errno

from stingless.errors import VerifierError
from stingless.explain.diagnose import diagnose
from stingless.explain.diagnostic import Diagnostic
from stingless.explain.log import NO_REASON, parse_log
from stingless.explain.trace import VerifierLog
from stingless.obj.spec import Poison, ProgramSpec

__all__ = ["NO_REASON", "Diagnostic", "VerifierLog", "diagnose", "parse_log", "verifier_error"]

_ABSENT = (
    "this kernel lacks it: test for it before it is used (bpf_core_field_exists(), bpf_core_type_exists(), "
    "bpf_core_enum_value_exists(), bpf_ksym_exists()), or build for this kernel"
)


def verifier_error(spec: ProgramSpec, log: str, errno: int = _errno.EACCES) -> VerifierError:
    """Explain a refused program from the verifier's log (of Linux or of the embedded kernel)."""
    parsed = parse_log(log)
    diagnostic = diagnose(parsed, spec)
    span = diagnostic.span
    source = ""
    if span is not None:
        text = span.text.strip()
        source = f"{span.file}:{span.line}: {text}" if span.line else text
    where = f" at {source}" if source else f" at instruction {diagnostic.insn}" if diagnostic.insn is not None else ""
    poison = _reached(spec, diagnostic)
    verdict = "; ".join(parsed.verdict[:2]) or NO_REASON
    summary, hint = (poison.message, _ABSENT) if poison else (verdict, diagnostic.hint)
    return VerifierError(
        f"the verifier refused program {spec.name!r}{where}: {summary}",
        errno,
        program=spec.name,
        log=log,
        summary=summary,
        insn=diagnostic.insn,
        source=source,
        state=diagnostic.registers[0].state if diagnostic.registers else "",
        hint=hint,
        diagnostic=diagnostic,
    )


def _reached(spec: ProgramSpec, diagnostic: Diagnostic) -> Poison | None:
    """The unresolved relocation that the verdict is about: the verifier calls it an unknown function."""
    if not any("unknown" in line for line in diagnostic.verdict):
        return None
    return next((each for each in spec.poisons if each.insn == diagnostic.insn), None)
