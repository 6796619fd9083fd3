"""The log of a refused program, in the form of Linux's: each instruction followed, with what was known before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stingless.asm.disasm import disassemble
from stingless.asm.instruction import Instruction, decode
from stingless.asm.opcodes import LD_IMM64
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.text import state_text
from stingless.obj.spec import ProgramSpec

_MAX_LINES = 20_000


class Log:
    """Collects the lines; when there are too many, the first ones are dropped."""

    def __init__(self, spec: ProgramSpec) -> None:
        self._spec = spec
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        self._references = {
            ref.insn: f"map[{ref.map}]" if ref.offset is None else f"map[{ref.map}][0]+{ref.offset}"
            for ref in spec.map_refs
        }
        self._source: tuple[str, int, str] | None = None

    def tracer(self, env: Env) -> Callable[[int, int], None]:
        """What to call before each instruction: with its index, and with the jump's that led here when the path
        changed (-1: it did not)."""
        previous = ""

        def trace(pc: int, came_from: int) -> None:
            nonlocal previous
            now = state_text(env.state, env.program.maps)
            if came_from >= 0:
                self._lines.append("")
                self._lines.append(f"from {came_from} to {pc}: {now}")
                self._source = None
            elif now != previous:
                self._lines.append(f"{pc}: {now}")
            previous = now
            self._source_line(pc)
            self._lines.append(self._instruction(pc, env.insns))

        return trace

    def finish(self, verdict: str, insn: int | None, processed: int) -> str:
        """The whole text, ending in the verdict."""
        if not self._lines and insn is not None:
            try:
                insns = decode(self._spec.code)
            except ValueError:
                insns = []
            if 0 <= insn < len(insns):
                self._source_line(insn)
                self._lines.append(self._instruction(insn, insns))
        self._lines.append(verdict)
        self._lines.append(f"processed {processed} insns (limit 1000000)")
        return "\n".join(self._lines) + "\n"

    def _source_line(self, pc: int) -> None:
        source = self._spec.source_at(pc)
        if source is not None and source != self._source:
            file, line, text = source
            self._lines.append(f"; {text.strip()} @ {file.rpartition('/')[2]}:{line}")
        self._source = source

    def _instruction(self, pc: int, insns: list[Instruction]) -> str:
        insn = insns[pc]
        second = insns[pc + 1] if insn.opcode == LD_IMM64 and pc + 1 < len(insns) else None
        return f"{pc}: ({insn.opcode:02x}) {disassemble(insn, second, self._references.get(pc, ''))}"
