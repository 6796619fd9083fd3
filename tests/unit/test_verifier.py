"""The embedded kernel's verifier, rule by rule: programs that pass, and the same ones with the rule broken."""

from __future__ import annotations

import errno

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import AttachType, MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import (
    Instruction,
    add_imm,
    call,
    encode,
    exit_,
    jump,
    ld_imm64,
    load,
    mov,
    mov_imm,
    store,
    store_imm,
)
from stingless.embedded.verifier.result import VerifierResult
from stingless.embedded.verifier.verify import verify
from stingless.errors import VerifierError
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec

RDONLY_PROG = 1 << 7
HELPERS = frozenset(int(h) for h in Helper if h)
MAPS = {
    "hash": MapSpec("hash", MapType.HASH, 8, 16, 16),
    "array": MapSpec("array", MapType.ARRAY, 4, 64, 4),
    "data": MapSpec("data", MapType.ARRAY, 4, 32, 1),
    "rodata": MapSpec(
        "rodata", MapType.ARRAY, 4, 16, 1, flags=RDONLY_PROG, initial=b"\x07\0\0\0\0\0\0\0%d %s\0", frozen=True
    ),
    "events": MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 4),
    "ring": MapSpec("ring", MapType.RINGBUF, 0, 0, 4096),
    "progs": MapSpec("progs", MapType.PROG_ARRAY, 4, 4, 4),
    "nested": MapSpec("nested", MapType.HASH_OF_MAPS, 4, 4, 4),
}
KPROBE, XDP, FILTER, TC = ProgramType.KPROBE, ProgramType.XDP, ProgramType.SOCKET_FILTER, ProgramType.SCHED_CLS


class Map:
    """Stands in a program for the two slots that load a map's address."""

    def __init__(self, dst: int, name: str, offset: int | None = None) -> None:
        self.dst, self.name, self.offset = dst, name, offset


Item = Instruction | list[Instruction] | Map


def program(
    *items: Item, type: ProgramType = KPROBE, license: str = "GPL", attach: AttachType | None = None
) -> ProgramSpec:
    insns: list[Instruction] = []
    refs = []
    for item in items:
        if isinstance(item, Map):
            refs.append(MapRef(len(insns), item.name, item.offset))
            insns += ld_imm64(item.dst, 0, op.PSEUDO_MAP_FD if item.offset is None else op.PSEUDO_MAP_VALUE)
        elif isinstance(item, list):
            insns += item
        else:
            insns.append(item)
    return ProgramSpec("t", "t", type, encode(insns), license=license, map_refs=tuple(refs), attach_type=attach)


def accepted(
    *items: Item, type: ProgramType = KPROBE, license: str = "GPL", attach: AttachType | None = None
) -> VerifierResult:
    return verify(program(*items, type=type, license=license, attach=attach), MAPS, HELPERS, privileged=False)


def refused(*items: Item, type: ProgramType = KPROBE, license: str = "GPL", attach: AttachType | None = None) -> str:
    """The verdict: the end of the log, without the count of instructions."""
    with pytest.raises(VerifierError) as caught:
        verify(program(*items, type=type, license=license, attach=attach), MAPS, HELPERS, privileged=False)
    lines = caught.value.log.rstrip().splitlines()
    assert lines[-1].startswith("processed ")
    assert caught.value.summary
    return "\n".join(lines[:-1])


OK: list[Instruction] = [mov_imm(0, 0), exit_()]


def alu(
    operation: int, dst: int, src: int | None = None, imm: int = 0, *, wide: bool = True, off: int = 0
) -> Instruction:
    cls = op.ALU64 if wide else op.ALU
    return Instruction(cls | operation | (op.K if src is None else op.X), dst, src or 0, off, imm)


def jump_reg(operation: int, dst: int, src: int, off: int, cls: int = op.JMP) -> Instruction:
    return Instruction(cls | operation | op.X, dst, src, off)


def lookup(name: str = "hash") -> list[Item]:
    return [store_imm(op.DW, 10, -8, 0), mov(2, 10), add_imm(2, -8), Map(1, name), call(Helper.map_lookup_elem)]


def value(*use: Item, name: str = "array") -> list[Item]:
    """A lookup, and `use` of the value in R0 where it is not NULL."""
    size = sum(2 if isinstance(item, Map) else len(item) if isinstance(item, list) else 1 for item in use)
    return [*lookup(name), jump(op.JEQ, 0, 0, size), *use, *OK]


PACKET = [load(op.W, 2, 1, 0), load(op.W, 3, 1, 4)]  # R2 = data, R3 = data_end


# The form of a program.


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "empty program"),
        ([Instruction(0xF6), exit_()], "invalid BPF_JMP opcode"),
        ([Instruction(0x00), exit_()], "unknown opcode 00"),
        ([Instruction(0xFF), exit_()], "invalid BPF_ALU opcode"),
        ([Instruction(op.ALU64 | op.MOV | op.K, 11), exit_()], "R11 is invalid"),
        ([Instruction(op.ALU64 | op.MOV | op.X, 0, 15), exit_()], "R15 is invalid"),
        ([mov_imm(10, 0), *OK], "frame pointer is read only"),
        ([add_imm(10, -8), *OK], "frame pointer is read only"),
        ([alu(op.MOV, 0, 1)._replace(imm=1), exit_()], "BPF_MOV uses reserved fields"),
        ([mov_imm(0, 0)._replace(off=8), exit_()], "BPF_MOV uses reserved fields"),
        ([mov_imm(0, 0)._replace(src=1), exit_()], "BPF_MOV uses reserved fields"),
        ([mov_imm(0, 0), alu(op.ADD, 0, imm=1, off=1), exit_()], "BPF_ALU uses reserved fields"),
        ([mov_imm(0, 0), alu(op.NEG, 0, imm=1), exit_()], "BPF_NEG uses reserved fields"),
        ([mov_imm(0, 0), alu(op.END, 0, imm=24, wide=False), exit_()], "BPF_END uses reserved fields"),
        ([mov_imm(0, 0), exit_()._replace(imm=1)], "BPF_EXIT uses reserved fields"),
        ([jump(op.JA, 1, 0, 0), *OK], "BPF_JA uses reserved fields"),
        ([jump(op.JEQ, 1, 0, 0)._replace(src=1), *OK], "BPF_JMP/JMP32 uses reserved fields"),
        ([load(op.DW, 0, 1, 0)._replace(imm=1), exit_()], "BPF_LDX uses reserved fields"),
        ([store_imm(op.DW, 10, -8, 0)._replace(src=1), *OK], "BPF_ST uses reserved fields"),
        ([store(op.DW, 10, -8, 1)._replace(imm=1), *OK], "BPF_STX uses reserved fields"),
        ([call(5)._replace(off=1), *OK], "BPF_CALL uses reserved fields"),
        ([call(5)._replace(src=7), *OK], "BPF_CALL uses reserved fields"),
        ([mov_imm(0, 1), alu(op.DIV, 0, imm=0), exit_()], "div by zero"),
        ([mov_imm(0, 1), alu(op.MOD, 0, imm=0, wide=False), exit_()], "div by zero"),
        ([mov_imm(0, 1), alu(op.LSH, 0, imm=64), exit_()], "invalid shift 64"),
        ([mov_imm(0, 1), alu(op.RSH, 0, imm=32, wide=False), exit_()], "invalid shift 32"),
        ([mov_imm(0, 1), alu(op.ARSH, 0, imm=-1), exit_()], "invalid shift -1"),
        ([jump(op.JA, 0, 0, 5), *OK], "jump out of range from insn 0 to 6"),
        ([jump(op.JA, 0, 0, -2), *OK], "jump out of range from insn 0 to -1"),
        ([jump(op.JEQ, 1, 0, 1), *ld_imm64(0, 1), exit_()], "jump into the middle of ldimm64 insn 2"),
        ([mov_imm(0, 0)], "last insn is not an exit or jmp"),
        ([exit_(), mov_imm(0, 0)], "last insn is not an exit or jmp"),
        ([ld_imm64(0, 1)], "last insn is not an exit or jmp"),
        ([*OK, mov_imm(1, 0), exit_()], "unreachable insn 2"),
        ([ld_imm64(0, 1)[:1], exit_()], "invalid bpf_ld_imm64 insn"),
        ([ld_imm64(0, 1)[0]], "invalid bpf_ld_imm64 insn"),
        ([ld_imm64(0, 1)[0]._replace(off=1), ld_imm64(0, 1)[1], exit_()], "BPF_LD_IMM64 uses reserved fields"),
        ([ld_imm64(1, 3, op.PSEUDO_MAP_FD), *OK], "unrecognized bpf_ld_imm64 insn"),
        ([ld_imm64(1, 3, 9), *OK], "unrecognized bpf_ld_imm64 insn"),
        ([ld_imm64(1, 3, op.PSEUDO_FUNC), *OK], "invalid call destination 4"),
        ([ld_imm64(1, 3, op.PSEUDO_BTF_ID), *OK], "need the kernel's BTF"),
        ([call(9999)._replace(src=op.PSEUDO_KFUNC_CALL), *OK], "calling kernel function #9999 is not allowed"),
        ([Instruction(op.JMP | op.JCOND, imm=1), *OK], "invalid may_goto imm"),
        ([call(8)._replace(src=op.PSEUDO_CALL), *OK], "invalid call destination 9"),
        ([call(-1)._replace(src=op.PSEUDO_CALL), *OK], "recursive call"),
        ([Instruction(op.STX | op.ATOMIC | op.DW, 10, 0, -8, 0x77), *OK], "invalid atomic opcode"),
        ([Instruction(op.STX | op.ATOMIC | op.B, 10, 0, -8, 0), *OK], "invalid atomic operand size"),
        ([Instruction(op.LD | op.ABS | op.DW), *OK], "BPF_LD_[ABS|IND] uses reserved fields"),
    ],
)
def test_malformed(items: list[Item], words: str) -> None:
    assert words in refused(*items)


def test_code_of_half_an_instruction() -> None:
    spec = ProgramSpec("t", "t", KPROBE, bytes(12))
    with pytest.raises(VerifierError, match="multiple of 8"):
        verify(spec, {}, HELPERS)


def test_too_many_instructions() -> None:
    spec = ProgramSpec("t", "t", KPROBE, mov_imm(0, 0).encode() * 1_000_001)
    with pytest.raises(VerifierError, match="too large") as caught:
        verify(spec, {}, HELPERS)
    assert caught.value.errno == errno.E2BIG


def test_map_references_must_fit() -> None:
    for source, refs, words in (
        (1, (MapRef(0, "none"),), "there is not"),
        (1, (MapRef(1, "hash"),), "loads no 64-bit immediate"),
        (1, (MapRef(9, "hash"),), "loads no 64-bit immediate"),
        (1, (MapRef(0, "hash"), MapRef(0, "array")), "two maps"),
        (2, (MapRef(0, "hash"),), "disagree on what is loaded"),
        (1, (MapRef(0, "data", 0),), "disagree on what is loaded"),
        (2, (MapRef(0, "hash", 0),), "no fixed address"),
        (2, (MapRef(0, "data", 32),), "value_size=32 off=32"),
    ):
        code = encode([*ld_imm64(1, 0, source), *OK])
        with pytest.raises(VerifierError) as caught:
            verify(ProgramSpec("t", "t", KPROBE, code, map_refs=refs), MAPS, HELPERS)
        assert words in caught.value.log


def test_unknown_program_type() -> None:
    assert "program type LIRC_MODE2 is not supported yet" in refused(*OK, type=ProgramType.LIRC_MODE2)


# Registers.


def test_reads_of_registers() -> None:
    accepted(mov(6, 1), mov_imm(0, 0), exit_())
    assert "R0 !read_ok" in refused(exit_())
    assert "R3 !read_ok" in refused(mov(0, 3), exit_())
    assert "R2 !read_ok" in refused(call(Helper.ktime_get_ns), mov(1, 2), *OK)
    # One way leaves R0 unset.
    assert "R0 !read_ok" in refused(jump(op.JEQ, 1, 0, 1), mov_imm(0, 0), exit_())


def test_calls_clobber_registers() -> None:
    accepted(mov_imm(6, 1), call(Helper.ktime_get_ns), mov(0, 6), exit_())
    assert "R1 !read_ok" in refused(call(Helper.ktime_get_ns), mov(0, 1), exit_())


def test_returned_value() -> None:
    assert "R0 leaks addr as return value" in refused(mov(0, 10), exit_())
    accepted(mov_imm(0, 1), exit_(), type=ProgramType.CGROUP_SKB)
    assert "should have been in [0, 1]" in refused(mov_imm(0, 2), exit_(), type=ProgramType.CGROUP_SKB)
    accepted(mov_imm(0, 3), exit_(), type=ProgramType.CGROUP_SKB, attach=AttachType.CGROUP_INET_EGRESS)


# The stack.


def test_stack_bounds() -> None:
    accepted(store_imm(op.DW, 10, -512, 1), load(op.DW, 0, 10, -512), exit_())
    assert "invalid write to stack R10 off=-520 size=8" in refused(store_imm(op.DW, 10, -520, 1), *OK)
    assert "invalid write to stack R10 off=0 size=8" in refused(store_imm(op.DW, 10, 0, 1), *OK)


def test_stack_alignment() -> None:
    assert "misaligned stack access" in refused(store_imm(op.DW, 10, -12, 1), *OK)
    assert "misaligned stack access" in refused(store_imm(op.H, 10, -3, 1), *OK)


def test_stack_must_be_written_before_it_is_read() -> None:
    assert "invalid read from stack off -8+0 size 8" in refused(load(op.DW, 0, 10, -8), exit_())
    assert "invalid read from stack off -8+4 size 8" in refused(
        store_imm(op.W, 10, -8, 1), load(op.DW, 0, 10, -8), exit_()
    )
    accepted(store_imm(op.W, 10, -8, 1), load(op.W, 0, 10, -8), exit_())
    # One of two ways did not write.
    assert "invalid read from stack" in refused(
        load(op.DW, 2, 1, 0), jump(op.JEQ, 2, 0, 1), store_imm(op.DW, 10, -8, 1), load(op.DW, 0, 10, -8), exit_()
    )


def test_helpers_read_only_initialised_stack() -> None:
    accepted(*lookup(), *OK)
    words = refused(mov(2, 10), add_imm(2, -8), Map(1, "hash"), call(Helper.map_lookup_elem), *OK)
    assert "invalid indirect read from stack R2 off -8+0 size 8" in words
    half: list[Item] = [
        store_imm(op.W, 10, -8, 0),
        mov(2, 10),
        add_imm(2, -8),
        Map(1, "hash"),
        call(Helper.map_lookup_elem),
    ]
    assert "invalid indirect read from stack R2 off -8+4 size 8" in refused(*half, *OK)


def test_helpers_initialise_the_stack_they_write() -> None:
    comm = [mov(1, 10), add_imm(1, -16), mov_imm(2, 16), call(Helper.get_current_comm)]
    accepted(*comm, load(op.DW, 0, 10, -16), exit_())
    assert "invalid read from stack" in refused(*comm, load(op.DW, 0, 10, -24), exit_())
    assert "invalid indirect access to stack R1 off=-16 size=24" in refused(
        mov(1, 10), add_imm(1, -16), mov_imm(2, 24), call(Helper.get_current_comm), *OK
    )
    # Of a size that is not known, only the smallest is certainly written.
    unknown = [load(op.DW, 2, 1, 0), alu(op.AND, 2, imm=7), add_imm(2, 8), mov(1, 10), add_imm(1, -16)]
    accepted(*unknown, call(Helper.get_current_comm), load(op.DW, 0, 10, -16), exit_())
    assert "invalid read from stack off -8+0" in refused(
        *unknown, call(Helper.get_current_comm), load(op.DW, 0, 10, -8), exit_()
    )


def test_helpers_destroy_the_pointers_they_overwrite() -> None:
    words = refused(
        store(op.DW, 10, -8, 1), mov(1, 10), add_imm(1, -8), mov_imm(2, 4), call(Helper.get_current_comm),
        load(op.DW, 1, 10, -8), load(op.DW, 0, 1, 0), exit_(),
    )  # fmt: skip
    assert "R1 invalid mem access 'scalar'" in words


def test_spilled_registers_keep_what_is_known() -> None:
    accepted(store(op.DW, 10, -8, 1), load(op.DW, 2, 10, -8), load(op.DW, 0, 2, 0), exit_())
    assert "invalid size of register spill" in refused(store(op.W, 10, -8, 1), *OK)
    assert "invalid size of register fill" in refused(store(op.DW, 10, -8, 1), load(op.W, 0, 10, -8), exit_())
    overwritten = [
        store(op.DW, 10, -8, 1),
        store_imm(op.B, 10, -5, 0),
        load(op.DW, 2, 10, -8),
        load(op.DW, 0, 2, 0),
        exit_(),
    ]
    assert "R2 invalid mem access 'scalar'" in refused(*overwritten)


def test_variable_stack_offsets() -> None:
    zero = [store_imm(op.DW, 10, -8, 0), store_imm(op.DW, 10, -16, 0)]
    index = [load(op.DW, 2, 1, 0), alu(op.AND, 2, imm=15), mov(3, 10), add_imm(3, -16), alu(op.ADD, 3, 2)]
    accepted(*zero, *index, load(op.B, 0, 3, 0), exit_())
    accepted(*zero, *index, store_imm(op.B, 3, 0, 1), *OK)
    assert "invalid read from stack R3 off -16+0" in refused(zero[0], *index, load(op.B, 0, 3, 0), exit_())
    assert "misaligned stack access" in refused(*zero, *index, load(op.W, 0, 3, 0), exit_())
    assert "invalid variable-offset read from stack" in refused(
        *zero, *index, add_imm(3, 1), load(op.B, 0, 3, 0), exit_()
    )
    unbounded = [load(op.DW, 2, 1, 0), mov(3, 10), alu(op.ADD, 3, 2)]
    assert "unbounded min value" in refused(*unbounded, load(op.B, 0, 3, 0), exit_())
    # A pointer may be under the store: it is gone after.
    words = refused(
        store(op.DW, 10, -8, 1), store(op.DW, 10, -16, 1), *index, store_imm(op.B, 3, 0, 1),
        load(op.DW, 4, 10, -8), load(op.DW, 0, 4, 0), exit_(),
    )  # fmt: skip
    assert "R4 invalid mem access 'scalar'" in words


def test_stack_depth_is_told() -> None:
    assert accepted(store_imm(op.DW, 10, -40, 1), *OK).max_stack_depth == 64


# Map values.


def test_lookups_must_be_checked_for_null() -> None:
    accepted(*value(load(op.DW, 1, 0, 0)))
    assert "R0 invalid mem access 'map_value_or_null'" in refused(*lookup(), load(op.DW, 0, 0, 0), exit_())
    # The wrong way round.
    assert "R0 invalid mem access 'scalar'" in refused(*lookup(), jump(op.JNE, 0, 0, 1), load(op.DW, 0, 0, 0), *OK)
    assert "null-check it first" in refused(*lookup(), add_imm(0, 8), *OK)
    # Another lookup's check does not count.
    words = refused(*lookup(), mov(6, 0), *lookup(), jump(op.JEQ, 0, 0, 1), load(op.DW, 1, 6, 0), *OK)
    assert "R6 invalid mem access 'map_value_or_null'" in words


def test_null_check_holds_for_copies() -> None:
    accepted(*lookup(), mov(6, 0), store(op.DW, 10, -16, 0), jump(op.JEQ, 0, 0, 3), load(op.DW, 7, 10, -16),
             load(op.DW, 1, 6, 0), load(op.DW, 1, 7, 0), *OK)  # fmt: skip


def test_map_value_bounds() -> None:
    accepted(*value(load(op.DW, 1, 0, 56)))
    assert "invalid access to map value, value_size=64 off=57 size=8" in refused(*value(load(op.DW, 1, 0, 57)))
    assert "invalid access to map value, value_size=64 off=-8 size=8" in refused(*value(load(op.DW, 1, 0, -8)))
    assert "invalid access to map value" in refused(*value(add_imm(0, 64), store_imm(op.B, 0, 0, 1)))
    accepted(*value(add_imm(0, 64), add_imm(0, -1), store_imm(op.B, 0, 0, 1)))


def test_variable_map_value_offsets() -> None:
    number = load(op.DW, 1, 0, 0)
    accepted(*value(number, alu(op.AND, 1, imm=63), alu(op.ADD, 0, 1), load(op.B, 1, 0, 0)))
    words = refused(*value(number, alu(op.AND, 1, imm=63), alu(op.ADD, 0, 1), load(op.H, 1, 0, 0)))
    assert "R0 max value is outside of the allowed memory range" in words
    accepted(*value(number, jump(op.JGT, 1, 56, 2), alu(op.ADD, 0, 1), load(op.DW, 1, 0, 0)))
    words = refused(*value(number, jump(op.JSGT, 1, 56, 2), alu(op.ADD, 0, 1), load(op.DW, 1, 0, 0)))
    assert "math between map_value pointer and register with unbounded min value is not allowed" in words
    words = refused(*value(load(op.W, 1, 0, 0), alu(op.ADD, 0, 1), load(op.B, 1, 0, 0)))
    assert "R0 unbounded memory access" in words
    words = refused(*value(number, alu(op.AND, 1, imm=7), alu(op.SUB, 0, 1), load(op.B, 1, 0, 0)))
    assert "R0 min value is negative" in words
    # The 32-bit comparison says nothing of the upper half.
    compare = Instruction(op.JMP32 | op.JGT | op.K, 1, 0, 2, 8)
    refused(*value(number, compare, alu(op.ADD, 0, 1), load(op.B, 1, 0, 0)))
    accepted(*value(load(op.W, 1, 0, 0), compare, alu(op.ADD, 0, 1), load(op.B, 1, 0, 0)))


def test_comparison_holds_for_equal_registers() -> None:
    number = [load(op.DW, 1, 0, 0), mov(2, 1)]
    accepted(*value(number, jump(op.JGT, 2, 8, 2), alu(op.ADD, 0, 1), load(op.B, 1, 0, 0)))
    changed = [*number, add_imm(2, 1)]
    refused(*value(changed, jump(op.JGT, 2, 8, 2), alu(op.ADD, 0, 1), load(op.B, 1, 0, 0)))


def test_pointers_do_not_leak_into_maps() -> None:
    assert "R10 leaks addr into map" in refused(*value(store(op.DW, 0, 0, 10)))
    words = refused(
        store(op.DW, 10, -8, 10), mov(2, 10), add_imm(2, -8), Map(1, "hash"), call(Helper.map_lookup_elem), *OK
    )
    assert "holds a pointer (fp)" in words


def test_direct_values() -> None:
    accepted(Map(1, "data", 24), load(op.DW, 0, 1, 0), store(op.DW, 1, -24, 0), exit_())
    assert "value_size=32 off=32 size=8" in refused(Map(1, "data", 24), load(op.DW, 0, 1, 8), exit_())
    assert "write into map forbidden" in refused(Map(1, "rodata", 0), store_imm(op.W, 1, 0, 1), *OK)


def test_constants_of_frozen_maps_are_known() -> None:
    # The word is 7: the other way, which reads an unset register, cannot be taken.
    accepted(Map(1, "rodata", 0), load(op.W, 2, 1, 0), jump(op.JEQ, 2, 7, 1), mov(3, 9), *OK)
    assert "R9 !read_ok" in refused(Map(1, "rodata", 0), load(op.W, 2, 1, 0), jump(op.JEQ, 2, 8, 1), mov(3, 9), *OK)


def test_map_pointers_are_not_memory() -> None:
    assert "bpf_map access not supported without" in refused(Map(1, "hash"), load(op.DW, 0, 1, 0), exit_())
    assert "pointer arithmetic on map_ptr prohibited" in refused(Map(1, "hash"), add_imm(1, 8), *OK)


def test_maps_and_helpers_must_match() -> None:
    assert "cannot pass map_type 4 into func bpf_map_lookup_elem#1" in refused(*lookup("events"), *OK)
    assert "does not say what maps it is of" in refused(*lookup("nested"), *OK)
    words = refused(Map(2, "hash"), mov_imm(3, 0), call(Helper.tail_call), *OK)
    assert "cannot pass map_type 1 into func bpf_tail_call#12" in words
    update = [store_imm(op.DW, 10, -8, 0), mov(2, 10), add_imm(2, -8), mov(3, 2), mov_imm(4, 0)]
    assert "write into map forbidden" in refused(*update, Map(1, "rodata"), call(Helper.map_update_elem), *OK)


# Numbers.


def test_pointer_arithmetic() -> None:
    accepted(mov(2, 10), add_imm(2, -8), alu(op.SUB, 2, 10), mov(0, 2), exit_())
    for operation in (op.MUL, op.DIV, op.LSH, op.RSH, op.ARSH, op.MOD):
        assert "pointer arithmetic with" in refused(mov(2, 10), alu(operation, 2, imm=2), *OK)
    for operation in (op.AND, op.OR, op.XOR):
        assert "bitwise operator" in refused(mov(2, 10), alu(operation, 2, imm=2), *OK)
    assert "32-bit pointer arithmetic prohibited" in refused(mov(2, 10), alu(op.ADD, 2, imm=2, wide=False), *OK)
    assert "partial copy of pointer" in refused(alu(op.MOV, 2, 10, wide=False), *OK)
    assert "R1 pointer += pointer prohibited" in refused(alu(op.ADD, 1, 10), *OK)
    assert "subtraction from stack pointer prohibited" in refused(mov(2, 10), alu(op.SUB, 2, imm=8), *OK)
    assert "tried to subtract pointer from scalar" in refused(mov_imm(2, 8), alu(op.SUB, 2, 10), *OK)
    words = refused(mov(2, 10), alu(op.ADD, 2, imm=1 << 29), *OK)
    assert "math between fp pointer and 536870912 is not allowed" in words


def test_impossible_ways_are_not_followed() -> None:
    accepted(mov_imm(2, 5), jump(op.JGT, 2, 4, 1), mov(3, 9), *OK)
    accepted(load(op.B, 2, 1, 0), jump(op.JLE, 2, 255, 1), mov(3, 9), *OK)
    refused(load(op.B, 2, 1, 0), jump(op.JLE, 2, 254, 1), mov(3, 9), *OK)


# Loops.


def test_loops_that_end() -> None:
    result = accepted(mov_imm(0, 0), add_imm(0, 1), jump(op.JLT, 0, 100, -2), exit_())
    assert result.insns_processed == 202


def test_loops_that_do_not() -> None:
    assert "infinite loop detected at insn 1" in refused(
        mov_imm(0, 0), jump(op.JEQ, 1, 0, 1), jump(op.JA, 0, 0, -2), exit_()
    )
    assert "infinite loop detected" in refused(mov_imm(0, 0), jump(op.JNE, 0, 1, -1), exit_())
    forever = [call(Helper.get_prandom_u32), jump(op.JNE, 0, 3, -2), *OK]
    assert "infinite loop detected" in refused(*forever)


def test_loops_that_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stingless.embedded.verifier.explore.MAX_PROCESSED", 5000)
    accepted(mov_imm(0, 0), add_imm(0, 1), jump(op.JLT, 0, 2000, -2), exit_())
    words = refused(mov_imm(0, 0), add_imm(0, 1), jump(op.JLT, 0, 3000, -2), exit_())
    assert "BPF program is too large. Processed 5001 insn" in words


def test_too_many_branches_in_wait() -> None:
    # Each turn leaves a way to follow later: the counter never repeats.
    turn = [load(op.DW, 3, 1, 0), add_imm(2, 1), jump(op.JEQ, 3, 7, 1), jump(op.JA, 0, 0, -4)]
    assert "The sequence of 8193 jumps is too complex." in refused(mov_imm(2, 0), *turn, mov(0, 2), exit_())


# The context.


@pytest.mark.parametrize(
    ("type", "size", "off", "ok"),
    [
        (KPROBE, op.DW, 0, True),
        (KPROBE, op.W, 4, True),
        (KPROBE, op.DW, 4, False),
        (KPROBE, op.DW, 400, False),
        (KPROBE, op.DW, -8, False),
        (ProgramType.TRACEPOINT, op.DW, 8, True),
        (ProgramType.TRACEPOINT, op.DW, 0, False),
        (ProgramType.TRACEPOINT, op.DW, 8184, True),
        (ProgramType.TRACEPOINT, op.DW, 8192, False),
        (ProgramType.RAW_TRACEPOINT, op.DW, 88, True),
        (ProgramType.RAW_TRACEPOINT, op.DW, 96, False),
        (ProgramType.PERF_EVENT, op.DW, 8, True),
        (ProgramType.PERF_EVENT, op.W, 8, False),
        (XDP, op.W, 12, True),
        (XDP, op.H, 12, False),
        (XDP, op.W, 20, False),
        (XDP, op.W, 24, False),
        (FILTER, op.W, 0, True),
        (FILTER, op.B, 16, True),
        (FILTER, op.DW, 0, False),
        (FILTER, op.W, 76, False),
        (FILTER, op.W, 48, True),
        (TC, op.W, 72, True),
        (TC, op.DW, 152, True),
        (TC, op.W, 152, False),
        (TC, op.DW, 168, True),
        (TC, op.W, 92, False),
        (ProgramType.SYSCALL, op.DW, 65520, True),
        (ProgramType.SYSCALL, op.DW, 65536, False),
    ],
)
def test_context_loads(type: ProgramType, size: int, off: int, ok: bool) -> None:
    items = [load(size, 2, 1, off), *OK]
    if off > 32767:
        items = [mov(3, 1), add_imm(3, off), load(size, 2, 3, 0), *OK]
        assert "dereference of modified ctx ptr" in refused(*items, type=type)
    elif ok:
        accepted(*items, type=type)
    else:
        assert "invalid bpf_context access" in refused(*items, type=type)


def test_context_stores() -> None:
    store_at = {KPROBE: (8, False), XDP: (12, False), FILTER: (48, True), TC: (8, True), ProgramType.SYSCALL: (8, True)}
    for type_, (off, ok) in store_at.items():
        items = [mov_imm(2, 1), store(op.W, 1, off, 2), *OK]
        if ok:
            accepted(*items, type=type_)
        else:
            assert "invalid bpf_context access" in refused(*items, type=type_)
    assert "invalid bpf_context access" in refused(mov_imm(2, 1), store(op.W, 1, 4, 2), *OK, type=TC)
    assert "R10 leaks addr into ctx" in refused(store(op.DW, 1, 8, 10), *OK, type=ProgramType.SYSCALL)


def test_context_must_be_unmoved() -> None:
    assert "dereference of modified ctx ptr R1 off=8 disallowed" in refused(
        add_imm(1, 8), load(op.DW, 0, 1, 0), exit_()
    )
    variable = [load(op.DW, 2, 1, 0), alu(op.AND, 2, imm=8), alu(op.ADD, 1, 2), load(op.DW, 0, 1, 0), exit_()]
    assert "variable ctx access" in refused(*variable)


def test_context_size_is_told() -> None:
    assert accepted(load(op.DW, 2, 1, 112), *OK).max_ctx_offset == 120


def test_one_instruction_one_kind_of_memory() -> None:
    words = refused(
        mov(2, 1), load(op.DW, 3, 1, 0), jump(op.JEQ, 3, 0, 2), mov(2, 10), store_imm(op.DW, 10, -8, 0),
        # here R2 is the context or the stack
        jump(op.JEQ, 3, 0, 1), add_imm(2, -8), load(op.DW, 0, 2, 0), exit_(),
    )  # fmt: skip
    assert "same insn cannot be used with different pointers" in words


# Packets.


def test_packet_pointers_are_told() -> None:
    result = accepted(*PACKET, load(op.W, 4, 1, 8), *OK, type=XDP)
    assert result.packet_pointer_loads == ((0, "data"), (1, "data_end"), (2, "data_meta"))


def test_packet_accesses_need_a_comparison() -> None:
    words = refused(*PACKET, load(op.B, 0, 2, 0), exit_(), type=XDP)
    assert "invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)" in words
    past = [*PACKET, mov(4, 2), add_imm(4, 14), jump_reg(op.JGT, 4, 3, 1)]
    accepted(*past, load(op.H, 0, 2, 12), *OK, type=XDP)
    accepted(*past, store_imm(op.H, 2, 12, 0), *OK, type=XDP)
    words = refused(*past, load(op.W, 0, 2, 12), *OK, type=XDP)
    assert "invalid access to packet, off=12 size=4, R2(id=0,off=12,r=14)" in words
    assert "invalid access to packet" in refused(*past, load(op.B, 0, 2, -1), *OK, type=XDP)


@pytest.mark.parametrize(
    ("operation", "swap", "inside", "most"),
    [
        (op.JGT, False, False, 8),  # if (p + 8 > end) out
        (op.JGE, False, False, 9),
        (op.JLT, False, True, 9),
        (op.JLE, False, True, 8),
        (op.JLT, True, False, 8),  # if (end < p + 8) out
        (op.JLE, True, False, 9),
        (op.JGT, True, True, 9),
        (op.JGE, True, True, 8),
    ],
)
def test_packet_comparisons(operation: int, swap: bool, inside: bool, most: int) -> None:
    """`inside`: the jump is taken where the packet is long enough; `most` bytes are then known to be there."""
    left, right = (3, 4) if swap else (4, 3)
    start: list[Item] = [*PACKET, mov(4, 2), add_imm(4, 8)]

    def with_load(off: int) -> list[Item]:
        use = load(op.B, 5, 2, off)
        if inside:
            return [*start, jump_reg(operation, left, right, 2), *OK, use, *OK]
        return [*start, jump_reg(operation, left, right, 1), use, *OK]

    accepted(*with_load(most - 1), type=XDP)
    assert "invalid access to packet" in refused(*with_load(most), type=XDP)
    # On the other side nothing is known.
    other = load(op.B, 5, 2, 0)
    if inside:
        wrong: list[Item] = [*start, jump_reg(operation, left, right, 1), other, *OK]
    else:
        wrong = [*start, jump_reg(operation, left, right, 2), *OK, other, *OK]
    assert "invalid access to packet" in refused(*wrong, type=XDP)


def test_variable_packet_offsets() -> None:
    header = [*PACKET, mov(4, 2), add_imm(4, 1), jump_reg(op.JGT, 4, 3, 6), load(op.B, 5, 2, 0)]
    far = [alu(op.AND, 5, imm=15), alu(op.ADD, 2, 5), mov(4, 2), add_imm(4, 2)]
    checked = [jump_reg(op.JGT, 4, 3, 1), load(op.H, 0, 2, 0)]
    skip = len(header) - 1
    out = [*header[:4], jump_reg(op.JGT, 4, 3, 1 + len(far) + 2), *header[skip:]]
    accepted(*out, *far, *checked, *OK, type=XDP)
    assert "invalid access to packet" in refused(*out, *far, mov_imm(0, 0), load(op.H, 0, 2, 0), *OK, type=XDP)


def test_helpers_that_move_the_packet() -> None:
    checked = [mov(6, 1), *PACKET, mov(4, 2), add_imm(4, 14), jump_reg(op.JGT, 4, 3, 5), mov(7, 2)]
    adjust = [mov(1, 6), mov_imm(2, 0), call(Helper.xdp_adjust_head)]
    accepted(*checked, *adjust[:2], load(op.B, 0, 7, 0), mov_imm(0, 0), *OK, type=XDP)
    assert "R7 invalid mem access 'scalar'" in refused(*checked, *adjust, load(op.B, 0, 7, 0), *OK, type=XDP)


def test_who_may_touch_packets() -> None:
    skb = [load(op.W, 2, 1, 76), load(op.W, 3, 1, 80), mov(4, 2), add_imm(4, 4), jump_reg(op.JGT, 4, 3, 1)]
    accepted(*skb, store_imm(op.W, 2, 0, 0), *OK, type=TC)
    accepted(*skb, load(op.W, 0, 2, 0), *OK, type=ProgramType.CGROUP_SKB)
    assert "cannot write into packet" in refused(*skb, store_imm(op.W, 2, 0, 0), *OK, type=ProgramType.CGROUP_SKB)
    assert "invalid bpf_context access" in refused(*skb, load(op.W, 0, 2, 0), *OK, type=FILTER)


def test_packet_ends_are_not_memory() -> None:
    assert "R3 invalid mem access 'pkt_end'" in refused(*PACKET, load(op.B, 0, 3, 0), exit_(), type=XDP)
    assert "pointer arithmetic on pkt_end prohibited" in refused(*PACKET, add_imm(3, 1), *OK, type=XDP)


def test_packet_memory_as_arguments() -> None:
    checked: list[Item] = [*PACKET, mov(4, 2), add_imm(4, 8)]
    accepted(*checked, jump_reg(op.JGT, 4, 3, 3), Map(1, "hash"), call(Helper.map_lookup_elem), *OK, type=XDP)
    words = refused(*checked, Map(1, "hash"), call(Helper.map_lookup_elem), *OK, type=XDP)
    assert "invalid access to packet" in words
    words = refused(
        *checked, jump_reg(op.JGT, 4, 3, 3), mov(1, 2), mov_imm(2, 8), call(Helper.trace_printk), *OK, type=XDP
    )
    assert "helper access to the packet is not allowed" in words


def test_absolute_loads() -> None:
    read = Instruction(op.LD | op.ABS | op.H, imm=12)
    accepted(mov(6, 1), read, exit_(), type=FILTER)
    accepted(mov(6, 1), mov_imm(7, 4), Instruction(op.LD | op.IND | op.B, src=7, imm=12), exit_(), type=FILTER)
    assert "R6 !read_ok" in refused(read, exit_(), type=FILTER)
    assert "R6 != pointer to skb" in refused(mov_imm(6, 1), read, exit_(), type=FILTER)
    assert "not allowed for this program type" in refused(mov(6, 1), read, exit_(), type=KPROBE)
    assert "R1 !read_ok" in refused(mov(6, 1), read, load(op.W, 0, 1, 0), exit_(), type=FILTER)


# Helpers.


def test_unknown_helpers() -> None:
    assert "unknown func unknown#9999" in refused(call(9999), exit_())
    assert "program of this type cannot use helper bpf_sk_release#86" in refused(call(Helper.sk_release), exit_())
    spec = program(call(Helper.ktime_get_ns), exit_())
    with pytest.raises(VerifierError, match="unknown func bpf_ktime_get_ns#5"):
        verify(spec, MAPS, frozenset())


def test_helpers_of_other_program_types() -> None:
    words = refused(mov_imm(2, 0), call(Helper.xdp_adjust_head), exit_())
    assert "program of this type cannot use helper bpf_xdp_adjust_head#44" in words


def test_gpl_only_helpers() -> None:
    accepted(call(Helper.get_current_task), exit_())
    accepted(call(Helper.get_current_task), exit_(), license="Dual MIT/GPL")
    words = refused(call(Helper.get_current_task), exit_(), license="MIT")
    assert "cannot call GPL-restricted function from non-GPL compatible program" in words
    accepted(call(Helper.ktime_get_ns), exit_(), license="MIT")


def test_argument_types() -> None:
    assert "R1 type=scalar expected=map_ptr" in refused(
        store_imm(op.DW, 10, -8, 0), mov(2, 10), add_imm(2, -8), mov_imm(1, 0), call(Helper.map_lookup_elem), *OK
    )
    assert "R2 type=scalar expected=fp" in refused(mov_imm(2, 0), Map(1, "hash"), call(Helper.map_lookup_elem), *OK)
    assert "R2 type=map_value_or_null expected=fp" in refused(
        *lookup(), mov(2, 0), Map(1, "hash"), call(Helper.map_lookup_elem), *OK
    )
    output: list[Item] = [
        Map(2, "events"),
        mov_imm(3, 0),
        store_imm(op.DW, 10, -8, 0),
        mov(4, 10),
        add_imm(4, -8),
        mov_imm(5, 8),
    ]
    accepted(*output, call(Helper.perf_event_output), exit_())
    assert "R1 type=fp expected=ctx" in refused(mov(1, 10), *output, call(Helper.perf_event_output), exit_())
    assert "R5 !read_ok" in refused(*output[:-1], call(Helper.perf_event_output), exit_())
    assert "dereference of modified ctx ptr" in refused(add_imm(1, 8), *output, call(Helper.perf_event_output), exit_())


def test_size_arguments() -> None:
    def comm(*size: Instruction) -> list[Item]:
        return [*size, mov(1, 10), add_imm(1, -16), call(Helper.get_current_comm), *OK]

    accepted(*comm(mov_imm(2, 16)))
    assert "R2 invalid zero-sized read" in refused(*comm(mov_imm(2, 0)))
    assert "R2 min value is negative" in refused(*comm(mov_imm(2, -1)))
    assert "R2 min value is negative" in refused(*comm(load(op.DW, 2, 1, 0)))
    assert "R2 unbounded memory access" in refused(*comm(load(op.W, 2, 1, 0), add_imm(2, 1)))
    assert "R2 type=fp expected=scalar" in refused(*comm(mov(2, 10)))


def test_null_memory_arguments() -> None:
    checksum = [mov_imm(1, 0), mov_imm(2, 0), store_imm(op.DW, 10, -8, 0), mov(3, 10), add_imm(3, -8), mov_imm(4, 8)]
    accepted(*checksum, mov_imm(5, 0), call(Helper.csum_diff), exit_(), type=XDP)
    checksum[1] = mov_imm(2, 4)
    assert "R1 type=scalar expected=fp" in refused(*checksum, mov_imm(5, 0), call(Helper.csum_diff), exit_(), type=XDP)


def test_string_lengths_are_bounded() -> None:
    read = [mov(1, 10), add_imm(1, -16), mov_imm(2, 16), mov_imm(3, 0), call(Helper.probe_read_user_str)]
    use = [mov(2, 0), mov(1, 10), add_imm(1, -16), call(Helper.trace_printk)]
    init = [store_imm(op.DW, 10, -8, 0), store_imm(op.DW, 10, -16, 0)]
    accepted(*init, *read, jump(op.JSLE, 0, 0, 4), *use, *OK)
    assert "R2 min value is negative" in refused(*init, *read, *use, *OK)


def test_snprintf_formats() -> None:
    def snprintf(text: int, arguments: int) -> list[Item]:
        return [
            store_imm(op.DW, 10, -8, 0), store_imm(op.DW, 10, -16, 0), mov(1, 10), add_imm(1, -32), mov_imm(2, 16),
            Map(3, "rodata", text), mov(4, 10), add_imm(4, -16), mov_imm(5, arguments), call(Helper.snprintf), exit_(),
        ]  # fmt: skip

    accepted(*snprintf(8, 16))
    assert "takes 2 arguments, not 1" in refused(*snprintf(8, 8))
    writable = snprintf(8, 16)
    writable[5] = Map(3, "data", 8)
    assert "does not point to a readonly map" in refused(*writable)


def test_tail_calls() -> None:
    accepted(Map(2, "progs"), mov_imm(3, 1), call(Helper.tail_call), *OK)
    words = refused(Map(2, "progs"), mov_imm(3, 1), call(Helper.tail_call), exit_())
    assert "R0 !read_ok" in words


# Ring buffers.


def reserve(size: int = 16) -> list[Item]:
    return [Map(1, "ring"), mov_imm(2, size), mov_imm(3, 0), call(Helper.ringbuf_reserve)]


SUBMIT = [mov(1, 0), mov_imm(2, 0), call(Helper.ringbuf_submit)]


def test_ring_buffer_records() -> None:
    accepted(*reserve(), jump(op.JEQ, 0, 0, 4), store_imm(op.DW, 0, 8, 1), *SUBMIT, *OK)
    assert "invalid access to memory, mem_size=16 off=9 size=8" in refused(
        *reserve(), jump(op.JEQ, 0, 0, 4), store_imm(op.DW, 0, 9, 1), *SUBMIT, *OK
    )
    assert "R0 invalid mem access 'ringbuf_mem_or_null'" in refused(*reserve(), store_imm(op.DW, 0, 0, 1), *SUBMIT, *OK)
    assert "R2 is not a known constant" in refused(
        load(op.B, 2, 1, 0), Map(1, "ring"), mov_imm(3, 0), call(Helper.ringbuf_reserve), *OK
    )


def test_ring_buffer_records_must_be_given_back() -> None:
    words = refused(*reserve(), jump(op.JEQ, 0, 0, 1), store_imm(op.DW, 0, 8, 1), *OK)
    assert "Unreleased reference id=" in words
    twice = [mov(6, 0), *SUBMIT, mov(1, 6), mov_imm(2, 0), call(Helper.ringbuf_submit)]
    assert "R6 !read_ok" in refused(*reserve(), jump(op.JEQ, 0, 0, len(twice)), *twice, *OK)
    after = [mov(6, 0), *SUBMIT, load(op.DW, 0, 6, 0)]
    assert "R6 !read_ok" in refused(*reserve(), jump(op.JEQ, 0, 0, len(after)), *after, *OK)
    moved = [add_imm(0, 8), *SUBMIT]
    assert "must have zero offset" in refused(*reserve(), jump(op.JEQ, 0, 0, len(moved)), *moved, *OK)
    assert "R1 type=map_value expected=ringbuf_mem" in refused(*value(*SUBMIT))
    tail = [
        mov(6, 1),
        *reserve(),
        jump(op.JEQ, 0, 0, 5),
        mov(1, 6),
        Map(2, "progs"),
        mov_imm(3, 0),
        call(Helper.tail_call),
    ]
    assert "tail_call would lead to reference leak" in refused(*tail, *OK)


# Atomics.


def atomic(operation: int, dst: int, src: int, off: int, size: int = op.DW) -> Instruction:
    return Instruction(op.STX | op.ATOMIC | size, dst, src, off, operation)


def test_atomics() -> None:
    accepted(*value(mov_imm(1, 1), atomic(op.ADD, 0, 1, 8)))
    accepted(*value(mov_imm(1, 1), atomic(op.XCHG, 0, 1, 8), mov(2, 1)))
    accepted(store_imm(op.DW, 10, -8, 0), mov_imm(0, 0), mov_imm(1, 1), atomic(op.CMPXCHG, 10, 1, -8), exit_())
    assert "misaligned access" in refused(*value(mov_imm(1, 1), atomic(op.ADD, 0, 1, 4)))
    assert "invalid access to map value" in refused(*value(mov_imm(1, 1), atomic(op.ADD, 0, 1, 64)))
    assert "invalid read from stack" in refused(mov_imm(1, 1), atomic(op.ADD, 10, 1, -8), *OK)
    assert "R10 leaks addr into mem" in refused(*value(atomic(op.ADD, 0, 10, 8)))
    assert "BPF_ATOMIC stores into R1 ctx is not allowed" in refused(mov_imm(2, 1), atomic(op.ADD, 1, 2, 8), *OK)
    assert "R0 !read_ok" in refused(store_imm(op.DW, 10, -8, 0), atomic(op.CMPXCHG, 10, 1, -8), *OK)


# Sub-programs.


def call_to(offset: int) -> Instruction:
    return Instruction(op.JMP | op.CALL, src=op.PSEUDO_CALL, imm=offset)


def test_subprograms() -> None:
    accepted(mov_imm(1, 4), call_to(1), exit_(), mov(0, 1), alu(op.LSH, 0, imm=1), exit_())
    assert "R2 !read_ok" in refused(mov_imm(1, 4), call_to(1), exit_(), mov(0, 2), exit_())
    # The caller's registers are not the callee's, and R1 to R5 are gone after.
    assert "R6 !read_ok" in refused(mov_imm(6, 4), call_to(1), exit_(), mov(0, 6), exit_())
    assert "R1 !read_ok" in refused(call_to(2), mov(0, 1), exit_(), mov_imm(0, 0), exit_())
    accepted(mov_imm(6, 4), call_to(2), mov(0, 6), exit_(), mov_imm(6, 0), mov_imm(0, 0), exit_())
    assert "R0 !read_ok" in refused(call_to(1), exit_(), exit_())
    assert "cannot return stack pointer to the caller" in refused(call_to(1), *OK[1:], mov(0, 10), exit_())


def test_subprograms_use_the_callers_stack() -> None:
    start = [mov(1, 10), add_imm(1, -8)]
    accepted(*start, call_to(2), load(op.DW, 0, 10, -8), exit_(), store_imm(op.DW, 1, 0, 3), *OK)
    assert "invalid read from stack" in refused(
        *start, call_to(2), mov_imm(0, 0), exit_(), load(op.DW, 0, 1, 0), exit_()
    )
    assert "cannot spill pointers to stack into stack frame of the caller" in refused(
        *start, call_to(2), mov_imm(0, 0), exit_(), store(op.DW, 1, 0, 10), *OK
    )
    # What a sub-program wrote to its own stack is not there for the next one.
    twice = [mov_imm(1, 1), call_to(3), mov_imm(1, 0), call_to(1), exit_()]
    leaf = [jump(op.JEQ, 1, 0, 1), store_imm(op.DW, 10, -8, 0), load(op.DW, 0, 10, -8), exit_()]
    assert "invalid read from stack" in refused(*twice, *leaf)


def test_combined_stack_depth() -> None:
    def nested(size: int) -> list[Item]:
        return [store_imm(op.DW, 10, -size, 0), call_to(1), exit_(), store_imm(op.DW, 10, -256, 0), *OK]

    assert accepted(*nested(256)).max_stack_depth == 512
    assert "combined stack size of 2 calls is 544. Too large" in refused(*nested(264))


def test_call_depth() -> None:
    def chain(length: int) -> list[Item]:
        return [*[call_to(1), exit_()] * length, *OK]

    accepted(*chain(7))
    assert "frames is too deep" in refused(*chain(8))


def test_jumps_stay_in_their_subprogram() -> None:
    assert "jump out of range" in refused(call_to(2), jump(op.JA, 0, 0, 1), exit_(), *OK)


# What comes back.


def test_log_has_the_form_of_linux() -> None:
    with pytest.raises(VerifierError) as caught:
        verify(program(*lookup(), load(op.DW, 0, 0, 0), exit_()), MAPS, HELPERS)
    error = caught.value
    lines = error.log.splitlines()
    assert lines[0] == "0: R1=ctx() R10=fp0"
    assert "6: R0=map_value_or_null(id=1,map=hash,ks=8,vs=16) R10=fp0 fp-8=0" in lines
    assert lines[-3:] == [
        "6: (79) r0 = *(u64 *)(r0 +0)",
        "R0 invalid mem access 'map_value_or_null'",
        "processed 6 insns (limit 1000000)",
    ]
    assert error.errno == errno.EACCES
    assert error.insn == 6
    assert "R0 invalid mem access 'map_value_or_null'" in str(error.summary)


def test_states_that_differ_are_both_followed() -> None:
    """Two ways meet with different registers; the second is not taken for the first."""
    meet: list[Item] = [
        mov_imm(6, 0), load(op.DW, 2, 1, 0), jump(op.JEQ, 2, 0, 1), mov_imm(6, 100), mov_imm(7, 0),
        *value(alu(op.ADD, 0, 6), load(op.B, 1, 0, 0)),
    ]  # fmt: skip
    assert "invalid access to map value, value_size=64 off=100 size=1" in refused(*meet)
    meet[3] = mov_imm(6, 60)
    accepted(*meet)


def test_stack_that_differs_is_followed() -> None:
    spilled: list[Item] = [
        store_imm(op.DW, 10, -16, 0), load(op.DW, 2, 1, 0), jump(op.JEQ, 2, 0, 1), store_imm(op.DW, 10, -16, 100),
        *value(load(op.DW, 6, 10, -16), alu(op.ADD, 0, 6), load(op.B, 1, 0, 0)),
    ]  # fmt: skip
    assert "off=100 size=1" in refused(*spilled)
