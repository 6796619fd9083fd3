"""Small programs in bytecode, for the tests of the Linux kernel."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

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
from stingless.linux.kernel import LinuxKernel
from stingless.linux.maps import LinuxMap
from stingless.linux.programs import LinuxProgram
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec

IS_ROOT = os.geteuid() == 0
COUNTS = MapSpec("counts", MapType.ARRAY, 4, 8, 4)


def of_process(pid: int, body: Sequence[Instruction]) -> list[Instruction]:
    """`body`, which has the context in r6, in the processes `pid` alone; others return 0 at once."""
    return [
        mov(6, 1),
        call(Helper.get_current_pid_tgid),
        Instruction(op.ALU64 | op.RSH | op.K, 0, 0, 0, 32),
        jump(op.JEQ, 0, pid, 2),
        mov_imm(0, 0),
        exit_(),
        *body,
    ]


def count(index: int = 0) -> list[Instruction]:
    """counts[index] += 1; return 0."""
    return [
        store_imm(op.W, 10, -4, index),
        mov(2, 10),
        add_imm(2, -4),
        *ld_imm64(1, 0, op.PSEUDO_MAP_FD),
        call(Helper.map_lookup_elem),
        jump(op.JEQ, 0, 0, 2),
        mov_imm(1, 1),
        Instruction(op.STX | op.ATOMIC | op.DW, 0, 1, 0, op.ADD),
        mov_imm(0, 0),
        exit_(),
    ]


def store_value(register: int, index: int = 0) -> list[Instruction]:
    """counts[index] = register; return 0.  The register is one of r6 to r9."""
    return [
        store(op.DW, 10, -16, register),
        store_imm(op.W, 10, -4, index),
        mov(2, 10),
        add_imm(2, -4),
        mov(3, 10),
        add_imm(3, -16),
        mov_imm(4, 0),
        *ld_imm64(1, 0, op.PSEUDO_MAP_FD),
        call(Helper.map_update_elem),
        mov_imm(0, 0),
        exit_(),
    ]


def output(helper: Helper, data: int) -> list[Instruction]:
    """Send the 8 bytes `data` with bpf_perf_event_output() or bpf_ringbuf_output(); the context is in r6."""
    if helper is Helper.perf_event_output:
        arguments = [
            mov(1, 6),
            *ld_imm64(2, 0, op.PSEUDO_MAP_FD),
            *ld_imm64(3, 0xFFFFFFFF),  # BPF_F_CURRENT_CPU
            mov(4, 10),
            add_imm(4, -8),
            mov_imm(5, 8),
        ]
    else:
        arguments = [
            *ld_imm64(1, 0, op.PSEUDO_MAP_FD),
            mov(2, 10),
            add_imm(2, -8),
            mov_imm(3, 8),
            mov_imm(4, 0),
        ]
    return [store_imm(op.DW, 10, -8, data), *arguments, call(helper), mov_imm(0, 0), exit_()]


def program(
    kind: ProgramType,
    code: Sequence[Instruction],
    map_name: str = "counts",
    name: str = "test",
    section: str = "",
    attach_type: AttachType | None = None,
    target: str = "",
) -> ProgramSpec:
    """A spec whose loads of a map's address are all of the one map."""
    refs = [
        MapRef(i, map_name)
        for i, insn in enumerate(code)
        if insn.opcode == op.LD_IMM64 and insn.src == op.PSEUDO_MAP_FD
    ]
    return ProgramSpec(
        name, section, kind, encode(code), attach_type=attach_type, attach_target=target, map_refs=tuple(refs)
    )


def counter(kernel: LinuxKernel, kind: ProgramType, code: Sequence[Instruction]) -> tuple[LinuxProgram, LinuxMap]:
    """A loaded program and its own map of counts."""
    counts = kernel.create_map(COUNTS)
    return kernel.load_program(program(kind, code), {"counts": counts}), counts


def unlink_in_tmpfs() -> None:
    """One call of vfs_unlink(); on overlayfs there would be a second one for the layer below."""
    fd, path = tempfile.mkstemp(dir="/dev/shm")
    os.close(fd)
    Path(path).unlink()


def value(counts: LinuxMap, index: int = 0) -> int:
    found = counts.lookup(index.to_bytes(4, "little"))
    assert found is not None
    return int.from_bytes(found, "little")


__all__ = [
    "COUNTS",
    "IS_ROOT",
    "count",
    "counter",
    "load",
    "of_process",
    "output",
    "program",
    "store_value",
    "unlink_in_tmpfs",
    "value",
]
