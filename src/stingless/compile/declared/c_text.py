"""C text of headers, preprocessed or not, to its macros and declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stingless.compile.declared.index import Declaration

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
_MACRO = re.compile(r"#\s*define\s+(\w+)(?:\(([^)]*)\))?")
_LINE = re.compile(r'# \d+ "([^"]*)"')
_HAS = re.compile(r"#\s*if\s+__st_has\(\s*([^,)]+?)\s*(?:,\s*(\w+)\s*)?\)")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_TAG = re.compile(r"\b(struct|union|enum)\s+([A-Za-z_]\w*)")
_DEFINED_TAG = re.compile(r"\b(struct|union|enum)\s+(?:__attribute__\s*\(\(.*?\)\)\s*)?([A-Za-z_]\w*)\s*\{")
_ENUM = re.compile(r"\benum\b[^{;]*\{([^}]*)\}")
_ENUMERATOR = re.compile(r"(?:^|,)\s*([A-Za-z_]\w*)")
_TYPEDEF = re.compile(r"\(\s*\*\s*(\w+)\s*\)\s*\(|(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__attribute__\s*\(\(.*\)\)\s*)?;$", re.S)
_FUNCTION = re.compile(r"([A-Za-z_]\w*)\s*\(")
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
_KEYWORDS_TEXT = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long "
    "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
    "_Bool __attribute__ __extension__ __inline __inline__ __typeof__ typeof define defined"
)
_KEYWORDS = frozenset(_KEYWORDS_TEXT.split())


def macros_and_declarations(text: str, header: str = "") -> Iterator[Declaration]:
    """In the order of the text, which is of `header`, or of those that `# 1 "file"` lines tell.

    `#if __st_has(struct tag, member)` and `#if __st_has(name)` ask the kernel that a program is compiled for."""
    pending: list[str] = []
    conditions: tuple[str, ...] = ()
    depth = 0
    lines = iter(_COMMENT.sub(lambda m: " " + "\n" * m[0].count("\n"), text).split("\n"))
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("#"):
            while stripped.endswith("\\"):
                stripped = stripped + "\n" + next(lines, "").rstrip()
            if marker := _LINE.match(stripped):
                header = marker[1]
            elif macro := _MACRO.match(stripped):
                yield _macro(stripped, macro, header)._replace(conditions=conditions)
            elif has := _HAS.match(stripped):
                conditions = (*conditions, f"{has[1]}.{has[2]}" if has[2] else has[1])
            elif stripped.startswith("#else") and conditions:
                last = conditions[-1]
                conditions = (*conditions[:-1], last[1:] if last.startswith("!") else f"!{last}")
            elif stripped.startswith("#endif"):
                conditions = conditions[:-1]
            continue
        if not stripped:
            continue
        pending.append(line.rstrip())
        bare = _STRING.sub("", stripped)
        depth += bare.count("{") - bare.count("}")
        if depth == 0 and bare.endswith((";", "}")):
            whole = "\n".join(pending).strip()
            if bare.endswith(";") or _is_function(whole):
                pending = []
                if found := _declaration(whole, header):
                    yield found._replace(conditions=conditions)


def _macro(line: str, macro: re.Match[str], header: str) -> Declaration:
    parameters = set(_WORD.findall(macro[2] or ""))
    own = macro[1]
    tags, words = _mentioned(_STRING.sub("", line[macro.end() :]))
    return Declaration(line, (own,), words=tuple(sorted((tags | words) - parameters - {own})), header=header)


def _is_function(whole: str) -> bool:
    head = _ATTRIBUTE.sub("", whole.partition("{")[0])
    return "(" in head and "=" not in head


def _mentioned(text: str) -> tuple[set[str], set[str]]:
    tags = {f"{kind} {name}" for kind, name in _TAG.findall(text)}
    of_tags = {tag.split()[1] for tag in tags}
    return tags, set(_WORD.findall(text)) - _KEYWORDS - of_tags


def _declaration(whole: str, header: str) -> Declaration | None:
    names = [f"{kind} {name}" for kind, name in _DEFINED_TAG.findall(whole)]
    for body in _ENUM.findall(whole):
        names += _ENUMERATOR.findall(body)
    if whole.startswith(("typedef", "__extension__ typedef")):
        found = _TYPEDEF.search(whole)
        if found:
            names.append(found[1] or found[2])
    elif _is_function(whole):
        found = _FUNCTION.search(_ATTRIBUTE.sub("", whole))
        if found:
            names.append(found[1])
    if not names:
        return None
    tags, words = _mentioned(_STRING.sub("", whole))
    needed = tuple(sorted((tags | words) - set(names)))
    return Declaration(whole, tuple(dict.fromkeys(names)), words=needed, header=header)


def constants_and_tags(text: str) -> set[str]:
    """Names in capitals, and tags with `struct`, `union` or `enum`."""
    tags, words = _mentioned(_STRING.sub("", _COMMENT.sub(" ", text)))
    return tags | {word for word in words if word.isupper()}
