"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VerifierResult:
    """`packet_pointer_loads`: context accesses to rewrite, as loads of 64-bit pointers: (instruction, "half", "data",
    "data_end" or "data_meta").  `max_stack_depth`: bytes of stack that the deepest chain of calls needs.
    `subprogs`: the first instruction of the main program and of each sub-program.  `max_ctx_offset`: bytes of the
    context that the program accesses.  `insns_processed`: instructions followed, on all paths."""

    packet_pointer_loads: tuple[tuple[int, str], ...]
    max_stack_depth: int
    insns_processed: int
    subprogs: tuple[int, ...]
    max_ctx_offset: int
