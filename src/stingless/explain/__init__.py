"""Verifier logs turned into one explanation with the C line, what the verifier knew, and a hint."""

from __future__ import annotations

import errno as _errno

from stingless.errors import VerifierError
from stingless.explain.hints import hint_for
from stingless.explain.log import ParsedLog, parse_log
from stingless.explain.registers import describe
from stingless.obj.spec import Poison, ProgramSpec

_ABSENT = (
    "this kernel lacks it: test for it before it is used (bpf_core_field_exists(), bpf_core_type_exists(), "
    "bpf_core_enum_value_exists(), bpf_ksym_exists()), or build for this kernel"
)


def verifier_error(spec: ProgramSpec, log: str, errno: int = _errno.EACCES) -> VerifierError:
    """Explain a refused program from the verifier's log (of Linux or of the embedded kernel)."""
    parsed = parse_log(log)
    source = parsed.source
    if parsed.insn is not None and (found := spec.source_at(parsed.insn)):
        file, line, text = found
        source = f"{file}:{line}: {text.strip()}"
    state = describe(parsed.register, parsed.state) if parsed.register else ""
    where = f" at {source}" if source else f" at instruction {parsed.insn}" if parsed.insn is not None else ""
    poison = _reached(spec, parsed)
    summary, hint = (poison.message, _ABSENT) if poison else (parsed.verdict, hint_for(parsed.verdict))
    return VerifierError(
        f"the verifier refused program {spec.name!r}{where}: {summary}",
        errno,
        program=spec.name,
        log=log,
        summary=summary,
        insn=parsed.insn,
        source=source,
        state=state,
        hint=hint,
    )


def _reached(spec: ProgramSpec, parsed: ParsedLog) -> Poison | None:
    """The unresolved relocation that the verdict is about: the verifier calls it an unknown function."""
    if "unknown" not in parsed.verdict:
        return None
    return next((each for each in spec.poisons if each.insn == parsed.insn), None)
