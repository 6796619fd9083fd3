"""A function that is not static becomes a program in a section of its own, with its arguments read from the context."""

from __future__ import annotations

from stingless.compile.dialect.heads import Head, heads
from stingless.compile.dialect.lexer import Token, arguments
from stingless.compile.dialect.parameters import Parameter, parameter
from stingless.compile.dialect.probe_macros import MACROS, expanded
from stingless.compile.dialect.work import Work

SECTION = ".bpf.fn."
_NO_PROGRAM = frozenset({"static", "inline", "__inline", "__inline__", "SEC", "__always_inline", "extern"})
_REGISTERS = 6


def functions(work: Work) -> None:
    """Raises `CompileError` for a probe that has not the form of one."""
    tokens = work.tokens
    found = list(heads(tokens))
    called = _called(tokens, found)
    bodies: dict[int, list[tuple[Head, str]]] = {}  # where a body begins -> its heads, and what each reads first there
    for head in found:
        macro = tokens[head.name].text
        if macro in MACROS:
            probe = expanded(work, macro, arguments(tokens, head.opener), tokens[head.name])
            where = tokens[head.name].start
            work.replace(where, tokens[head.closer].end, f'__st_program("{SECTION}{probe.name}") {probe.head}')
            work.functions.append(probe.name)
            reads = probe.reads
        elif any(t.text in _NO_PROGRAM for t in tokens[head.start : head.opener]):
            continue
        else:
            reads = _program(work, head, called)
        bodies.setdefault(head.body, []).append((head, reads))
    for body, variants in bodies.items():
        reads = variants[0][1]
        if any(other != reads for _, other in variants):
            reads = _by_macro(work, body, variants)
        work.replace(tokens[body].end, tokens[body].end, reads)
    for i, token in enumerate(tokens):  # the kernel's macro, in whose place some write the attribute of that name
        if token.text == "noinline" and i and tokens[i - 1].text not in ("(", ","):
            work.replace(token.start, token.end, "__attribute__((noinline))")


def _by_macro(work: Work, body: int, variants: list[tuple[Head, str]]) -> str:
    """What heads that #if chooses from have read, in a macro that each of them defines in its branch."""
    name = f"__st_reads_{body}"
    for head, reads in variants:
        start = work.tokens[head.start]
        file, line = work.place(start.start)
        before = f'\n#undef {name}\n#define {name}{reads}\n#line {line} "{file}"\n'
        work.edits.insert(0, (start.start, start.start, before))
    return f" {name}"


def _called(tokens: list[Token], found: list[Head]) -> set[str]:
    """The names that are called somewhere."""
    defined = {head.name for head in found}
    return {
        t.text for i, t in enumerate(tokens[:-1]) if tokens[i + 1].text == "(" and t.kind == "name" and i not in defined
    }


def _program(work: Work, head: Head, called: set[str]) -> str:
    tokens = work.tokens
    name = tokens[head.name].text
    work.functions.append(name)
    work.replace(tokens[head.start].start, tokens[head.start].start, f'__st_program("{SECTION}{name}") ')
    parts = arguments(tokens, head.opener)
    if len(parts) < 2 or not any(t.text == "pt_regs" for t in parts[0]) or name in called:
        return ""
    work.replace(parts[0][-1].end, tokens[head.closer].start, "")
    return _register_arguments(work, name, parts, tokens[head.name])


def _register_arguments(work: Work, name: str, parts: list[list[Token]], at: Token) -> str:
    """`(struct pt_regs *ctx, T a, U b) {` becomes `(struct pt_regs *ctx) { T a = (T)PT_REGS_PARM1(ctx); ...`.

    The reads are volatile: a register of the context may not be read in part, nor through a pointer that was computed.
    """
    if len(parts) - 1 > _REGISTERS:
        raise work.refuse(
            at, f"{name}() has {len(parts) - 1} arguments; {_REGISTERS} are in registers, no others are read"
        )
    context = parts[0][-1].text
    found = [_named(work, part, at) for part in parts[1:]]
    if is_syscall(name) and work.facts.has_syscall_wrapper():
        return _syscall_arguments(context, found)
    return "".join(
        argument.variable(f"__st_volatile(PT_REGS_PARM{number}({context}))") for number, argument in enumerate(found, 1)
    )


def is_syscall(name: str) -> bool:
    """Is this function for a system call, whose own registers are behind its first argument?"""
    return name.startswith("syscall__") or (name.startswith("kprobe____") and "_sys_" in name)


def _syscall_arguments(context: str, found: list[Parameter]) -> str:
    """The inner registers are plain memory of the kernel's."""
    inner = f" struct pt_regs *__st_regs = (void *)__st_volatile(PT_REGS_PARM1({context}));"
    return inner + "".join(
        argument.variable(f"__st_volatile(PT_REGS_PARM{number}_SYSCALL(__st_regs))")
        for number, argument in enumerate(found, 1)
    )


def _named(work: Work, part: list[Token], at: Token) -> Parameter:
    found = parameter(part, work.text)
    if found is None:
        token = part[0] if part else at
        raise work.refuse(token, "an argument of a probe needs a name, by which the program reads it")
    return found
