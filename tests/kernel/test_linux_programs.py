"""Programs of the Linux kernel: loading, the verifier's log, test runs."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import (
    Instruction,
    call,
    decode,
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
from stingless.errors import LoadError, NotSupportedError, UnknownNameError, VerifierError
from stingless.linux.kernel import LinuxKernel
from stingless.obj.sections import BPF_F_SLEEPABLE
from stingless.obj.spec import MapRef, MapSpec, ProgramSpec
from tests.linux_support import IS_ROOT, count, counter, program, value

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_xdp_changes_its_packet(kernel: LinuxKernel) -> None:
    code = [
        load(op.W, 2, 1, 0),
        load(op.W, 3, 1, 4),
        mov(4, 2),
        Instruction(op.ALU64 | op.ADD | op.K, 4, 0, 0, 14),
        Instruction(op.JMP | op.JGT | op.X, 4, 3, 1),
        store_imm(op.B, 2, 0, 0x7F),
        mov_imm(0, 2),
        exit_(),
    ]
    result = kernel.load_program(program(ProgramType.XDP, code), {}).run(bytes(range(64)))
    assert (result.retval, result.data) == (2, b"\x7f" + bytes(range(1, 64)))


def test_context_of_a_socket_filter(kernel: LinuxKernel) -> None:
    """It sees skb->len and writes skb->cb[0]."""
    code = [load(op.W, 0, 1, 0), mov_imm(2, 0x1234), store(op.W, 1, 48, 2), exit_()]
    result = kernel.load_program(program(ProgramType.SOCKET_FILTER, code), {}).run(bytes(100), bytes(192))
    assert result.retval == 100 - 14  # a socket filter's packet begins behind the Ethernet header
    assert struct.unpack_from("<I", result.ctx, 48) == (0x1234,)


def test_context_of_a_raw_tracepoint(kernel: LinuxKernel) -> None:
    code = [load(op.DW, 0, 1, 8), exit_()]
    context = struct.pack("<QQ", 1, 42)
    assert kernel.load_program(program(ProgramType.RAW_TRACEPOINT, code), {}).run(ctx=context).retval == 42


def test_context_of_a_syscall_program(kernel: LinuxKernel) -> None:
    code = [mov_imm(2, 9), store(op.W, 1, 4, 2), mov_imm(0, 5), exit_()]
    spec = replace(program(ProgramType.SYSCALL, code), flags=BPF_F_SLEEPABLE)
    result = kernel.load_program(spec, {}).run(ctx=bytes(8))
    assert (result.retval, result.ctx) == (5, struct.pack("<II", 0, 9))


def test_repeat(kernel: LinuxKernel) -> None:
    tested, counts = counter(kernel, ProgramType.XDP, count(3))
    tested.run(bytes(64), repeat=10)
    assert [value(counts, i) for i in range(4)] == [0, 0, 0, 10]


def test_values_of_data_sections(kernel: LinuxKernel) -> None:
    """A load of an address inside a map's value."""
    data = kernel.create_map(MapSpec(".data", MapType.ARRAY, 4, 16, 1, initial=struct.pack("<QQ", 7, 11)))
    code = encode([*ld_imm64(1, 0), load(op.DW, 0, 1, 0), exit_()])
    spec = ProgramSpec("p", "xdp", ProgramType.XDP, code, map_refs=(MapRef(0, ".data", 8),))
    assert kernel.load_program(spec, {".data": data}).run(bytes(64)).retval == 11


def test_kinds_that_cannot_be_run(kernel: LinuxKernel) -> None:
    tested = kernel.load_program(program(ProgramType.KPROBE, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(NotSupportedError, match="KPROBE"):
        tested.run()


def test_packet_that_is_too_short(kernel: LinuxKernel) -> None:
    tested = kernel.load_program(program(ProgramType.XDP, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(LoadError, match="14 bytes") as e:
        tested.run(bytes(13))
    assert e.value.errno == errno.EINVAL


def test_the_verifier_says_no(kernel: LinuxKernel) -> None:
    code = count()
    assert code[6].opcode == op.JMP | op.JEQ | op.K
    del code[6]  # the NULL check
    hashed = kernel.create_map(MapSpec("counts", MapType.HASH, 4, 8, 4))  # array elements are always there
    with pytest.raises(VerifierError) as e:
        kernel.load_program(program(ProgramType.XDP, code), {"counts": hashed})
    assert "map_value_or_null" in e.value.log
    assert e.value.insn is not None
    assert e.value.errno == errno.EACCES


def test_the_log_grows(kernel: LinuxKernel) -> None:
    """The mistake is behind more log than the first buffer holds."""
    calls = [call(Helper.ktime_get_ns), jump(op.JEQ, 0, 7, 0)] * 3000
    with pytest.raises(VerifierError) as e:
        kernel.load_program(program(ProgramType.XDP, [*calls, mov(0, 9), exit_()]), {})
    assert len(e.value.log) > 64 << 10
    assert "R9 !read_ok" in e.value.log
    assert e.value.errno == errno.EACCES


def test_an_unknown_map_names_the_nearest(kernel: LinuxKernel) -> None:
    counts = kernel.create_map(MapSpec("counts", MapType.ARRAY, 4, 8, 4))
    with pytest.raises(UnknownNameError, match="nearest: counts"):
        kernel.load_program(program(ProgramType.XDP, count(), "count"), {"counts": counts})


def test_type_that_is_not_told(kernel: LinuxKernel) -> None:
    with pytest.raises(LoadError, match="section 'odd'"):
        kernel.load_program(ProgramSpec("p", "odd", ProgramType.UNSPEC, encode([mov_imm(0, 0), exit_()])), {})


def test_license(kernel: LinuxKernel) -> None:
    spec = program(ProgramType.KPROBE, [call(Helper.get_current_task), mov_imm(0, 0), exit_()])
    kernel.load_program(spec, {}).close()
    with pytest.raises(VerifierError, match="GPL"):
        kernel.load_program(replace(spec, license="MIT"), {})


def test_info(kernel: LinuxKernel) -> None:
    info = kernel.load_program(program(ProgramType.XDP, [mov_imm(0, 1), exit_()], name="named"), {}).info
    assert (info.type, info.name, info.verified_insns) == (ProgramType.XDP, "named", 2)
    assert decode(info.translated)[-1] == exit_()


def test_tail_call(kernel: LinuxKernel) -> None:
    """A PROG_ARRAY holds the descriptors of programs."""
    programs = kernel.create_map(MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 2))
    target = kernel.load_program(program(ProgramType.XDP, [mov_imm(0, 3), exit_()]), {})
    programs.update(bytes(4), target.fd.to_bytes(4, "little"))
    caller = [*ld_imm64(2, 0, op.PSEUDO_MAP_FD), mov_imm(3, 0), call(Helper.tail_call), mov_imm(0, 1), exit_()]
    tested = kernel.load_program(program(ProgramType.XDP, caller, "programs"), {"programs": programs})
    assert tested.run(bytes(64)).retval == 3
