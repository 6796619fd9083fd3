"""Whether a type of the target is what an object's type stands for, and where in it a field is.

The rules are the documented ones of CO-RE: names count without flavours (`___x`), members are found by name through
anonymous ones, sizes of integers and dimensions of arrays may differ, all pointers are alike.
"""

from __future__ import annotations

from stingless.btf.core_access import Access, Field, Step, element, spell
from stingless.btf.core_names import essential_name
from stingless.btf.types import ENUMS, RECORDS, Btf, Kind, Type
from stingless.errors import ObjectError
from stingless.frozen import replace

_MAX_DEPTH = 32  # of types in types, as in the kernel's own implementation


class Mismatch(Exception):
    """Why a candidate is not what was asked for."""


class Matcher:
    """Compares types of an object with those of one target.  Answers are kept, for objects ask the same again and
    again, and so that hostile types take bounded time."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        self._members: dict[tuple[int, str, int], Field | str] = {}
        # None while it is being found out.
        self._compatible: dict[tuple[int, int], bool | None] = {}
        self._matching: dict[tuple[int, int, bool], bool | None] = {}

    # Fields

    def field(self, access: Access, candidate: int) -> Field:
        """Where `candidate` has the field.  Raises `Mismatch`."""
        target = self._target
        field = Field(candidate, access.steps[0].index * target.size_of(candidate) * 8)
        for step in access.steps[1:]:
            inside = target.resolve(field.type)
            if step.name:
                if inside.kind not in RECORDS:
                    raise Mismatch(f"{spell(target, inside.id)} has no members")
                found = self._member(inside, step, 0)
                if isinstance(found, str):
                    raise Mismatch(found)
                field = replace(found, bit_offset=field.bit_offset + found.bit_offset)
                continue
            if inside.kind != Kind.ARRAY:
                raise Mismatch(f"{spell(target, inside.id)} is not an array")
            try:
                field = element(target, inside, step.index, field)
            except ObjectError as error:
                raise Mismatch(str(error)) from None
        return field

    def _member(self, container: Type, step: Step, depth: int) -> Field | str:
        """The member of that name, its place counted from `container`; or why there is none that fits."""
        key = (container.id, step.name, step.type)
        known = self._members.get(key)
        if known is not None:
            return known
        # Until it is known: a hostile struct may contain itself.
        self._members[key] = reason = f"{spell(self._target, container.id)} has no member {step.name!r}"
        if depth > _MAX_DEPTH:
            raise ObjectError(f"{spell(self._target, container.id)} is nested too deeply")
        result: Field | str = reason
        for number, member in enumerate(container.members):
            if member.name == step.name:
                last = number == len(container.members) - 1
                result = Field(member.type, member.bit_offset, member.bit_size, last)
                if different := self._difference(step.type, member.type):
                    result = f"member {step.name!r} {different}"
                break
            if member.name:
                continue
            inner = self._target.resolve(member.type)
            if inner.kind in RECORDS:
                found = self._member(inner, step, depth + 1)
                if isinstance(found, Field):
                    result = replace(found, bit_offset=found.bit_offset + member.bit_offset)
                    break
                if found.startswith("member "):
                    result = found
        self._members[key] = result
        return result

    def _difference(self, local_id: int, target_id: int) -> str:
        """How two types of fields are not compatible; "" when they are."""
        for _ in range(_MAX_DEPTH):
            mine, theirs = self._local.resolve(local_id), self._target.resolve(target_id)
            if mine.kind in RECORDS and theirs.kind in RECORDS:
                return ""
            if not _same_kind(mine, theirs):
                break
            if mine.kind == Kind.ARRAY:
                local_id, target_id = mine.type, theirs.type
                continue
            if mine.kind in (Kind.INT, Kind.PTR, Kind.FLOAT):
                return ""
            same = not mine.name or not theirs.name or essential_name(mine.name) == essential_name(theirs.name)
            if same and (mine.kind in ENUMS or mine.kind == Kind.FWD):
                return ""
            break
        return f"is {spell(self._target, target_id)}, not {spell(self._local, local_id)}"

    # Enumerators

    def enumerator(self, name: str, candidate: int) -> int:
        """The value of `name` in an enum.  Raises `Mismatch`."""
        found = self._target.resolve(candidate)
        if found.kind not in ENUMS:
            raise Mismatch("it is no enum")
        wanted = essential_name(name)
        for other, value in found.values:
            if essential_name(other) == wanted:
                return value
        raise Mismatch(f"it has no {wanted}")

    # Whole types

    def compatible(self, local_id: int, target_id: int, depth: int = 0) -> bool:
        """The loose comparison, of TYPE_EXISTS, TYPE_SIZE and TYPE_ID_TARGET: the same kinds all the way through
        pointers, arrays and prototypes."""
        key = (local_id, target_id)
        if (known := self._compatible.get(key)) is not None:
            return known
        if key in self._compatible or depth > _MAX_DEPTH:
            raise ObjectError(f"BTF type {local_id} of the object contains itself, or is nested too deeply")
        self._compatible[key] = None
        mine, theirs = self._local.resolve(local_id), self._target.resolve(target_id)
        answer = _same_kind(mine, theirs) and mine.kind in _COMPARABLE
        if answer and mine.kind == Kind.FUNC_PROTO:
            answer = len(mine.members) == len(theirs.members) and all(
                self.compatible(m.type, t.type, depth + 1) for m, t in zip(mine.members, theirs.members, strict=True)
            )
        if answer and mine.kind in (Kind.PTR, Kind.ARRAY, Kind.FUNC_PROTO):
            answer = self.compatible(mine.type, theirs.type, depth + 1)
        self._compatible[key] = answer
        return answer

    def matches(self, local_id: int, target_id: int, behind_pointer: bool = False, depth: int = 0) -> bool:
        """The strict comparison, of TYPE_MATCHES: everything that the object's type has is in the target's, with the
        same size and sign, but behind pointers only names and kinds count."""
        key = (local_id, target_id, behind_pointer)
        if (known := self._matching.get(key)) is not None:
            return known
        if key in self._matching or depth > _MAX_DEPTH:
            raise ObjectError(f"BTF type {local_id} of the object contains itself, or is nested too deeply")
        self._matching[key] = None
        mine, theirs = self._local.resolve(local_id), self._target.resolve(target_id)
        answer = essential_name(mine.name) == essential_name(theirs.name) and self._matches(
            mine, theirs, behind_pointer, depth + 1
        )
        self._matching[key] = answer
        return answer

    def _matches(self, mine: Type, theirs: Type, behind_pointer: bool, depth: int) -> bool:
        if mine.kind in ENUMS:
            names = {essential_name(name) for name, _ in theirs.values}
            same = theirs.kind in ENUMS and mine.size == theirs.size
            return same and all(essential_name(name) in names for name, _ in mine.values)
        if behind_pointer and mine.kind in _NAMED and theirs.kind in _NAMED:
            return _is_union(mine) == _is_union(theirs)
        if mine.kind != theirs.kind:
            return False
        match mine.kind:
            case Kind.VOID:
                return True
            case Kind.INT:
                return (mine.size, mine.signed) == (theirs.size, theirs.signed)
            case Kind.FWD:
                return _is_union(mine) == _is_union(theirs)
            case Kind.PTR:
                return self.matches(mine.type, theirs.type, True, depth)
            case Kind.ARRAY:
                return mine.length == theirs.length and self.matches(mine.type, theirs.type, behind_pointer, depth)
            case Kind.STRUCT | Kind.UNION:
                there: dict[str, set[int]] = {}
                for member in theirs.members:
                    there.setdefault(essential_name(member.name), set()).add(member.type)
                wanted = {(essential_name(member.name), member.type) for member in mine.members}
                return all(
                    any(self.matches(kind, other, behind_pointer, depth) for other in there.get(name, ()))
                    for name, kind in wanted
                )
            case Kind.FUNC_PROTO:
                return (
                    len(mine.members) == len(theirs.members)
                    and all(
                        self.matches(m.type, t.type, behind_pointer, depth)
                        for m, t in zip(mine.members, theirs.members, strict=True)
                    )
                    and self.matches(mine.type, theirs.type, behind_pointer, depth)
                )
        return False


# Kinds that TYPE_EXISTS and its kin can tell apart.
_COMPARABLE = frozenset({Kind.VOID, Kind.INT, Kind.FWD, Kind.PTR, Kind.ARRAY, Kind.FUNC_PROTO}) | RECORDS | ENUMS
_NAMED = frozenset({Kind.STRUCT, Kind.UNION, Kind.FWD})


def _same_kind(mine: Type, theirs: Type) -> bool:
    return mine.kind == theirs.kind or (mine.kind in ENUMS and theirs.kind in ENUMS)


def _is_union(found: Type) -> bool:
    return found.kind == Kind.UNION or (found.kind == Kind.FWD and found.flag)
