"""Tables and the methods called on them: `table.method(args)` becomes a macro of `headers/bcc/tables.h`."""

from __future__ import annotations

from collections.abc import Sequence

from stingless.compile.dialect.events import submitted_type
from stingless.compile.dialect.lexer import arguments
from stingless.compile.dialect.tables import MACROS, METHODS, TABLE_KINDS
from stingless.compile.dialect.work import Work


def find_tables(work: Work) -> list[str]:
    names = []
    tokens = work.tokens
    for i, token in enumerate(tokens[:-1]):
        if token.text not in MACROS or tokens[i + 1].text != "(":
            continue
        parts = arguments(tokens, i + 1)
        where = MACROS[token.text]
        if len(parts) <= where or len(parts[where]) != 1:
            raise work.refuse(token, f"{token.text}() needs the table's name as its argument {where + 1}")
        names.append(parts[where][0].text)
        if token.text == "BPF_TABLE":
            kind = parts[0][0].text.strip('"')
            if kind not in TABLE_KINDS:
                raise work.refuse(token, f"BPF_TABLE of kind {kind!r}; there are: {', '.join(sorted(TABLE_KINDS))}")
            work.replace(token.start, parts[1][0].start, f"__st_table_{kind}(")
    return names


def methods(work: Work, tables: Sequence[str]) -> None:
    tokens = work.tokens
    for i, token in enumerate(tokens[:-3]):
        if token.text == "bpf_trace_printk" and tokens[i + 1].text == "(" and tokens[i + 2].kind == "string":
            work.replace(token.start, token.end, "bpf_printk")
        if token.text not in tables or tokens[i + 1].text != "." or tokens[i + 3].text != "(":
            continue
        method = tokens[i + 2].text
        if method not in METHODS:
            import difflib

            near = difflib.get_close_matches(method, METHODS, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(METHODS))}"
            raise work.refuse(tokens[i + 2], f"table {token.text!r} has no method {method!r}; {hint}")
        if record := submitted_type(tokens, i + 3, method):
            work.events.setdefault(token.text, record)
        comma = ", " if tokens[i + 4].text != ")" else ""
        work.replace(token.start, tokens[i + 3].end, f"__st_{method}({token.text}{comma}")
