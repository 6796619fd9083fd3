"""Verifier logs turned into one explanation with the C line, what the verifier knew, and a hint."""

from __future__ import annotations

import errno as _errno

from stingless.errors import VerifierError
from stingless.explain.hints import hint_for
from stingless.explain.log import parse_log
from stingless.explain.registers import describe
from stingless.obj.spec import ProgramSpec


def verifier_error(spec: ProgramSpec, log: str, errno: int = _errno.EACCES) -> VerifierError:
    """Explain a refused program from the verifier's log (of Linux or of the embedded kernel)."""
    parsed = parse_log(log)
    source = parsed.source
    if parsed.insn is not None and (found := spec.source_at(parsed.insn)):
        file, line, text = found
        source = f"{file}:{line}: {text.strip()}"
    state = describe(parsed.register, parsed.state) if parsed.register else ""
    where = f" at {source}" if source else f" at instruction {parsed.insn}" if parsed.insn is not None else ""
    return VerifierError(
        f"the verifier refused program {spec.name!r}{where}: {parsed.verdict}",
        errno,
        program=spec.name,
        log=log,
        summary=parsed.verdict,
        insn=parsed.insn,
        source=source,
        state=state,
        hint=hint_for(parsed.verdict),
    )
