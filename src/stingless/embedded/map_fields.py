"""The special fields of a map's values, and which map types may have them.

Source: kernel/bpf/syscall.c, `map_check_btf()`.
"""

from __future__ import annotations

import errno

from stingless._gen.uapi import MapType
from stingless._sys.runtime_maps import Field
from stingless.embedded import map_rules
from stingless.embedded.verifier import fields
from stingless.errors import LoadError
from stingless.obj.spec import MapSpec

T = MapType
# `enum st_field_kind`
KINDS = {
    fields.LOCK: 1,
    fields.TIMER: 2,
    fields.KPTR: 3,
    fields.KPTR_UNTRUSTED: 3,
    fields.PERCPU_KPTR: 3,
    fields.WORKQUEUE: 4,
    fields.LIST_HEAD: 5,
    fields.RB_ROOT: 6,
    fields.REFCOUNT: 7,
    fields.UPTR: 8,
    fields.TASK_WORK: 9,
    fields.RES_LOCK: 10,
}
_LOCKED = frozenset({T.HASH, T.ARRAY}) | map_rules.STORAGES | map_rules.CGROUP_STORAGES
_CALLED = frozenset({T.HASH, T.LRU_HASH, T.ARRAY})
_POINTED = map_rules.HASHES | {T.ARRAY, T.PERCPU_ARRAY} | map_rules.STORAGES
_ALLOWED = {
    fields.LOCK: _LOCKED,
    fields.RES_LOCK: _LOCKED,
    fields.TIMER: _CALLED,
    fields.WORKQUEUE: _CALLED,
    fields.TASK_WORK: _CALLED,
    fields.LIST_HEAD: _CALLED,
    fields.RB_ROOT: _CALLED,
    fields.KPTR: _POINTED,
    fields.KPTR_UNTRUSTED: _POINTED,
    fields.PERCPU_KPTR: _POINTED,
    fields.UPTR: frozenset({T.TASK_STORAGE}),
}
_ONCE = (fields.LOCK, fields.RES_LOCK, fields.TIMER, fields.WORKQUEUE, fields.TASK_WORK)
# Types whose BTF the kernel does not look at.
_WITHOUT = map_rules.TABLES | map_rules.KEYLESS | map_rules.RINGS | {T.PERF_EVENT_ARRAY, T.STACK_TRACE, T.ARENA}


def special_fields(spec: MapSpec) -> tuple[Field, ...]:
    """By offset.  Raises `LoadError`: EOPNOTSUPP for a map type that cannot have them, EACCES for a map that programs
    may only read or only write, EINVAL for two of what there can be one of."""
    if spec.btf is None or not spec.value_type or spec.type in _WITHOUT:
        return ()
    found = [each for each in fields.fields_of(spec.btf, spec.value_type) if each.kind in KINDS]
    kinds = [each.kind for each in found]
    if twice := next((kind for kind in _ONCE if kinds.count(kind) > 1), None):
        if spec.type in map_rules.STORAGES and twice == fields.LOCK:
            raise LoadError(f"map {spec.name!r}: its values have more than one {twice}", errno.EINVAL)
        return ()  # the kernel takes none of the fields for special then
    for each in found:
        if spec.flags & (map_rules.RDONLY_PROG | map_rules.WRONLY_PROG):
            raise LoadError(
                f"map {spec.name!r}: its values have a {each.kind}, so programs must be able to read and to write it",
                errno.EACCES,
            )
        if spec.type not in _ALLOWED.get(each.kind, frozenset()):
            raise LoadError(
                f"map {spec.name!r}: the values of a {spec.type.name} cannot have a {each.kind} (at offset "
                f"{each.offset})",
                errno.EOPNOTSUPP,
            )
    return tuple(Field(each.offset, each.size, KINDS[each.kind], each.local) for each in found)
