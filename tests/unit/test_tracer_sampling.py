"""Samples of running threads through the embedded kernel's ptrace source."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, call, load, store
from stingless.embedded.kernel import EmbeddedKernel
from stingless.events import PERF_COUNT_SW_CPU_CLOCK, PERF_TYPE_SOFTWARE, PerfEvent
from tests.tracer_target import PERF_EVENT, array, build, keep, program, values_of

X86 = os.uname().machine == "x86_64"
IP, PERIOD = (128, 168) if X86 else (256, 272)
MS = 1_000_000


def clock(**rate: Any) -> PerfEvent:
    return PerfEvent(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, **rate)


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as made:
        yield made


def cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


BUSY = """
NOINLINE void spin(void) { for (volatile int i = 0; i < 600000000; i++); }
void entry(void) { spin(); finish(0); }
"""


def test_a_busy_loop_is_sampled(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(tmp_path, BUSY)
    seen = array(kernel, 4)
    body = [*keep(IP, 1), *keep(PERIOD, 2), call(Helper.get_current_pid_tgid), store(op.DW, 7, 24, 0)]
    kernel.attach(program(kernel, PERF_EVENT, seen, body), clock(sample_period=5 * MS))
    command = kernel.spawn([str(target)])
    before = cpu_seconds_of_children()
    command.release()
    assert command.wait(60) == 0
    used = cpu_seconds_of_children() - before
    samples, ip, period, task = values_of(seen)
    # One sample a period of CPU time; fewer when this machine is busy and the ticks come late, never more.
    assert 3 <= samples < used / 0.005 * 1.1 + 2
    assert period == 5 * MS and task == command.pid << 32 | command.pid
    assert 0x200000 <= ip < 0x300000  # in its text


def test_a_sleeper_is_not(kernel: EmbeddedKernel) -> None:
    seen = array(kernel)
    kernel.attach(program(kernel, PERF_EVENT, seen), clock(sample_freq=500))
    command = kernel.spawn(["sleep", "0.5"])
    command.release()
    assert command.wait(30) == 0
    assert values_of(seen)[0] <= 4  # it ran for some milliseconds when it started


def test_running_threads_and_not_sleeping_ones(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(
        tmp_path,
        """
        static int never;
        static void sleeper(void) { sys(FUTEX, (long)&never, 0, 0, 0, 0); }
        static void spin(void) { for (volatile int i = 0; i < 100000000; i++); }
        void entry(void)
        {
            for (int i = 0; i < 4; i++) start_thread(i, sleeper);
            for (int i = 4; i < 6; i++) start_thread(i, spin);
            for (int i = 4; i < 6; i++) join_thread(i);
            print(tids[0]);
            finish(0);
        }
        """,
    )
    seen = array(kernel, 64)
    # value[1 + thread id - process id] += 1
    body = [
        call(Helper.get_current_pid_tgid),
        Instruction(op.ALU64 | op.MOV | op.X, 2, 0),
        Instruction(op.ALU64 | op.RSH | op.K, 2, imm=32),
        Instruction(op.ALU64 | op.SUB | op.X, 0, 2),
        Instruction(op.ALU64 | op.AND | op.K, 0, imm=31),
        Instruction(op.ALU64 | op.LSH | op.K, 0, imm=3),
        Instruction(op.ALU64 | op.ADD | op.X, 7, 0),
        load(op.DW, 2, 7, 8),
        Instruction(op.ALU64 | op.ADD | op.K, 2, imm=1),
        store(op.DW, 7, 8, 2),
    ]
    kernel.attach(program(kernel, PERF_EVENT, seen, body), clock(sample_period=2 * MS))
    command = kernel.spawn([str(target)])
    command.release()
    assert command.wait(60) == 0
    times, *threads = values_of(seen)
    busy = sorted(threads, reverse=True)[:2]
    assert times >= 10 and min(busy) >= 3
    assert sum(busy) >= times - 3  # but for the start and the end


def test_attach_and_detach_while_it_runs(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(tmp_path, 'void entry(void) { for (;;) __asm__ volatile(""); }')
    command = kernel.spawn([str(target)])
    command.release()
    for _ in range(2):
        slow, fast = array(kernel), array(kernel)
        links = [
            kernel.attach(program(kernel, PERF_EVENT, slow), clock(sample_period=20 * MS)),
            kernel.attach(program(kernel, PERF_EVENT, fast), clock(sample_period=2 * MS)),
        ]
        end = time.monotonic() + 30
        while (values_of(slow)[0] < 5 or values_of(fast)[0] < 20) and time.monotonic() < end:
            time.sleep(0.01)
        for link in links:
            link.close()
        seen = values_of(slow)[0], values_of(fast)[0]
        assert seen[0] >= 5 and seen[1] >= 20 and seen[1] > seen[0]
        time.sleep(0.1)
        assert (values_of(slow)[0], values_of(fast)[0]) == seen
    command.close()
    assert command.wait(0) == 128 + signal.SIGKILL


def test_too_fast_is_said(kernel: EmbeddedKernel) -> None:
    link = kernel.attach(program(kernel, PERF_EVENT, array(kernel)), clock(sample_period=1000))
    assert "100000 ns" in link.note
