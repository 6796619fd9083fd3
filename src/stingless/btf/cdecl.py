"""C declarations from BTF: of all types (what is known as vmlinux.h), or of some and what they need.

The names are those that users of `bpftool btf dump format c` know: the guard, `___2` for a name's second type, the
switches BPF_NO_PRESERVE_ACCESS_INDEX and BPF_NO_KFUNC_PROTOTYPES.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from stingless.btf.cdecl_names import identifier
from stingless.btf.cdecl_order import Need, is_builtin, needs, ordered
from stingless.btf.cdecl_text import Declarator
from stingless.btf.kinds import ENUMS, RECORDS, Kind, Type
from stingless.errors import ObjectError

if TYPE_CHECKING:
    from stingless.btf.types import Btf

# Kinds that declarations are of, and through which an anonymous enum is used.
_USERS = RECORDS | ENUMS | {Kind.TYPEDEF, Kind.ARRAY, Kind.CONST, Kind.VOLATILE}
_HEAD = """\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

"""
_TAIL = """\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif
"""
_KFUNCS = """\
#ifndef BPF_NO_KFUNC_PROTOTYPES
#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

"""


def declarations(btf: Btf, names: Iterable[str] | None = None) -> str:
    """C text that declares all types, or only those named (as `btf[name]` finds them; of a kernel function the
    prototype, with `__ksym`) and what they need: a record that is only pointed to is declared without its members.

    The text of all has the guard `__VMLINUX_H__`.  Raises `UnknownNameError`, and `ObjectError` for BTF that no C can
    have led to.
    """
    return Header(btf, names).text()


class Header:
    """The declarations of one header; `declared` are its definitions in their order."""

    def __init__(self, btf: Btf, names: Iterable[str] | None = None) -> None:
        self.writer = Declarator(btf)
        self.whole = names is None
        if names is None:
            chosen = _definitions(btf)
            self._functions = kfuncs(btf)
        else:
            chosen = [btf[name] for name in dict.fromkeys(names)]
            functions = [found.id for found in chosen if found.kind == Kind.FUNC]
            tags = kfuncs(btf) if functions else {}
            self._functions = {type_id: tags.get(type_id, ()) for type_id in functions}
        self._variables = [found for found in chosen if found.kind == Kind.VAR]
        roots: list[Need] = [(found.id, True) for found in chosen if found.kind not in (Kind.FUNC, Kind.VAR)]
        for found in self._variables:
            roots += needs(self.writer.type, found.type, True)
        for type_id in self._functions:
            roots += needs(self.writer.type, self.writer.type(type_id).type, False)
        self.declared = list(ordered(self.writer.type, roots))

    def text(self) -> str:
        body = "".join(self._body())
        functions = "".join(self._prototypes())
        if functions:
            functions = f"{_KFUNCS}{functions}\n#endif /* BPF_NO_KFUNC_PROTOTYPES */\n\n"
        text = f"{_HEAD}{body}{functions}{_TAIL}"
        if not self.whole:
            return text
        return f"#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n{text}\n#endif /* __VMLINUX_H__ */\n"

    def _body(self) -> Iterator[str]:
        writer = self.writer
        for type_id, whole in self.declared:
            found = writer.type(type_id)
            if found.kind == Kind.TYPEDEF:
                if not whole and not is_builtin(found):
                    yield f"typedef {writer.declare(found.type, writer.names.typedef(found))};\n\n"
            elif found.kind in ENUMS or (found.kind in RECORDS and whole):
                yield f"{writer.body(found)};\n\n"
            elif found.kind in RECORDS or found.kind == Kind.FWD:
                yield f"{writer.names.tag(found)};\n\n"
            elif found.kind not in (Kind.INT, Kind.FLOAT):
                raise ObjectError(f"{found.name!r} is a {found.kind.name.lower()}, which C does not declare")
        for found in self._variables:
            yield f"extern {writer.declare(found.type, identifier(found.name))};\n\n"

    def _prototypes(self) -> Iterator[str]:
        for type_id, tags in self._functions.items():
            found = self.writer.type(type_id)
            if not self.writer.names.is_ordinary(found.name):
                text = self.writer.declare(found.type, self.writer.names.ordinary(found.name))
                fast = " __bpf_fastcall" if "bpf_fastcall" in tags else ""
                yield f"extern {text} __weak __ksym{fast};\n"


def _definitions(btf: Btf) -> list[Type]:
    """All that a header of the whole defines on its own: what has a name, and anonymous enums that nothing uses."""
    anonymous: list[Type] = []
    used: set[int] = set()
    roots = []
    for type_id in range(1, len(btf)):
        kind = btf.kind(type_id)
        if kind not in _USERS:
            continue
        found = btf.type(type_id)
        used.add(found.type)
        used.update([member.type for member in found.members])
        if kind in RECORDS or kind in ENUMS or kind == Kind.TYPEDEF:
            if found.name:
                roots.append(found)
            elif kind in ENUMS and found.values:
                anonymous.append(found)
    roots += [found for found in anonymous if found.id not in used]
    return sorted(roots, key=lambda found: found.id)


def kfuncs(btf: Btf) -> dict[int, tuple[str, ...]]:
    """Functions that programs may call, by id, and their declaration tags (pahole 1.27 and Linux 6.10 on)."""
    tags: dict[int, list[str]] = {}
    for type_id in btf.ids(Kind.DECL_TAG):
        tag = btf.type(type_id)
        if tag.name in ("bpf_kfunc", "bpf_fastcall") and tag.component == -1:
            tags.setdefault(tag.type, []).append(tag.name)
    return {found: tuple(names) for found, names in tags.items() if "bpf_kfunc" in names}
