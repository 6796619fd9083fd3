"""A function that is not static becomes a program in a section of its own, with its arguments read from the context."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stingless.compile.dialect.lexer import Token, arguments, matching
from stingless.compile.dialect.tracepoints import Field, struct_declaration
from stingless.compile.dialect.work import Work

SECTION = ".bpf.fn."
_TRACEPOINT_STRUCT = re.compile(r"tracepoint__(?P<category>[a-z0-9_]+?)__(?P<event>\w+)$")
_PROBE_MACROS = ("TRACEPOINT_PROBE", "RAW_TRACEPOINT_PROBE")
_LATER_MACROS = ("KFUNC_PROBE", "KRETFUNC_PROBE", "KMOD_RET", "LSM_PROBE", "BPF_ITER")

FormatOf = Callable[[str, str], Sequence[Field]]
"""(category, event) -> the fields of the record.  Raises `UnknownNameError`."""


def functions(work: Work, format_of: FormatOf) -> None:
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


def _close(work: Work, opener: int, format_of: FormatOf) -> int:
    closer = matching(work.tokens, opener)
    for i in range(opener, closer):
        if work.tokens[i].text == "struct":
            _record_struct(work, work.tokens[i + 1].text, format_of)
    return closer


def _record_struct(work: Work, name: str, format_of: FormatOf) -> None:
    match = _TRACEPOINT_STRUCT.match(name)
    if match and name not in work.structs:
        work.structs[name] = struct_declaration(name, format_of(match["category"], match["event"]))


def _function(work: Work, start: int, opener: int, closer: int, called: set[str], format_of: FormatOf) -> None:
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


def _probe_macro(work: Work, macro: str, parts: list[list[Token]], format_of: FormatOf) -> tuple[str, str]:
    words = ["".join(t.text for t in part) for part in parts]
    if macro == "RAW_TRACEPOINT_PROBE":
        name = f"raw_tracepoint__{words[0]}"
        return name, f"int {name}(struct bpf_raw_tracepoint_args *ctx)"
    name = f"tracepoint__{words[0]}__{words[1]}"
    work.structs[name] = struct_declaration(name, format_of(words[0], words[1]))
    return name, f"int {name}(struct {name} *args)"


def _register_arguments(work: Work, name: str, parts: list[list[Token]], closer: Token, brace: Token) -> None:
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
