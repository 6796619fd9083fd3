"""Compiled objects kept between runs, by the hash of all that made them, in a directory as `private_cache` describes.

The key of an object is made of what is known before clang runs; the files that clang took in are kept with the object,
each with its hash, and looked at again before the object is used.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stingless.errors import CompileError, CompilerMessage
from stingless.frozen import asdict, frozen
from stingless.private_cache import PrivateCache as ObjectCache

__all__ = ["Kept", "ObjectCache", "object_key", "program_key"]

# #include "file", or a macro that makes a name; headers in angle brackets are ours or the compiler's.
_TAKES_IN = re.compile(r"#\s*(include|import|embed)\w*\s*(?!<|\s)")
_TAKE_FLAGS = ("-i", "@", "-Xclang", "--include", "--embed")
_PATHS = ("CPATH", "C_INCLUDE_PATH")  # clang takes directories from them


def _sha256(parts: Iterable[bytes]) -> bytes:
    from hashlib import sha256

    state = sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little") + part)
    return state.digest()


def _toolchain() -> list[str]:
    """The compiler, our headers and translators, and the version of this package."""
    from stingless import __version__
    from stingless.compile.toolchain import HEADERS, find_compiler

    compiler = find_compiler()
    ours = sorted(path for path in HEADERS.parent.rglob("*") if path.suffix in (".h", ".py"))
    stamps = [f"{path}:{(s := path.stat()).st_mtime_ns}:{s.st_size}" for path in (Path(compiler.argv[0]), *ours)]
    return [__version__, *compiler.argv, *map(str, compiler.includes), *stamps]


def object_key(text: str, name: str, cflags: Iterable[str], kernel: str = "") -> str | None:
    """The key of a program in bcc's dialect: a hash of it with the headers of the user's own that it includes, its
    flags, the compiler, our headers and the kernel that it is for (by its id; "" the running one).  None for a text
    that takes in files we do not see, or lacks one: it is compiled each time."""
    from stingless.compile.dialect.gather import Gathering, split_flags
    from stingless.compile.vmlinux import kernel_id

    flags = split_flags(list(cflags))
    if any(map(os.environ.get, _PATHS)) or any(flag.startswith(_TAKE_FLAGS) for flag in flags.rest):
        return None
    try:
        whole = Gathering(name, flags.directories).gather(text, flags.included).text
    except (CompileError, OSError):
        return None
    if _TAKES_IN.search(whole):
        return None
    parts = ["bcc", whole, name, *flags.macros, "", *flags.rest, kernel or kernel_id(None), *_toolchain()]
    return _sha256(part.encode() for part in parts).hex()


def program_key(text: bytes, name: str, on_disk: bool, cflags: Sequence[str], kernel: str) -> str:
    """The key of a program in plain C; `kernel` tells whose types it sees.  The working directory is part of it, since
    names of files are relative to it."""
    paths = [os.environ.get(name, "") for name in _PATHS]
    words = ["file" if on_disk else "text", name, str(Path.cwd()), kernel, *cflags, "", *paths, *_toolchain()]
    return _sha256([text, *(os.fsencode(word) for word in words)]).hex()


@frozen
class Kept:
    """A compiled object as it is kept: with clang's warnings, the hash of each file that it was made from, and the
    files that would have been taken in place of one of these, had they been there."""

    data: bytes
    warnings: tuple[CompilerMessage, ...]
    files: dict[str, str]
    absent: tuple[str, ...]
    lasting: bool = True  # False when a file changed meanwhile, or cannot be read again

    @classmethod
    def made(
        cls, data: bytes, warnings: tuple[CompilerMessage, ...], rules: str, directories: Sequence[Path], started: int
    ) -> Kept:
        """`rules` is what `clang -MD` wrote, `directories` the user's own, in which headers are looked for first,
        `started` (in ns since 1970) when clang was."""
        from stingless.compile.toolchain import HEADERS, find_compiler

        compiler = find_compiler()
        ours = (HEADERS, *compiler.own, *compiler.includes, *compiler.libc)
        paths = [path for path in _made_from(rules) if not str(path).startswith("/proc/self/fd/")]
        files = {str(path): _hash(path) for path in paths if HEADERS not in path.parents}
        # No rules at all: the user's flags sent them elsewhere.
        lasting = ":" in rules and all(files.values()) and all(Path(f).stat().st_mtime_ns < started for f in files)
        absent = {
            candidate
            for path in paths
            for base in (*directories, *ours)
            if base in path.parents
            for candidate in (directory / path.relative_to(base) for directory in directories)
            if not candidate.exists()
        }
        return cls(data, warnings, files, tuple(sorted(map(str, absent))), lasting)

    def is_fresh(self) -> bool:
        """Would clang see the same text again?"""
        return all(_hash(Path(f)) == known for f, known in self.files.items()) and not any(
            map(os.path.exists, self.absent)
        )

    def written(self) -> bytes:
        """For `read`: a line of JSON, then the object."""
        about = [[asdict(d) for d in self.warnings], self.files, self.absent]
        return json.dumps(about).encode() + b"\n" + self.data

    @classmethod
    def read(cls, content: bytes | None) -> Kept | None:
        """None for None and for what `written` did not write."""
        if content is None:
            return None
        about, _, data = content.partition(b"\n")
        try:
            warnings, files, absent = json.loads(about)
            return cls(data, tuple(CompilerMessage(**d) for d in warnings), files, tuple(absent))
        except (ValueError, TypeError):
            return None


def _hash(path: Path) -> str:
    """ "" for a file that cannot be read."""
    try:
        return _sha256([path.read_bytes()]).hex() if path.is_file() else ""
    except OSError:
        return ""


def _made_from(rules: str) -> list[Path]:
    """The prerequisites of a makefile rule as clang writes it."""
    words = re.findall(r"(?:\\[ #]|\$\$|[^\s\\]|\\(?!\n))+", rules.partition(":")[2])
    return [Path(re.sub(r"\\([ #])", r"\1", word).replace("$$", "$")) for word in words if word != "-"]
