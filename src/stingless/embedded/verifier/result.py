"""What a verification found."""

from __future__ import annotations

from stingless.frozen import frozen


@frozen
class VerifierResult:
    """`packet_pointer_loads`: context accesses to rewrite, as loads of 64-bit pointers: (instruction, "half", "data",
    "data_end" or "data_meta").  `max_stack_depth`: bytes of stack that the deepest chain of calls needs.
    `subprogs`: the first instruction of the main program and of each sub-program.  `max_ctx_offset`: bytes of the
    context that the program accesses.  `insns_processed`: instructions followed, on all paths.

    `checked_loads`: loads through pointers to the kernel's structs, which may fault: they must be done as probe reads,
    and give zero then.  `kfunc_calls`: the kernel function that each call instruction of one calls.  `callbacks`: the
    sub-programs (indexes of `subprogs`) that helpers call.  `reads_unwritten_stack`: the program may read stack that it
    has not written, which must therefore be initialised."""

    packet_pointer_loads: tuple[tuple[int, str], ...]
    max_stack_depth: int
    insns_processed: int
    subprogs: tuple[int, ...]
    max_ctx_offset: int
    checked_loads: tuple[int, ...] = ()
    kfunc_calls: tuple[tuple[int, str], ...] = ()
    callbacks: tuple[int, ...] = ()
    reads_unwritten_stack: bool = False
