"""The refusals that most people meet, with a hint each."""

from __future__ import annotations

from stingless.explain.rules import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "null-dereference",
        (
            r"(?P<register>R\d+) invalid mem access '(?P<kind>\w*_or_null\w*)'",
            r"(?P<register>R\d+) invalid mem access '(?P<kind>\w*or_null_\w*)'",
            r"(?P<register>R\d+) pointer arithmetic on (?P<kind>\w*or_null\w*) prohibited",
        ),
        "{name} may be NULL here",
        "check the pointer before it is used: `if (!p) return 0;` on every path between the lookup and the use",
        label="may be NULL",
        reason="the pointer was not compared with NULL on this path, and reading through NULL is not allowed",
        reports=("Register Type Safety: Invalid dereference",),
        applies=lambda case: "may be NULL" in case.log.report.reason if case.log.report and not case.found else True,
    ),
    Rule(
        "not-a-pointer",
        (r"(?P<register>R\d+) invalid mem access '(?P<kind>scalar|inv)'",),
        "{name} is a number to the verifier, and is used as a pointer",
        "this is a plain number to the verifier: read kernel memory with bpf_probe_read_kernel(), user memory with "
        "bpf_probe_read_user(), and do not do arithmetic that loses a pointer's kind",
        label="not a pointer that the verifier knows",
        reports=("Register Type Safety: Invalid dereference",),
    ),
    Rule(
        "packet-bounds",
        (r"invalid access to packet, off=(?P<off>-?\d+) size=(?P<size>\d+), (?P<register>R\d+)",),
        "the packet may be shorter than what is accessed",
        "compare against data_end before the access: `if (data + sizeof(*header) > data_end) return XDP_PASS;`",
        label="outside of what was compared with data_end",
    ),
    Rule(
        "map-value-bounds",
        (
            r"invalid access to map value, value_size=(?P<limit>\d+) off=(?P<off>-?\d+) size=(?P<size>\d+)"
            r"(?:\n(?P<register>R\d+))?",
            r"(?P<register>R\d+) .*outside of the (allowed memory|array) range",
        ),
        "the access may be outside of the map's value",
        "bound the offset before it is used, with an `if` or a mask, so that offset + size fits the map's value",
        label="may be outside of the map's value",
    ),
    Rule(
        "uninitialized-register",
        (r"(?P<register>R\d+) !read_ok",),
        "a register is read before it was set",
        "give the variable a value on every path",
    ),
    Rule(
        "stack-bounds",
        (
            r"invalid (indirect )?(read|access) (from|to) stack",
            r"invalid read from stack",
            r"invalid write to stack",
        ),
        "the stack memory is not initialised or lies outside the 512 bytes",
        "initialise the whole variable (padding too: `struct key_t key = {};`)",
    ),
    Rule(
        "unbounded-loop",
        (
            r"infinite loop detected at insn (?P<insn>\d+)",
            r"back-edge from insn (?P<insn>\d+) to (?P<to>\d+)",
        ),
        "the verifier cannot see that the loop ends",
        "use a constant bound, or `#pragma unroll`",
    ),
    Rule(
        "too-complex",
        (r"too complex", r"BPF program is too large", r"too large"),
        "the program has more paths than the verifier follows",
        "the verifier cannot see that the loop ends: use a constant bound, or `#pragma unroll`",
        applies=lambda case: "combined stack size" not in case.verdict,
    ),
    Rule(
        "unreachable-code",
        (r"unreachable insn (?P<insn>\d+)",),
        "the program has code that no path reaches",
        "let clang optimise (-O2), or remove it",
    ),
    Rule(
        "attach-target-missing",
        (r"must provide btf_id",),
        "the program is for no function of the kernel",
        'name one in its section, as in SEC("fentry/vfs_read")',
    ),
    Rule(
        "kernel-symbol-missing",
        (r"failed to find the address for kernel symbol '?(?P<name>\w+)?",),
        "this kernel's table of symbols does not have the variable",
        "this kernel's table of symbols has functions only: addresses of variables need one with CONFIG_KALLSYMS_ALL",
    ),
    Rule(
        "override-return-missing",
        (r"unknown func bpf_override_return",),
        "this kernel cannot inject errors",
        "error injection needs a kernel that is built with CONFIG_BPF_KPROBE_OVERRIDE, and a kprobe: the kernel's "
        "configuration tells (/proc/config.gz, /boot/config-*)",
    ),
    Rule(
        "helper-unavailable",
        (
            r"unknown func (?P<func>\w+)#(?P<number>\d+)",
            r"invalid func (?P<func>\w+)#(?P<number>\d+)",
            r"program of this type cannot use helper (?P<func>\w+)#(?P<number>\d+)",
            r"unknown func|invalid func",
        ),
        "the helper is not there for this program",
        "this helper is not there for this program type or on this kernel: use another, or another type of program",
    ),
    Rule(
        "gpl-only",
        (r"cannot call GPL-restricted function",),
        "the helper is only for programs with a GPL-compatible licence",
        'declare a licence that is GPL-compatible: char _license[] SEC("license") = "GPL";',
    ),
    Rule(
        "reference-leak",
        (r"Unreleased reference id=(?P<id>\d+) alloc_insn=(?P<insn>\d+)", r"would lead to reference leak"),
        "what was reserved is not released on this path",
        "submit or discard what was reserved on every path before the program returns",
    ),
    Rule(
        "pointer-leak",
        (r"(?P<register>R\d+) leaks addr", r"leaks addr"),
        "a pointer would be visible outside the program",
        "return or store a number instead",
    ),
    Rule(
        "unbounded-offset",
        (
            r"math between .* pointer",
            r"pointer arithmetic",
            r"unbounded (min|max) value",
            r"(?P<register>R\d+) unbounded memory access",
        ),
        "a number without limits is added to a pointer, or used as a size",
        "bound the number before it is added to the pointer: `if (n > MAX) return 0;` or `n &= MAX - 1`",
    ),
    Rule(
        "stack-limit",
        (r"combined stack size of (?P<count>\d+) calls is (?P<size>\d+)", r"stack depth"),
        "the program needs more than 512 bytes of stack",
        "the call chain needs more than 512 bytes of stack: move large variables to a per-CPU array",
    ),
    Rule(
        "misaligned-access",
        (r"misaligned",),
        "the access is not aligned",
        "align the access: use a type whose size divides the offset, or copy the bytes",
    ),
    Rule(
        "return-value",
        (r"At program exit the register R0", r"At async callback the register R0"),
        "the program returns what its type does not allow",
        "return one of the values that this program type allows",
    ),
    Rule(
        "argument-type",
        (r"(?P<register>R\d+) type=(?P<kind>\w+) expected=(?P<expected>.+)",),
        "an argument has another type than the function needs",
        "the helper's argument has another kind than it needs: pass what its description asks for",
        reports=("Call Type Safety: Invalid call argument",),
    ),
    Rule(
        "context-access",
        (r"invalid bpf_context access off=(?P<off>-?\d+) size=(?P<size>\d+)", r"invalid ctx access"),
        "that part of the context cannot be accessed by this program type",
        "that offset of the context cannot be read (or written) by this program type",
    ),
)
