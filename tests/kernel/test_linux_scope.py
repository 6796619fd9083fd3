"""Commands that the Linux kernel object starts, and programs that see nothing else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import ProgramType
from stingless.asm.instruction import exit_, mov, mov_imm
from stingless.errors import ClosedError, VerifierError
from stingless.events import RawTracepoint, Tracepoint
from stingless.linux import scope
from stingless.linux.guardian import descendants
from stingless.linux.kernel import LinuxKernel
from tests.linux_support import IS_ROOT, count, counter, program, value

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")
needs_cgroup = pytest.mark.skipif(
    (own := scope.own_cgroup()) is None or not os.access(own, os.W_OK), reason="no writable cgroup v2"
)


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def cgroups(pid: int = 0) -> list[Path]:
    parent = scope.own_cgroup()
    return sorted(parent.glob(f"stingless-{pid or os.getpid()}-*")) if parent is not None else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("script", "status"), [("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM), ("kill -9 $$", 137), (":", 0)]
)
def test_status(kernel: LinuxKernel, script: str, status: int) -> None:
    command = kernel.spawn(["sh", "-c", script])
    assert command.pid == -1
    assert command.wait(0.05) is None
    command.release()
    command.release()
    assert command.pid > 0
    assert command.wait() == command.wait(0) == status
    command.close()
    assert cgroups() == []


def test_what_a_command_inherits(kernel: LinuxKernel, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Standard output, environment, directory, signals at their defaults, and no descriptors of ours."""
    os.environ["STINGLESS_TEST"] = "inherited"
    show = "import os, signal; print(os.environ['STINGLESS_TEST'], os.getcwd(), sorted(os.listdir('/proc/self/fd')))"
    try:
        command = kernel.spawn([sys.executable, "-c", show])
        command.release()
        assert command.wait(20) == 0
        ignored = kernel_of_one_command(["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"])
    finally:
        del os.environ["STINGLESS_TEST"]
    output = capfd.readouterr().out
    assert output.startswith(f"inherited {Path.cwd()} ['0', '1', '2', '3']\n")  # 3: the directory that it lists
    assert ignored == 0
    internal = 0b11 << 31  # 32 and 33: glibc's own, which its posix_spawn() (make uses it) leaves ignored
    assert [int(line.split()[1], 16) & ~internal for line in output.splitlines()[1:]] == [0, 0]


def kernel_of_one_command(argv: list[str]) -> int | None:
    with LinuxKernel() as kernel:
        command = kernel.spawn(argv)
        command.release()
        return command.wait(20)


@pytest.mark.parametrize(("name", "code"), [("/nowhere/at-all", errno.ENOENT), ("/etc/passwd", errno.EACCES)])
def test_commands_that_cannot_be_run(kernel: LinuxKernel, name: str, code: int) -> None:
    command = kernel.spawn([name])
    with pytest.raises(OSError, match=name) as e:
        command.release()
    assert e.value.errno == code


@needs_cgroup
def test_programs_see_the_command_alone(kernel: LinuxKernel) -> None:
    """Three processes and the shell: four execve(2), exactly, and none of those made beside it."""
    command = kernel.spawn(["sh", "-c", "for i in 1 2 3; do /bin/true; done; :"])
    execs, seen = counter(kernel, ProgramType.TRACEPOINT, count())
    kernel.attach(execs, Tracepoint("sched", "sched_process_exec"))
    calls, entered = counter(kernel, ProgramType.RAW_TRACEPOINT, [mov(6, 1), *count()])
    kernel.attach(calls, RawTracepoint("sys_enter"))
    subprocess.run(["/bin/true"], check=True)
    assert value(seen) == value(entered) == 0
    command.release()
    assert command.wait(20) == 0
    subprocess.run(["/bin/true"], check=True)
    assert value(seen) == 4
    assert value(entered) > 4


@needs_cgroup
def test_the_held_command_makes_no_call_before_its_first(kernel: LinuxKernel) -> None:
    """What is seen of a static program is its own: execve(2), and nothing of those who start it."""
    command = kernel.spawn(["/nowhere/at-all"])
    calls, entered = counter(kernel, ProgramType.RAW_TRACEPOINT, count())
    kernel.attach(calls, RawTracepoint("sys_enter"))
    with pytest.raises(FileNotFoundError):
        command.release()
    command.wait(20)
    assert value(entered) <= 4  # execve(2) that fails, write(2) of why, and exit_group(2)


@needs_cgroup
def test_errors_are_those_of_the_program_as_written(kernel: LinuxKernel) -> None:
    kernel.spawn(["true"])
    with pytest.raises(VerifierError) as e:
        kernel.load_program(program(ProgramType.RAW_TRACEPOINT, [mov(0, 9), exit_()]), {})
    assert e.value.insn == 0
    assert "R9" in e.value.log


def test_without_scope(kernel: LinuxKernel) -> None:
    kernel.scoped = False
    command = kernel.spawn(["true"])
    tested = kernel.load_program(program(ProgramType.RAW_TRACEPOINT, [mov_imm(0, 5), exit_()]), {})
    assert tested.run().retval == 5
    assert tested.cgroup_id == 0
    assert "whole system" in kernel.scope_note
    command.release()
    assert command.wait(20) == 0


@needs_cgroup
def test_a_scoped_program_returns_at_once_elsewhere(kernel: LinuxKernel) -> None:
    kernel.spawn(["true"])
    tested = kernel.load_program(program(ProgramType.RAW_TRACEPOINT, [mov_imm(0, 5), exit_()]), {})
    assert tested.run().retval == 0
    packets = kernel.load_program(program(ProgramType.XDP, [mov_imm(0, 2), exit_()]), {})
    assert packets.run(bytes(64)).retval == 2


RUNAWAYS = "sleep 1000 & setsid sh -c 'sleep 1001 & sleep 1002' & exec sleep 1003"


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


@pytest.mark.parametrize("with_cgroup", [pytest.param(True, marks=needs_cgroup), False])
def test_close_ends_descendants_of_every_generation(with_cgroup: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_cgroup:
        monkeypatch.setattr(scope, "create_cgroup", lambda: (None, "none for this test"))
    with LinuxKernel() as kernel:
        command = kernel.spawn(["sh", "-c", RUNAWAYS])
        assert ("none for this test" in kernel.scope_note) is not with_cgroup
        command.release()
        below = command._process.pid
        wait_for(lambda: len(descendants(below)) >= 5)
        pids = descendants(below)
        if with_cgroup:
            pids += [int(p) for p in (cgroups()[0] / "cgroup.procs").read_text().split()]
        assert len(set(pids)) >= 4
        command.close()
        assert not any(alive(pid) for pid in pids)
        assert cgroups() == []
        assert command.wait() == 137
        with pytest.raises(ClosedError):
            command.release()


def test_a_command_that_was_never_released(kernel: LinuxKernel) -> None:
    guardian = kernel.spawn(["sleep", "1000"])._process.pid
    kernel.close()
    assert not alive(guardian)
    assert cgroups() == []


VICTIM = textwrap.dedent(
    """
    import sys, time
    from stingless._gen.uapi import ProgramType
    from stingless.events import RawTracepoint
    from stingless.linux.kernel import LinuxKernel
    from tests.linux_support import count, counter
    kernel = LinuxKernel()
    command = kernel.spawn(["sh", "-c", sys.argv[1]])
    program, counts = counter(kernel, ProgramType.RAW_TRACEPOINT, count())
    kernel.attach(program, RawTracepoint("sys_enter"))
    readers = [LinuxKernel(), LinuxKernel()]
    traces = [k.open_trace() for k in readers]
    command.release()
    print(command._process.pid, program.info.id, flush=True)
    time.sleep(1000)
    """
)


@needs_cgroup
def test_kill_9_leaves_nothing_behind(kernel: LinuxKernel) -> None:
    with subprocess.Popen([sys.executable, "-c", VICTIM, RUNAWAYS], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        guardian, program_id = (int(word) for word in victim.stdout.readline().split())
        (cgroup,) = cgroups(victim.pid)
        processes = cgroup / "cgroup.procs"
        wait_for(lambda: len(processes.read_text().split()) >= 5)
        pids = [int(pid) for pid in processes.read_text().split()]
        assert len(pids) >= 4
        assert program_id in program_ids()
        victim.kill()
    wait_for(lambda: not alive(guardian) and not instances(kernel, victim.pid))
    assert not alive(guardian)
    assert not any(alive(pid) for pid in pids)
    assert cgroups(victim.pid) == []
    assert instances(kernel, victim.pid) == []
    wait_for(lambda: program_id not in program_ids())
    assert program_id not in program_ids()


def instances(kernel: LinuxKernel, pid: int) -> list[str]:
    return [name for name in kernel.tracefs().names("instances") if name.startswith(f"stingless-{pid}-")]


def program_ids() -> set[int]:
    """The ids of all loaded programs."""
    import ctypes
    import struct

    from stingless._gen.uapi import Command
    from stingless._sys.syscall import entry, number

    found: set[int] = set()
    last = 0
    get = entry(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)
    while True:
        attr = ctypes.create_string_buffer(struct.pack("=III", last, 0, 0), 12)
        if get(number("bpf"), Command.PROG_GET_NEXT_ID, attr, 12) < 0:
            return found
        last = struct.unpack_from("=I", attr.raw, 4)[0]
        found.add(last)


def test_the_guardian_was_killed(kernel: LinuxKernel) -> None:
    command = kernel.spawn(["sleep", "1000"])
    command.release()
    os.kill(command._process.pid, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="guards 'sleep'"):
        command.wait(20)
    command.close()
    if cgroups():
        wait_for(lambda: not alive(command.pid))
    assert cgroups() == []
    if alive(command.pid):  # without a cgroup nobody knows of it any more
        os.kill(command.pid, signal.SIGKILL)
