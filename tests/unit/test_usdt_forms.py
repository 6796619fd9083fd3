"""Where the arguments of static probes are: the operands of both architectures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stingless.errors import ObjectError
from stingless.symbols.operands import Operand, operand, split

X86, ARM = "x86_64", "aarch64"


@pytest.mark.parametrize(
    ("machine", "text", "wanted"),
    [
        (X86, "-4@%edi", Operand(4, True, base="di")),
        (X86, "8@%r15", Operand(base="r15")),
        (X86, "2@%r9w", Operand(2, base="r9")),
        (X86, "1@%bpl", Operand(1, base="bp")),
        (X86, "%eax", Operand(4, base="ax")),
        (X86, "%rip", Operand(base="ip")),
        (X86, "$7", Operand(constant=7)),
        (X86, "4@$5", Operand(4, constant=5)),
        (X86, "-8@$-9", Operand(signed=True, constant=-9)),
        (X86, "8@$0x7fffffffffffffff", Operand(constant=(1 << 63) - 1)),
        (X86, "8@-24(%rbp)", Operand(base="bp", offset=-24)),
        (X86, "8@(%rsp)", Operand(base="sp", offset=0)),
        (X86, "8@(%rax,%rbx,8)", Operand(base="ax", offset=0, index="bx", scale=8)),
        (X86, "4@-0x10(%rax,%r12)", Operand(4, base="ax", offset=-16, index="r12")),
        (X86, "8@sym(%rip)", Operand(base="ip", offset=0, symbol="sym")),
        (X86, "4@sym+4(%rip)", Operand(4, base="ip", offset=4, symbol="sym")),
        (X86, "4@-4+_Zsym.1(%rip)", Operand(4, base="ip", offset=-4, symbol="_Zsym.1")),
        (X86, "8@8+sym-2(%rip)", Operand(base="ip", offset=6, symbol="sym")),
        (X86, "8f@%xmm1", Operand(floating=True, base="xmm1")),
        (X86, "4f@-8(%rbp)", Operand(4, floating=True, base="bp", offset=-8)),
        (ARM, "-4@x3", Operand(4, True, base="regs[3]")),
        (ARM, "4@w30", Operand(4, base="regs[30]")),
        (ARM, "8@sp", Operand(base="sp")),
        (ARM, "8@[sp, 16]", Operand(base="sp", offset=16)),
        (ARM, "8@[x1]", Operand(base="regs[1]", offset=0)),
        (ARM, "1@[x1, -3]", Operand(1, base="regs[1]", offset=-3)),
        (ARM, "1@[x1, #3]", Operand(1, base="regs[1]", offset=3)),
        (ARM, "8@[x1, x2]", Operand(base="regs[1]", offset=0, index="regs[2]")),
        (ARM, "8@[x1, x2, lsl 3]", Operand(base="regs[1]", offset=0, index="regs[2]", scale=8)),
        (ARM, "-8@-7", Operand(signed=True, constant=-7)),
        (ARM, "8@#7", Operand(constant=7)),
        (ARM, "8f@d0", Operand(floating=True, base="v0")),
    ],
)
def test_forms(machine: str, text: str, wanted: Operand) -> None:
    (first,) = split(text)
    assert operand(first, machine) == wanted
    assert wanted.readable == (not wanted.base.startswith(("xmm", "v")))
    assert split(f"4@$1 {text} 4@$2")[1] == first


@pytest.mark.parametrize(
    "text",
    ["", "8", "@", "8@", "3@%rax", "8@%", "8@%rzz", "8@(%rax", "8@(%rax,%rbx,3)", "8@(%zz)", "8@sym", "8@sym(%rax)",
     "8@(%rip)", "8@sym(%rip,%rax)", "8@$", "8@$x", "16@%xmm0", "8@(%rax,%zz)"],
)  # fmt: skip
def test_what_is_no_operand(text: str) -> None:
    with pytest.raises(ObjectError, match="argument"):
        operand(text, X86)


def test_another_machine() -> None:
    with pytest.raises(ObjectError, match="not known on riscv64"):
        operand("8@a0", "riscv64")


@given(st.text(st.sampled_from("-@%$()[], +0123456789abrxspfim#_"), max_size=30), st.sampled_from([X86, ARM]))
def test_any_text_is_operands_or_refused(text: str, machine: str) -> None:
    for part in split(text):
        try:
            found = operand(part, machine)
        except ObjectError:
            continue
        assert found.size in (1, 2, 4, 8)
        assert (found.constant is None) == bool(found.base)
