"""Kprobes on system calls, of a command of our own: where the kernel has none, through raw tracepoints."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Sequence

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import MapType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import (
    Instruction,
    add_imm,
    call,
    exit_,
    jump,
    ld_imm64,
    load,
    mov,
    mov_imm,
)
from stingless.errors import AttachError, VerifierError
from stingless.events import Kprobe
from stingless.linux import host, scope
from stingless.linux.kernel import LinuxKernel
from stingless.linux.maps import LinuxMap
from stingless.linux.perf_link import pmu_type
from stingless.linux.syscall_probe import REGISTERS, rewritten
from stingless.obj.spec import MapSpec
from stingless.syscalls import number_of
from tests.linux_support import COUNTS, IS_ROOT, count, output, program, store_value, value

pytestmark = pytest.mark.skipif(
    not IS_ROOT or scope.own_cgroup() is None, reason="bpf(2) needs root, and a scope needs cgroup v2"
)
without_kprobes = pytest.mark.skipif(pmu_type("kprobe") is not None, reason="this kernel has kprobes")
REGS = REGISTERS[host.machine()]


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def traced(kernel: LinuxKernel, argv: Sequence[str], *probes: tuple[Kprobe, Sequence[Instruction]]) -> list[LinuxMap]:
    """Run the command with a program at each probe; the maps of counts."""
    command = kernel.spawn(argv)
    found = []
    for event, code in probes:
        counts = kernel.create_map(COUNTS)
        link = kernel.attach(kernel.load_program(program(ProgramType.KPROBE, code), {"counts": counts}), event)
        assert ("no kprobes in this kernel" in link.note) is (pmu_type("kprobe") is None)
        found.append(counts)
    command.release()
    assert command.wait(60) == 0
    return found


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_counts(kernel: LinuxKernel) -> None:
    """As many as were made, by every name of the function, at entry and return, and none in the new processes."""
    three = ["bash", "-c", "for i in 1 2 3; do /bin/true; done; :"]
    events = [
        Kprobe("sys_clone"),
        Kprobe("sys_clone", ret=True),
        Kprobe("sys_execve"),
        Kprobe("sys_execve", ret=True),
        Kprobe("sys_vhangup"),
    ]
    found = traced(kernel, three, *((event, count()) for event in events))
    assert [value(counts) for counts in found] == [3, 3, 4, 4, 0]


def argument(index: int) -> list[Instruction]:
    """r7 = argument `index` of the call: read from the registers that the function's one argument points to."""
    return [
        load(op.DW, 3, 1, REGS.arguments[0]),
        add_imm(3, REGS.call_arguments[index]),
        mov(1, 10),
        add_imm(1, -24),
        mov_imm(2, 8),
        call(Helper.probe_read_kernel),
        load(op.DW, 7, 10, -24),
    ]


@pytest.mark.parametrize(("index", "seen"), [(0, 11), (1, 22), (2, 33), (3, 44), (4, 55)])
def test_arguments(kernel: LinuxKernel, index: int, seen: int) -> None:
    call_it = "import ctypes; ctypes.CDLL(None).prctl(11, *(ctypes.c_long(n) for n in (22, 33, 44, 55)))"
    only_ours = [mov(6, 1), *argument(0), jump(op.JEQ, 7, 11, 2), mov_imm(0, 0), exit_(), mov(1, 6)]
    (counts,) = traced(kernel, python(call_it), (Kprobe("sys_prctl"), [*only_ours, *argument(index), *store_value(7)]))
    assert value(counts) == seen


@without_kprobes
def test_direct_arguments(kernel: LinuxKernel) -> None:
    """`__do_sys_X` and `__se_sys_X` get the call's own arguments."""
    call_it = "import os; os.setpriority(2, 0, os.getpriority(2, 0))"
    code = [load(op.DW, 7, 1, REGS.arguments[0]), *store_value(7)]
    (counts,) = traced(kernel, python(call_it), (Kprobe("__do_sys_setpriority"), code))
    assert value(counts) == 2


def test_results(kernel: LinuxKernel) -> None:
    code = [load(op.DW, 7, 1, REGS.result), *store_value(7)]
    (counts,) = traced(kernel, ["sh", "-c", "cd /nowhere/at-all; :"], (Kprobe("sys_chdir", ret=True), code))
    assert value(counts) == (1 << 64) - errno.ENOENT


@without_kprobes
def test_the_number_is_among_the_registers(kernel: LinuxKernel) -> None:
    if REGS.number + 8 > REGS.size:
        pytest.skip("this machine's pt_regs keeps it where programs cannot name it")
    code = [load(op.DW, 7, 1, REGS.number), *store_value(7)]
    (counts,) = traced(kernel, ["sh", "-c", "cd /"], (Kprobe("sys_chdir"), code))
    assert value(counts) == number_of("chdir")


def test_helpers_that_want_the_context(kernel: LinuxKernel) -> None:
    """Records and stacks, from the program and from a function that it passes its context to."""
    command = kernel.spawn(["sh", "-c", "cd /; cd /tmp; cd /"])
    events = kernel.create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0))
    body = [mov(6, 1), *output(Helper.perf_event_output, 77)]
    inner = [Instruction(op.JMP | op.CALL, src=op.PSEUDO_CALL, imm=1), exit_(), *body]
    reader = kernel.open_events(events)
    kernel.attach(
        kernel.load_program(program(ProgramType.KPROBE, inner, "events"), {"events": events}), Kprobe("sys_chdir")
    )
    stacks = kernel.create_map(MapSpec("stacks", MapType.STACK_TRACE, 4, 8 * 20, 64))
    take = [*ld_imm64(2, 0, op.PSEUDO_MAP_FD), mov_imm(3, 1 << 8), call(Helper.get_stackid), mov_imm(0, 0), exit_()]
    kernel.attach(
        kernel.load_program(program(ProgramType.KPROBE, take, "stacks"), {"stacks": stacks}), Kprobe("sys_chdir")
    )
    command.release()
    assert command.wait(60) == 0
    records = reader.poll(1000)
    assert [r.data[0] for r in records] == [77, 77, 77]
    assert any(any(frames) for _, frames in stacks.items())


def test_jumps_over_such_helpers(kernel: LinuxKernel) -> None:
    """A loop and a branch around the call that gets an instruction more."""
    send = output(Helper.perf_event_output, 5)[:-2]
    loop = [
        mov(6, 1),
        mov_imm(7, 0),
        jump(op.JEQ, 7, 1, len(send)),  # not the second time
        *send,
        add_imm(7, 1),
        jump(op.JNE, 7, 4, -(len(send) + 3)),
        mov_imm(0, 0),
        exit_(),
    ]
    command = kernel.spawn(["sh", "-c", "cd /"])
    events = kernel.create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0))
    reader = kernel.open_events(events)
    kernel.attach(
        kernel.load_program(program(ProgramType.KPROBE, loop, "events"), {"events": events}), Kprobe("sys_chdir")
    )
    command.release()
    assert command.wait(60) == 0
    assert len(reader.poll(1000)) == 3


@without_kprobes
def test_a_program_that_is_refused_in_that_form(kernel: LinuxKernel) -> None:
    """A helper that raw tracepoints do not have."""
    code = [call(Helper.get_func_ip), mov_imm(0, 0), exit_()]
    loaded = kernel.load_program(program(ProgramType.KPROBE, code), {})
    with pytest.raises(AttachError, match="the verifier takes the program but not that form of it") as e:
        kernel.attach(loaded, Kprobe("sys_chdir"))
    assert isinstance(e.value.__cause__, VerifierError)


@without_kprobes
@pytest.mark.parametrize("event", [Kprobe("vfs_read"), Kprobe("sys_clone", offset=4), Kprobe("sys_no_such_call")])
def test_other_functions_need_kprobes(kernel: LinuxKernel, event: Kprobe) -> None:
    loaded = kernel.load_program(program(ProgramType.KPROBE, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(AttachError, match="CONFIG_KPROBES") as e:
        kernel.attach(loaded, event)
    assert e.value.errno == errno.EOPNOTSUPP


@without_kprobes
def test_tail_calls_cannot_work(kernel: LinuxKernel) -> None:
    programs = kernel.create_map(MapSpec("programs", MapType.PROG_ARRAY, 4, 4, 1))
    code = [*ld_imm64(2, 0, op.PSEUDO_MAP_FD), mov_imm(3, 0), call(Helper.tail_call), mov_imm(0, 0), exit_()]
    loaded = kernel.load_program(program(ProgramType.KPROBE, code, "programs"), {"programs": programs})
    with pytest.raises(AttachError, match="bpf_tail_call"):
        kernel.attach(loaded, Kprobe("sys_chdir"))


def test_a_probe_that_is_closed_sees_no_more(kernel: LinuxKernel) -> None:
    command = kernel.spawn(["sh", "-c", "cd /; cd /"])
    counts = kernel.create_map(COUNTS)
    loaded = kernel.load_program(program(ProgramType.KPROBE, count()), {"counts": counts})
    link = kernel.attach(loaded, Kprobe("sys_chdir"))
    link.close()
    command.release()
    assert command.wait(60) == 0
    assert value(counts) == 0


@pytest.mark.parametrize("machine", sorted(REGISTERS))
@pytest.mark.parametrize(
    "event",
    [Kprobe("sys_clone"), Kprobe("sys_clone", ret=True), Kprobe("__do_sys_chdir"), Kprobe("sys_chdir", ret=True)],
)
def test_the_form_for_each_machine_verifies(kernel: LinuxKernel, machine: str, event: Kprobe) -> None:
    """Bytecode is the same everywhere: only offsets differ."""
    regs = REGISTERS[machine]
    body = [load(op.DW, 7, 1, offset) for offset in range(0, regs.size, 8)]
    spec = program(ProgramType.KPROBE, [mov(6, 1), *body, *output(Helper.perf_event_output, 1)], "events")
    events = kernel.create_map(MapSpec("events", MapType.PERF_EVENT_ARRAY, 4, 4, 0))
    kernel.load_program(rewritten(spec, event, 1234, machine), {"events": events}).close()
