"""In which order C declarations must stand: what is contained before what contains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stingless.btf.kinds import ENUMS, RECORDS, Kind, Type
from stingless.errors import ObjectError

# A type, and whether all of it must be known (its size) or only that it exists.
Need = tuple[int, bool]
_QUALIFIERS = frozenset({Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG})


def is_builtin(found: Type) -> bool:
    """A typedef of the compiler's own, such as `__builtin_va_list`: another for each architecture, so that what stands
    for it is spelled out."""
    return found.kind == Kind.TYPEDEF and found.name.startswith("__builtin_")


def needs(type_of: Callable[[int], Type], type_id: int, whole: bool) -> Iterator[Need]:
    """What must be declared before a declarator of that type can be written."""
    waiting = [(type_id, whole)]
    seen: set[Need] = set()
    while waiting:
        need = waiting.pop()
        if need in seen:
            continue
        seen.add(need)
        type_id, whole = need
        found = type_of(type_id)
        kind = found.kind
        if kind == Kind.PTR:
            waiting.append((found.type, False))
        elif kind == Kind.ARRAY:
            waiting.append((found.type, True))
        elif kind in _QUALIFIERS or is_builtin(found):
            waiting.append((found.type, whole))
        elif kind == Kind.FUNC_PROTO:
            waiting += [(member.type, False) for member in reversed(found.members)]
            waiting.append((found.type, False))
        elif kind in RECORDS and not found.name:
            waiting += [(member.type, True) for member in reversed(found.members)]
        elif kind in RECORDS or kind == Kind.FWD or kind == Kind.TYPEDEF:
            yield need
        elif kind in ENUMS and found.name:
            yield (type_id, True)  # C has no enums that are only declared


def ordered(type_of: Callable[[int], Type], roots: Iterable[Need]) -> Iterator[Need]:
    """The roots and all that they need, each once, each after what it needs.  A record that need not be whole comes as
    (id, False): a forward declaration, unless all of it came before."""
    done: set[Need] = set()
    for root in roots:
        if root in done:
            continue
        stack: list[tuple[Need, Iterator[Need]]] = [(root, _needs_of(type_of, root))]
        open_needs = {root}
        while stack:
            node, inner = stack[-1]
            record = type_of(node[0]).kind in RECORDS
            for need in inner:
                if need in done or (record and need == (node[0], False)):
                    continue  # known, or itself by a pointer
                if need in open_needs:
                    raise ObjectError(f"BTF type {need[0]} ({type_of(need[0]).name}) contains itself")
                stack.append((need, _needs_of(type_of, need)))
                open_needs.add(need)
                break
            else:
                stack.pop()
                open_needs.discard(node)
                if node not in done:
                    done.add(node)
                    if type_of(node[0]).kind != Kind.TYPEDEF:
                        done.add((node[0], False))
                    yield node


def _needs_of(type_of: Callable[[int], Type], need: Need) -> Iterator[Need]:
    type_id, whole = need
    found = type_of(type_id)
    if found.kind == Kind.TYPEDEF:
        if whole:
            yield (type_id, False)
        yield from needs(type_of, found.type, whole)
    elif found.kind in RECORDS and whole:
        for member in found.members:
            yield from needs(type_of, member.type, True)
