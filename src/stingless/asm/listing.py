"""A program's instructions as text, with the C lines that they come from."""

from __future__ import annotations

from collections.abc import Iterable

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.disasm import disassemble
from stingless.asm.instruction import Instruction, decode


def listing(code: bytes, lines: Iterable[tuple[int, str, int, str]] = ()) -> str:
    """`lines` are (instruction, file, line, text) in the order of instructions, numbered by 8-byte slots."""
    slots = decode(code)
    sources: dict[int, str] = {}
    last = ""
    for insn, file, line, text in lines:
        source = f"; {text or '(no text)'} @ {file}:{line}"
        if source != last:
            sources[insn] = last = source
    out: list[str] = []
    i = 0
    while i < len(slots):
        if i in sources:
            out.append(sources[i])
        wide = slots[i].opcode == op.LD_IMM64 and i + 1 < len(slots)
        following = slots[i + 1] if wide else None
        text = _call(slots[i]) or disassemble(slots[i], following, _reference(slots[i], following))
        out.append(f"{i:4}: ({slots[i].opcode:02x}) {text}")
        i += 2 if wide else 1
    return "\n".join(out)


def _call(insn: Instruction) -> str:
    """A call of a loaded program into the kernel: its target is there in bytes from a function of the kernel's."""
    if insn.opcode != op.JMP | op.CALL or insn.src == op.PSEUDO_CALL or insn.imm in set(Helper):
        return ""
    return f"call __bpf_call_base{insn.imm:+#x}"


def _reference(insn: Instruction, following: Instruction | None) -> str:
    """What a 64-bit load of a loaded program refers to; the kernel shows ids in place of addresses."""
    if insn.opcode != op.LD_IMM64 or following is None:
        return ""
    match insn.src:
        case op.PSEUDO_MAP_FD:
            return f"map[id:{insn.imm}]"
        case op.PSEUDO_MAP_VALUE:
            return f"map[id:{insn.imm}][0]+{following.imm}"
        case op.PSEUDO_FUNC:
            return f"subprog[{insn.imm:+d}]"
    return ""
