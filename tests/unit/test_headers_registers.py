"""Registers by their role, on each architecture and with the kernel's struct as well as user space's."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest

from stingless.compile import compile_text
from stingless.errors import CompileError
from stingless.obj.elf import parse_elf

HEAD = "#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_tracing.h>\n#include <bpf/bpf_core_read.h>\n"
# The struct that has the registers, and for each role the offset of its register there (kernel: arch/*/include/).
ARCHES = {
    "x86": (
        "struct pt_regs { unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip,"
        " cs, flags, sp, ss; };",
        {"PARM1": 112, "PARM2": 104, "PARM3": 96, "PARM4": 88, "PARM5": 72, "PARM6": 64, "RC": 80, "IP": 128, "SP": 152,
         "RET": 152, "FP": 32, "PARM4_SYSCALL": 56, "PARM1_SYSCALL": 112, "PARM6_SYSCALL": 64},
    ),
    "arm64": (
        "struct user_pt_regs { unsigned long long regs[31], sp, pc, pstate; };"
        "struct pt_regs { struct user_pt_regs user_regs; unsigned long long orig_x0; };",
        {"PARM1": 0, "PARM2": 8, "PARM8": 56, "RC": 0, "SP": 248, "IP": 256, "RET": 240, "FP": 232,
         "PARM2_SYSCALL": 8, "PARM6_SYSCALL": 40},
    ),
    "arm": (
        "struct pt_regs { unsigned long uregs[18]; };",
        {"PARM1": 0, "PARM4": 24, "RC": 0, "SP": 104, "RET": 112, "IP": 120, "FP": 88, "PARM7_SYSCALL": 48},
    ),
    "s390": (
        "typedef struct { unsigned long args[1]; struct { unsigned long mask, addr; } psw; unsigned long gprs[16]; }"
        " user_pt_regs; struct pt_regs { user_pt_regs user_regs; };",
        {"PARM1": 40, "PARM5": 72, "RC": 40, "SP": 144, "RET": 136, "FP": 112, "IP": 16, "PARM6_SYSCALL": 80},
    ),
    "powerpc": (
        "struct pt_regs { unsigned long gpr[32], nip, msr, orig_gpr3, ctr, link; };",
        {"PARM1": 24, "PARM8": 80, "RC": 24, "SP": 8, "IP": 256, "RET": 288, "PARM1_SYSCALL": 272},
    ),
    "riscv": (
        "struct user_regs_struct { unsigned long pc, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6,"
        " a7; }; struct pt_regs { struct user_regs_struct u; };",
        {"PARM1": 80, "PARM8": 136, "RC": 80, "SP": 16, "RET": 8, "FP": 64, "IP": 0, "PARM2_SYSCALL": 88},
    ),
    "loongarch": (
        "struct user_pt_regs { unsigned long regs[32], orig_a0, csr_era; }; struct pt_regs { struct user_pt_regs u; };",
        {"PARM1": 32, "PARM8": 88, "RC": 32, "SP": 24, "RET": 8, "FP": 176, "IP": 264},
    ),
    "mips": (
        "struct pt_regs { unsigned long regs[32], cp0_status, hi, lo, cp0_badvaddr, cp0_cause, cp0_epc; };",
        {"PARM1": 32, "PARM8": 88, "RC": 16, "SP": 232, "RET": 248, "FP": 240, "IP": 296},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STINGLESS_CACHE", "")


def offsets_of(text: str, roles: Iterable[str], arch: str) -> dict[str, int]:
    """Where the registers of these roles are, as clang writes it into a variable's first value."""
    addresses = ", ".join(f"(unsigned long)&PT_REGS_{role}((struct pt_regs *)0)" for role in roles)
    data = compile_text(f"{text}unsigned long offsets[] = {{{addresses}}};\n", cflags=[f"-D__TARGET_ARCH_{arch}"])
    section = next(s.data for s in parse_elf(data).sections if s.name in (".data", ".bss"))
    return {role: at for role, (at,) in zip(roles, struct.iter_unpack("<Q", section), strict=True)}


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("before", [True, False])
def test_offsets(arch: str, before: bool) -> None:
    declaration, offsets = ARCHES[arch]
    text = f"{declaration}\n{HEAD}" if before else f"{HEAD}{declaration}\n"
    assert offsets_of(text, offsets, arch) == offsets


@pytest.mark.parametrize("arch", ARCHES)
def test_every_role_compiles(arch: str) -> None:
    declaration, offsets = ARCHES[arch]
    roles = sorted({*offsets, "PARM3"})
    plain = "".join(f"long f_{r}(struct pt_regs *r) {{ return PT_REGS_{r}(r); }}\n" for r in roles)
    core = "".join(
        f"long c_{r}(struct pt_regs *r) {{ return PT_REGS_{r.replace('_SYSCALL', '')}_CORE"
        f"{'_SYSCALL' if 'SYSCALL' in r else ''}(r); }}\n"
        for r in roles
    )
    compile_text(f"{declaration}\n{HEAD}{plain}{core}", cflags=[f"-D__TARGET_ARCH_{arch}"])


@pytest.mark.parametrize("arch", ["arm64", "s390", "riscv"])
def test_a_first_argument_that_only_the_kernels_struct_has(arch: str) -> None:
    declaration, _ = ARCHES[arch]
    text = "long f(struct pt_regs *r) { return PT_REGS_PARM1_SYSCALL(r) + PT_REGS_PARM1_CORE_SYSCALL(r); }\n"
    compile_text(f"{declaration}\n{HEAD}{text}", cflags=[f"-D__TARGET_ARCH_{arch}"])


@pytest.mark.parametrize("before", [True, False])
def test_user_space_calls_them_otherwise_on_x86(before: bool) -> None:
    include = "#include <linux/ptrace.h>\n"
    text = f"{include}{HEAD}" if before else f"{HEAD}{include}"
    assert offsets_of(text, ARCHES["x86"][1], "x86") == ARCHES["x86"][1]


@pytest.mark.parametrize(
    ("arch", "use"), [("x86", "PT_REGS_PARM7(r)"), ("powerpc", "PT_REGS_FP(r)"), ("none", "PT_REGS_PARM1(r)")]
)
def test_what_an_architecture_does_not_have(arch: str, use: str) -> None:
    declaration = ARCHES.get(arch, ARCHES["x86"])[0]
    text = f"{declaration}\n{HEAD}\nlong f(struct pt_regs *r)\n{{ return {use}; }}\n"
    with pytest.raises(CompileError) as caught:
        compile_text(text, cflags=[f"-D__TARGET_ARCH_{arch}"])
    assert caught.value.diagnostics[0].source == f"{{ return {use}; }}"
