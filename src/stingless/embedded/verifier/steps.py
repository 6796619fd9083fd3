"""What to call for each instruction, worked out once before any path is followed."""

from __future__ import annotations

from collections.abc import Callable

from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier import arithmetic, branches, btf_access, calls, loops, memory
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.state import FUNC, MAP_PTR, MAP_VALUE, Reg, const_reg

Step = Callable[[Env, Instruction], None]  # goes on at the next instruction
Jump = Callable[[Env, Instruction], int]  # returns the next instruction, or -1 at the end of the path


def steps(env: Env) -> tuple[list[Step | None], list[Jump]]:
    """By instruction: a `Step`, or where there is none, a `Jump`."""
    plain: list[Step | None] = []
    jumping: list[Jump] = []
    for insn in env.insns:
        step = _plain(insn)
        plain.append(step)
        jumping.append(_jumping(insn) if step is None else _never)
    return plain, jumping


def _plain(insn: Instruction) -> Step | None:
    opcode = insn.opcode
    cls = opcode & 0x07
    if cls in (op.ALU64, op.ALU):
        if opcode & 0xF0 == op.MOV and not opcode & op.X:
            return _constant(insn.imm if cls == op.ALU64 else insn.imm & 0xFFFFFFFF)
        return arithmetic.execute
    if cls == op.LDX:
        return memory.execute_load
    if cls == op.STX and opcode & 0xE0 == op.ATOMIC:
        if insn.imm == op.LOAD_ACQ:
            return memory.execute_load
        return memory.execute_store if insn.imm == op.STORE_REL else memory.execute_atomic
    if cls in (op.ST, op.STX):
        return memory.execute_store
    return memory.execute_absolute if cls == op.LD and opcode != op.LD_IMM64 else None


def _jumping(insn: Instruction) -> Jump:
    cls, operation = insn.opcode & 0x07, insn.opcode & 0xF0
    if insn.opcode == op.LD_IMM64:
        return _load_immediate
    if operation == op.CALL:
        if insn.src == op.PSEUDO_CALL:
            return calls.call_subprogram
        return _call_kfunc if insn.src == op.PSEUDO_KFUNC_CALL else _call_helper
    if operation == op.EXIT:
        return _exit
    if operation == op.JA:
        return _jump if cls == op.JMP else _jump_far
    return loops.may_goto if operation == op.JCOND else branches.execute


def _constant(value: int) -> Step:
    known = const_reg(value)

    def step(env: Env, insn: Instruction) -> None:
        env.regs[insn.dst] = known

    return step


def _never(env: Env, insn: Instruction) -> int:
    raise AssertionError("a plain step has no jump")


def _call_helper(env: Env, insn: Instruction) -> int:
    calls.call_helper(env, insn)
    return env.pc + 1


def _call_kfunc(env: Env, insn: Instruction) -> int:
    calls.call_kfunc(env, insn)
    return env.pc + 1


def _exit(env: Env, insn: Instruction) -> int:
    return calls.leave(env)


def _jump(env: Env, insn: Instruction) -> int:
    return env.pc + 1 + insn.off


def _jump_far(env: Env, insn: Instruction) -> int:
    return env.pc + 1 + insn.imm


def _load_immediate(env: Env, insn: Instruction) -> int:
    pc = env.pc
    load = env.program.map_loads.get(pc)
    if insn.src == op.PSEUDO_FUNC:
        env.regs[insn.dst] = Reg(FUNC, map=env.program.functions[pc])
    elif insn.src == op.PSEUDO_BTF_ID:
        env.regs[insn.dst] = btf_access.variable(env, insn, env.insns[pc + 1])
    elif load is None:
        arithmetic.load_constant(env, insn, env.insns[pc + 1].imm)
    elif load[1] is None:
        env.regs[insn.dst] = Reg(MAP_PTR, map=load[0])
    else:
        env.regs[insn.dst] = Reg(MAP_VALUE, map=load[0], off=load[1])
    return pc + 2
