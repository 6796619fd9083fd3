"""The dialect's text to plain C: the same lines, so that the compiler speaks of the user's own.

* the user's own headers are taken in, those of the kernel left out: what the program needs of them is in the prelude;
* `table.method(args)` becomes a macro of `headers/bcc/table_methods.h`;
* a function that is not static becomes a program in a section of its own;
* arguments after `struct pt_regs *ctx` are read from the registers, for `syscall__*` from the inner ones;
* `TRACEPOINT_PROBE` and `struct tracepoint__*` get the struct of the tracepoint's record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stingless.compile.dialect.facts import Facts
from stingless.compile.dialect.functions import functions
from stingless.compile.dialect.gather import Gathered, Gathering, split_flags
from stingless.compile.dialect.lexer import Token, tokenize
from stingless.compile.dialect.own_names import members, own_names
from stingless.compile.dialect.packets import packets
from stingless.compile.dialect.prelude import Prelude
from stingless.compile.dialect.table_calls import find_tables, methods
from stingless.compile.dialect.tracepoints import tracepoint_records
from stingless.compile.dialect.usdt_arguments import usdt_arguments
from stingless.compile.dialect.work import Work
from stingless.errors import UnknownNameError
from stingless.frozen import frozen

_LICENSE = re.compile(r"#\s*define\s+BPF_LICENSE\s+(?P<text>[^\n]+)")
_RECORDS = ("struct", "union", "enum")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_TAG = re.compile(r"\b(struct|union|enum)\s+([A-Za-z_]\w*)")
_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)


@frozen
class Translation:
    """`functions` are the programs in order, `tables` the tables, `headers` the kernel's headers that the text
    includes, `files` the user's own; `absent` are structs of tracepoints that the kernel does not have; `flags` are the
    cflags that clang is still to be given."""

    body: str
    prelude: Prelude
    functions: tuple[str, ...]
    tables: tuple[str, ...]
    gathered: Gathered
    absent: dict[str, UnknownNameError]
    flags: tuple[str, ...] = ()

    @property
    def headers(self) -> list[str]:
        return self.gathered.headers

    @property
    def files(self) -> list[Path]:
        return self.gathered.files

    @property
    def text(self) -> str:
        """C for clang."""
        return self.prelude.text() + self.body

    def with_names(self, names: Iterable[str]) -> bool:
        """Declare these too in `text`, which clang did not find.  False when the kernel has no more of them."""
        return self.prelude.add(names)


def translate(text: str, facts: Facts, name: str = "main.c", cflags: Sequence[str] = ()) -> Translation:
    """Translate the dialect, for the kernel `facts`.

    Raises `CompileError` for a header that is missing, an unknown table method, or a probe that is not formed as one.
    """
    flags = split_flags(cflags)
    gathered = Gathering(name, flags.directories).gather(text, flags.included)
    work = Work(gathered.text, name, tokenize(gathered.text), facts)
    tables = find_tables(work)
    methods(work, tables)
    headers = packets(work, gathered.headers)
    usdt_arguments(work)
    functions(work)
    own = own_names(work.tokens)
    used, own_members = members(work.tokens)
    words, tags = _mentioned(work.tokens, flags.macros)
    tags.update(f"struct {name}" for name in work.functions)
    records, absent = tracepoint_records(facts, tags - own, used)
    _of_text(records, words, tags)
    prelude = Prelude(facts, words, tags, own, used - own_members, gathered.headers, flags.macros)
    body = f'{headers}{records}#line 1 "{name}"\n{work.edited()}'
    if not any(t.text in ("license", "_license") for t in work.tokens):
        body += f'\nchar __st_license[] SEC("license") = "{_license(work, flags.macros)}";\n'
    return Translation(body, prelude, tuple(work.functions), tuple(tables), gathered, absent, flags.rest)


def _mentioned(tokens: list[Token], *texts: Iterable[str]) -> tuple[set[str], set[str]]:
    """The names and the tags in the text, its directives, and other texts."""
    words: set[str] = set()
    tags: set[str] = set()
    before = ""
    for token in tokens:
        if token.kind == "name":
            words.add(token.text)
            if before in _RECORDS:
                tags.add(f"{before} {token.text}")
        elif token.kind == "directive":
            _of_text(_NOT_CODE.sub(" ", token.text), words, tags)
        before = token.text
    for text in texts:
        for part in text:
            _of_text(part, words, tags)
    return words, tags


def _of_text(text: str, words: set[str], tags: set[str]) -> None:
    words.update(_NAME.findall(text))
    tags.update(f"{kind} {tag}" for kind, tag in _TAG.findall(text))


def _license(work: Work, macros: Iterable[str]) -> str:
    """`#define BPF_LICENSE text`, or -D of it, names the licence; bcc's programs are GPL otherwise."""
    directives = [t.text for t in work.tokens if t.kind == "directive"]
    given = (f"#define {macro[2:].replace('=', ' ', 1)}" for macro in macros if macro.startswith("-D"))
    found = map(_LICENSE.match, [*directives, *given])
    return next((m["text"].strip().strip('"') for m in found if m), "GPL")
