"""The part of vmlinux.h that a program can mean.

The whole is 130,000 lines, and clang takes ten times as long over them as over the program.  A declaration is wanted
when the program's text, or a header of its own, has its name, or a wanted one has a member of that type; the type that
a member points to, only when the text has that member's name, since without it nothing can be done with the pointer.
What this misses (a name that a macro pastes together) does not compile, and is compiled again with the whole.
"""

from __future__ import annotations

import marshal
import re
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from stingless.private_cache import PrivateCache

ROOM = "headers"  # of the cache
_WORD = re.compile(r"[A-Za-z_]\w*")
_TAG = re.compile(r"\b(?:struct|union|enum)\s+[A-Za-z_]\w*")
_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
_ENUMERATOR = re.compile(r"^\t+(\w+) = ", re.M)
_DEFINED_TAG = re.compile(r"((?:struct|union|enum) \w+) \{")
_TYPEDEF = re.compile(r"\(\*(\w+)\)|(\w+)\(|(\w+)(?:\[\w*\])*(?: __attribute__.*)?;$")
_FUNCTION = re.compile(r"(\w+)\(")

Index = tuple[list[tuple[int, int]], dict[str, list[int]], list[int]]
"""Where each declaration is; the numbers of those that a name (with `struct`, for a tag) has; those always taken."""


def program_text(name: str, text: str, directories: Sequence[Path]) -> str:
    """A program with all the headers of the user's own that it takes in."""
    seen: set[Path] = set()
    parts = []
    waiting = [(Path(name).parent, text)]
    while waiting:
        directory, part = waiting.pop()
        parts.append(part)
        for header in _INCLUDE.findall(part):
            places = (directory / header, *(other / header for other in directories))
            found = next((place.resolve() for place in places if place.is_file()), None)
            if found is not None and found not in seen:
                seen.add(found)
                waiting.append((found.parent, found.read_text("utf-8", "replace")))
    return "\n".join(parts)


def narrowed(header: bytes, text: str) -> bytes:
    """Those declarations of `header`, in its order, that the program `text` can mean."""
    spans, names, always = _index(header)
    words = set(_WORD.findall(text))
    tags = {" ".join(tag.split()) for tag in _TAG.findall(text)}
    chosen: set[int] = set(always)
    mentioned: set[str] = set()
    waiting = [number for name in words | tags for number in names.get(name, ())]
    while waiting:
        number = waiting.pop()
        if number not in chosen:
            chosen.add(number)
            start, end = spans[number]
            needs, tags = _needs(header[start:end].decode(), words, names)
            mentioned |= tags
            waiting += [other for name in needs for other in names.get(name, ())]
    forward = "".join(f"{tag};\n" for tag in sorted(mentioned) if not tag.startswith("enum"))
    out = []
    for number in sorted(chosen):
        start, end = spans[number]
        if forward and number not in always:
            out.append(forward.encode())
            forward = ""
        out.append(header[start:end])
    return b"\n\n".join(out) + b"\n"


def _needs(declaration: str, words: set[str], names: dict[str, list[int]]) -> tuple[set[str], set[str]]:
    """The names that a declaration needs, and all the tags that it mentions."""
    needs: set[str] = set()
    mentioned: set[str] = set()
    outer = declaration.startswith(("extern", "typedef"))  # what these point to is described in the program's BTF
    for line in declaration.splitlines():
        of_line = _WORD.findall(line)
        needs.update(word for word in of_line if word in names)
        tags = _TAG.findall(line)
        mentioned.update(tags)
        if outer or "*" not in line:
            needs.update(tags)
        else:
            needs.update(tag for tag in tags if tag.startswith("enum"))
            if not words.isdisjoint(of_line[2:]):
                needs.update(tags)
    return needs, mentioned


def _index(header: bytes) -> Index:
    """Made once for a header and kept: reading it all takes longer than compiling a program."""
    key = f"index-{zlib.crc32(header):08x}-{len(header)}-{sys.implementation.cache_tag}"
    with PrivateCache(ROOM) as room:
        room.entries = 8
        kept = room.get(key)
        if kept is not None:
            found: Index = marshal.loads(kept)
            return found
        index = _made(header.decode())
        room.put(key, marshal.dumps(index))
        return index


def _made(header: str) -> Index:
    """Declarations have an empty line between them, prototypes a line each."""
    spans: list[tuple[int, int]] = []
    names: dict[str, list[int]] = {}
    always: list[int] = []
    at = 0
    for block in header.split("\n\n"):
        pieces = block.splitlines(keepends=True) if block.startswith("extern ") else [block]
        start = at
        for piece in pieces:
            for name in _names(piece):
                names.setdefault(name, []).append(len(spans))
            if piece.startswith("#"):
                always.append(len(spans))
            spans.append((start, start + len(piece)))
            start += len(piece)
        at += len(block) + 2
    return spans, names, always


def _names(declaration: str) -> Iterable[str]:
    yield from _ENUMERATOR.findall(declaration)
    if declaration.startswith("extern "):
        function = _FUNCTION.search(declaration)
        if function:
            yield function[1]
    elif declaration.startswith("typedef "):
        name = _TYPEDEF.search(declaration[declaration.rfind("}") + 1 :])
        if name:
            yield name[1] or name[2] or name[3]
    else:
        tag = _DEFINED_TAG.match(declaration)
        if tag:
            yield tag[1]
