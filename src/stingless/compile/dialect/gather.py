"""A program with the headers of the user's own that it includes, in one text; those of the kernel left out.

`#line` says which file and line follow, so that clang's messages and `Work.refuse` speak of the user's files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stingless.errors import CompileError, CompilerMessage
from stingless.frozen import frozen

_INCLUDE = re.compile(
    r"""
      (?P<comment>/\*.*?\*/|//(?:\\\n|[^\n])*)
    | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    | ^[ \t]*\#[ \t]*(?:include|import)(?:_next)?[ \t]*(?P<bracket>[<"])(?P<path>[^>"\n]+)[>"][^\n]*
    | ^[ \t]*\#[ \t]*include[ \t]+(?P<macro>[A-Za-z_]\w*)[ \t]*$
    | ^[ \t]*\#[ \t]*pragma[ \t]+(?P<once>once)[^\n]*
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
# Directories that only the kernel's headers are in; what they have, is found by name.
_ROOMS_TEXT = (
    "linux uapi asm asm-generic net bcc crypto drm rdma scsi sound trace xen acpi media video kvm keys math-emu "
    "misc memory mtd pcmcia ras soc target vdso generated clocksource dt-bindings block fs mm kernel security sys "
    "bpf arch include config soundwire sched drivers virt"
)
_ROOMS = frozenset(_ROOMS_TEXT.split())
# Of a C library and the compiler: their names are found likewise.
_LIBRARY_TEXT = (
    "stdint.h stddef.h stdbool.h stdarg.h string.h strings.h limits.h errno.h stdlib.h stdio.h unistd.h fcntl.h "
    "signal.h time.h inttypes.h ctype.h endian.h assert.h math.h poll.h"
)
_LIBRARY = frozenset(_LIBRARY_TEXT.split())


class Gathered:
    """`text` is the whole; `headers` are those of the kernel that it includes, `files` the user's that are in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.headers: list[str] = []
        self.files: list[Path] = []


class Gathering:
    """`directories` are those of -I and -iquote; the file's own comes first, the working directory last."""

    def __init__(self, name: str, directories: Sequence[Path]) -> None:
        self._name = name
        self._directories = [*directories, Path.cwd()]
        self._once: set[Path] = set()
        self._open: list[Path] = []
        self.result = Gathered("")

    def gather(self, text: str, included: Sequence[str] = ()) -> Gathered:
        """`included` are headers that come before the text, as by clang's -include."""
        parts = []
        for path in included:
            found = self._find(path, Path(self._name).parent, True)
            if found is None:
                raise CompileError(f"{self._name}: the header {path} of -include is not there")
            parts.append(self._file(found))
        body = self._expanded(text, self._name, Path(self._name).parent)
        before = "".join(parts) + _marker(1, self._name) if parts else ""
        self.result.text = before + body
        return self.result

    def _expanded(self, text: str, name: str, directory: Path) -> str:
        if "#" not in text:
            return text

        def replaced(match: re.Match[str]) -> str:
            if match["once"]:
                return ""
            path, bracket = match["path"], match["bracket"]
            if match["macro"]:
                defined = re.search(
                    rf'^[ \t]*#[ \t]*define[ \t]+{match["macro"]}[ \t]+([<"])([^>"\n]+)[>"]', text, re.M
                )
                if defined:
                    bracket, path = defined.groups()
            if path is None:
                return match[0]
            return self._included(match, path, bracket == '"', name, directory)

        return _INCLUDE.sub(replaced, text)

    def _included(self, match: re.Match[str], path: str, quoted: bool, name: str, directory: Path) -> str:
        if not path.startswith("bcc/"):
            found = self._find(path, directory, quoted)
            if found is not None:
                line = match.string.count("\n", 0, match.start()) + 1
                inner = self._file(found)
                return f"{inner}{_marker(line + 1, name)[:-1]}" if inner else ""
        if path.partition("/")[0] not in _ROOMS and path not in _LIBRARY and not _in_libraries(path):
            raise self._missing(match, path, name, directory)
        self.result.headers.append(path.removeprefix("uapi/"))
        return ""

    def _find(self, path: str, directory: Path, quoted: bool) -> Path | None:
        for place in [directory, *self._directories] if quoted else self._directories[:-1]:
            candidate = Path(place, path)
            if candidate.is_file():
                return candidate
        return None

    def _file(self, path: Path) -> str:
        real = path.resolve()
        if real in self._once or real in self._open:
            return ""
        text = path.read_text("utf-8", "replace")
        if path not in self.result.files:
            self.result.files.append(path)
        if re.search(r"^[ \t]*#[ \t]*pragma[ \t]+once\b", text, re.M):
            self._once.add(real)
        self._open.append(real)
        try:
            inner = self._expanded(text, str(path), path.parent)
        finally:
            self._open.pop()
        return f"{_marker(1, str(path))}{inner}\n"

    def _missing(self, match: re.Match[str], path: str, name: str, directory: Path) -> CompileError:
        import difflib

        line = match.string.count("\n", 0, match.start()) + 1
        looked = dict.fromkeys(map(str, [directory, *self._directories]))
        beside = {entry for place in looked for entry in _headers_in(place)}
        near = difflib.get_close_matches(path, beside, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"looked in {', '.join(looked)}; -I in cflags adds one"
        message = f"there is no header {path!r}; {hint}"
        diagnostic = CompilerMessage(name, line, 1, "error", message, match[0].strip())
        return CompileError(str(diagnostic), (diagnostic,))


def _in_libraries(path: str) -> bool:
    from stingless.compile.toolchain import find_compiler

    compiler = find_compiler()
    return any((base / path).is_file() for base in (*compiler.includes, *compiler.own, *compiler.libc))


def _headers_in(place: str) -> list[str]:
    try:
        return [path.name for path in Path(place).iterdir() if path.suffix == ".h"]
    except OSError:
        return []


def _marker(line: int, name: str) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'#line {line} "{quoted}"\n'


@frozen
class Flags:
    """clang's arguments in parts: `macros` are -D and -U, `directories` where headers are, `included` by -include,
    `rest` all other."""

    macros: tuple[str, ...]
    directories: tuple[Path, ...]
    included: tuple[str, ...]
    rest: tuple[str, ...]


def split_flags(cflags: Sequence[str]) -> Flags:
    macros: list[str] = []
    directories: list[Path] = []
    included: list[str] = []
    rest: list[str] = []
    flags = iter(cflags)
    for flag in flags:
        for option in ("-iquote", "-isystem", "-include", "-I", "-D", "-U"):
            if flag.startswith(option):
                value = flag.removeprefix(option).strip() or next(flags, "")
                if option in ("-D", "-U"):
                    macros.append(option + value)
                elif option == "-include":
                    included.append(value)
                else:
                    directories.append(Path(value))
                break
        else:
            rest.append(flag)
    return Flags(tuple(macros), tuple(directories), tuple(included), tuple(rest))
