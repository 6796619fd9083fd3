"""Packet headers: what `ip->src` reads and writes is in the packet, at an offset that cursor_advance() gave.

In bcc's dialect, pointers to structs that are declared with BPF_PACKET_HEADER (those of bcc/proto.h, and the text's
own) hold offsets.  Their members become macros of headers/bcc/packets.h, which are told the member's place and width;
those of a bit-field, which C cannot name, are counted here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import NamedTuple

from stingless.compile.dialect.bodies import Body, bodies
from stingless.compile.dialect.lexer import Token, matching, tokenize
from stingless.compile.dialect.work import Work

_ATTRIBUTE = "BPF_PACKET_HEADER"
_PROTO = "bcc/proto.h"
_TYPE_WORD = re.compile(r"(?:__)?[us](?:8|16|32|64)|u?int(?:\d+|ptr)_t|size_t|unsigned|signed|char|short|int|long")
_NO_OPERANDS = frozenset({"return", "case", "else", "do"})


class Bits(NamedTuple):
    """A bit-field, in C: the number of bits before it, and its own."""

    place: str
    width: str


Headers = dict[str, dict[str, Bits | None]]  # struct -> member -> where it is, None: C can tell


def packets(work: Work, included: Collection[str]) -> str:
    """Rewrite the accesses, and the checksum helpers that are not told which packet.  `included` are the headers that
    the text includes and that are no files of the user's.  Returns what is to be included before the text."""
    headers = _declared(work.tokens)
    if _PROTO in included:
        headers = _proto() | headers
    found = bodies(work.tokens)
    for body in found:
        _checksums(work, body)
        if headers:
            _Accesses(work, body, headers).rewrite()
    return f"#include <{_PROTO}>\n" if _PROTO in included else ""


@cache
def _proto() -> Headers:
    from stingless.compile.toolchain import BCC_HEADERS

    return _declared(tokenize((BCC_HEADERS / _PROTO).read_text()))


def _declared(tokens: list[Token]) -> Headers:
    """The structs that are declared as packet headers."""
    found: Headers = {}
    for i in range(len(tokens) - 2):
        if tokens[i].text == "struct" and tokens[i + 2].text == "{":
            closer = matching(tokens, i + 2)
            if closer + 1 < len(tokens) and tokens[closer + 1].text == _ATTRIBUTE:
                found[tokens[i + 1].text] = _members(tokens[i + 1].text, tokens[i + 3 : closer])
    return found


def _members(struct: str, tokens: list[Token]) -> dict[str, Bits | None]:
    members: dict[str, Bits | None] = {}
    place = "0"
    statement: list[Token] = []
    for token in tokens:
        if token.text != ";":
            statement.append(token)
            continue
        texts = [t.text for t in statement]
        if ":" in texts:
            at = texts.index(":")
            width = "".join(texts[at + 1 :])
            if at and statement[at - 1].kind == "name":
                members[texts[at - 1]] = Bits(place, width)
            place = f"{place} + {width}"
        elif names := [t for t in statement if t.kind == "name"]:
            name = names[-1].text
            members[name] = None
            place = f"8 * (__builtin_offsetof(struct {struct}, {name}) + {_sizeof(struct, name)})"
        statement = []
    return members


def _sizeof(struct: str, member: str) -> str:
    return f"sizeof(((struct {struct} *)0)->{member})"


def _checksums(work: Work, body: Body) -> None:
    for i in range(body.opener, body.closer - 1):
        token = work.tokens[i]
        if token.text in ("incr_cksum_l3", "incr_cksum_l4") and work.tokens[i + 1].text == "(":
            work.replace(token.start, work.tokens[i + 1].end, f"__st_{token.text}({body.context}, ")


class _Accesses:
    """The accesses of one function."""

    def __init__(self, work: Work, body: Body, headers: Headers) -> None:
        self._work = work
        self._tokens = work.tokens
        self._body = body
        self._headers = headers
        self._pointers = dict(self._declarations())

    def _declarations(self) -> Iterator[tuple[str, str]]:
        """(variable, struct) of the parameters and locals that point to packet headers."""
        tokens = self._tokens
        for part in self._body.parameters:
            yield from self._pointer(part, 0, len(part))
        for i in range(self._body.opener, self._body.closer):
            yield from self._pointer(tokens, i, self._body.closer)

    def _pointer(self, tokens: list[Token], i: int, end: int) -> Iterator[tuple[str, str]]:
        """What `struct ip_t *a = ..., *b;` at `i` declares."""
        if i + 3 >= end or tokens[i].text != "struct" or tokens[i + 1].text not in self._headers:
            return
        at = i + 2
        while at + 1 < end and tokens[at].text == "*" and tokens[at + 1].kind == "name":
            yield tokens[at + 1].text, tokens[i + 1].text
            at = self._expression_end(tokens, at + 2, end) + 1
            if at >= end or tokens[at].text != ",":
                return
            at += 1

    def rewrite(self) -> None:
        tokens = self._tokens
        for i in range(self._body.opener, self._body.closer - 3):
            struct = self._pointers.get(tokens[i].text)
            if (
                struct is None
                or not self._joined(i + 1, "->")
                or self._joined(i - 2, "->")
                or tokens[i - 1].text == "."
            ):
                continue
            if tokens[i + 3].text in self._headers[struct]:
                self._access(i, struct)

    def _joined(self, i: int, operator: str) -> bool:
        """Do the tokens from `i` on make this operator?"""
        parts = self._tokens[i : i + len(operator)]
        return "".join(t.text for t in parts) == operator and parts[-1].end - parts[0].start == len(operator)

    def _access(self, i: int, struct: str) -> None:
        tokens, work = self._tokens, self._work
        last = i + 3
        while tokens[last + 1].text == "[":
            last = matching(tokens, last + 1)
        if self._only_named(i):
            return
        place = f"{self._body.context}, {tokens[i].text}, {self._place(struct, i + 3, last)}"
        load = f"__st_packet_load({place})"
        start, end = tokens[i].start, tokens[last].end
        for operator in ("++", "--"):
            if self._joined(i - 2, operator):
                work.replace(tokens[i - 2].start, end, f"__st_packet_store({place}, {load} {operator[0]} 1)")
                return
            if self._joined(last + 1, operator):
                stop = tokens[last + 2].end
                back = "-" if operator == "++" else "+"  # the value before
                work.replace(start, stop, f"(__st_packet_store({place}, {load} {operator[0]} 1) {back} 1)")
                return
        assigned = self._assignment(last + 1)
        if assigned is None:
            work.replace(start, end, load)
            return
        operator, first = assigned
        head = f"{load} {operator} (" if operator else "("
        work.replace(start, tokens[first - 1].end, f"__st_packet_store({place}, {head}")
        finish = tokens[self._expression_end(tokens, first, self._body.closer)].end
        work.replace(finish, finish, "))")

    def _place(self, struct: str, field: int, last: int) -> str:
        bits = self._headers[struct][self._tokens[field].text]
        if bits is not None:
            return f"{bits.place}, {bits.width}"
        member = "".join(t.text for t in self._tokens[field : last + 1])
        return f"8 * __builtin_offsetof(struct {struct}, {member}), 8 * {_sizeof(struct, member)}"

    def _only_named(self, i: int) -> bool:
        """`&ip->src` and `sizeof(ip->src)` read nothing."""
        before, earlier = self._tokens[i - 1], self._tokens[i - 2]
        if before.text == "&":
            if earlier.text == "&" and earlier.end == before.start:
                return False  # &&
            if earlier.text == ")":
                return self._is_type(self._opener(i - 2), i - 2)
            return (earlier.kind not in ("name", "number") and earlier.text != "]") or earlier.text in _NO_OPERANDS
        return before.text == "(" and earlier.text in ("sizeof", "typeof", "__typeof__")

    def _assignment(self, i: int) -> tuple[str, int] | None:
        """The operator of a compound assignment ("" of a plain one) at `i`, and where its right side begins."""
        for operator in ("<<", ">>", "+", "-", "*", "/", "%", "&", "|", "^"):
            if self._joined(i, operator + "="):
                return operator, i + len(operator) + 1
        if self._tokens[i].text == "=" and not self._joined(i, "=="):
            return "", i + 1
        return None

    def _opener(self, closer: int) -> int:
        depth = 0
        for i in range(closer, self._body.opener, -1):
            depth += {")": 1, "(": -1}.get(self._tokens[i].text, 0)
            if not depth:
                return i
        return self._body.opener

    def _is_type(self, opener: int, closer: int) -> bool:
        """Is what is in these brackets a cast, and no operand?"""
        texts = [t.text for t in self._tokens[opener + 1 : closer]]
        return bool(texts) and (texts[-1] == "*" or all(_TYPE_WORD.fullmatch(text) for text in texts))

    @staticmethod
    def _expression_end(tokens: list[Token], i: int, end: int) -> int:
        """The last token of the expression that begins at `i`."""
        while i < end and tokens[i].text not in (";", ",", ")", "]", "}"):
            i = matching(tokens, i) if tokens[i].text in ("(", "[", "{") else i
            i += 1
        return i - 1
