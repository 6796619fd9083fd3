"""Special fields: locks, timers, kernel pointers, lists and trees in map values and allocated objects, by BTF."""

from __future__ import annotations

from collections.abc import Sequence

from stingless.btf.kinds import RECORDS, Kind, Type
from stingless.btf.types import Btf
from stingless.embedded.verifier.types import pointee
from stingless.frozen import frozen
from stingless.obj.spec import MapSpec

LOCK, RES_LOCK, TIMER, WORKQUEUE, TASK_WORK = (
    "bpf_spin_lock",
    "bpf_res_spin_lock",
    "bpf_timer",
    "bpf_wq",
    "bpf_task_work",
)
LIST_HEAD, LIST_NODE, RB_ROOT, RB_NODE, REFCOUNT = (
    "bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount",
)  # fmt: skip
# Pointers, by the tag of their type.
KPTR, KPTR_UNTRUSTED, PERCPU_KPTR, UPTR = "kptr", "kptr_untrusted", "percpu_kptr", "uptr"
POINTERS = (KPTR, KPTR_UNTRUSTED, PERCPU_KPTR, UPTR)
_STRUCTS = frozenset({LOCK, RES_LOCK, TIMER, WORKQUEUE, TASK_WORK, LIST_HEAD, LIST_NODE, RB_ROOT, RB_NODE, REFCOUNT})
_DEPTH = 8
_MOST = 1024  # fields in nested arrays


@frozen
class Field:
    """`size` bytes at `offset`.  Of a pointer `target` names the struct; of a list or a tree `target` is the struct
    that it contains and `node` the member that links it."""

    kind: str
    offset: int
    size: int
    target: str = ""
    node: str = ""
    local: int = 0  # BTF id of the target among the program's types


class Fields:
    """Those of maps (by their index) and of the program's structs (by id), each looked up once."""

    def __init__(self, maps: Sequence[MapSpec]) -> None:
        self._maps = maps
        self._of_map: dict[int, tuple[Field, ...]] = {}
        self._of_struct: dict[int, tuple[Field, ...]] = {}

    def of_map(self, number: int) -> tuple[Field, ...]:
        found = self._of_map.get(number)
        if found is None:
            spec = self._maps[number]
            found = fields_of(spec.btf, spec.value_type) if spec.btf is not None and spec.value_type else ()
            self._of_map[number] = found
        return found

    def of_struct(self, btf: Btf, type_id: int) -> tuple[Field, ...]:
        if type_id not in self._of_struct:
            self._of_struct[type_id] = fields_of(btf, type_id)
        return self._of_struct[type_id]


def fields_of(btf: Btf, type_id: int) -> tuple[Field, ...]:
    found: list[Field] = []
    outer = btf.resolve(type_id)
    if outer.kind is Kind.DATASEC:
        for each in outer.members:
            _collect(btf, btf.type(each.type).type, each.bit_offset // 8, 0, found, btf.type(each.type), 0)
    else:
        _collect(btf, type_id, 0, 0, found, None, 0)
    return tuple(sorted(found, key=lambda field: field.offset))


def _collect(btf: Btf, type_id: int, at: int, depth: int, found: list[Field], owner: Type | None, index: int) -> None:
    if depth > _DEPTH or len(found) > _MOST:
        return
    type_ = btf.resolve(type_id)
    if type_.kind is Kind.ARRAY:
        element, count = btf.element(type_.id)
        size = btf.size_of(element.id)
        if element.kind in RECORDS or element.kind is Kind.PTR:
            probe: list[Field] = []
            _collect(
                btf,
                element.id if element.kind is not Kind.PTR else _element_id(btf, type_),
                0,
                depth + 1,
                probe,
                owner,
                index,
            )
            if probe and count <= _MOST:
                for i in range(count):
                    for each in probe:
                        found.append(
                            Field(each.kind, at + i * size + each.offset, each.size, each.target, each.node, each.local)
                        )
        return
    if type_.kind is Kind.PTR:
        to = pointee(btf, type_id)
        if to is not None and (tag := next((tag for tag in POINTERS if tag in to[1]), None)):
            found.append(Field(tag, at, 8, to[0].name, "", to[0].id))
        return
    if type_.kind not in RECORDS:
        return
    if type_.name in _STRUCTS:
        target, node, local = _contains(btf, owner, index) if type_.name in (LIST_HEAD, RB_ROOT) else ("", "", 0)
        found.append(Field(type_.name, at, type_.size, target, node, local))
        return
    if type_.kind is Kind.UNION:
        return
    for i, member in enumerate(type_.members):
        _collect(btf, member.type, at + member.bit_offset // 8, depth + 1, found, type_, i)


def _element_id(btf: Btf, array: Type) -> int:
    """The type of an array's elements as it is written, with its tags."""
    inner = array.type
    for _ in range(_DEPTH):
        resolved = btf.resolve(inner)
        if resolved.kind is not Kind.ARRAY:
            break
        inner = resolved.type
    return inner


def _contains(btf: Btf, owner: Type | None, index: int) -> tuple[str, str, int]:
    """What `__contains(struct, node)` says of a member or of a variable."""
    if owner is None:
        return "", "", 0
    component = -1 if owner.kind is Kind.VAR else index
    for id_ in btf.ids(Kind.DECL_TAG):
        tag = btf.type(id_)
        if tag.type == owner.id and tag.component == component and tag.name.startswith("contains:"):
            _, struct, node = [*tag.name.split(":"), "", ""][:3]
            type_ = btf.find(struct, Kind.STRUCT)
            return struct, node, type_.id if type_ is not None else 0
    return "", "", 0


def overlapping(fields: Sequence[Field], low: int, high: int) -> Field | None:
    """The first field that shares bytes with [low, high)."""
    for field in fields:
        if field.offset < high and low < field.offset + field.size:
            return field
    return None
