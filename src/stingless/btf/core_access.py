"""What a CO-RE relocation asks for, in the object's own types.

clang leaves a root type, an access string ("0:1:2") and a kind with an instruction.  Of a field, the string is an index
into an imagined array of the root type, followed by the numbers of members and array elements that lead to it.
Source: Documentation/bpf/llvm_reloc.rst, enum bpf_core_relo_kind in linux/bpf.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from stingless.btf.types import RECORDS, Btf, Kind, Type
from stingless.errors import ObjectError
from stingless.frozen import frozen

MAX_STEPS = 64


class RelocationKind(IntEnum):
    """enum bpf_core_relo_kind."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12

    @property
    def of_field(self) -> bool:
        return self <= RelocationKind.FIELD_RSHIFT_U64

    @property
    def of_enumerator(self) -> bool:
        return self in (RelocationKind.ENUMVAL_EXISTS, RelocationKind.ENUMVAL_VALUE)

    @property
    def zero_if_missing(self) -> bool:
        """Whether 0 says that there is none: of all those of whole types, and where existence is asked."""
        return self not in _POISONING

    def __str__(self) -> str:
        return self.name.lower()


_POISONING = frozenset(
    {
        RelocationKind.FIELD_BYTE_OFFSET,
        RelocationKind.FIELD_BYTE_SIZE,
        RelocationKind.FIELD_SIGNED,
        RelocationKind.FIELD_LSHIFT_U64,
        RelocationKind.FIELD_RSHIFT_U64,
        RelocationKind.ENUMVAL_VALUE,
    }
)


@frozen
class Field:
    """A place in a type: what is there, how many bits from the start, its width if it is a bit-field (else 0), and
    whether it is the last member of its struct, where an array without length may stand."""

    type: int
    bit_offset: int
    bit_size: int = 0
    last: bool = False


@frozen
class Step:
    """Into the member `name`, or ("") to element `index`.  `type` is what it leads to."""

    name: str
    index: int
    type: int


@frozen
class Access:
    """The way to a field; the first step is the index of the root.  Anonymous members are no steps of their own:
    another kernel may have the field without them."""

    root: int
    steps: tuple[Step, ...]
    field: Field


def parse_indexes(access: str) -> list[int]:
    """The numbers of an access string.  Raises `ObjectError`."""
    parts = access.split(":", MAX_STEPS)
    if len(parts) > MAX_STEPS:
        raise ObjectError(f"a CO-RE access has more than {MAX_STEPS} steps: {access[:80]!r}...")
    if not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        raise ObjectError(f"a CO-RE access is not a list of indexes: {access[:80]!r}")
    return [int(part) for part in parts]


def read_access(btf: Btf, root: int, access: str) -> Access:
    """Follow `access` through the object's types.  Raises `ObjectError` where it leads nowhere."""
    first, *indexes = parse_indexes(access)
    steps = [Step("", first, root)]
    field = Field(root, first * btf.size_of(root) * 8)
    for index in indexes:
        inside = btf.resolve(field.type)
        if inside.kind in RECORDS:
            if index >= len(inside.members):
                raise ObjectError(f"CO-RE access {access!r}: {spell(btf, inside.id)} has {len(inside.members)} members")
            member = inside.members[index]
            last = index == len(inside.members) - 1
            field = Field(member.type, field.bit_offset + member.bit_offset, member.bit_size, last)
            if member.name:
                steps.append(Step(member.name, index, member.type))
        elif inside.kind == Kind.ARRAY:
            field = element(btf, inside, index, field)
            steps.append(Step("", index, inside.type))
        else:
            raise ObjectError(f"CO-RE access {access!r} of {spell(btf, root)} leads into {spell(btf, inside.id)}")
    return Access(root, tuple(steps), field)


def element(btf: Btf, array: Type, index: int, field: Field) -> Field:
    """Element `index` of the array that `field` is.  Raises `ObjectError` when it has not as many."""
    if index >= array.length and not (field.last and array.length == 0):
        raise ObjectError(f"index {index} is outside of an array of {array.length}")
    return Field(array.type, field.bit_offset + index * btf.size_of(array.type) * 8)


def spell(btf: Btf, type_id: int) -> str:
    """The type, roughly as in C."""
    suffix = ""
    for _ in range(8):
        found = btf.type(type_id)
        match found.kind:
            case Kind.STRUCT | Kind.UNION | Kind.ENUM | Kind.ENUM64 | Kind.FWD:
                word = {Kind.ENUM64: "enum", Kind.FWD: "struct"}.get(found.kind, found.kind.name.lower())
                return f"{word} {found.name or '(anonymous)'}{suffix}"
            case Kind.PTR:
                suffix = " *" + suffix if not suffix.startswith(" *") else " *" + suffix.lstrip()
            case Kind.ARRAY:
                suffix += f"[{found.length}]"
            case Kind.FUNC_PROTO:
                return "a function" + suffix
            case Kind.VOLATILE | Kind.CONST | Kind.RESTRICT | Kind.TYPE_TAG:
                pass
            case _:
                return found.name + suffix
        type_id = found.type
    return "(...)" + suffix


def spell_access(btf: Btf, root: int, steps: Sequence[Step]) -> str:
    """As in C: `struct task_struct.cred[3]`."""
    text = spell(btf, root)
    for number, step in enumerate(steps):
        if step.name:
            text += f".{step.name}"
        elif number or step.index:
            text += f"[{step.index}]"
    return text
