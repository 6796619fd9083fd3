"""Signals of a traced command, and tracepoints whose arguments are tasks."""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import add_imm, load, mov
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.tracepoint_format import tracepoints
from stingless.events import RawTracepoint, Tracepoint
from tests.tracer_target import RAW_TRACEPOINT, TRACEPOINT, array, keep, program, read, values_of
from tests.unit.test_embedded_objects import TASK, shipped

PYTHON = os.path.realpath(sys.executable)


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel(shipped()) as made:
        yield made


def run(kernel: EmbeddedKernel, *argv: str) -> int:
    command = kernel.spawn(argv)
    command.release()
    status = command.wait(30)
    assert status is not None
    return status


def test_generated_and_delivered(kernel: EmbeddedKernel) -> None:
    """One's own signal: a record of each tracepoint, with the numbers in their places."""
    generated, delivered = array(kernel, 6), array(kernel, 3)
    body = [each for index in range(5) for each in keep(8 + 8 * index, 1 + index)]
    kernel.attach(program(kernel, TRACEPOINT, generated, body), Tracepoint("signal", "signal_generate"))
    body = [each for index in range(2) for each in keep(8 + 8 * index, 1 + index)]
    kernel.attach(program(kernel, TRACEPOINT, delivered, body), Tracepoint("signal", "signal_deliver"))
    assert run(kernel, "sh", "-c", "kill -USR1 $$") == 128 + signal.SIGUSR1
    count, *words = values_of(generated)
    record = struct.pack("<5Q", *words)
    assert count == 2  # and SIGCHLD to its parent, this process, the last
    sent, _, code, name, to, group, result = struct.unpack("<3i16s3i", record)
    assert (sent, to, group, code) == (signal.SIGCHLD, os.getpid(), 1, 2)  # CLD_KILLED
    assert result in (0, 1)
    assert name.rstrip(b"\0").decode() == Path("/proc/self/comm").read_text().strip()
    count, first, second = values_of(delivered)
    assert (count, first & 0xFFFFFFFF, second & 0xFFFFFFFF) == (1, signal.SIGUSR1, 0)


def test_what_is_ignored_is_not_delivered(kernel: EmbeddedKernel) -> None:
    delivered = array(kernel)
    kernel.attach(program(kernel, TRACEPOINT, delivered), Tracepoint("signal", "signal_deliver"))
    assert run(kernel, "sh", "-c", "trap '' USR1; kill -USR1 $$; kill -WINCH $$; :") == 0
    assert values_of(delivered) == (0,)


def test_faults_are_generated_by_the_task_itself(kernel: EmbeddedKernel) -> None:
    generated = array(kernel, 2)
    kernel.attach(program(kernel, TRACEPOINT, generated, keep(8, 1)), Tracepoint("signal", "signal_generate"))
    fault = "import ctypes; ctypes.string_at(8)"
    assert run(kernel, PYTHON, "-S", "-c", fault) == 128 + signal.SIGSEGV
    assert values_of(generated)[0] == 2


def test_signals_to_others_also_attached_late(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    command = kernel.spawn(["sh", "-c", f"read x <{pipe}; sleep 60 & kill -TERM $!; wait"])
    command.release()
    generated = array(kernel, 2)
    kernel.attach(program(kernel, TRACEPOINT, generated, keep(8, 1)), Tracepoint("signal", "signal_generate"))
    pipe.write_text("go\n")
    assert command.wait(30) == 0
    assert values_of(generated)[0] >= 3  # SIGTERM, and SIGCHLD of both


@pytest.mark.parametrize(("name", "argument"), [("sched_process_exec", 0), ("sched_process_exit", 0)])
def test_tasks_as_arguments(kernel: EmbeddedKernel, name: str, argument: int) -> None:
    seen = array(kernel, 2)
    body = [load(op.DW, 3, 6, 8 * argument), add_imm(3, TASK["tgid"]), *read(Helper.probe_read_kernel, 4, 1)]
    kernel.attach(program(kernel, RAW_TRACEPOINT, seen, body), RawTracepoint(name))
    command = kernel.spawn(["true"])
    command.release()
    assert command.wait(30) == 0
    assert values_of(seen) == (1, command.pid)


def test_child_as_argument(kernel: EmbeddedKernel) -> None:
    seen = array(kernel, 4)
    body = [
        *(load(op.DW, 3, 6, 8), mov(8, 3), add_imm(3, TASK["pid"]), *read(Helper.probe_read_kernel, 4, 1)),
        *(mov(3, 8), add_imm(3, TASK["real_parent"]), *read(Helper.probe_read_kernel, 8, 2)),
        *(load(op.DW, 3, 7, 16), add_imm(3, TASK["pid"]), *read(Helper.probe_read_kernel, 4, 3)),
    ]
    kernel.attach(program(kernel, RAW_TRACEPOINT, seen, body), RawTracepoint("sched_process_fork"))
    command = kernel.spawn(["sh", "-c", "(exit 0); exit 0"])
    command.release()
    assert command.wait(30) == 0
    count, child, _, parent = values_of(seen)
    assert (count, parent) == (1, command.pid)
    assert child > command.pid


def test_they_are_listed() -> None:
    assert {"signal:signal_generate", "signal:signal_deliver", "sched:sched_process_fork"} <= set(tracepoints())
