"""Calls of helpers and sub-programs, and returns from them."""

from __future__ import annotations

import errno

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm.disasm import helper_name
from stingless.asm.instruction import Instruction
from stingless.embedded.verifier import helper_kinds as k
from stingless.embedded.verifier import helpers as h
from stingless.embedded.verifier import map_rules, memory, stack
from stingless.embedded.verifier.arithmetic import MAX_VARIABLE_OFFSET
from stingless.embedded.verifier.contexts import return_range
from stingless.embedded.verifier.env import Env
from stingless.embedded.verifier.precision import rest_on
from stingless.embedded.verifier.printf import check_format
from stingless.embedded.verifier.rejection import Rejected, malformed, unsupported
from stingless.embedded.verifier.scalar import S32_MAX, U32, U64, make
from stingless.embedded.verifier.state import (
    CTX,
    MAP_PTR,
    MAP_VALUE,
    MAP_VALUE_OR_NULL,
    MEM,
    MEM_OR_NULL,
    NOT_INIT,
    PACKET_END,
    PACKETS,
    SCALAR,
    STACK,
    UNINIT,
    UNKNOWN_REG,
    Frame,
    Reg,
    is_zero,
    replace_all,
)
from stingless.obj.spec import MapSpec

MAX_FRAMES = 8
_SLEEPABLE = 1 << 4  # BPF_F_SLEEPABLE
_MAX_ERRNO = 4095
_MAX_REFERENCES = 64
_MEMORY = (STACK, *PACKETS, MAP_VALUE, MEM)
_EXPECTED_MEMORY = "fp, pkt, pkt_meta, map_value, ringbuf_mem"
# Memory of a fixed size: bytes, whether aligned, whether written.
_FIXED = {
    k.OUT_LONG: (8, True, True),
    k.IN_OUT_INT: (4, True, True),
    k.IN_20: (20, False, False),
    k.IN_40: (40, False, False),
}


class _Call:
    """What the arguments of one call tell: the map, sizes, memory to be written."""

    __slots__ = ("alloc", "map", "out", "record", "size_max", "text")

    def __init__(self) -> None:
        self.map = -1
        self.alloc = 0
        self.size_max = 0
        self.record = UNINIT
        self.text = b""
        self.out: list[tuple[Reg, int, int]] = []  # register, bytes certainly and at most written


def call_helper(env: Env, insn: Instruction) -> None:
    number = insn.imm
    signature = h.SIGNATURES.get(number)
    if signature is None:
        raise malformed(f"unknown func {helper_name(number)}")
    if signature.types is not None and env.spec.type not in signature.types:
        raise malformed(f"program of this type cannot use helper {helper_name(number)}")
    if signature.gpl and env.spec.license not in h.GPL_COMPATIBLE:
        raise malformed("cannot call GPL-restricted function from non-GPL compatible program")
    if signature.sleeps and not (env.spec.flags & _SLEEPABLE or env.spec.type is ProgramType.SYSCALL):
        raise malformed("helper call might sleep in a non-sleepable prog")
    _check_implemented(env, signature, number)
    if number == Helper.tail_call:
        _check_tail_call(env)
    call = _Call()
    for position, wanted in enumerate(signature.arguments, 1):
        _check_argument(env, signature, number, position, wanted, call)
    if number == Helper.snprintf:
        check_format(call.text, env.regs[5])
    for reg, certain, most in call.out:
        if reg.kind is STACK:
            low = reg.off + reg.var.smin
            env.need_stack(reg.frame, low)
            stack.overwrite(env, reg.frame, low, most + reg.var.smax - reg.var.smin, 0 if reg.var.mask else certain)
    if call.record.ref:
        released = call.record.ref
        env.state.refs.pop(released, None)
        replace_all(env.state, lambda r: r.ref == released, lambda r: UNINIT)
    env.regs[0:6] = [UNINIT] * 6
    if signature.moves_packet:
        replace_all(env.state, lambda r: r.kind in PACKETS or r.kind is PACKET_END, lambda r: UNKNOWN_REG)
    env.regs[0] = _result(env, signature, call)


def _check_implemented(env: Env, signature: k.Signature, number: int) -> None:
    """Linux may allow the call; the embedded kernel need not."""
    if signature.kernel_only:
        raise Rejected(
            f"helper {helper_name(number)} is meaningful only in a kernel: {signature.kernel_only}", errno.EOPNOTSUPP
        )
    for kind in (*signature.arguments, signature.returns):
        if kind in h.UNFOLLOWED:
            raise unsupported(f"{helper_name(number).partition('#')[0]}: {h.UNFOLLOWED[kind]}")
    if number not in env.helpers:
        raise malformed(f"unknown func {helper_name(number)}")


def _check_tail_call(env: Env) -> None:
    if env.state.refs:
        raise malformed("tail_call would lead to reference leak")
    if len(env.state.frames) > 1:
        raise unsupported("bpf_tail_call in a sub-program is")


def _result(env: Env, signature: k.Signature, call: _Call) -> Reg:
    if signature.returns == k.NOTHING:
        return UNINIT
    if signature.returns == k.MAP_VALUE:
        return Reg(MAP_VALUE_OR_NULL, map=call.map, id=env.new_id())
    if signature.returns == k.RESERVED:
        if len(env.state.refs) >= _MAX_REFERENCES:
            raise unsupported(f"more than {_MAX_REFERENCES} references held at once are")
        reference = env.new_id()
        env.state.refs[reference] = env.pc
        return Reg(MEM_OR_NULL, id=reference, ref=reference, span=call.alloc)
    if signature.returns == k.LENGTH:
        most = min(call.size_max, S32_MAX)
        return Reg(SCALAR, make(0, U64, -_MAX_ERRNO, most, 0, U64, -_MAX_ERRNO, most, 0, U32))
    return UNKNOWN_REG


def _check_argument(env: Env, signature: k.Signature, helper: int, number: int, wanted: str, call: _Call) -> None:
    reg = env.read(number)
    if wanted == k.ANY:
        return
    if wanted == k.CTX:
        _expect(number, reg, (CTX,), "ctx")
        if reg.off or reg.var.mask or reg.var.value:
            raise Rejected(f"dereference of modified ctx ptr R{number} off={reg.off} disallowed")
    elif wanted == k.MAP:
        _expect(number, reg, (MAP_PTR,), "map_ptr")
        call.map = reg.map
        _check_map_type(env.program.maps[reg.map], helper)
    elif wanted == k.VALUE_OR_NULL and is_zero(reg):
        return
    elif wanted in (k.KEY, k.VALUE, k.VALUE_OR_NULL, k.OUT_VALUE):
        spec = env.program.maps[call.map]
        size = spec.key_size if wanted == k.KEY else spec.value_size
        _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)
        # A bloom filter is asked for a value, where a queue gives one.
        out = wanted == k.OUT_VALUE and spec.type is not MapType.BLOOM_FILTER
        check_memory(env, signature, reg, number, size, size, out, call)
    elif wanted in _FIXED:
        _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)
        size, aligned, write = _FIXED[wanted]
        if aligned:
            memory.check_aligned(reg, size)
        if wanted != k.OUT_LONG:
            check_memory(env, signature, reg, number, size, size, False, call)
        if write:
            check_memory(env, signature, reg, number, size, size, True, call)
    elif wanted in (k.IN, k.OUT, k.IN_OUT, k.IN_OR_NULL):
        rest_on(reg.marks)
        if wanted != k.IN_OR_NULL or not is_zero(reg):
            _expect(number, reg, _MEMORY, _EXPECTED_MEMORY)
    elif wanted in (k.SIZE, k.SIZE_OR_ZERO):
        _check_size(env, signature, number, reg, wanted == k.SIZE_OR_ZERO, call)
    elif wanted == k.ALLOC:
        _expect(number, reg, (SCALAR,), "scalar")
        if reg.var.mask or reg.var.value >= MAX_VARIABLE_OFFSET:
            raise Rejected(f"R{number} is not a known constant'")
        rest_on(reg.marks)
        call.alloc = reg.var.value
    elif wanted == k.RECORD:
        _expect(number, reg, (MEM,), "ringbuf_mem")
        if reg.off or reg.var.mask or reg.var.value:
            raise Rejected(f"R{number} must have zero offset when passed to release func")
        if not reg.ref:
            raise Rejected(f"R{number} must be referenced when passed to release function")
        call.record = reg
    elif wanted == k.TEXT:
        call.text = _constant_text(env, reg, number)
    else:
        raise unsupported(f"an argument of kind {wanted!r} is")


def _expect(number: int, reg: Reg, kinds: tuple[str, ...], words: str) -> None:
    if reg.kind not in kinds:
        raise Rejected(f"R{number} type={reg.kind} expected={words}")


def _check_size(env: Env, signature: k.Signature, number: int, size: Reg, zero: bool, call: _Call) -> None:
    """The size argument `number` of the memory argument before it."""
    if size.kind is not SCALAR:
        raise Rejected(f"R{number} type={size.kind} expected=scalar")
    if size.var.smin < 0:
        raise Rejected(f"R{number} min value is negative, either use unsigned or 'var &= const'")
    if size.var.umin == 0 and not zero:
        raise Rejected(f"R{number} invalid zero-sized read: u64=[{size.var.umin},{size.var.umax}]")
    if size.var.umax >= MAX_VARIABLE_OFFSET:
        raise Rejected(f"R{number} unbounded memory access, use 'var &= const' or 'if (var < const)'")
    rest_on(size.marks)
    call.size_max = size.var.umax
    reg = env.regs[number - 1]
    if is_zero(reg):
        if size.var.umax:
            raise Rejected(f"R{number - 1} type=scalar expected=fp")
        return
    memory_kind = signature.arguments[number - 2]
    if memory_kind == k.IN_OUT:
        check_memory(env, signature, reg, number - 1, size.var.umin, size.var.umax, False, call)
    write = memory_kind in (k.OUT, k.IN_OUT)
    check_memory(env, signature, reg, number - 1, size.var.umin, size.var.umax, write, call)


def check_memory(
    env: Env, signature: k.Signature, reg: Reg, number: int, least: int, most: int, write: bool, call: _Call
) -> None:
    """A helper reads, or writes, `least` to `most` bytes at `reg`."""
    if reg.kind is STACK:
        low, high = stack.bounds(reg, number, 0, most, " indirect access to")
        if not write:
            stack.check_initialised(env, reg, number, low, high - low + most, indirect=True)
    else:
        if reg.kind in PACKETS and not signature.reads_packet:
            raise Rejected("helper access to the packet is not allowed")
        if reg.kind is MAP_VALUE:
            memory.check_map_flags(env.program.maps[reg.map], write)
        memory.check_region(env, reg, number, 0, most, write, True)
    if write:
        call.out.append((reg, least, most))


def _check_map_type(spec: MapSpec, helper: int) -> None:
    allowed = map_rules.ALLOWED.get(spec.type)
    if allowed is None:
        raise unsupported(f"map type {MapType(spec.type).name} is")
    if helper not in allowed:
        raise malformed(f"cannot pass map_type {int(spec.type)} into func {helper_name(helper)}")
    if helper in map_rules.WRITERS and (spec.flags & map_rules.RDONLY_PROG or spec.frozen):
        raise Rejected("write into map forbidden")


def _constant_text(env: Env, reg: Reg, number: int) -> bytes:
    """A string that cannot change, with its NUL: `reg` points into a frozen map of one entry."""
    _expect(number, reg, (MAP_VALUE,), "map_value")
    spec = env.program.maps[reg.map]
    if not spec.frozen or not spec.flags & map_rules.RDONLY_PROG or spec.initial is None or spec.type != MapType.ARRAY:
        raise Rejected(f"R{number} does not point to a readonly map'")
    if reg.var.mask:
        raise Rejected(f"R{number} is not a constant address'")
    at = reg.off + reg.var.smin
    if not 0 <= at < spec.value_size:
        raise Rejected(f"invalid access to map value, value_size={spec.value_size} off={at} size=1")
    text, nul, _ = spec.initial.ljust(spec.value_size, b"\0")[at : spec.value_size].partition(b"\0")
    if not nul:
        raise malformed("string is not zero-terminated")
    return text


def call_subprogram(env: Env, insn: Instruction) -> int:
    """Enter a sub-program: returns its first instruction."""
    frames = env.state.frames
    if len(frames) >= MAX_FRAMES:
        raise Rejected(f"the call stack of {len(frames)} frames is too deep", errno.E2BIG)
    target = env.pc + 1 + insn.imm
    regs = [UNINIT] * 11
    regs[1:6] = env.regs[1:6]
    regs[10] = Reg(STACK, frame=len(frames))
    env.regs[0:6] = [UNINIT] * 6
    frames.append(Frame(regs, {}, env.program.owner[target], env.pc + 1))
    env.use(env.state)
    return target


def leave(env: Env) -> int:
    """An exit instruction: returns where to go on in the caller, or -1 at the end of the program."""
    frames = env.state.frames
    result = env.regs[0]
    if len(frames) > 1:
        if result.kind is STACK:
            raise Rejected("cannot return stack pointer to the caller")
        frame = frames.pop()
        depth = len(frames)
        env.written = {key for key in env.written if key[0] < depth}
        env.use(env.state)
        env.regs[0] = result
        return frame.return_to
    for reference, insn in env.state.refs.items():
        raise malformed(
            f"Unreleased reference id={reference} alloc_insn={insn}\n"
            "BPF_EXIT instruction in main prog would lead to reference leak"
        )
    if result.kind is NOT_INIT:
        raise Rejected("R0 !read_ok")
    if result.kind is not SCALAR:
        raise Rejected("R0 leaks addr as return value")
    allowed = return_range(env.spec.type, env.spec.attach_type)
    if allowed:
        rest_on(result.marks)
    if allowed and not (allowed[0] <= result.var.s32min and result.var.s32max <= allowed[1]):
        raise malformed(
            f"At program exit the register R0 has smin={result.var.smin} smax={result.var.smax} "
            f"should have been in [{allowed[0]}, {allowed[1]}]"
        )
    return -1
