"""Functions that attach themselves by their names, as in bcc."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stingless.bpf import BPF


def autoload(bpf: BPF, functions: Iterable[str]) -> None:
    """Attach each function whose name starts with the name of a kind of probe."""
    for name in functions:
        kind, _, target = name.partition("__")
        if kind == "kprobe" and target:
            bpf.attach_kprobe(target, name)
        elif kind == "kretprobe" and target:
            bpf.attach_kretprobe(target, name)
        elif kind == "tracepoint" and "__" in target:
            category, _, event = target.partition("__")
            bpf.attach_tracepoint(f"{category}:{event}", name)
        elif kind == "raw_tracepoint" and target:
            bpf.attach_raw_tracepoint(target, name)
