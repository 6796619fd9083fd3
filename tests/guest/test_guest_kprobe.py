"""Kprobes of a real kernel that has them: functions that are no system calls, filtered to this process."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, exit_, load, mov_imm
from stingless.btf.kernel import kernel_btf
from stingless.btf.types import Kind
from stingless.errors import AttachError, NotSupportedError, UnknownNameError
from stingless.events import Kprobe
from stingless.linux import host, perf_link
from stingless.linux.kernel import LinuxKernel
from stingless.linux.maps import LinuxMap
from stingless.linux.syscall_probe import REGISTERS
from tests.linux_support import count, counter, of_process, program, store_value, unlink_in_tmpfs, value

ME = os.getpid()
REGS = REGISTERS[host.machine()]


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_entry(kernel: LinuxKernel) -> None:
    tested, counts = counter(kernel, ProgramType.KPROBE, of_process(ME, count()))
    link = kernel.attach(tested, Kprobe("vfs_unlink"))
    for _ in range(3):
        unlink_in_tmpfs()
    assert value(counts) == 3
    assert link.note == ""
    link.close()
    unlink_in_tmpfs()
    assert value(counts) == 3


def test_argument_and_result_of_vfs_read(kernel: LinuxKernel, tmp_path: Path) -> None:
    """ssize_t vfs_read(file, buf, count, pos): 1234 bytes are asked for, 9 are there."""
    (tmp_path / "nine").write_bytes(b"123456789")
    asked, counts = counter(
        kernel, ProgramType.KPROBE, of_process(ME, [load(op.DW, 7, 6, REGS.arguments[2]), *store_value(7)])
    )
    given, results = counter(
        kernel, ProgramType.KPROBE, of_process(ME, [load(op.DW, 7, 6, REGS.result), *store_value(7)])
    )
    fd = os.open(tmp_path / "nine", os.O_RDONLY)
    links = [kernel.attach(asked, Kprobe("vfs_read")), kernel.attach(given, Kprobe("vfs_read", ret=True))]
    os.read(fd, 1234)
    for link in links:
        link.close()
    os.close(fd)
    assert (value(counts), value(results)) == (1234, 9)


@pytest.mark.parametrize("name", ["sys_getppid", "__x64_sys_getppid" if host.machine() == "x86_64" else "sys_getppid"])
def test_system_call_by_either_name(kernel: LinuxKernel, name: str) -> None:
    tested, counts = counter(kernel, ProgramType.KPROBE, of_process(ME, count()))
    kernel.attach(tested, Kprobe(name))
    for _ in range(5):
        os.getppid()
    assert value(counts) == 5


def test_offset_in_a_function(kernel: LinuxKernel) -> None:
    tested, counts = counter(kernel, ProgramType.KPROBE, of_process(ME, count()))
    with pytest.raises(AttachError):
        kernel.attach(tested, Kprobe("sys_getppid", offset=1 << 20))
    assert value(counts) == 0


def test_function_pointer(kernel: LinuxKernel) -> None:
    """bpf_get_func_ip() gives the function's address, as in kallsyms; a kernel before 5.15 has no such helper."""
    body = [Instruction(op.ALU64 | op.MOV | op.X, 1, 6), call(Helper.get_func_ip)]
    body += [Instruction(op.ALU64 | op.MOV | op.X, 7, 0), *store_value(7)]
    helpers = kernel_btf().find("bpf_func_id", Kind.ENUM)
    assert helpers is not None
    if "BPF_FUNC_get_func_ip" not in dict(helpers.values):
        with pytest.raises(NotSupportedError, match=r"helper bpf_get_func_ip\(\) is not supported here"):
            counter(kernel, ProgramType.KPROBE, of_process(ME, body))
        return
    tested, counts = counter(kernel, ProgramType.KPROBE, of_process(ME, body))
    kernel.attach(tested, Kprobe("vfs_unlink"))
    unlink_in_tmpfs()
    symbols = {line.split()[2]: line.split()[0] for line in Path("/proc/kallsyms").read_text().splitlines()}
    assert value(counts) == int(symbols["vfs_unlink"], 16)


def test_unknown_function(kernel: LinuxKernel) -> None:
    tested = kernel.load_program(program(ProgramType.KPROBE, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bvfs_unlink\b"):
        kernel.attach(tested, Kprobe("vfs_unlinkk"))


def test_function_that_may_not_be_probed(kernel: LinuxKernel) -> None:
    tested = kernel.load_program(program(ProgramType.KPROBE, [mov_imm(0, 0), exit_()]), {})
    forbidden = Path("/sys/kernel/debug/kprobes/blacklist").read_text().split()
    name = next(word for word in forbidden if word.startswith("exc_") or word == "do_int3")
    with pytest.raises(AttachError, match="forbids a probe there"):
        kernel.attach(tested, Kprobe(name))


def test_syscall_probes_agree_with_kprobes(kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel without kprobes is given in their place, beside the real ones, at the same calls."""
    command = kernel.spawn(["bash", "-c", "for i in 1 2 3; do (cd /; cd /nowhere; /bin/true); done 2> /dev/null; :"])

    def probed(event: Kprobe, code: list[Instruction]) -> LinuxMap:
        tested, counts = counter(kernel, ProgramType.KPROBE, code)
        note = kernel.attach(tested, event).note
        assert bool(note) is (perf_link.pmu_type("kprobe") is None)
        return counts

    result = [load(op.DW, 7, 1, REGS.result), *store_value(7)]
    wanted = [
        (Kprobe(f"sys_{name}", ret=ret), count()) for name in ("clone", "chdir", "execve") for ret in (False, True)
    ]
    wanted += [(Kprobe("sys_chdir", ret=True), result), (Kprobe("sys_clone", ret=True), result)]
    real = [probed(*each) for each in wanted]
    monkeypatch.setattr(perf_link, "pmu_type", lambda name: None)
    made = [probed(*each) for each in wanted]
    command.release()
    assert command.wait(120) == 0
    assert [value(counts) for counts in made] == [value(counts) for counts in real]
    assert value(made[2]) >= 6  # a shell may try a directory that is not there twice
    assert value(made[6]) == (1 << 64) - errno.ENOENT
