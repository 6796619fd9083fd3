"""CO-RE: a program compiled against one kernel's types is adapted to another's.

Pure.  What the target does not have is poisoned: the instruction becomes a call that no kernel has, and the verifier
refuses the program only if that is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from stingless.btf.core_access import (
    Access,
    Field,
    RelocationKind,
    parse_indexes,
    read_access,
    spell,
    spell_access,
)
from stingless.btf.core_match import Matcher, Mismatch
from stingless.btf.core_names import essential_name, named
from stingless.btf.core_patch import Decision, apply
from stingless.btf.core_value import field_value, loaded
from stingless.btf.types import ENUMS, Btf, Kind
from stingless.errors import NotSupportedError, ObjectError
from stingless.frozen import frozen, replace
from stingless.obj.spec import Poison, ProgramSpec

_SHOWN = 4  # candidates that a message names

Modules = Callable[[], Mapping[str, Btf]]


def relocate(spec: ProgramSpec, local: Btf, kernel: Btf | None, modules: Modules = dict) -> ProgramSpec:
    """One program; see `Relocator`, which is quicker for many of one object."""
    return Relocator(local, kernel, modules).relocate(spec)


@frozen
class _Query:
    """One relocation's question, in the object's types.  `access` is set for those of fields, `enumerator` for those of
    enumerators."""

    kind: RelocationKind
    root: int
    access: Access | None = None
    enumerator: tuple[str, int] | None = None  # name, value


@frozen
class Candidate:
    """A type of the target that has the name asked for; `module` is "" in the kernel itself."""

    module: str
    matcher: Matcher
    btf: Btf
    id: int

    def __str__(self) -> str:
        place = f" of module {self.module}" if self.module else ""
        return f"{spell(self.btf, self.id)} [{self.id}]{place}"


@frozen
class _Answer:
    """What one candidate gives: a value, and what a load of the field fetches."""

    value: int
    after: tuple[int, str] | None = None


class Relocator:
    """Adapts the programs of one object, whose types are `local`, to the types of `kernel`.

    `modules` gives the BTF of loaded modules by name; it is called only for a type whose name the kernel itself lacks.
    `kernel` None means that it has no BTF: `NotSupportedError` as soon as something needs it.
    """

    def __init__(self, local: Btf, kernel: Btf | None, modules: Modules = dict) -> None:
        self._local = local
        self._kernel = kernel
        self._read_modules = modules
        self._decisions: dict[tuple[int, str, int], Decision] = {}
        self._candidates: dict[tuple[str, Kind], list[Candidate]] = {}
        self._matchers: dict[str, Matcher] = {}  # by module, "" the kernel

    def relocate(self, spec: ProgramSpec) -> ProgramSpec:
        """The program with all its `core_relocations` applied and unresolvable ones in `poisons`.  Raises `ObjectError`
        when the object is malformed, or when several types of the target's have the name and disagree."""
        if not spec.core_relocations:
            return spec
        code = bytearray(spec.code)
        poisons = list(spec.poisons)
        for relocation in spec.core_relocations:
            decision = self.decide(relocation.type, relocation.access, relocation.kind)
            if why := apply(code, relocation.insn, decision):
                if decision.value is not None:  # there is an answer, but this instruction can't take it
                    why = f"{self._spell(self._query(relocation.type, relocation.access, relocation.kind))}: {why}"
                poisons.append(Poison(relocation.insn, why))
        return replace(spec, code=bytes(code), core_relocations=(), poisons=tuple(poisons))

    def decide(self, root: int, access: str, kind: int) -> Decision:
        """What a relocation comes to."""
        key = (root, access, kind)
        if (known := self._decisions.get(key)) is None:
            known = self._decisions[key] = self._decide(self._query(root, access, kind))
        return known

    def matching(self, root: int, access: str, kind: int) -> Iterator[tuple[Candidate, Access | None]]:
        """The target's types that a relocation's answer comes from, and of one of a field, the way to it."""
        query = self._query(root, access, kind)
        if query.kind == RelocationKind.TYPE_ID_LOCAL:
            return
        for candidate in self._named(query):
            try:
                self._ask(query, candidate)
            except Mismatch:
                continue
            yield candidate, query.access

    # The question

    def _query(self, root: int, access: str, kind: int) -> _Query:
        try:
            what = RelocationKind(kind)
        except ValueError:
            raise ObjectError(f"CO-RE relocations of kind {kind} are not known") from None
        if what.of_field:
            return _Query(what, root, read_access(self._local, root, access))
        index, *more = parse_indexes(access)
        if what.of_enumerator:
            enum = self._local.resolve(root)
            if enum.kind not in ENUMS or more or index >= len(enum.values):
                raise ObjectError(f"CO-RE access {access!r} is no enumerator of {spell(self._local, root)}")
            return _Query(what, root, enumerator=enum.values[index])
        if index or more:
            raise ObjectError(f"CO-RE access {access!r} of a whole type, {spell(self._local, root)}")
        return _Query(what, root)

    def _spell(self, query: _Query) -> str:
        text = spell(self._local, query.root)
        if query.access is not None:
            text = spell_access(self._local, query.root, query.access.steps)
        elif query.enumerator is not None:
            text += f"::{query.enumerator[0]}"
        return f"{text} ({query.kind})"

    # The answer

    def _decide(self, query: _Query) -> Decision:
        if query.kind == RelocationKind.TYPE_ID_LOCAL:
            return Decision(query.root)
        candidates = self._named(query)
        answers: list[tuple[Candidate, _Answer]] = []
        reasons: list[str] = []
        for candidate in candidates:
            try:
                answers.append((candidate, self._ask(query, candidate)))
            except Mismatch as reason:
                if len(reasons) < _SHOWN:
                    reasons.append(f"{candidate}: {reason}")
        if not answers:
            if query.kind.zero_if_missing:
                return Decision(0, self._expected(query))
            return Decision(None, message=self._unresolved(query, len(candidates), reasons))
        first, answer = answers[0]
        for other, different in answers[1:]:
            if different != answer:
                raise ObjectError(
                    f"{self._spell(query)} is ambiguous: {first} gives {answer.value}, {other} gives {different.value}"
                )
        before = None
        if query.access is not None and query.kind == RelocationKind.FIELD_BYTE_OFFSET:
            before = loaded(self._local, query.access.field)
        return Decision(answer.value, self._expected(query), before=before, after=answer.after)

    def _ask(self, query: _Query, candidate: Candidate) -> _Answer:
        """Raises `Mismatch`."""
        btf, matcher = candidate.btf, candidate.matcher
        if query.access is not None:
            field: Field = matcher.field(query.access, candidate.id)
            after = loaded(btf, field) if query.kind == RelocationKind.FIELD_BYTE_OFFSET else None
            return _Answer(field_value(query.kind, btf, field), after)
        if query.enumerator is not None:
            value = matcher.enumerator(query.enumerator[0], candidate.id)
            return _Answer(1 if query.kind == RelocationKind.ENUMVAL_EXISTS else value)
        if query.kind == RelocationKind.TYPE_MATCHES:
            if not matcher.matches(query.root, candidate.id):
                raise Mismatch("it does not match")
            return _Answer(1)
        if not matcher.compatible(query.root, candidate.id):
            raise Mismatch(f"it is not compatible with {spell(self._local, query.root)}")
        match query.kind:
            case RelocationKind.TYPE_EXISTS:
                return _Answer(1)
            case RelocationKind.TYPE_SIZE:
                return _Answer(btf.size_of(candidate.id))
        return _Answer(candidate.id)

    def _expected(self, query: _Query) -> int | None:
        """What the compiler has put into the instruction; None where it may see things differently (bit-fields) or they
        change later (type ids)."""
        local = self._local
        if query.access is not None:
            field = query.access.field
            if field.bit_size and query.kind not in (RelocationKind.FIELD_EXISTS, RelocationKind.FIELD_SIGNED):
                return None
            try:
                return field_value(query.kind, local, field)
            except Mismatch:  # a record's shifts, which mean nothing
                return None
        if query.kind == RelocationKind.ENUMVAL_VALUE and query.enumerator is not None:
            return query.enumerator[1]
        if query.kind == RelocationKind.TYPE_SIZE:
            return local.size_of(query.root)
        return None if query.kind == RelocationKind.TYPE_ID_TARGET else 1

    def _unresolved(self, query: _Query, count: int, reasons: list[str]) -> str:
        if not count:
            looked = f"the kernel has no type of the name {essential_name(self._local.type(query.root).name)!r}"
        else:
            more = f"; and {count - len(reasons)} more" if count > len(reasons) else ""
            looked = f"looked at {'; '.join(reasons)}{more}"
        return f"{self._spell(query)}, local type [{query.root}], is not in this kernel: {looked}"

    # Candidates

    def _named(self, query: _Query) -> list[Candidate]:
        """The target's types that have the root's name."""
        root = self._local.type(query.root)
        key = (essential_name(root.name), Kind.ENUM if root.kind in ENUMS else root.kind)
        if (known := self._candidates.get(key)) is None:
            known = self._candidates[key] = self._look_up(*key)
        return known

    def _look_up(self, name: str, kind: Kind) -> list[Candidate]:
        if self._kernel is None:
            raise NotSupportedError(
                "CO-RE without the kernel's BTF",
                "5.4 and CONFIG_DEBUG_INFO_BTF",
                "give a file with the BTF of this kernel, `load(..., btf=FILE)`",
            )
        if not name:
            return []
        found = self._in("", self._kernel, name, kind)
        if not found:
            for module, btf in self._modules.items():
                found += self._in(module, btf, name, kind)
        return found

    @cached_property
    def _modules(self) -> Mapping[str, Btf]:
        return self._read_modules()

    def _in(self, module: str, btf: Btf, name: str, kind: Kind) -> list[Candidate]:
        ids = named(btf, name, ENUMS if kind in ENUMS else {kind})
        if not ids:
            return []
        if (matcher := self._matchers.get(module)) is None:
            matcher = self._matchers[module] = Matcher(self._local, btf)
        return [Candidate(module, matcher, btf, type_id) for type_id in ids]
