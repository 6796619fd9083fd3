"""Writing a CO-RE relocation's result into its instruction."""

from __future__ import annotations

import struct

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call
from stingless.errors import ObjectError
from stingless.frozen import frozen

# The number that libbpf calls too, so that a verifier's log reads the same: 0xbad2310, "bad relo".
POISON = 195896080

_SLOT = struct.Struct("<BBhi")
_SIZES = {count: code for code, count in op.SIZE_BYTES.items()}
_MODE = 0xE0


@frozen
class Decision:
    """What becomes of an instruction.  `value` is None when there is no answer, and `message` says why then.
    `expected` is what the compiler has put there, None when that is not known for sure.  `before` and `after` are what
    a load of the field fetches: (bytes, "pointer", "unsigned", "signed" or "")."""

    value: int | None
    expected: int | None = None
    message: str = ""
    before: tuple[int, str] | None = None
    after: tuple[int, str] | None = None


def apply(code: bytearray, at: int, decision: Decision) -> str:
    """Adapt the instruction in slot `at`.  Returns why it was poisoned instead, or "".  Raises `ObjectError` when the
    instruction is none that can be relocated, or has not what the compiler should have put there."""
    if not 0 <= at < len(code) // 8:
        raise ObjectError(f"a CO-RE relocation is for instruction {at} of {len(code) // 8}")
    insn = _read(code, at)
    wide = insn.opcode == op.LD_IMM64
    if wide and (at + 1 >= len(code) // 8 or _read(code, at + 1).opcode):
        raise ObjectError(f"instruction {at}, a 64-bit load, is cut off")
    if decision.value is None:
        why = decision.message
    elif wide:
        why = _wide(code, at, insn, decision.value, decision.expected)
    elif insn.cls in (op.ALU, op.ALU64):
        why = _alu(code, at, insn, decision.value, decision.expected)
    elif insn.cls in (op.LDX, op.ST, op.STX):
        why = _memory(code, at, insn, decision.value, decision)
    else:
        raise ObjectError(f"instruction {at} (opcode {insn.opcode:#x}) is none that CO-RE can change")
    if why:
        # Both halves of a 64-bit load, for the verifier would stumble over the second before it gets to the first.
        for slot in (at, at + 1) if wide else (at,):
            _write(code, slot, call(POISON))
    return why


def _read(code: bytearray, at: int) -> Instruction:
    opcode, registers, off, imm = _SLOT.unpack_from(code, at * 8)
    return Instruction(opcode, registers & 15, registers >> 4, off, imm)


def _write(code: bytearray, at: int, insn: Instruction) -> None:
    code[at * 8 : at * 8 + 8] = insn.encode()


def _check(at: int, found: int, expected: int | None, bits: int) -> None:
    if expected is not None and (found - expected) % (1 << bits):
        raise ObjectError(f"instruction {at} has {found}, but its CO-RE relocation stands for {expected}")


def _wide(code: bytearray, at: int, insn: Instruction, value: int, expected: int | None) -> str:
    upper = _read(code, at + 1)
    _check(at, (upper.imm << 32) | (insn.imm & 0xFFFFFFFF), expected, 64)
    _write(code, at, insn._replace(imm=value & 0xFFFFFFFF))
    _write(code, at + 1, upper._replace(imm=value >> 32 & 0xFFFFFFFF))
    return ""


def _alu(code: bytearray, at: int, insn: Instruction, value: int, expected: int | None) -> str:
    if insn.opcode & op.X:
        raise ObjectError(f"instruction {at} (opcode {insn.opcode:#x}) takes no constant that CO-RE could change")
    bits = 64 if insn.cls == op.ALU64 else 32  # ALU64 extends its constant's sign
    _check(at, insn.imm, expected, bits)
    if not -(1 << 31) <= value < 1 << (31 if bits == 64 else 32):
        return f"its value {value} does not fit into the instruction"
    _write(code, at, insn._replace(imm=value))
    return ""


def _memory(code: bytearray, at: int, insn: Instruction, value: int, decision: Decision) -> str:
    _check(at, insn.off, decision.expected, 64)
    if value >= 1 << 15:
        return f"its offset {value} does not fit into the instruction"
    opcode, before, after = insn.opcode, decision.before, decision.after
    if before is not None and after is not None and before[0] != after[0]:
        if (width := op.SIZE_BYTES[opcode & 0x18]) != before[0]:
            return f"the instruction accesses {width} bytes of the {before[0]} that the field has"
        mode = _resized(insn, before, after)
        if mode is None:
            return f"it has {after[0]} bytes there, not {before[0]}, which changes the value that the instruction gets"
        opcode = insn.cls | mode | _SIZES[after[0]]
    _write(code, at, insn._replace(opcode=opcode, off=value))
    return ""


def _resized(insn: Instruction, before: tuple[int, str], after: tuple[int, str]) -> int | None:
    """The mode with which the instruction may access a field of another size; None when no mode keeps the value."""
    mode = insn.opcode & _MODE
    if after[0] not in _SIZES or before[1] != after[1]:
        return None
    if mode == op.MEM and before[1] in ("pointer", "unsigned"):  # loads put zeros in front
        return mode
    if mode == op.MEMSX and before[1] == "signed":
        return op.MEM if after[0] == 8 else mode
    return None
