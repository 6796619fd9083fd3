"""Kprobes on system calls where the kernel has no kprobes: through raw_tracepoint:sys_enter and sys_exit.

Minimum kernel: 5.5, CONFIG_FTRACE_SYSCALLS.  Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, Kprobe("sys_clone"))` on a kernel without CONFIG_KPROBES.
Source: kernel/entry/common.c, `syscall_trace_enter()`; arch/x86/include/asm/syscall_wrapper.h.

The KPROBE program becomes a sub-program of a RAW_TRACEPOINT one.  A stub in front of it checks the call's number and
that the task is a 64-bit one, makes on its stack the `struct pt_regs` that a kprobe on the call's function would give,
and calls the program with that.  Where it differs from a kprobe: the instruction pointer and the registers that are no
arguments are 0; sys_exit also sees calls that a seccomp filter refused; a return of rt_sigreturn is not seen; a 64-bit
task's 32-bit call (int 0x80 on x86) is taken for the 64-bit one of its number.
"""

from __future__ import annotations

from stingless._gen.helpers import PROTOTYPES, Helper
from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import (
    Instruction,
    add_imm,
    call,
    decode,
    exit_,
    jump,
    ld_imm64,
    load,
    mov,
    mov_imm,
    store,
    store_imm,
)
from stingless.asm.rewrite import insert, prepend
from stingless.errors import AttachError, LoadError, VerifierError
from stingless.events import Kprobe
from stingless.frozen import frozen, replace
from stingless.linux import host
from stingless.linux.links import LinuxLink
from stingless.linux.programs import LinuxProgram
from stingless.obj.spec import ProgramSpec
from stingless.syscalls import number_of, syscall_of, takes_regs


@frozen
class Registers:
    """A machine's `struct pt_regs`: offsets in bytes."""

    size: int  # of what programs can name; what the kernel keeps behind that is left out
    arguments: tuple[int, ...]  # of a C function
    call_arguments: tuple[int, ...]  # of a system call
    result: int
    number: int  # the call's number, kept until the call returns
    number_size: int
    mode: int  # where 32-bit tasks differ: *(u64 *)(regs + mode) & mode_mask == mode_64
    mode_mask: int
    mode_64: int


REGISTERS = {
    # arch/x86/include/asm/ptrace.h: cs is 0x33 in 64-bit user code
    "x86_64": Registers(168, (112, 104, 96, 88, 72, 64), (112, 104, 96, 56, 72, 64), 80, 120, op.DW, 136, 0xFFFF, 0x33),
    # arch/arm64/include/asm/ptrace.h: PSR_MODE32_BIT of pstate; syscallno is behind orig_x0
    "aarch64": Registers(272, (0, 8, 16, 24, 32, 40), (0, 8, 16, 24, 32, 40), 0, 280, op.W, 264, 0x10, 0),
}

# Helpers whose first argument is the program's context.
CONTEXT_HELPERS = {
    Helper[name] for name, (_, arguments) in PROTOTYPES.items() if arguments.startswith("void *ctx,")
} | {Helper[name] for name, (_, arguments) in PROTOTYPES.items() if arguments == "void *ctx"}

# These return twice, once in the new task, where no kretprobe fires.
_FORKING = {"clone", "clone3", "fork", "vfork"}


def with_true_context(spec: ProgramSpec, regs: Registers) -> ProgramSpec:
    """The program with the true context, which is kept right behind the made-up registers, put in r1 before each call
    of a helper that wants it."""
    before = [load(op.DW, 1, 1, regs.size)]
    places = [
        i
        for i, insn in enumerate(decode(spec.code))
        if insn.opcode == op.JMP | op.CALL and insn.src == 0 and insn.imm in CONTEXT_HELPERS
    ]
    return insert(spec, dict.fromkeys(places, before))


def stub(name: str, event: Kprobe, regs: Registers, cgroup_id: int) -> list[Instruction]:
    """The main program; the code that follows it is what it calls.  r6: the context, r7: the user's registers."""
    number = number_of(name)
    base, scratch = -(regs.size + 8), -8
    out: list[Instruction] = []
    leave: list[int] = []  # places of jumps to the end

    def unless(condition: int, dst: int, imm: int) -> None:
        """Leave when `dst condition imm`."""
        leave.append(len(out))
        out.append(jump(condition, dst, imm, 0))

    def read(to: int, offset: int, size: int = op.DW) -> None:
        """Read a register of the user's to our stack."""
        out.extend([mov(1, 10), add_imm(1, to), mov_imm(2, op.SIZE_BYTES[size]), mov(3, 7), add_imm(3, offset)])
        out.append(call(Helper.probe_read_kernel))
        unless(op.JNE, 0, 0)

    out += [mov(6, 1), load(op.DW, 7, 6, 0), load(op.DW, 8, 6, 8)]  # r8: the number, or at the exit the result
    if event.ret:
        if name in _FORKING:
            unless(op.JEQ, 8, 0)
        read(scratch, regs.number, regs.number_size)
        out.append(load(regs.number_size, 1, 10, scratch))
        unless(op.JNE, 1, number)
    else:
        unless(op.JNE, 8, number)
    read(scratch, regs.mode)
    out += [load(op.DW, 1, 10, scratch), Instruction(op.ALU64 | op.AND | op.K, 1, 0, 0, regs.mode_mask)]
    unless(op.JNE, 1, regs.mode_64)
    if cgroup_id:
        out += [call(Helper.get_current_cgroup_id), *ld_imm64(1, cgroup_id)]
        leave.append(len(out))
        out.append(Instruction(op.JMP | op.JNE | op.X, 0, 1))
    out += [store_imm(op.DW, 10, base + offset, 0) for offset in range(0, regs.size, 8)]
    if event.ret:
        out.append(store(op.DW, 10, base + regs.result, 8))
    elif takes_regs(event.function):
        out.append(store(op.DW, 10, base + regs.arguments[0], 7))
    else:
        for to, offset in zip(regs.arguments, regs.call_arguments, strict=True):
            read(base + to, offset)
    if regs.number + 8 <= regs.size:
        out.append(store_imm(op.DW, 10, base + regs.number, number))
    out += [store(op.DW, 10, scratch, 6), mov(1, 10), add_imm(1, base)]
    out.append(Instruction(op.JMP | op.CALL, 0, op.PSEUDO_CALL, 0, 2))
    for at in leave:
        out[at] = out[at]._replace(off=len(out) - at - 1)
    return [*out, mov_imm(0, 0), exit_()]


def rewritten(spec: ProgramSpec, event: Kprobe, cgroup_id: int, machine: str | None = None) -> ProgramSpec:
    """The RAW_TRACEPOINT form of a KPROBE program.  It goes without BTF, in which the program is a function of its own
    with a context as argument."""
    regs = REGISTERS[machine or host.machine()]
    name = syscall_of(event.function)
    assert name is not None
    plain = replace(
        spec, type=ProgramType.RAW_TRACEPOINT, attach_type=None, line_info=(), func_info=(), btf=None, section=""
    )
    return prepend(with_true_context(plain, regs), stub(name, event, regs, cgroup_id))


def attach(program: LinuxProgram, event: Kprobe) -> LinuxLink:
    """Raises `AttachError` when the combined form is refused."""
    from stingless._sys import bpf
    from stingless.events import RawTracepoint
    from stingless.linux import program_load, raw_tracepoint

    where = RawTracepoint("sys_exit" if event.ret else "sys_enter")
    what = f"program {program.spec.name!r} cannot be attached to {event} through {where} (this kernel has no kprobes)"
    used = {insn.imm for insn in decode(program.spec.code) if insn.opcode == op.JMP | op.CALL and insn.src == 0}
    for helper, why in _IMPOSSIBLE.items():
        if helper in used:
            raise AttachError(f"{what}: bpf_{helper.name}() {why}", 95)
    try:
        fd = program_load.load(rewritten(program.spec, event, program.cgroup_id), program.maps, None)
    except VerifierError as e:
        raise AttachError(
            f"{what}: the verifier takes the program but not that form of it: {e.summary}", e.errno or 0
        ) from e
    except LoadError as e:
        raise AttachError(f"{what}: {e.message}", e.errno or 0) from e
    try:
        opened = bpf.raw_tracepoint_open(fd.fileno(), where.name)
    except OSError as e:
        raise raw_tracepoint.refused(program, where, e) from None
    finally:
        fd.close()
    note = f"no kprobes in this kernel: {event.function} is probed through {where}, filtered by number"
    return LinuxLink(event, [opened], note)


_IMPOSSIBLE = {
    Helper.tail_call: "goes to KPROBE programs, which cannot run there",
    Helper.override_return: "works in kprobes only",
}
