"""The dialect's text to plain C: the same lines, so that the compiler speaks of the user's own.

* `table.method(args)` becomes a macro of `headers/bcc.h`;
* a function that is not static becomes a program in a section of its own;
* arguments after `struct pt_regs *ctx` are read from the registers, for `syscall__*` from the inner ones;
* `TRACEPOINT_PROBE` and `struct tracepoint__*` get the struct of the tracepoint's record;
* `#include`s of kernel-internal headers go: what they are wanted for is in the prelude.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stingless.compile.dialect.events import MARKER, submitted_type
from stingless.compile.dialect.lexer import Token, arguments, matching, tokenize
from stingless.compile.dialect.tables import MACROS, METHODS, TABLE_KINDS
from stingless.compile.dialect.tracepoints import Field, struct_declaration
from stingless.errors import CompileError, Diagnostic

SECTION = ".bpf.fn."
_INCLUDE = re.compile(r"#\s*include\s*(?P<bracket>[<\"])(?P<path>[^>\"]+)[>\"]")
_LICENSE = re.compile(r"#\s*define\s+BPF_LICENSE\s+(?P<text>[^\n]+)")
_TRACEPOINT_STRUCT = re.compile(r"tracepoint__(?P<category>[a-z0-9_]+?)__(?P<event>\w+)$")
_PROBE_MACROS = ("TRACEPOINT_PROBE", "RAW_TRACEPOINT_PROBE")
_LATER_MACROS = ("KFUNC_PROBE", "KRETFUNC_PROBE", "KMOD_RET", "LSM_PROBE", "BPF_ITER")

FormatOf = Callable[[str, str], Sequence[Field]]
"""(category, event) -> the fields of the record.  Raises `UnknownNameError`."""


@dataclass(frozen=True)
class Translation:
    """`text` is C for clang; `functions` the programs in order, `tables` the tables, `dropped` the kernel-internal
    headers that were left out."""

    text: str
    functions: tuple[str, ...]
    tables: tuple[str, ...]
    dropped: tuple[str, ...] = ()


@dataclass
class _Work:
    text: str
    name: str
    tokens: list[Token]
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    structs: dict[str, str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    events: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def replace(self, start: int, end: int, text: str) -> None:
        self.edits.append((start, end, text + "\n" * self.text.count("\n", start, end)))

    def refuse(self, token: Token, message: str) -> CompileError:
        line = self.text.count("\n", 0, token.start) + 1
        column = token.start - self.text.rfind("\n", 0, token.start)
        source = self.text.splitlines()[line - 1].strip()
        diagnostic = Diagnostic(self.name, line, column, "error", message, source)
        return CompileError(str(diagnostic), (diagnostic,))


def translate(text: str, format_of: FormatOf, has_header: Callable[[str], bool], name: str = "main.c") -> Translation:
    """Translate the dialect.  `has_header` tells which headers the compiler can include.

    Raises `CompileError` for an unknown table method or a construct that is not there yet.
    """
    work = _Work(text, name, tokenize(text))
    tables = _find_tables(work)
    _includes(work, has_header)
    _methods(work, tables)
    _functions(work, format_of)
    body = text
    for start, end, new in sorted(work.edits, reverse=True):
        body = body[:start] + new + body[end:]
    structs = "".join(s + "\n" for s in work.structs.values())
    full = f'#include <bcc.h>\n{structs}#line 1 "{name}"\n{body}'
    if not any(t.text == "license" or t.text == "_license" for t in work.tokens):
        full += f'\nchar __st_license[] SEC("license") = "{_license(work)}";\n'
    full += "".join(f'{kind} {MARKER}{table} SEC(".st.events");\n' for table, kind in work.events.items())
    return Translation(full, tuple(work.functions), tuple(tables), tuple(work.dropped))


def _license(work: _Work) -> str:
    """`#define BPF_LICENSE text` names the licence; bcc's programs are GPL otherwise."""
    found = (_LICENSE.match(t.text) for t in work.tokens if t.kind == "directive")
    return next((m["text"].strip().strip('"') for m in found if m), "GPL")


def _find_tables(work: _Work) -> list[str]:
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


def _includes(work: _Work, has_header: Callable[[str], bool]) -> None:
    for token in work.tokens:
        match = _INCLUDE.match(token.text) if token.kind == "directive" else None
        if not match:
            continue
        path = match["path"].removeprefix("uapi/")
        if has_header(path):
            work.replace(token.start, token.end, f"#include <{path}>")
        elif match["bracket"] == "<":  # a header in quotes is the user's own
            work.dropped.append(match["path"])
            work.replace(token.start, token.end, "")


def _methods(work: _Work, tables: Sequence[str]) -> None:
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


def _functions(work: _Work, format_of: FormatOf) -> None:
    tokens = work.tokens
    called = {t.text for i, t in enumerate(tokens[:-1]) if tokens[i + 1].text == "(" and _is_call(tokens, i)}
    i = start = 0
    while i < len(tokens):
        token = tokens[i]
        if token.kind == "directive" or token.text == ";":
            start = i + 1
        elif token.text == "struct" and i + 1 < len(tokens):
            _record_struct(work, tokens[i + 1].text, format_of)
        elif token.text == "{":
            i = _close(work, i, format_of)
            start = i + 1
        elif token.text == "(" and i and tokens[i - 1].kind == "name":
            closer = matching(tokens, i)
            for inner in range(i, closer):
                if tokens[inner].text == "struct":
                    _record_struct(work, tokens[inner + 1].text, format_of)
            if closer + 1 < len(tokens) and tokens[closer + 1].text == "{":
                _function(work, start, i, closer, called, format_of)
            i = closer
        i += 1


def _is_call(tokens: list[Token], i: int) -> bool:
    """Is the name at `i`, followed by a bracket, a call and not a definition?"""
    closer = matching(tokens, i + 1)
    return not (closer + 1 < len(tokens) and tokens[closer + 1].text == "{")


def _close(work: _Work, opener: int, format_of: FormatOf) -> int:
    closer = matching(work.tokens, opener)
    for i in range(opener, closer):
        if work.tokens[i].text == "struct":
            _record_struct(work, work.tokens[i + 1].text, format_of)
    return closer


def _record_struct(work: _Work, name: str, format_of: FormatOf) -> None:
    match = _TRACEPOINT_STRUCT.match(name)
    if match and name not in work.structs:
        work.structs[name] = struct_declaration(name, format_of(match["category"], match["event"]))


def _function(work: _Work, start: int, opener: int, closer: int, called: set[str], format_of: FormatOf) -> None:
    tokens = work.tokens
    name = tokens[opener - 1].text
    parts = arguments(tokens, opener)
    if name in _LATER_MACROS:
        raise work.refuse(tokens[opener - 1], f"{name}() is not part of the dialect yet")
    if name in _PROBE_MACROS:
        name, head = _probe_macro(work, name, parts, format_of)
        work.replace(tokens[opener - 1].start, tokens[closer].end, f'SEC("{SECTION}{name}") {head}')
        work.functions.append(name)
        return
    if any(t.text in ("static", "inline", "SEC", "__always_inline") for t in tokens[start:opener]):
        return
    work.functions.append(name)
    work.replace(tokens[start].start, tokens[start].start, f'SEC("{SECTION}{name}") ')
    if len(parts) > 1 and any(t.text == "pt_regs" for t in parts[0]) and name not in called:
        _register_arguments(work, name, parts, tokens[closer], tokens[closer + 1])


def _probe_macro(work: _Work, macro: str, parts: list[list[Token]], format_of: FormatOf) -> tuple[str, str]:
    words = ["".join(t.text for t in part) for part in parts]
    if macro == "RAW_TRACEPOINT_PROBE":
        name = f"raw_tracepoint__{words[0]}"
        return name, f"int {name}(struct bpf_raw_tracepoint_args *ctx)"
    name = f"tracepoint__{words[0]}__{words[1]}"
    work.structs[name] = struct_declaration(name, format_of(words[0], words[1]))
    return name, f"int {name}(struct {name} *args)"


def _register_arguments(work: _Work, name: str, parts: list[list[Token]], closer: Token, brace: Token) -> None:
    """`(struct pt_regs *ctx, T a, U b) {` becomes `(struct pt_regs *ctx) { T a = (T)PT_REGS_PARM1(ctx); ...`."""
    context = parts[0][-1].text
    from_syscall = name.startswith("syscall__")
    reads = [f" struct pt_regs *__st_regs = (void *)PT_REGS_PARM1({context});"] if from_syscall else []
    for number, part in enumerate(parts[1:], 1):
        kind = work.text[part[0].start : part[-1].start].strip()
        argument = part[-1].text
        if from_syscall:
            macro = f"PT_REGS_PARM{number}" + ("_SYSCALL" if number == 4 else "")
            reads.append(
                f" unsigned long __st_arg{number} = 0; bpf_probe_read_kernel(&__st_arg{number}, "
                f"sizeof(__st_arg{number}), &{macro}(__st_regs)); {kind} {argument} = ({kind})__st_arg{number};"
            )
        else:
            reads.append(f" {kind} {argument} = ({kind})PT_REGS_PARM{number}({context});")
    work.replace(parts[0][-1].end, closer.start, "")
    work.replace(brace.end, brace.end, "".join(reads))
