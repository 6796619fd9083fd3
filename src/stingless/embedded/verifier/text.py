"""The state in the words of Linux's log: `R0=map_value_or_null(id=1,map=counts,ks=4,vs=8) R10=fp0 fp-8=mmmm0000`."""

from __future__ import annotations

from collections.abc import Sequence

from stingless.embedded.verifier.scalar import S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32, U64, Scalar
from stingless.embedded.verifier.state import (
    BLOCK,
    BLOCK_OR_NULL,
    FUNC,
    ITER,
    MEM,
    MEM_OR_NULL,
    NOT_INIT,
    PACKETS,
    SCALAR,
    STACK,
    Frame,
    Reg,
    State,
)
from stingless.obj.spec import MapSpec


def state_text(state: State, maps: Sequence[MapSpec]) -> str:
    """Registers and stack of the running frame."""
    frame = state.frames[-1]
    head = f"frame{len(state.frames) - 1}: " if len(state.frames) > 1 else ""
    parts = [f"R{i}={reg_text(reg, maps)}" for i, reg in enumerate(frame.regs) if reg.kind is not NOT_INIT]
    parts += stack_text(frame, maps)
    if state.refs:
        parts.append("refs=" + ",".join(map(str, state.refs)))
    return head + " ".join(parts)


def stack_text(frame: Frame, maps: Sequence[MapSpec]) -> list[str]:
    parts = []
    for base in sorted(frame.stack, reverse=True):
        slot = frame.stack[base]
        parts.append(f"fp{base}={slot[::-1] if isinstance(slot, str) else reg_text(slot, maps)}")
    return parts


def reg_text(reg: Reg, maps: Sequence[MapSpec]) -> str:
    if reg.kind is SCALAR:
        if not reg.var.mask:
            return str(reg.var.smin)
        facts = [f"id={reg.id}"] if reg.id else []
        return f"scalar({','.join(facts + scalar_facts(reg.var))})"
    if reg.kind is STACK:
        if not reg.var.mask:
            return f"fp{reg.off + reg.var.smin}"
        return f"fp(off={reg.off},{','.join(scalar_facts(reg.var))})"
    facts = [f"id={reg.id}"] if reg.id else []
    if reg.ref:
        facts.append(f"ref_obj_id={reg.ref}")
    if reg.map >= 0 and reg.kind not in (FUNC, ITER):
        spec = maps[reg.map]
        facts.append(f"map={spec.name},ks={spec.key_size},vs={spec.value_size}")
    if reg.off:
        facts.append(f"off={reg.off}")
    if reg.kind in PACKETS:
        facts.append(f"r={reg.span}")
    if reg.kind in (MEM, MEM_OR_NULL, BLOCK, BLOCK_OR_NULL):
        facts.append(f"sz={reg.span}")
    if reg.var.mask:
        facts += scalar_facts(reg.var)
    elif reg.var.value:
        facts.append(f"imm={reg.var.smin}")
    return f"{reg.kind}({','.join(facts)})"


def scalar_facts(a: Scalar) -> list[str]:
    """What is known beyond the type's own limits; equal values share one entry (`smin=umin=4`)."""
    named: dict[int, list[str]] = {}
    for name, value, limit in (
        ("smin", a.smin, S64_MIN),
        ("smax", a.smax, S64_MAX),
        ("umin", a.umin, 0),
        ("umax", a.umax, U64),
        ("smin32", a.s32min, S32_MIN),
        ("smax32", a.s32max, S32_MAX),
        ("umin32", a.u32min, 0),
        ("umax32", a.u32max, U32),
    ):
        if value != limit:
            named.setdefault(value, []).append(name)
    facts = [f"{'='.join(names)}={value}" for value, names in named.items()]
    if a.mask != U64:
        facts.append(f"var_off={bits_text(a)}")
    return facts


def bits_text(a: Scalar) -> str:
    return f"({a.value:#x}; {a.mask:#x})"
