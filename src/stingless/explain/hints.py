"""What to do about a verdict: (pattern of the verdict, advice)."""

from __future__ import annotations

import re

_NULL = "check the pointer before it is used: `if (!p) return 0;` on every path between the lookup and the use"
HINTS: tuple[tuple[str, str], ...] = (
    (r"invalid mem access '(map_value|ringbuf_mem|alloc_mem|mem|sock\w*)_or_null'", _NULL),
    (
        r"invalid mem access '(scalar|inv)'",
        "this is a plain number to the verifier: read kernel memory with bpf_probe_read_kernel(), user memory with "
        "bpf_probe_read_user(), and do not do arithmetic that loses a pointer's kind",
    ),
    (
        r"invalid access to packet",
        "compare against data_end before the access: `if (data + sizeof(*header) > data_end) return XDP_PASS;`",
    ),
    (
        r"invalid access to map value|outside of the allowed memory range|outside of the array range",
        "bound the offset before it is used, with an `if` or a mask, so that offset + size fits the map's value",
    ),
    (r"!read_ok", "a register is read before it was set: give the variable a value on every path"),
    (
        r"invalid (indirect )?(read|access) (from|to) stack|invalid read from stack|invalid write to stack",
        "the stack memory is not initialised or lies outside the 512 bytes: initialise the whole variable (padding "
        "too: `struct key_t key = {};`)",
    ),
    (
        r"infinite loop detected|back-edge|too complex|too large|BPF program is too large|jumps is too complex",
        "the verifier cannot see that the loop ends: use a constant bound, or `#pragma unroll`",
    ),
    (r"unreachable insn", "code that no path reaches: let clang optimise (-O2), or remove it"),
    (r"must provide btf_id", "the program is for no function of the kernel: name one in its section, as in "
     'SEC("fentry/vfs_read")'),
    (r"failed to find the address for kernel symbol", "this kernel's table of symbols has functions only: addresses of "
     "variables need one with CONFIG_KALLSYMS_ALL"),
    (r"unknown func bpf_override_return", "error injection needs a kernel that is built with "
     "CONFIG_BPF_KPROBE_OVERRIDE, and a kprobe: the kernel's configuration tells (/proc/config.gz, /boot/config-*)"),
    (r"unknown func|invalid func|program of this type cannot use helper", "this helper is not there for this program "
     "type or on this kernel: use another, or another type of program"),
    (r"cannot call GPL-restricted function", 'declare a licence that is GPL-compatible: char _license[] SEC("license") '
     '= "GPL";'),
    (r"Unreleased reference", "submit or discard what was reserved on every path before the program returns"),
    (r"leaks addr", "a pointer would be visible outside the program: return or store a number instead"),
    (r"math between .* pointer|pointer arithmetic|unbounded (min|max) value|unbounded memory access",
     "bound the number before it is added to the pointer: `if (n > MAX) return 0;` or `n &= MAX - 1`"),
    (r"combined stack size|stack depth", "the call chain needs more than 512 bytes of stack: move large variables to a "
     "per-CPU array"),
    (r"misaligned", "align the access: use a type whose size divides the offset, or copy the bytes"),
    (r"At program exit the register R0", "return one of the values that this program type allows"),
    (r"expected=ctx|type=\w+ expected=", "the helper's argument has another kind than it needs: pass what its "
     "description asks for"),
    (r"invalid bpf_context access|invalid ctx access", "that offset of the context cannot be read (or written) by this "
     "program type"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), advice) for pattern, advice in HINTS)


def hint_for(verdict: str) -> str:
    """The advice for a verdict, or ""."""
    return next((advice for pattern, advice in _COMPILED if pattern.search(verdict)), "")
