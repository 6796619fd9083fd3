"""Which type a program submits to an event table, so that `table.event(data)` can decode it.

The dialect leaves a variable `MARKER + table` of that type in the object; only its BTF is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from stingless.compile.dialect.lexer import Token, arguments

MARKER = "__st_event_"
# Method -> index of its argument that points to the record.
SUBMITS = {"perf_submit": 1, "ringbuf_output": 0}
_QUALIFIERS = frozenset({"const", "volatile", "static"})


def submitted_type(tokens: Sequence[Token], opener: int, method: str) -> str | None:
    """The C type of the record in the call whose bracket is at `opener`, or None when the text does not tell."""
    parts = arguments(list(tokens), opener)
    if method == "ringbuf_reserve":
        words = [t.text for t in parts[0]] if parts else []
        return " ".join(words[2:-1]) if words[:2] == ["sizeof", "("] else None
    where = SUBMITS.get(method)
    if where is None or len(parts) <= where:
        return None
    names = [t.text for t in parts[where] if t.kind == "name"]
    return _declared_type(tokens[:opener], names[-1]) if names else None


def _declared_type(tokens: Sequence[Token], variable: str) -> str | None:
    """The type in the last declaration `T variable` or `T *variable` before here."""
    for i in range(len(tokens) - 1, 0, -1):
        if tokens[i].text != variable or tokens[i].kind != "name":
            continue
        at = i - 1
        while at > 0 and tokens[at].text == "*":
            at -= 1
        kind = tokens[at]
        if kind.kind != "name" or kind.text in _QUALIFIERS | {"return", "sizeof"}:
            continue
        if tokens[at - 1].text in ("struct", "union", "enum"):
            return f"{tokens[at - 1].text} {kind.text}"
        if at + 1 <= i and tokens[at - 1].text in (";", "{", "}", "(", ",", ")"):
            return kind.text
    return None
