"""Names of C declarations: a name that BTF gives to several types, C gives to one only."""

from __future__ import annotations

import re

from stingless.btf.kinds import ENUMS, Kind, Type
from stingless.errors import ObjectError

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
_LONGEST = 512  # the kernel's own limit, KSYM_NAME_LEN
_RESERVED = frozenset(
    (
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
        *("float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed"),
        *("sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while"),
    )
)


def identifier(name: str, what: str = "name") -> str:
    """Raises `ObjectError` when C does not take it for a name."""
    if len(name) > _LONGEST or not _IDENTIFIER.match(name) or name in _RESERVED:
        raise ObjectError(f"BTF has the {what} {name[:80]!r}, which C does not take")
    return name


def tag_word(found: Type) -> str:
    """`struct`, `union` or `enum`."""
    if found.kind in ENUMS:
        return "enum"
    union = found.kind == Kind.UNION or (found.kind == Kind.FWD and found.flag)
    return "union" if union else "struct"


class Names:
    """The first type that is mentioned keeps its name, the next ones are `name___2`, `name___3`: what CO-RE takes for
    flavours of the same type.  Tags (struct, union, enum) and ordinary names (typedefs, enumerators, functions) are
    apart, as in C."""

    def __init__(self) -> None:
        self._given: dict[int, str] = {}
        self._tags: dict[str, tuple[str, int]] = {}  # name -> its word and the type that defines it, 0 if none yet
        self._ordinary: set[str] = set()
        self._numbers: dict[tuple[bool, str], int] = {}

    def tag(self, found: Type) -> str:
        """With its word: `struct task_struct`."""
        given = self._given.get(found.id)
        if given is None:
            word, name = tag_word(found), identifier(found.name, "tag")
            defines = 0 if found.kind == Kind.FWD else found.id
            while (owner := self._tags.get(name)) is not None:
                if owner[0] == word and not (owner[1] and defines):
                    break  # a forward declaration and its definition are one
                name = self._next(True, found.name)
            self._tags[name] = (word, defines or (owner[1] if owner else 0))
            given = self._given[found.id] = f"{word} {name}"
        return given

    def typedef(self, found: Type) -> str:
        given = self._given.get(found.id)
        if given is None:
            given = self._given[found.id] = self.ordinary(found.name)
        return given

    def ordinary(self, name: str) -> str:
        """A new ordinary name."""
        identifier(name)
        chosen = name
        while chosen in self._ordinary:
            chosen = self._next(False, name)
        self._ordinary.add(chosen)
        return chosen

    def is_ordinary(self, name: str) -> bool:
        return name in self._ordinary

    def _next(self, tag: bool, name: str) -> str:
        number = self._numbers.get((tag, name), 1) + 1
        self._numbers[tag, name] = number
        return f"{name}___{number}"
