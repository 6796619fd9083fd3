"""Where a path's state is compared with those seen before: the same instructions as in Linux.

So paths are left off, and states kept, at the same places, and the numbers that tell of a verification are alike.
"""

from __future__ import annotations

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.embedded.verifier.structure import Structure, is_call, is_function_address, jumps

NONE, COMPARED, KEPT = 0, 1, 2  # KEPT: a state is kept each time
_LATER = frozenset({Helper.timer_set_callback})
_LATER_KFUNCS = frozenset({"bpf_wq_set_callback_impl"})


def prune_points(program: Structure) -> tuple[bytearray, bytearray]:
    """By instruction: NONE, COMPARED or KEPT; and whether paths meet or part there, which Linux counts."""
    insns = program.insns
    points, meets = bytearray(len(insns) + 1), bytearray(len(insns) + 1)
    for i, insn in enumerate(insns):
        cls = insn.opcode & 0x07
        if cls in (op.JMP, op.JMP32):
            operation = insn.opcode & 0xF0
            if operation == op.CALL:
                points[i + 1] = meets[i + 1] = COMPARED
                later = program.kfuncs.get(i) in _LATER_KFUNCS if insn.src else insn.imm in _LATER
                if later or is_call(insn):
                    points[i] = COMPARED
                if is_call(insn):
                    points[i + 1 + insn.imm] = meets[i + 1 + insn.imm] = COMPARED
            elif operation not in (op.EXIT, op.JA):
                points[i] = COMPARED
            for target in jumps(i, insn):
                points[target] = meets[target] = COMPARED
        elif is_function_address(insn):
            for at in (i + 2, i + 1 + insn.imm):
                points[at] = meets[at] = COMPARED
            points[i] = COMPARED
    for i in program.turns:
        points[i] = KEPT
        if not program.kfuncs.get(i):
            meets[i] = COMPARED
    return points, meets
