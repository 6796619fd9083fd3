"""The kernel's types, from the text of a header made of its BTF (see btf/cdecl.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stingless.compile.declared.index import Declaration

_WORD = re.compile(r"[A-Za-z_]\w*")
_TAG = re.compile(r"\b(?:struct|union|enum) [A-Za-z_]\w*")
_LINE_WITH_TAG = re.compile(r"^.*\b(?:struct|union|enum) .*$", re.M)
_ENUMERATOR = re.compile(r"^\t+(\w+) = ", re.M)
_DEFINED_TAG = re.compile(r"((?:struct|union|enum) \w+) \{")
_NESTED_TAG = re.compile(r"^\t+((?:struct|union|enum) \w+) \{", re.M)
_TYPEDEF = re.compile(r"\(\*(\w+)\)|(\w+)\(|(\w+)(?:\[\w*\])*(?: __attribute__.*)?;$")
_MEMBER = re.compile(r"\*(?:const |volatile |restrict )*(\w+)(?:\[\w*\])*(?: __attribute__.*)?;$")
_IN_PARAMETERS = re.compile(r"\((?!\*)[^()]*\)")


def kernel_types(header: str) -> list[Declaration]:
    """The declarations of the header, in its order, without functions, which no program in bcc's dialect calls."""
    blocks = [block for block in header.split("\n\n") if block and not block.startswith(("extern ", "#"))]
    blocks = [block.strip("\n") for block in blocks]
    names = [tuple(_names(block)) for block in blocks]
    numbers: dict[str, list[int]] = {}
    for number, of_block in enumerate(names):
        for name in of_block:
            numbers.setdefault(name, []).append(number)
    return [_declaration(block, names[number], numbers) for number, block in enumerate(blocks)]


def _names(block: str) -> Iterator[str]:
    yield from _ENUMERATOR.findall(block)
    if block.startswith("typedef "):
        name = _TYPEDEF.search(block[block.rfind("}") + 1 :])
        if name:
            yield name[1] or name[2] or name[3]
    else:
        tag = _DEFINED_TAG.match(block)
        if tag:
            yield tag[1]
            yield from _NESTED_TAG.findall(block)


def _declaration(block: str, own: tuple[str, ...], numbers: dict[str, list[int]]) -> Declaration:
    words = set(_WORD.findall(block)).difference(own)
    needs = {number for word in words if word in numbers for number in numbers[word]}
    behind: dict[str, set[int]] = {}
    early: set[str] = set()
    for line in _LINE_WITH_TAG.findall(block):
        tags = _TAG.findall(line)
        if "*" not in line:
            needs.update(number for tag in tags if tag not in own for number in numbers.get(tag, ()))
            continue
        found = _MEMBER.search(line)
        if "(" in line:
            parameters = " ".join(_IN_PARAMETERS.findall(line))
            early.update(tag for tag in _TAG.findall(parameters) if not tag.startswith("enum") and tag not in own)
        for tag in tags:
            if tag.startswith("enum"):
                needs.update(numbers.get(tag, ()))
            elif found and tag in numbers and tag not in own:
                behind.setdefault(found[1], set()).update(numbers[tag])
    kept = tuple((member, tuple(sorted(of_member))) for member, of_member in behind.items())
    return Declaration(block, own, tuple(sorted(needs)), kept, tuple(sorted(early)))
