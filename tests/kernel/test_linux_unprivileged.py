"""What an ordinary user is told.  The tests fork and give up root in the child."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.asm.instruction import exit_, mov_imm
from stingless.errors import PrivilegeError
from stingless.linux import guard, scope
from stingless.linux.kernel import LinuxKernel
from stingless.obj.spec import MapSpec
from tests.linux_support import IS_ROOT, program

# What is imported late must be in before privileges go: the checkout may lie where nobody may read it.
for name in ("_sys.limits", "linux.trace_pipe", "linux.probes", "linux.scope", "asm.rewrite", "btf.kernel"):
    importlib.import_module(f"stingless.{name}")
for hook in ("kprobe", "uprobe", "tracepoint", "raw_tracepoint", "perf_event", "xdp", "socket_filter", "tracing"):
    importlib.import_module(f"stingless.linux.{hook}")

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
NOBODY = 65534


def as_nobody(work: Callable[[], str]) -> str:
    """What `work` returns in a child process without privileges."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(write, work().encode())
        except BaseException:
            os.write(write, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as text:
        found = text.read()
    os.waitpid(pid, 0)
    return found


def refused(attempt: Callable[[LinuxKernel], object]) -> str:
    def work() -> str:
        with LinuxKernel() as kernel:
            try:
                attempt(kernel)
            except PrivilegeError as e:
                return str(e)
        return "it was allowed"

    return as_nobody(work)


def test_maps() -> None:
    said = refused(lambda kernel: kernel.create_map(MapSpec("m", MapType.LRU_HASH, 4, 4, 1)))
    assert "needs CAP_BPF, which this process lacks" in said
    assert "stingless run --kernel embedded" in said


@pytest.mark.parametrize(
    ("kind", "needed"),
    [(ProgramType.KPROBE, "CAP_BPF and CAP_PERFMON"), (ProgramType.XDP, "CAP_BPF and CAP_NET_ADMIN")],
)
def test_programs(kind: ProgramType, needed: str) -> None:
    spec = program(kind, [mov_imm(0, 0), exit_()])
    assert f"needs {needed}, which this process lacks" in refused(lambda kernel: kernel.load_program(spec, {}))


def test_trace() -> None:
    assert "CAP_SYS_ADMIN" in refused(lambda kernel: kernel.open_trace())


def test_commands_run_and_the_note_says_why_there_is_no_scope() -> None:
    """With a Python and a guardian that everybody may read."""
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("there is no /usr/bin/python3")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        readable = Path(shutil.copytree(guard.GUARDIAN.parents[1], f"{directory}/stingless"))
        for path in (readable, *readable.rglob("*")):
            path.chmod(0o755)
        said = as_nobody(lambda: spawned(python, readable))
    assert said.startswith("3 programs see the whole system, not only the command: no cgroup"), said


def spawned(python: str, package: Path) -> str:
    sys.executable = python
    guard.GUARDIAN = package / "linux" / "guardian.py"
    scope.__file__ = str(package / "linux" / "scope.py")
    with LinuxKernel() as kernel:
        command = kernel.spawn(["sh", "-c", "exit 3"])
        command.release()
        return f"{command.wait(60)} {kernel.scope_note}"


def test_probes_say_what_to_do() -> None:
    def work() -> str:
        with LinuxKernel() as kernel:
            answers = kernel.probes()
        without = [p for p in answers if p.supported is False and not p.fix]
        assert not without, without
        wrong = [p for p in answers if p.supported and p.name.startswith(("privilege", "program K", "hook tracep"))]
        return f"wrong: {wrong}"

    assert as_nobody(work) == "wrong: []"
