"""Count what finds no room in ring buffers: the kernel tells the program that fails, and nobody else.

Pure: after each call that reserves or outputs, instructions are added that count its failures, by CPU, in a hidden
array.  Which ring buffer it was is read off the straight-line code before the call; where that does not tell, the
failure is counted as of an unknown one.  What the program computes does not change: R0 is as it was, and R1 to R5
hold nothing after a call.  Minimum kernel: 5.8, that of ring buffers.

Before Linux 6.4 the verifier forgets that a record that was tested is not NULL (`reg_type_not_null()` has had
PTR_TO_MEM since then), and takes the program's own test for a way to lose it.  There a copy of the address is tested,
the address itself stays untested, and so the helper that tells the CPU cannot be called: what
bpf_ringbuf_reserve() fails counts as of CPU 0.

Source: kernel/bpf/ringbuf.c, `bpf_ringbuf_reserve()`, `bpf_ringbuf_output()`, `bpf_ringbuf_reserve_dynptr()`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, decode, jump, ld_imm64, mov, mov_imm
from stingless.asm.rewrite import insert
from stingless.frozen import replace
from stingless.obj.spec import MapRef, MapSpec, ObjectSpec, ProgramSpec

LOSS_MAP = ".losses"
UNKNOWN = ""  # the row of failures that cannot be assigned
SLOT = 64  # bytes of a CPU's counter: a cache line
_MMAPABLE = 1 << 10  # BPF_F_MMAPABLE, since Linux 5.5
_KNOWS_RECORDS = (6, 4)

# What R0 is when there was no room: NULL, or an errno.  bpf_ringbuf_reserve_dynptr() has none of its own for it.
_FAILED = {
    Helper.ringbuf_reserve: 0,
    Helper.ringbuf_output: -errno.EAGAIN,
    Helper.ringbuf_reserve_dynptr: -errno.EINVAL,
}


def rows(maps: Mapping[str, MapSpec]) -> tuple[str, ...]:
    """The ring buffers of an object in the order of their counters, after the unknown one."""
    return (UNKNOWN, *sorted(name for name, map in maps.items() if map.type is MapType.RINGBUF))


def count_losses(spec: ObjectSpec, cpus: int = 256, release: tuple[int, ...] = _KNOWS_RECORDS) -> ObjectSpec:
    """The object with a map `LOSS_MAP` in which its programs count: in row i (see `rows`) a u64 each `SLOT` bytes for
    each of `cpus` CPUs, rounded up to a power of two (of more CPUs, some share a counter).  `release`: of the Linux
    that is to load it.

    A program of which a jump would become too long is left as it is: see `uncounted`.  An object without ring
    buffers comes back as it was, and so does one that counts already.
    """
    names = rows(spec.maps)
    inner = any(map.inner is not None and map.inner.type is MapType.RINGBUF for map in spec.maps.values())
    if LOSS_MAP in spec.maps or (len(names) == 1 and not inner):
        return spec
    slots = 1 << (cpus - 1).bit_length()
    blocks = {int(helper): _block(failed, slots) for helper, failed in _FAILED.items()}
    if release < _KNOWS_RECORDS:
        blocks[Helper.ringbuf_reserve] = _block_for_untested()
    counted = {name: _counted(program, names, slots, blocks) for name, program in spec.programs.items()}
    if all(counted[name] is program for name, program in spec.programs.items()):
        return spec
    counters = MapSpec(LOSS_MAP, MapType.ARRAY, 4, len(names) * slots * SLOT, 1, _MMAPABLE)
    return replace(spec, maps={**spec.maps, LOSS_MAP: counters}, programs=counted)


def uncounted(programs: Iterable[ProgramSpec]) -> tuple[str, ...]:
    """Those of an object's programs that reserve or output, and do not count."""
    silent = (each for each in programs if not any(ref.map == LOSS_MAP for ref in each.map_refs))
    return tuple(each.name for each in silent if _calls(decode(each.code)))


def _calls(code: Sequence[Instruction]) -> list[int]:
    return [
        i for i, insn in enumerate(code) if insn.opcode == op.JMP | op.CALL and not insn.src and insn.imm in _FAILED
    ]


def _counted(spec: ProgramSpec, names: Sequence[str], slots: int, by_helper: Mapping[int, _Block]) -> ProgramSpec:
    code = decode(spec.code)
    calls = _calls(code)
    if not calls:
        return spec
    rings = _Rings(spec, code)
    blocks = {i: by_helper[code[i].imm] for i in calls}
    try:
        made = insert(spec, {}, after={i: block.code for i, block in blocks.items()})
    except ValueError:
        return spec
    refs = []
    added = 0
    for i in calls:
        ring = rings.given_to(i)
        row = names.index(ring) if ring in names else 0
        refs.append(MapRef(i + added + 1 + blocks[i].load, LOSS_MAP, row * slots * SLOT))
        added += len(blocks[i].code)
    return replace(made, map_refs=tuple(sorted((*made.map_refs, *refs), key=lambda ref: ref.insn)))


class _Block(NamedTuple):
    code: list[Instruction]
    load: int
    """Which of them loads the row's address."""


def _block(failed: int, slots: int) -> _Block:
    """if (r0 == failed) row[cpu] += 1"""
    body = [
        call(Helper.get_smp_processor_id),
        Instruction(op.ALU64 | op.AND | op.K, 0, 0, 0, slots - 1),
        Instruction(op.ALU64 | op.LSH | op.K, 0, 0, 0, SLOT.bit_length() - 1),
        *ld_imm64(1, 0, op.PSEUDO_MAP_VALUE),
        Instruction(op.ALU64 | op.ADD | op.X, 1, 0),
        mov_imm(0, 1),
        Instruction(op.STX | op.ATOMIC | op.DW, 1, 0, 0, op.ADD),
        mov_imm(0, failed),
    ]
    return _Block([jump(op.JNE, 0, failed, len(body)), *body], 4)


def _block_for_untested() -> _Block:
    """if (-r0 == 0) row[0] += 1: the negated address is a number to the verifier, which R0 has nothing to do with."""
    body = [
        *ld_imm64(1, 0, op.PSEUDO_MAP_VALUE),
        mov_imm(2, 1),
        Instruction(op.STX | op.ATOMIC | op.DW, 1, 2, 0, op.ADD),
    ]
    test = [mov(1, 0), Instruction(op.ALU64 | op.NEG, 1), jump(op.JNE, 1, 0, len(body))]
    return _Block([*test, *body], 3)


class _Rings:
    """Which map a call is given in R1, as far as the straight-line code before it tells."""

    def __init__(self, spec: ProgramSpec, code: Sequence[Instruction]) -> None:
        self._code = code
        self._maps = {ref.insn: ref.map for ref in spec.map_refs if ref.offset is None}
        self._wide = {i + 1 for i, insn in enumerate(code) if insn.opcode == op.LD_IMM64}
        self._joins = {info.insn for info in spec.func_info} | set(self._targets())

    def _targets(self) -> Iterator[int]:
        for i, insn in enumerate(self._code):
            if insn.cls not in (op.JMP, op.JMP32) or i in self._wide:
                continue
            operation = insn.opcode & 0xF0
            if insn.opcode == op.JMP32 | op.JA or (operation == op.CALL and insn.src == op.PSEUDO_CALL):
                yield i + 1 + insn.imm
            elif operation not in (op.CALL, op.EXIT):
                yield i + 1 + insn.off

    def given_to(self, call: int) -> str:
        register = 1
        for i in range(call - 1, -1, -1):
            if i + 1 in self._joins:
                break  # there is another way to here
            insn = self._code[i]
            if i in self._wide:
                continue
            if insn.cls in (op.JMP, op.JMP32):
                if insn.opcode & 0xF0 == op.CALL and register > 5:
                    continue  # calls keep R6 to R9
                break
            if insn.dst != register or insn.cls in (op.ST, op.STX):
                continue
            if insn.opcode == op.LD_IMM64:
                return self._maps.get(i, UNKNOWN)
            if insn.opcode != op.ALU64 | op.MOV | op.X or insn.off:
                break
            register = insn.src
        return UNKNOWN
