"""The names that a text itself gives a meaning: what the kernel calls so is not meant then."""

from __future__ import annotations

import re

from stingless.compile.dialect.lexer import Token, arguments, branch, matching
from stingless.compile.dialect.tables import MACROS

_DEFINE = re.compile(r"#\s*define\s+(\w+)")
_ASKED = re.compile(r"#\s*(?:ifn?def\s+(\w+)|(?:el)?if\b(.*))", re.S)
_DEFINED = re.compile(r"\bdefined\s*\(?\s*(\w+)")
_MEMBER = re.compile(r"(?:\.|->)\s*([A-Za-z_]\w*)")
_RECORDS = ("struct", "union", "enum")


def own_names(tokens: list[Token]) -> set[str]:
    """Tags (with `struct`, `union` or `enum`), typedefs, enumerators, functions, variables, tables and macros.

    A macro that the text asks for before it defines it (`#ifndef`) is the kernel's where that has it.
    """
    found: set[str] = set()
    defined: set[str] = set()
    asked: set[str] = set()
    depth = 0
    outer: list[int] = []  # the depths at the #ifs that are open
    start = 0  # of the statement
    i = 0
    while i < len(tokens):
        token = tokens[i]
        text = token.text
        if token.kind == "directive":
            what = branch(token)
            if what == "if":
                outer.append(depth)
            elif what == "else" and outer:
                depth = outer[-1]
            elif what == "endif" and outer:
                outer.pop()
            if macro := _DEFINE.match(text):
                defined.add(macro[1])
            elif question := _ASKED.match(text):
                asked.update([question[1]] if question[1] else _DEFINED.findall(question[2] or ""))
            if not depth:
                start = i + 1
        elif text in _RECORDS:
            _record(tokens, i, found)
        elif text == "typedef":
            _typedef(tokens, i, found)
        elif text == "{":
            depth += 1
            if depth == 1 and i and tokens[i - 1].text == ")":
                _declared(tokens[start:i], found)
        elif text == "}":
            depth -= 1
            if depth <= 0:
                depth = 0
                if (
                    i + 1 < len(tokens)
                    and tokens[i + 1].text not in (";", ",", "=", "[", "*")
                    and (
                        tokens[i + 1].kind != "name"
                        or tokens[start].text not in (*_RECORDS, "static", "const", "typedef")
                    )
                ):
                    start = i + 1
        elif text == ";" and not depth:
            _declared(tokens[start:i], found)
            start = i + 1
        i += 1
    return found | (defined - asked)


def members(tokens: list[Token]) -> tuple[set[str], set[str]]:
    """The names that the text has behind a point or an arrow, and those of its own structs' members."""
    used: set[str] = set()
    own: set[str] = set()
    for i, token in enumerate(tokens):
        if token.kind == "name" and i and (tokens[i - 1].text == "." or _is_arrow(tokens, i - 2)):
            used.add(token.text)
        elif token.text in ("struct", "union"):
            at = i + 1 + (i + 1 < len(tokens) and tokens[i + 1].kind == "name")
            if at < len(tokens) and tokens[at].text == "{":
                _members(tokens[at + 1 : matching(tokens, at)], own)
        elif token.kind == "directive":
            used.update(_MEMBER.findall(token.text))
    return used, own


def _is_arrow(tokens: list[Token], i: int) -> bool:
    return i >= 0 and tokens[i].text == "-" and tokens[i + 1].text == ">"


def _members(body: list[Token], found: set[str]) -> None:
    start = 0
    for i, token in enumerate(body):
        if token.text == ";":
            _declared(body[start:i], found)
            start = i + 1
        elif token.text in ("{", "}"):
            start = i + 1


def _record(tokens: list[Token], i: int, found: set[str]) -> None:
    at = i + 1
    while at + 1 < len(tokens) and tokens[at].text == "__attribute__":
        at = matching(tokens, at + 1) + 1
    if at < len(tokens) and tokens[at].kind == "name":
        if at + 1 < len(tokens) and tokens[at + 1].text == "{":
            found.add(f"{tokens[i].text} {tokens[at].text}")
        at += 1
    if tokens[i].text == "enum" and at < len(tokens) and tokens[at].text == "{":
        for part in arguments(tokens, at):
            if part and (names := [t for t in part if t.kind == "name"]):
                found.add(names[0].text)


def _typedef(tokens: list[Token], i: int, found: set[str]) -> None:
    at = i + 1
    while at < len(tokens) and tokens[at].text != ";":
        at = matching(tokens, at) if tokens[at].text == "{" else at
        at += 1
    _declared(tokens[i + 1 : at], found)


def _declared(statement: list[Token], found: set[str]) -> None:
    """The name that `T *name[3] = ...`, `T (*name)(...)` or `T name(...)` declares, or the table of a table macro."""
    if not statement or statement[0].text == "typedef":
        return
    where = MACROS.get(statement[0].text)
    if where is not None and len(statement) > 1 and statement[1].text == "(":
        parts = arguments(statement, 1)
        if len(parts) > where and len(parts[where]) == 1:
            found.add(parts[where][0].text)
        return
    last = ""
    i = 0
    while i < len(statement):
        token = statement[i]
        if token.text == "=":
            break
        if token.text in ("{", "["):
            i = matching(statement, i)
        elif token.text in ("__attribute__", "SEC", "__typeof__", "typeof") and i + 1 < len(statement):
            i = matching(statement, i + 1) if statement[i + 1].text == "(" else i
        elif token.text == "(":
            if i + 2 < len(statement) and statement[i + 1].text == "*":
                last = statement[i + 2].text
            break
        elif token.text == "," and last:
            found.add(last)
        elif token.kind == "name":
            last = token.text
        i += 1
    if last and len(statement) > 1 and not (len(statement) == 2 and statement[0].text in _RECORDS):
        found.add(last)
