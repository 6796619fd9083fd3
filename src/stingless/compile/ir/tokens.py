"""The tokens of one line of LLVM's textual IR, and how far a type, a value or a bracket reaches in them."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
      [%@$!\#^]?[-\w.$]+(?!["\w])  # a word, a number, a name, a metadata node, an attribute group
    | [][(){}<>,=*|:!]
    | [%@$!c]?"[^"]*"             # a quoted name; a string (its quotes are written \22)
    """,
    re.X,
)
_CLOSER = {"(": ")", "[": "]", "{": "}", "<": ">"}
_OPENER = {closer: opener for opener, closer in _CLOSER.items()}
# In front of the brackets of a constant expression.
_CONSTANT_WORDS = frozenset(
    (
        *("getelementptr", "inbounds", "nuw", "nsw", "nusw", "inttoptr", "ptrtoint", "ptrtoaddr", "bitcast"),
        *("addrspacecast", "trunc", "add", "sub", "xor", "splat", "extractelement", "insertelement", "shufflevector"),
        *("dso_local_equivalent", "no_cfi", "blockaddress"),
    )
)


class IrError(ValueError):
    """Text that is not LLVM IR as clang writes it."""


def tokens_of(line: str) -> list[str]:
    """The tokens of a line without its comment.  Raises `IrError` for a string that does not end."""
    if ";" in line:
        line = _without_comment(line)
    if line.count('"') % 2:
        raise IrError(f"a string does not end: {line.strip()[:120]}")
    return _TOKEN.findall(line)


def _without_comment(line: str) -> str:
    quoted = False
    for at, char in enumerate(line):
        if char == '"':
            quoted = not quoted
        elif char == ";" and not quoted:
            return line[:at]
    return line


def group_end(tokens: list[str], opener: int) -> int:
    """The index behind the bracket that closes the one at `opener`.  Raises `IrError` when there is none."""
    depth = 0
    for at in range(opener, len(tokens)):
        if tokens[at] in _CLOSER:
            depth += 1
        elif tokens[at] in _OPENER:
            depth -= 1
            if not depth:
                return at + 1
    raise IrError(f"a bracket is not closed: {' '.join(tokens)[:120]}")


def type_end(tokens: list[str], start: int) -> int:
    """The index behind the type at `start`, without the parameters of a function type."""
    if start >= len(tokens):
        raise IrError(f"a type is missing: {' '.join(tokens)[:120]}")
    end = group_end(tokens, start) if tokens[start] in _CLOSER else start + 1
    if tokens[start] == "target" or (end + 1 < len(tokens) and tokens[end] == "addrspace"):
        end = group_end(tokens, end if tokens[start] == "target" else end + 1)
    return end


def value_end(tokens: list[str], start: int) -> int:
    """The index behind the value at `start`."""
    at = start
    while at < len(tokens) and tokens[at] in _CONSTANT_WORDS:
        at += 1
    if at >= len(tokens):
        raise IrError(f"a value is missing: {' '.join(tokens)[:120]}")
    return group_end(tokens, at) if tokens[at] in _CLOSER else at + 1


def split(tokens: list[str]) -> list[list[str]]:
    """The parts of a list between its commas, without those inside brackets."""
    parts: list[list[str]] = []
    part: list[str] = []
    depth = 0
    for token in tokens:
        if token == "," and not depth:
            parts.append(part)
            part = []
            continue
        if token in _CLOSER:
            depth += 1
        elif token in _OPENER:
            depth -= 1
        part.append(token)
    if part or parts:
        parts.append(part)
    return parts


def last_value(tokens: list[str]) -> list[str]:
    """The value at the end of `type attributes value`."""
    if not tokens:
        raise IrError("an argument is empty")
    start = len(tokens) - 1
    if tokens[start] in _OPENER:
        depth = 0
        while start >= 0:
            if tokens[start] in _OPENER:
                depth += 1
            elif tokens[start] in _CLOSER:
                depth -= 1
                if not depth:
                    break
            start -= 1
        while start > 0 and tokens[start - 1] in _CONSTANT_WORDS:
            start -= 1
    return tokens[max(start, 0) :]
