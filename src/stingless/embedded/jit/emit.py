"""A program as LLVM IR: one LLVM function for each of its functions, one block for each of its blocks.

Registers are variables of 64 bits, which LLVM's first pass makes values of; the 512 bytes of stack are a variable too.
What an instruction does is in `lower`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stingless.asm.instruction import Instruction, decode
from stingless.embedded.jit import flow, lower
from stingless.frozen import frozen

ENTRY = "program"


@frozen
class Surroundings:
    """What machine code needs to know of the runtime: the address of a helper by number (0: there is none) and of the
    functions of machine.h by name, offsets in `struct st_env`, and descriptors of the maps with look-ups to inline, by
    the address of the map: the name of the look-up and the descriptor's bytes.  `zero_stack`: frames begin as zeros."""

    helper: Callable[[int], int]
    functions: Mapping[str, int]
    cpu_offset: int
    lookups: Mapping[int, tuple[str, bytes]]
    zero_stack: bool = False


class CannotTranslate(Exception):
    """An instruction that the JIT does not know; programs that have it are interpreted."""

    def __init__(self, insn: int, what: str) -> None:
        super().__init__(f"instruction {insn}: {what}")


class FunctionText:
    """The IR of one function, written line by line."""

    def __init__(self, function: flow.Function, insns: list[Instruction], around: Surroundings) -> None:
        self.function = function
        self.insns = insns
        self.around = around
        self.lines: list[str] = []
        self.used_maps: set[int] = set()
        self._count = 0

    def value(self, text: str) -> str:
        """A new value, the result of the IR instruction `text`."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def label(self) -> str:
        self._count += 1
        return f"x{self._count}"

    def do(self, text: str) -> None:
        self.lines.append("  " + text)

    def begin(self, label: str) -> None:
        self.lines.append(f"{label}:")

    def known(self, i: int, reg: int) -> flow.Known:
        return self.function.before[i][reg]

    def get(self, i: int, reg: int) -> str:
        """The 64-bit value of a register before instruction `i`."""
        known = self.known(i, reg)
        if known is not None and known[0] == flow.CONSTANT:
            return str(known[1])
        if known is not None and known[0] == flow.FRAME:
            return self.value(f"ptrtoint ptr {self._frame(known[1])} to i64")
        return self.value(f"load i64, ptr %r{reg}")

    def set(self, reg: int, value: str) -> None:
        self.do(f"store i64 {value}, ptr %r{reg}")

    def pointer(self, i: int, reg: int, offset: int = 0) -> str:
        """A register plus an offset, as a pointer."""
        known = self.known(i, reg)
        if known is not None and known[0] == flow.FRAME:
            return self._frame(known[1] + offset)
        base = self.value(f"inttoptr i64 {self.get(i, reg)} to ptr")
        return self.value(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def _frame(self, offset: int) -> str:
        return self.value(f"getelementptr i8, ptr %stack, i64 {512 + offset}")

    def call(self, address: int, arguments: str, result: str = "i64") -> str:
        """Of a function of the runtime."""
        return self.value(f"call {result} inttoptr (i64 {address} to ptr)({arguments})")

    def render(self) -> str:
        function = self.function
        name = ENTRY if function.start == 0 else f"f{function.start}"
        linkage = "" if function.start == 0 else "internal "
        parameters = ", ".join(f"i64 %a{reg}" for reg in range(1, 6))
        self.lines.append(f"define {linkage}i64 @{name}(ptr %env, {parameters}) #0 {{")
        self.begin("entry")
        self.do("%stack = alloca [512 x i8], align 16")
        if self.around.zero_stack:
            self.do("call void @llvm.memset.p0.i64(ptr align 16 %stack, i8 0, i64 512, i1 false)")
        self.do("%out = alloca i64")
        self.do("%rounds = alloca i32")
        self.do("store i32 0, ptr %rounds")
        for reg in range(11):
            self.do(f"%r{reg} = alloca i64")
        for reg in range(10):
            self.do(f"store i64 {f'%a{reg}' if 1 <= reg <= 5 else '0'}, ptr %r{reg}")
        self.do(f"br label %L{function.start}")
        open_block = False
        for i, insn in flow.slots(self.insns, function.start, function.end):
            if i not in function.before:
                continue  # nothing leads here
            if i in function.leaders:
                if open_block:
                    self.do(f"br label %L{i}")
                self.begin(f"L{i}")
            open_block = lower.lower(self, i, insn)
        self.lines.append("}")
        return "\n".join(self.lines)


def module(code: bytes, around: Surroundings) -> tuple[str, bool]:
    """The IR of a program whose addresses are resolved, and whether it calls look-ups that must be linked to it.
    Raises `CannotTranslate`."""
    insns = decode(code)
    texts = [FunctionText(function, insns, around) for function in flow.functions(insns)]
    parts = [text.render() for text in texts]
    used = {address for text in texts for address in text.used_maps}
    for address in sorted(used):
        _, descriptor = around.lookups[address]
        data = "".join(f"\\{byte:02x}" for byte in descriptor)
        parts.append(f'@m{address:x} = private unnamed_addr constant [{len(descriptor)} x i8] c"{data}", align 16')
    for name in sorted({around.lookups[address][0] for address in used}):
        parts.append(f"declare ptr @{name}(ptr, ptr, i32)")
    parts += [
        "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)",
        *(f"declare i{bits} @llvm.bswap.i{bits}(i{bits})" for bits in (16, 32, 64)),
        "attributes #0 = { nounwind }",
    ]
    return "\n".join(parts) + "\n", bool(used)
