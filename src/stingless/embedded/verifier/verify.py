"""`verify()`: one program in, what the runtime must know out, or a `VerifierError` with a log."""

from __future__ import annotations

from collections.abc import Mapping

from stingless.embedded.verifier.contexts import RULES
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.explore import Explorer, stack_depth
from stingless.embedded.verifier.liveness import live_registers
from stingless.embedded.verifier.log import Log
from stingless.embedded.verifier.rejection import Rejected, unsupported
from stingless.embedded.verifier.result import VerifierResult
from stingless.embedded.verifier.structure import analyse
from stingless.errors import VerifierError
from stingless.obj.spec import MapSpec, ProgramSpec

# Above this many instructions on all paths, a log of them all would help nobody.
_MAX_LOGGED = 100_000


def verify(spec: ProgramSpec, maps: Mapping[str, MapSpec], helpers: frozenset[int]) -> VerifierResult:
    """Check that `spec` is safe to run.  `maps` has the maps that `spec.map_refs` name, `helpers` the numbers of the
    helpers that the kernel implements.  Raises `VerifierError`, whose log has the form of Linux's."""
    try:
        return _verify(spec, maps, helpers, None)
    except _Failure as failure:
        first = failure
    # The log costs as much as the verification, so it is only made now that it is needed.
    log = Log(spec)
    if first.processed <= _MAX_LOGGED:
        try:
            _verify(spec, maps, helpers, log)
        except _Failure as failure:
            first = failure
    raise _error(spec, log, first) from None


class _Failure(Exception):
    def __init__(self, rejected: Rejected, insn: int | None, processed: int) -> None:
        super().__init__(rejected.text)
        self.rejected = rejected
        self.insn = insn
        self.processed = processed


def _verify(spec: ProgramSpec, maps: Mapping[str, MapSpec], helpers: frozenset[int], log: Log | None) -> VerifierResult:
    try:
        rule = RULES.get(spec.type)
        if rule is None:
            raise unsupported(f"program type {spec.type.name} is")
        program = analyse(spec, maps)
    except Rejected as rejected:
        raise _Failure(rejected, rejected.insn, 0) from None
    env = Env(spec, program, rule, helpers, live_registers(program))
    explorer = Explorer(env, log.tracer(env) if log else None)
    try:
        explorer.run()
    except Rejected as rejected:
        insn = env.pc if rejected.insn is None else rejected.insn
        raise _Failure(rejected, insn, explorer.processed) from None
    try:
        depth = stack_depth(env)
    except Rejected as rejected:
        raise _Failure(rejected, None, explorer.processed) from None
    loads = tuple(sorted((pc, role) for pc, role in env.roles.items() if role not in ("memory", "ctx")))
    return VerifierResult(loads, depth, explorer.processed, tuple(program.subprogs), env.max_ctx_offset)


def _error(spec: ProgramSpec, log: Log, failure: _Failure) -> VerifierError:
    rejected = failure.rejected
    text = log.finish(rejected.text, failure.insn, failure.processed)
    try:
        from stingless.explain import verifier_error
    except ImportError:
        summary = rejected.text.splitlines()[0]
        return VerifierError(
            f"the verifier refused program {spec.name!r}: {summary}",
            rejected.errno,
            program=spec.name,
            log=text,
            summary=summary,
            insn=failure.insn,
        )
    return verifier_error(spec, text, rejected.errno)
