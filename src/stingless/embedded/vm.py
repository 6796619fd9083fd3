"""Raw eBPF instructions on a piece of memory: no kernel, no maps, no verifier.

    vm = Vm(code, helpers={1: lambda a, b, c, d, e: a + b})
    result = vm.run(bytearray(b"..."))      # R1 is the address of the memory, R2 its size
    result.r0, result.fault                 # fault: None, or what the program was stopped for

The code comes from anywhere, so it runs in the interpreter's checked mode: its form is checked before (opcodes, fields,
jumps), and every access while it runs.  A program for a kernel is loaded by a `Kernel`, which verifies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless._sys.runtime_careful import Careful, HelperFunction, RawProgram
from stingless.asm.instruction import Instruction, encode
from stingless.embedded.verifier.rejection import Rejected
from stingless.embedded.verifier.structure import analyse
from stingless.errors import LoadError, ProgramFault
from stingless.frozen import frozen
from stingless.obj.spec import ProgramSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUDGET = 1 << 24
"""Instructions that a run may take unless told otherwise."""


@frozen
class VmResult:
    """`r0` is 64 bits, 0 after a fault; `memory` what the program left; `fault` what it was stopped for, if it was."""

    r0: int
    memory: bytes
    fault: ProgramFault | None


class Vm:
    """A raw program.  `helpers`: the functions that it may call, by number; each gets R1 to R5 and returns R0.

    Raises `LoadError` for code whose form is not that of a program; its message names the instruction.
    """

    def __init__(
        self,
        code: bytes | Iterable[Instruction],
        helpers: Mapping[int, HelperFunction] | None = None,
        *,
        budget: int = BUDGET,
    ) -> None:
        self.code = code if isinstance(code, bytes) else encode(code)
        try:
            analyse(ProgramSpec("raw", "raw", ProgramType.UNSPEC, self.code), {})
        except Rejected as rejected:
            at = "" if rejected.insn is None else f"instruction {rejected.insn}: "
            raise LoadError(f"raw program: {at}{rejected.text.splitlines()[0]}", rejected.errno) from None
        self._helpers = dict(helpers or {})
        self._budget = budget
        self._plain = self._watched(0)

    def _watched(self, room: int) -> tuple[RawProgram, Careful]:
        careful = Careful(checked=True, budget=self._budget, room=room)
        careful.use_helpers(self._helpers)
        return RawProgram(self.code, careful), careful

    def run(self, memory: bytes | bytearray = b"") -> VmResult:
        """Run from the first instruction.  A `bytearray` is worked on in place.  Raises what a helper raises."""
        return _run(self._plain[0], memory)

    def trace(self, memory: bytes | bytearray = b"", *, limit: int = 1 << 16) -> tuple[VmResult, NDArray[np.void]]:
        """Run, and record the first `limit` instructions: see `stingless.embedded.trace.STEP`."""
        from stingless.embedded.trace import steps

        program, careful = self._watched(limit)
        return _run(program, memory), steps(careful.records)


def _run(program: RawProgram, memory: bytes | bytearray) -> VmResult:
    shown = memory if isinstance(memory, bytearray) else bytearray(memory)
    try:
        return VmResult(program.run(shown), bytes(shown), None)
    except ProgramFault as fault:
        return VmResult(0, bytes(shown), fault)
