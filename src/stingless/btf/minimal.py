"""The part of a kernel's BTF that some objects' CO-RE relocations need.

An object shipped with it loads on a kernel that has no BTF of its own, if that is the kernel it was made from.
"""

from __future__ import annotations

from collections.abc import Sequence

from stingless.btf.core import Candidate, Relocator
from stingless.btf.core_access import Access, RelocationKind, spell
from stingless.btf.core_names import essential_name
from stingless.btf.types import ENUMS, RECORDS, Btf, Kind, Members, Type, Values
from stingless.btf.writer import BtfBuilder
from stingless.errors import ObjectError
from stingless.frozen import replace
from stingless.obj.spec import ObjectSpec

_MOST_RECORDS = 256  # anonymous ones in one another and beside one another


def minimal_btf(objects: Sequence[ObjectSpec], target: Btf) -> bytes:
    """Only the types, members and enumerators of `target` that the objects' relocations rest on.  Relocating against it
    gives the same code as against `target`, but for ids of the kernel's types (`bpf_core_type_id_kernel`), which it
    does not keep.  Raises `ObjectError` when an object is malformed or its relocations are ambiguous.
    """
    needs = _Needs(target)
    for spec in objects:
        if spec.btf is None:
            continue
        relocator = Relocator(spec.btf, target)
        asked = {(r.type, r.access, r.kind) for p in spec.programs.values() for r in p.core_relocations}
        for root, access, kind in sorted(asked):
            relocator.decide(root, access, kind)  # tells when it is ambiguous
            for candidate, way in relocator.matching(root, access, kind):
                needs.add(candidate, RelocationKind(kind), way)
                if RelocationKind(kind).of_enumerator:
                    needs.enumerator(candidate, spec.btf.resolve(root).values[int(access)][0])
    return needs.write()


class _Needs:
    def __init__(self, target: Btf) -> None:
        self._btf = target
        self._roots: list[int] = []
        self._members: dict[int, set[int]] = {}  # of records: numbers of those that count; of others none does
        self._enumerators: dict[int, set[str]] = {}
        self._whole: set[int] = set()  # records, enums and pointers with all that is in them

    def add(self, candidate: Candidate, kind: RelocationKind, access: Access | None) -> None:
        self._roots.append(candidate.id)
        if access is not None:
            self._add_way(candidate.id, access)
        elif kind == RelocationKind.TYPE_MATCHES:
            self._add_whole(candidate.id, records=True)
        elif not kind.of_enumerator:
            self._add_whole(candidate.id, records=False)

    def enumerator(self, candidate: Candidate, name: str) -> None:
        enum = self._btf.resolve(candidate.id)
        self._enumerators.setdefault(enum.id, set()).add(essential_name(name))

    def _add_way(self, root: int, access: Access) -> None:
        """The members that lead to a field, anonymous ones too."""
        here = root
        for step in access.steps[1:]:
            inside = self._btf.resolve(here)
            if not step.name:
                here = inside.type
                continue
            there = self._keep(inside, step.name, {})
            if there is None:
                raise ObjectError(f"{spell(self._btf, inside.id)} has no member {step.name!r}")
            here = there

    def _keep(self, record: Type, name: str, known: dict[int, int | None]) -> int | None:
        """Keep the members called `name` and the anonymous ones that they are in.  Returns the type of the first; None
        when there is none."""
        if record.id in known:
            return known[record.id]
        if len(known) > _MOST_RECORDS:
            raise ObjectError(f"{spell(self._btf, record.id)} is nested too deeply")
        known[record.id] = None
        for number, member in enumerate(record.members):
            there = member.type if member.name == name else None
            if not member.name:
                inner = self._btf.resolve(member.type)
                there = self._keep(inner, name, known) if inner.kind in RECORDS else None
            if there is not None:
                self._members.setdefault(record.id, set()).add(number)
                if known[record.id] is None:
                    known[record.id] = there
        return known[record.id]

    def _add_whole(self, type_id: int, records: bool) -> None:
        """The type with what it is made of; with members of records, if wanted, but not of those behind pointers."""
        waiting = [(type_id, records)]
        seen = set()
        while waiting:
            at, inside = waiting.pop()
            found = self._btf.resolve(at)
            if (found.id, inside) in seen:
                continue
            seen.add((found.id, inside))
            if found.kind in (Kind.PTR, Kind.FUNC_PROTO, Kind.ARRAY):
                self._whole.add(found.id)
                waiting += [(m.type, inside) for m in found.members]
                waiting.append((found.type, inside and found.kind != Kind.PTR))
            elif records and found.kind in ENUMS:
                self._whole.add(found.id)
            elif inside and found.kind in RECORDS:
                self._whole.add(found.id)
                waiting += [(m.type, True) for m in found.members]

    def write(self) -> bytes:
        builder = BtfBuilder(order=self._btf.order)
        if self._btf.pointer_size == 4:  # readers go by the size of `long`
            long = next(
                t for n in ("long unsigned int", "long int", "unsigned long", "long") for t in self._btf.find_all(n)
            )
            builder.copy(self._btf, long.id)
        for root in self._roots:
            builder.copy_with(self._btf, root, self._pruned)
        return builder.to_bytes()

    def _pruned(self, type_id: int) -> Type:
        found = self._btf.type(type_id)
        if found.id in self._whole:
            return found
        if found.kind == Kind.PTR:
            return replace(found, type=0)
        if found.kind in RECORDS:
            kept = self._members.get(found.id, set())
            if any(self._is_empty_array(found.members[number].type) for number in kept):
                kept = kept | {len(found.members) - 1}  # only a last member's indexes are without limit
            members = (m for number, m in enumerate(found.members) if number in kept)
            return replace(found, members=Members(replace(m, type=self._btf.resolve(m.type).id) for m in members))
        if found.kind in ENUMS:
            names = self._enumerators.get(found.id, ())
            return replace(found, values=Values((n, v) for n, v in found.values if essential_name(n) in names))
        return found

    def _is_empty_array(self, type_id: int) -> bool:
        inside = self._btf.resolve(type_id)
        return inside.kind == Kind.ARRAY and inside.length == 0
