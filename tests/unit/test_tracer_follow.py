"""A process that was there before: attached to by its number, traced, and left as it was found."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.errors import NotSupportedError, PrivilegeError
from stingless.events import Kprobe, Tracepoint, Uprobe
from tests.tracer_target import KPROBE, TRACEPOINT, array, build, offset_of, program, values_of

# Two threads call a function; one of them is deep in another one that never returns.
TARGET = r"""
static volatile u64 rounds;
NOINLINE u64 called(u64 a) { __asm__ volatile("" ::: "memory"); return a + rounds; }
static void turn(void) { called(3); rounds++; sys(GETPPID, 0, 0, 0, 0, 0); }
NOINLINE void for_ever(void)
{
	while (rounds < 1000000000)
		turn();
}
static void second(void) { for (;;) turn(); }
void entry(void)
{
	start_thread(0, second);
	for_ever();
	print(called(1));
	finish(0);
}
"""


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as made:
        yield made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("follow"), TARGET)


def start(*argv: str | Path, stdin: str | Path = "/dev/null") -> int:
    """A process that is no child of this one: a wait for it would take the tracer's events."""
    script = '"$@" < "$0" > /dev/null 2>&1 & echo $!'
    done = subprocess.run(["sh", "-c", script, stdin, *argv], stdout=subprocess.PIPE, check=True)
    return int(done.stdout)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and states(pid) != {"Z"}


@pytest.fixture
def target(built: Path) -> Iterator[int]:
    pid = start(built)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def states(pid: int) -> set[str]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(each / "stat").read_text().rpartition(") ")[2][0] for each in tasks}


def tracers(pid: int) -> set[str]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(each / "status").read_text().partition("TracerPid:\t")[2].partition("\n")[0] for each in tasks}


def text_of(pid: int, path: Path) -> tuple[bytes, bytes]:
    """Its code as it is in memory, and as it is in the file."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, offset, *_ = line.split()
        if line.endswith(str(path)) and "x" in rights:
            start, end = (int(each, 16) for each in span.split("-"))
            with Path(f"/proc/{pid}/mem").open("rb") as memory:
                memory.seek(start)
                data = memory.read(end - start)
            code = path.read_bytes()[int(offset, 16) :][: end - start]
            return data[: len(code)], code
    raise AssertionError("no code")


def test_calls_of_all_threads(kernel: EmbeddedKernel, target: int) -> None:
    calls = array(kernel)
    kernel.attach(program(kernel, KPROBE, calls), Kprobe("sys_getppid"))
    process = kernel.follow(target)
    assert process.pid == -1
    process.release()
    assert process.pid == target
    (tracer,) = tracers(target)
    assert Path(f"/proc/self/task/{tracer}").exists()
    until(lambda: values_of(calls)[0] > 100)
    process.close()
    assert tracers(target) == {"0"}
    assert alive(target)
    seen = values_of(calls)[0]
    until(lambda: "R" in states(target))
    assert values_of(calls)[0] == seen


def test_left_as_it_was_found(kernel: EmbeddedKernel, target: int, built: Path) -> None:
    """Breakpoints are gone, and so are the hijacked returns: of a function that has not returned yet, too."""
    entries, returns = array(kernel), array(kernel)
    where = str(built), offset_of(built, "called")
    kernel.attach(program(kernel, KPROBE, entries), Uprobe(*where))
    kernel.attach(program(kernel, KPROBE, returns), Uprobe(*where, ret=True))
    kernel.attach(program(kernel, KPROBE, returns), Uprobe(str(built), offset_of(built, "for_ever"), ret=True))
    process = kernel.follow(target)
    process.release()
    until(lambda: values_of(returns)[0] > 100)
    changed, code = text_of(target, built)
    assert changed != code
    process.close()
    found, code = text_of(target, built)
    assert found == code
    assert values_of(entries)[0] >= values_of(returns)[0]
    time.sleep(0.1)
    assert alive(target)
    assert not states(target) & {"t", "T"}


def test_event_for_a_process_follows_it(kernel: EmbeddedKernel, target: int, built: Path) -> None:
    """And many times over: each time it is left whole."""
    for _ in range(5):
        with EmbeddedKernel() as each:
            counted = array(each)
            link = each.attach(
                program(each, KPROBE, counted), Uprobe(str(built), offset_of(built, "called"), pid=target)
            )
            until(lambda counted=counted: values_of(counted)[0] > 20)  # type: ignore[misc]
            link.close()
    assert alive(target)
    found, code = text_of(target, built)
    assert found == code


def test_end_of_the_process(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    with pipe.open("r+b", buffering=0) as both:
        target = start("sh", "-c", "read x; exit 3", stdin=pipe)
        ended = array(kernel)
        kernel.attach(program(kernel, TRACEPOINT, ended), Tracepoint("sched", "sched_process_exit"))
        process = kernel.follow(target)
        process.release()
        assert process.wait(0.01) is None
        both.write(b"\n")
        assert process.wait(20) == 3
    assert values_of(ended) == (1,)


def test_children_are_followed_and_left(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    with pipe.open("r+b", buffering=0) as both:
        target = start("sh", "-c", "read x; while :; do /bin/true; done", stdin=pipe)
        try:
            started = array(kernel)
            kernel.attach(program(kernel, TRACEPOINT, started), Tracepoint("sched", "sched_process_exec"))
            process = kernel.follow(target)
            process.release()
            both.write(b"\n")
            until(lambda: values_of(started)[0] > 5)
            process.close()
            time.sleep(0.05)
            assert alive(target)
        finally:
            os.kill(target, signal.SIGKILL)


def test_signals_of_a_stopped_process(kernel: EmbeddedKernel, target: int) -> None:
    calls = array(kernel)
    kernel.attach(program(kernel, KPROBE, calls), Kprobe("sys_getppid"))
    os.kill(target, signal.SIGSTOP)
    until(lambda: states(target) == {"T"})
    process = kernel.follow(target)
    process.release()
    process.close()
    until(lambda: states(target) == {"T"})
    os.kill(target, signal.SIGCONT)
    until(lambda: "R" in states(target))


def test_refusals(kernel: EmbeddedKernel, target: int) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    with EmbeddedKernel() as other, pytest.raises(ProcessLookupError, match=str(ended.pid)):
        other.follow(ended.pid).release()
    process = kernel.follow(target)
    process.release()
    with pytest.raises(NotSupportedError, match="second command or process"):
        kernel.follow(os.getpid())
    with EmbeddedKernel() as other, pytest.raises(PrivilegeError, match=f"process {os.getpid()} traces it") as e:
        other.follow(target).release()
    assert e.value.errno == errno.EPERM
