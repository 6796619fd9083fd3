"""Macros that make a probe: TRACEPOINT_PROBE, RAW_TRACEPOINT_PROBE, KFUNC_PROBE and kin, LSM_PROBE, BPF_ITER."""

from __future__ import annotations

from typing import NamedTuple

from stingless.compile.dialect.lexer import Token
from stingless.compile.dialect.parameters import parameter
from stingless.compile.dialect.work import Work

# Macro -> the prefix of its function, how many arguments tell its name, and is the rest of them the probe's arguments?
MACROS: dict[str, tuple[str, int, bool]] = {
    "TRACEPOINT_PROBE": ("tracepoint__", 2, False),
    "RAW_TRACEPOINT_PROBE": ("raw_tracepoint__", 1, False),
    "KFUNC_PROBE": ("kfunc__vmlinux__", 1, True),
    "KRETFUNC_PROBE": ("kretfunc__vmlinux__", 1, True),
    "MODULE_KFUNC_PROBE": ("kfunc__", 2, True),
    "MODULE_KRETFUNC_PROBE": ("kretfunc__", 2, True),
    "KMOD_RET": ("kmod_ret__", 1, True),
    "LSM_PROBE": ("lsm__", 1, True),
    "BPF_ITER": ("bpf_iter__", 1, False),
}
_CONTEXTS = {
    "TRACEPOINT_PROBE": "struct {name} *args",
    "RAW_TRACEPOINT_PROBE": "struct bpf_raw_tracepoint_args *ctx",
    "BPF_ITER": "struct {name} *ctx",
}


class Probe(NamedTuple):
    """`name` of the function, its `head`, and the `reads` that its body begins with."""

    name: str
    head: str
    reads: str


def expanded(work: Work, macro: str, parts: list[list[Token]], at: Token) -> Probe:
    """The function that the macro makes.  Raises `CompileError`."""
    prefix, count, has_arguments = MACROS[macro]
    if len(parts) < count or not all(parts[:count]) or (len(parts) > count and not has_arguments):
        form = "category, event" if macro == "TRACEPOINT_PROBE" else "module, function" if count == 2 else "name"
        more = ", arguments..." if has_arguments else ""
        raise work.refuse(at, f"{macro}({form}{more}) is the form, not with {len(parts)} arguments")
    name = prefix + "__".join("".join(t.text for t in part) for part in parts[:count])
    if not has_arguments:
        return Probe(name, f"int {name}({_CONTEXTS[macro].format(name=name)})", "")
    return Probe(name, f"int {name}(unsigned long long *ctx)", _trampoline_arguments(work, parts[count:], at))


def _trampoline_arguments(work: Work, parts: list[list[Token]], at: Token) -> str:
    """The context of a trampoline has 8 bytes for each argument; a struct may take 16."""
    reads = []
    place, after = 0, ""
    for part in parts:
        found = parameter(part, work.text)
        if found is None:
            raise work.refuse(
                part[0] if part else at, "an argument of a probe needs a name, by which the program reads it"
            )
        value = f"ctx[{place}{after}]"
        if found.record:
            reads.append(f" {found.declaration}; __builtin_memcpy(&{found.name}, &{value}, sizeof({found.name}));")
            after += f" + (sizeof({found.type}) + 7) / 8"
        else:
            reads.append(found.variable(value))
            place += 1
    return "".join(reads)
