"""Calls in LLVM IR: of the program's own functions, of helpers by address, and of those that are written out here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.jit import flow

if TYPE_CHECKING:
    from stingless.embedded.jit.emit import CannotTranslate, FunctionText

LOOKUP, PROCESSOR_ID, TAIL_CALL, LOOP = 1, 8, 12, 181
MAY_GOTO = 8 << 20  # ST_MAY_GOTO of machine.h
_MAX_LOOPS = 1 << 23
_E2BIG, _EINVAL = 7, 22


def cannot(i: int, what: str) -> CannotTranslate:
    from stingless.embedded.jit.emit import CannotTranslate

    return CannotTranslate(i, what)


def call(text: FunctionText, i: int, insn: Instruction) -> bool:
    """True when execution goes on with the next instruction in the same block."""
    if insn.opcode & op.X:
        function = text.get(i, insn.dst)
        address = text.around.functions["st_callback"]
        _returned(text, text.call(address, f"ptr %env, i64 {function}, {_arguments(text, i)}"))
    elif insn.src == op.PSEUDO_CALL:
        _returned(text, text.value(f"call i64 @f{i + 1 + insn.imm}(ptr %env, {_arguments(text, i)})"))
    elif insn.src:
        raise cannot(i, f"a call of kind {insn.src}")
    elif insn.imm == TAIL_CALL:
        _tail_call(text, i)
    elif insn.imm == PROCESSOR_ID:
        _returned(text, text.value(f"zext i32 {_cpu(text)} to i64"))
    elif not (insn.imm == LOOKUP and _inline_lookup(text, i)) and not (insn.imm == LOOP and _inline_loop(text, i)):
        address = text.around.helper(insn.imm)
        if not address:
            raise cannot(i, f"unknown helper {insn.imm}")
        _returned(text, text.call(address, f"ptr %env, {_arguments(text, i)}"))
    return True


def _arguments(text: FunctionText, i: int) -> str:
    return ", ".join(f"i64 {text.get(i, reg)}" for reg in range(1, 6))


def _returned(text: FunctionText, value: str) -> None:
    text.set(0, value)
    for reg in range(1, 6):
        text.set(reg, "poison")  # a verified program reads none of these before it sets it


def _cpu(text: FunctionText) -> str:
    at = text.value(f"getelementptr i8, ptr %env, i64 {text.around.cpu_offset}")
    return text.value(f"load i32, ptr {at}")


def _tail_call(text: FunctionText, i: int) -> None:
    arguments = ", ".join(f"i64 {text.get(i, reg)}" for reg in range(1, 4))
    made = text.call(text.around.functions["st_tail_call"], f"ptr %env, {arguments}, ptr %out", "i32")
    leave, stay = text.label(), text.label()
    text.do(f"br i1 {text.value(f'icmp ne i32 {made}, 0')}, label %{leave}, label %{stay}")
    text.begin(leave)
    text.do(f"ret i64 {text.value('load i64, ptr %out')}")
    text.begin(stay)
    _returned(text, "0")


def _inline_lookup(text: FunctionText, i: int) -> bool:
    """A look-up in a map that is known now: written into the program, with the map's descriptor as a constant."""
    known = text.known(i, 1)
    if known is None or known[0] != flow.CONSTANT or known[1] not in text.around.lookups:
        return False
    name, _ = text.around.lookups[known[1]]
    text.used_maps.add(known[1])
    key = text.pointer(i, 2)
    found = text.value(f"call ptr @{name}(ptr @m{known[1]:x}, ptr {key}, i32 {_cpu(text)})")
    _returned(text, text.value(f"ptrtoint ptr {found} to i64"))
    return True


def _inline_loop(text: FunctionText, i: int) -> bool:
    """bpf_loop(count, callback, ctx, flags) with a callback that is known now: a loop."""
    known = text.known(i, 2)
    if known is None or known[0] != flow.FUNCTION:
        return False
    count = text.value(f"trunc i64 {text.get(i, 1)} to i32")
    ctx, flags = text.get(i, 3), text.get(i, 4)
    entered, head, body, out = (text.label() for _ in range(4))
    text.do(f"br label %{entered}")
    text.begin(entered)
    text.do("store i64 0, ptr %out")
    many = text.value(f"icmp ugt i32 {count}, {_MAX_LOOPS}")
    flagged = text.value(f"icmp ne i64 {flags}, 0")
    # 32 bits, for that is what Linux's inlined loop returns
    error = text.value(f"select i1 {flagged}, i64 {-_EINVAL}, i64 {-_E2BIG & 0xFFFFFFFF}")
    refused = text.value(f"or i1 {many}, {flagged}")
    end = text.value(f"zext i32 {count} to i64")
    text.do(f"br i1 {refused}, label %{out}, label %{head}")
    text.begin(head)
    at = text.value("load i64, ptr %out")
    text.do(f"br i1 {text.value(f'icmp ult i64 {at}, {end}')}, label %{body}, label %{out}")
    text.begin(body)
    stop = text.value(f"call i64 @f{known[1]}(ptr %env, i64 {at}, i64 {ctx}, i64 0, i64 0, i64 0)")
    text.do(f"store i64 {text.value(f'add i64 {at}, 1')}, ptr %out")
    text.do(f"br i1 {text.value(f'icmp eq i64 {stop}, 0')}, label %{head}, label %{out}")
    text.begin(out)
    made = text.value("load i64, ptr %out")
    _returned(text, text.value(f"select i1 {refused}, i64 {error}, i64 {made}"))
    return True


def legacy_load(text: FunctionText, i: int, insn: Instruction) -> None:
    size = op.SIZE_BYTES[insn.opcode & 0x18]
    if insn.opcode & 0xE0 == op.ABS:
        offset = str(insn.imm)
    elif insn.opcode & 0xE0 == op.IND:
        low = text.value(f"trunc i64 {text.get(i, insn.src)} to i32")
        offset = text.value(f"sext i32 {text.value(f'add i32 {low}, {insn.imm}')} to i64")
    else:
        raise cannot(i, f"unknown opcode {insn.opcode:#x}")
    address = text.around.functions["st_legacy_load"]
    there = text.call(address, f"ptr %env, i64 {offset}, i32 {size}, ptr %out", "i32")
    on, off = text.label(), text.label()
    text.do(f"br i1 {text.value(f'icmp ne i32 {there}, 0')}, label %{on}, label %{off}")
    text.begin(off)
    text.do("ret i64 0")
    text.begin(on)
    _returned(text, text.value("load i64, ptr %out"))
