"""`verify()`: one program in, what the runtime must know out, or a `VerifierError` with a log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from stingless.btf.kinds import Kind
from stingless.btf.types import Btf
from stingless.embedded.verifier.btf_access import BY_BTF
from stingless.embedded.verifier.contexts import RULES
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.explore import Explorer, stack_depth
from stingless.embedded.verifier.kfuncs import NAMES
from stingless.embedded.verifier.liveness import live_registers
from stingless.embedded.verifier.log import Log
from stingless.embedded.verifier.rejection import Rejected, unsupported
from stingless.embedded.verifier.result import VerifierResult
from stingless.embedded.verifier.structure import analyse
from stingless.embedded.verifier.types import Types
from stingless.errors import VerifierError
from stingless.frozen import frozen
from stingless.obj.spec import MapSpec, ProgramSpec

# Above this many instructions on all paths, a log of them all would help nobody.
_MAX_LOGGED = 100_000


def verify(
    spec: ProgramSpec,
    maps: Mapping[str, MapSpec],
    helpers: frozenset[int],
    btf: Btf | Callable[[], Btf | None] | None = None,
    *,
    kfuncs: Collection[str] = (),
    linux: bool = False,
    privileged: bool = True,
) -> VerifierResult:
    """Check that `spec` is safe to run.  `maps` has the maps that `spec.map_refs` name, `helpers` the numbers of the
    helpers that the kernel implements, `btf` the kernel's types (or what reads them, when the first is asked for).

    `kfuncs` are the names of the kernel functions that the kernel implements; their numbers are those of
    `stingless.embedded.verifier.kfuncs`.

    `linux` asks for the verdict of a Linux kernel of those types: all helpers are there, and calls of kfuncs carry
    their ids in `btf`.  `privileged`: the loader may see pointers, and read what nobody wrote on the stack, as on Linux
    with CAP_PERFMON.  Raises `VerifierError`, whose log has the form of Linux's."""
    types = Types(btf if callable(btf) else lambda: btf, spec.btf)
    ask = _Asked(spec, maps, helpers, types, frozenset(kfuncs), linux, privileged)
    try:
        return _verify(ask, None)
    except _Failure as failure:
        first = failure
    # The log costs as much as the verification, so it is only made now that it is needed.
    log = Log(spec)
    if first.processed <= _MAX_LOGGED:
        try:
            _verify(ask, log)
        except _Failure as failure:
            first = failure
    raise _error(spec, log, first) from None


class _Failure(Exception):
    def __init__(self, rejected: Rejected, insn: int | None, processed: int) -> None:
        super().__init__(rejected.text)
        self.rejected = rejected
        self.insn = insn
        self.processed = processed


@frozen
class _Asked:
    spec: ProgramSpec
    maps: Mapping[str, MapSpec]
    helpers: frozenset[int]
    types: Types
    kfuncs: frozenset[str]
    linux: bool
    privileged: bool

    def kfunc_name(self, number: int) -> str | None:
        if not self.linux:
            name = NAMES.get(number)
            return name if name in self.kfuncs else None
        kernel = self.types.kernel
        if kernel is None or not 0 < number < len(kernel) or kernel.kind(number) is not Kind.FUNC:
            return None
        return kernel.type(number).name


def _verify(ask: _Asked, log: Log | None) -> VerifierResult:
    spec = ask.spec
    try:
        rule = RULES.get(spec.type)
        if rule is None and spec.type not in BY_BTF:
            raise unsupported(f"program type {spec.type.name} is")
        program = analyse(spec, ask.maps, ask.kfunc_name)
        env = Env(spec, program, rule, ask.helpers, live_registers(program), ask.types, not ask.linux, ask.privileged)
    except Rejected as rejected:
        raise _Failure(rejected, rejected.insn, 0) from None
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
    plain = ("memory", "ctx", "checked", "socket")
    return VerifierResult(
        packet_pointer_loads=tuple(sorted((pc, role) for pc, role in env.roles.items() if role not in plain)),
        max_stack_depth=depth,
        insns_processed=explorer.processed,
        subprogs=tuple(program.subprogs),
        max_ctx_offset=env.max_ctx_offset,
        checked_loads=tuple(sorted(pc for pc, role in env.roles.items() if role == "checked")),
        kfunc_calls=tuple(sorted(env.kfunc_calls.items())),
        callbacks=tuple(sorted(set().union(*env.called_back.values(), env.called_later))),
        reads_unwritten_stack=env.uninitialised,
    )


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
