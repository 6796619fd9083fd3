"""The dialect's text to plain C: the same lines, so that the compiler speaks of the user's own.

* `table.method(args)` becomes a macro of `headers/bcc.h`;
* a function that is not static becomes a program in a section of its own;
* arguments after `struct pt_regs *ctx` are read from the registers, for `syscall__*` from the inner ones;
* `TRACEPOINT_PROBE` and `struct tracepoint__*` get the struct of the tracepoint's record;
* `#include`s of kernel-internal headers go: what they are wanted for is in the prelude.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from stingless.compile.dialect.events import MARKER
from stingless.compile.dialect.functions import FormatOf, functions
from stingless.compile.dialect.includes import includes
from stingless.compile.dialect.lexer import tokenize
from stingless.compile.dialect.table_calls import find_tables, methods
from stingless.compile.dialect.work import Work

_LICENSE = re.compile(r"#\s*define\s+BPF_LICENSE\s+(?P<text>[^\n]+)")


@dataclass(frozen=True)
class Translation:
    """`text` is C for clang; `functions` the programs in order, `tables` the tables, `dropped` the kernel-internal
    headers that were left out."""

    text: str
    functions: tuple[str, ...]
    tables: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def translate(text: str, format_of: FormatOf, has_header: Callable[[str], bool], name: str = "main.c") -> Translation:
    """Translate the dialect.  `has_header` tells which headers the compiler can include.

    Raises `CompileError` for an unknown table method or a construct that is not there yet.
    """
    work = Work(text, name, tokenize(text))
    tables = find_tables(work)
    includes(work, has_header)
    methods(work, tables)
    functions(work, format_of)
    body = text
    for start, end, new in sorted(work.edits, reverse=True):
        body = body[:start] + new + body[end:]
    structs = "".join(s + "\n" for s in work.structs.values())
    full = f'#include <bcc.h>\n{structs}#line 1 "{name}"\n{body}'
    if not any(t.text == "license" or t.text == "_license" for t in work.tokens):
        full += f'\nchar __st_license[] SEC("license") = "{_license(work)}";\n'
    full += "".join(f'{kind} {MARKER}{table} SEC(".st.events");\n' for table, kind in work.events.items())
    return Translation(full, tuple(work.functions), tuple(tables), tuple(work.dropped))


def _license(work: Work) -> str:
    """`#define BPF_LICENSE text` names the licence; bcc's programs are GPL otherwise."""
    found = (_LICENSE.match(t.text) for t in work.tokens if t.kind == "directive")
    return next((m["text"].strip().strip('"') for m in found if m), "GPL")
