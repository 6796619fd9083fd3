"""Sizes given to helpers are 64 bits wide for the verifier."""

from __future__ import annotations

import pytest

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.compile.ir.parser import parse
from stingless.compile.ir.sizes import wide_sizes
from tests.ir_programs import compiled

_IR = """
define i32 @f(ptr %ctx, i32 %length) section ".bpf.fn.f" {{
  %to = alloca [64 x i8], align 8
  {call}
  ret i32 0
}}
"""
_READ = "call i64 inttoptr (i64 112 to ptr)"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            f"%r = tail {_READ}(ptr noundef %to, i32 noundef %length, ptr noundef %ctx) #3",
            [
                "%st.wide.0 = zext i32 %length to i64",
                f"%r = tail {_READ}(ptr noundef %to, i64 %st.wide.0, ptr noundef %ctx) #3",
            ],
        ),
        (f"%r = {_READ}(ptr %to, i32 64, ptr %ctx)", [f"%r = {_READ}(ptr %to, i32 64, ptr %ctx)"]),
        (
            "%r = call i64 (ptr, i32, ...) inttoptr (i64 6 to ptr)(ptr %to, i32 8, i32 %length)",
            ["%r = call i64 (ptr, i32, ...) inttoptr (i64 6 to ptr)(ptr %to, i32 8, i32 %length)"],
        ),
        ("%r = call i64 @g(ptr %to, i32 %length)", ["%r = call i64 @g(ptr %to, i32 %length)"]),
    ],
)
def test_calls(call: str, expected: list[str]) -> None:
    (function,) = parse(_IR.format(call=call)).functions
    wide_sizes(function)
    lines = [line.strip() for line in function.text().splitlines()]
    assert lines[2 : 2 + len(expected)] == expected


def test_the_register_is_cut_before_the_call() -> None:
    """Without that, clang compares the lower half of the register and gives the whole of it."""
    text = """
    int f(struct pt_regs *ctx) {
        char to[50] = {};
        u32 length = ctx->cx;
        return bpf_probe_read_user(to, length < 50 ? length : 50, (void *)ctx->dx) + to[3];
    }
    """
    (program,) = compiled(text).programs.values()
    code = decode(program.code)
    call = next(at for at, i in enumerate(code) if i.opcode == op.JMP | op.CALL and i.imm == Helper.probe_read_user)
    moves = [i for i in code[:call] if i.dst == 2]
    cut = [i for i in moves if i.opcode in (op.ALU | op.MOV | op.X, op.ALU64 | op.RSH | op.K)]
    assert cut, [str(i) for i in moves]
