"""Indexes of declarations, made once and kept in the private cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from stingless.compile.declared.index import Declaration, Declarations, written
from stingless.compile.toolchain import BCC_HEADERS, HEADERS, find_compiler
from stingless.private_cache import PrivateCache

ROOM = "declared"  # of the cache
PRELUDE = " prelude"  # what has as its `words` the constants and tags that our headers name
_SHIMS = BCC_HEADERS / "kernel"
_NO_USES = ("bpf_helper_defs.h",)  # it names the kernel's types and uses none


def _kept(key: str, make: Callable[[], Iterable[Declaration]]) -> Declarations:
    with PrivateCache(ROOM) as room:
        room.entries = 24
        try:
            return Declarations(room.mapped(key) or b"")
        except ValueError:
            data = written(make())
            room.put(key, data)
    return Declarations(data)


def _stamp(paths: Iterable[Path]) -> str:
    """Changes with the files."""
    parts = [f"{path}:{(s := path.stat()).st_mtime_ns}:{s.st_size}" for path in paths]
    return _hash("\n".join(parts))


def _hash(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()[:32]


@cache
def _ours() -> str:
    return _stamp(sorted(Path(__file__).parent.glob("*.py")))


@cache
def uapi() -> Declarations:
    """What the UAPI headers beside the compiler have."""

    def make() -> list[Declaration]:
        from stingless.compile.declared.uapi import uapi_declarations

        return uapi_declarations(compiler)

    compiler = find_compiler()
    stamp = _stamp([base / "linux/bpf.h" for base in compiler.includes if (base / "linux/bpf.h").is_file()])
    return _kept(f"uapi-{_ours()}-{stamp}", make)


@cache
def shims() -> Declarations:
    """What stands in for the kernel's own headers."""

    def make() -> list[Declaration]:
        from stingless.compile.declared.c_text import constants_and_tags, macros_and_declarations

        found = [each for path in topics for each in macros_and_declarations(path.read_text(), path.stem)]
        used = {name for path in ours if path.name not in _NO_USES for name in constants_and_tags(path.read_text())}
        return [*found, Declaration("", (PRELUDE,), words=tuple(sorted(used)))]

    topics = sorted(_SHIMS.glob("*.h"))
    ours = [*sorted(BCC_HEADERS.glob("*.h")), *sorted((HEADERS / "bpf").glob("*.h"))]
    return _kept(f"shims-{_ours()}-{_stamp([*topics, *ours])}", make)


@cache
def types(kernel: str, header: Callable[[], str]) -> Declarations:
    """The types of the kernel of that id, whose vmlinux.h `header` makes."""

    def make() -> list[Declaration]:
        from stingless.compile.declared.kernel_types import kernel_types

        return kernel_types(header())

    return _kept(f"types-{_ours()}-{_hash(kernel)}", make)
