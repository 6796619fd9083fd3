"""Functions that attach themselves by their names, as in bcc.

`kmod_ret__...`, `bpf_iter__...` and `syscall__...` do not: they are attached by their verbs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stingless.bpf import BPF


def autoload(bpf: BPF, functions: Iterable[str]) -> None:
    """Attach each function whose name starts with the name of a kind of probe."""
    for name in functions:
        kind, _, target = name.partition("__")
        if not target:
            continue
        if kind == "kprobe":
            bpf.attach_kprobe(bpf.fix_syscall_fnname(target), fn_name=name)
        elif kind == "kretprobe":
            bpf.attach_kretprobe(bpf.fix_syscall_fnname(target), fn_name=name)
        elif kind == "tracepoint" and "__" in target:
            bpf.attach_tracepoint(target.replace("__", ":", 1), fn_name=name)
        elif kind == "raw_tracepoint":
            bpf.attach_raw_tracepoint(target, fn_name=name)
        elif kind == "kfunc":
            bpf.attach_kfunc(name)
        elif kind == "kretfunc":
            bpf.attach_kretfunc(name)
        elif kind == "lsm":
            bpf.attach_lsm(name)
