"""Events of real commands through the embedded kernel's ptrace source: no root needed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.helpers import Helper
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, add_imm, call, load, mov, mov_imm, store
from stingless.embedded.kernel import EmbeddedKernel
from stingless.embedded.maps import EmbeddedMap
from stingless.errors import AttachError, NotSupportedError
from stingless.events import Event, Kprobe, PerfEvent, RawTracepoint, Tracepoint, Uprobe
from stingless.syscalls import number_of
from tests.tracer_target import (
    KPROBE,
    PERF_EVENT,
    RAW_TRACEPOINT,
    TRACEPOINT,
    array,
    build,
    keep,
    program,
    read,
    values_of,
)

PYTHON = os.path.realpath(sys.executable)
X86 = os.uname().machine == "x86_64"


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as made:
        yield made


def count(kernel: EmbeddedKernel, event: Event) -> EmbeddedMap:
    """Count an event from now on."""
    kind = {Kprobe: KPROBE, Tracepoint: TRACEPOINT, RawTracepoint: RAW_TRACEPOINT}[type(event)]
    counted = array(kernel)
    kernel.attach(program(kernel, kind, counted), event)
    return counted


def run(kernel: EmbeddedKernel, *argv: str) -> int:
    command = kernel.spawn(argv)
    command.release()
    status = command.wait(30)
    assert status is not None
    return status


def children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ends
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


LOOP = "import os\nfor _ in range(1000): os.getppid()"
THREADS = """
import os, threading
def work():
    for _ in range(500): os.getppid()
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
"""
FORKS = """
import os
for _ in range(20):
    pid = os.fork()
    if not pid:
        for _ in range(50): os.getppid()
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize(("text", "calls"), [(LOOP, 1000), (THREADS, 4000), (FORKS, 1000)])
def test_exact_counts(kernel: EmbeddedKernel, text: str, calls: int) -> None:
    entered = count(kernel, Kprobe("sys_getppid"))
    returned = count(kernel, Kprobe("sys_getppid", ret=True))
    enter = count(kernel, Tracepoint("syscalls", "sys_enter_getppid"))
    exit_ = count(kernel, Tracepoint("syscalls", "sys_exit_getppid"))
    assert run(kernel, PYTHON, "-S", "-c", text) == 0
    assert [values_of(each)[0] for each in (entered, returned, enter, exit_)] == [calls] * 4


@pytest.mark.skipif(shutil.which("strace") is None, reason="compares with strace")
def test_counts_are_those_of_strace(kernel: EmbeddedKernel) -> None:
    argv = ["sh", "-c", "for i in 1 2 3; do /bin/true; done; cat /dev/null; exit 3"]
    calls = ("openat", "execve", "mmap", "clone", "vfork", "wait4", "read")
    traced = subprocess.run(
        ["strace", "-f", "-c", "-e", f"trace={','.join(calls)}", *argv], capture_output=True, text=True, check=False
    )
    assert traced.returncode == 3
    rows = (line.split() for line in traced.stderr.splitlines())
    expected = {row[-1]: int(row[3]) for row in rows if row and row[-1] in calls}
    assert expected["execve"] == 5
    maps = {name: count(kernel, Kprobe(f"sys_{name}")) for name in calls}
    assert run(kernel, *argv) == 3
    assert {name: values_of(each)[0] for name, each in maps.items() if values_of(each)[0]} == expected


def test_only_the_asked_calls_stop(kernel: EmbeddedKernel) -> None:
    counted = count(kernel, Kprobe("sys_getppid"))
    assert run(kernel, PYTHON, "-S", "-c", LOOP) == 0
    assert values_of(counted) == (1000,)
    stops, events = kernel.tracer.counts
    assert events == 1000
    assert stops - 1000 < 10  # execve's; nothing for the hundreds of other calls


def test_nothing_attached_costs_nothing(kernel: EmbeddedKernel) -> None:
    assert run(kernel, "sh", "-c", "exit 5") == 5
    assert kernel.tracer.counts[1] == 0


def test_raw_syscalls(kernel: EmbeddedKernel) -> None:
    enter = count(kernel, Tracepoint("raw_syscalls", "sys_enter"))
    exit_ = count(kernel, Tracepoint("raw_syscalls", "sys_exit"))
    raw_enter = count(kernel, RawTracepoint("sys_enter"))
    raw_exit = count(kernel, RawTracepoint("sys_exit"))
    calls = count(kernel, Tracepoint("syscalls", "sys_enter_getppid"))
    assert run(kernel, PYTHON, "-S", "-c", FORKS) == 0
    entered, left = values_of(enter)[0], values_of(exit_)[0]
    # 21 exits never return; 20 children return from a call that they did not make.
    assert left == entered - 21 + 20
    assert values_of(raw_enter)[0] == entered and values_of(raw_exit)[0] == left
    assert entered > 1000 and values_of(calls) == (1000,)


def test_fork_returns_twice_for_tracepoints_and_once_for_kretprobes(kernel: EmbeddedKernel) -> None:
    returned = count(kernel, Kprobe("sys_clone", ret=True))
    left = count(kernel, Tracepoint("syscalls", "sys_exit_clone"))
    assert run(kernel, PYTHON, "-S", "-c", FORKS) == 0
    assert values_of(returned) == (20,)
    assert values_of(left) == (40,)


def test_scheduler_tracepoints(kernel: EmbeddedKernel) -> None:
    forked = count(kernel, Tracepoint("sched", "sched_process_fork"))
    executed = count(kernel, Tracepoint("sched", "sched_process_exec"))
    ended = count(kernel, Tracepoint("sched", "sched_process_exit"))
    assert run(kernel, "sh", "-c", "for i in 1 2 3; do /bin/true; done") == 0
    assert [values_of(each)[0] for each in (forked, executed, ended)] == [3, 4, 4]


def test_record_of_exec(kernel: EmbeddedKernel) -> None:
    seen = array(kernel, 5)
    body = [load(op.W, 2, 6, 12), store(op.DW, 7, 8, 2), load(op.W, 3, 6, 8)]
    body += [mov(1, 3), mov(3, 6)]
    body += [
        Instruction(op.ALU64 | op.AND | op.K, 1, imm=0xFFFF),  # offset of the name in the record
        Instruction(op.ALU64 | op.ADD | op.X, 3, 1),
        *read(Helper.probe_read_kernel_str, 24, 2),
    ]
    kernel.attach(program(kernel, TRACEPOINT, seen, body), Tracepoint("sched", "sched_process_exec"))
    command = kernel.spawn(["/bin/true"])
    command.release()
    assert command.wait(30) == 0
    times, pid, *name = values_of(seen)
    assert (times, pid) == (1, command.pid)
    assert b"".join(each.to_bytes(8, "little") for each in name).startswith(b"/bin/true\0")


def test_arguments_and_user_memory(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    name = tmp_path / "a-file-to-be-opened"
    enter = array(kernel, 34)
    kernel.attach(
        program(
            kernel,
            TRACEPOINT,
            enter,
            [*keep(32, 1), load(op.DW, 3, 6, 24), *read(Helper.probe_read_user_str, 256, 2)],
        ),
        Tracepoint("syscalls", "sys_enter_openat"),
    )
    opener = f"import os; os.open({str(name)!r}, os.O_CREAT | os.O_RDWR); os._exit(0)"
    assert run(kernel, PYTHON, "-S", "-c", opener) == 0
    _, flags, *text = values_of(enter)
    assert flags & (os.O_CREAT | os.O_RDWR) == os.O_CREAT | os.O_RDWR
    assert b"".join(each.to_bytes(8, "little") for each in text).split(b"\0")[0] == os.fsencode(name)


@pytest.mark.skipif(not X86, reason="register offsets of x86-64")
@pytest.mark.parametrize("function", ["sys_kill", "__x64_sys_kill", "__do_sys_kill"])
def test_kprobe_registers(kernel: EmbeddedKernel, function: str) -> None:
    di, si, ax = 112, 104, 80
    entry, ret = array(kernel, 3), array(kernel, 3)
    if function == "__do_sys_kill":
        body = [*keep(di, 1), *keep(si, 2)]
    else:
        body = []
        for index, offset in ((1, di), (2, si)):
            body += [load(op.DW, 3, 6, di), add_imm(3, offset), *read(Helper.probe_read_kernel, 8, index)]
    kernel.attach(program(kernel, KPROBE, entry, body), Kprobe(function))
    kernel.attach(program(kernel, KPROBE, ret, keep(ax, 1)), Kprobe(function, ret=True))
    ignores = "import os, signal; signal.signal(63, signal.SIG_IGN); os.kill(os.getpid(), 63)"
    command = kernel.spawn([PYTHON, "-S", "-c", ignores])
    command.release()
    assert command.wait(30) == 0
    assert values_of(entry) == (1, command.pid, 63)
    assert values_of(ret)[:2] == (1, 0)


@pytest.mark.skipif(not X86, reason="register offsets of x86-64")
def test_raw_tracepoint_arguments(kernel: EmbeddedKernel) -> None:
    enter, exit_ = array(kernel, 3), array(kernel, 3)
    # value[1] += 1 when the call is getppid; its registers are readable too
    nr = number_of("getppid")
    body = [
        load(op.DW, 2, 6, 8),
        Instruction(op.JMP | op.JNE | op.K, 2, off=11, imm=nr),
        load(op.DW, 3, 6, 0),
        add_imm(3, 120),  # orig_ax
        *read(Helper.probe_read_kernel, 8, 2),
        load(op.DW, 2, 7, 8),
        add_imm(2, 1),
        store(op.DW, 7, 8, 2),
        mov_imm(2, 0),
        mov_imm(2, 0),
    ]
    kernel.attach(program(kernel, RAW_TRACEPOINT, enter, body), RawTracepoint("sys_enter"))
    kernel.attach(program(kernel, RAW_TRACEPOINT, exit_, keep(8, 1)), RawTracepoint("sys_exit"))
    assert run(kernel, PYTHON, "-S", "-c", LOOP) == 0
    assert values_of(enter)[1:] == (1000, nr)


def test_task_of_an_event(kernel: EmbeddedKernel) -> None:
    seen = array(kernel, 5)
    body = [
        call(Helper.get_current_pid_tgid),
        store(op.DW, 7, 8, 0),
        call(Helper.get_current_uid_gid),
        store(op.DW, 7, 16, 0),
        mov(1, 7),
        add_imm(1, 24),
        mov_imm(2, 16),
        call(Helper.get_current_comm),
    ]
    kernel.attach(program(kernel, KPROBE, seen, body), Kprobe("sys_getppid"))
    text = """
    import os, threading, ctypes, sys
    def work():
        ctypes.CDLL(None).prctl(15, b"renamed-thread", 0, 0, 0)
        os.getppid()
        print(os.getpid(), threading.get_native_id())
    os.getppid()
    t = threading.Thread(target=work); t.start(); t.join()
    """
    read_end, write_end = os.pipe()
    stdout = os.dup(1)
    os.dup2(write_end, 1)
    try:
        assert run(kernel, PYTHON, "-S", "-c", textwrap.dedent(text)) == 0
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(write_end)
    with os.fdopen(read_end) as file:
        pid, tid = (int(each) for each in file.read().split())
    times, ids, users, *comm = values_of(seen)
    assert times == 2
    assert (ids >> 32, ids & 0xFFFFFFFF) == (pid, tid) and pid != tid
    assert (users >> 32, users & 0xFFFFFFFF) == (os.getgid(), os.getuid())
    assert b"".join(each.to_bytes(8, "little") for each in comm).split(b"\0")[0] == b"renamed-thread"


@pytest.mark.parametrize(
    ("text", "status"),
    [("exit 0", 0), ("exit 200", 200), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)],
)
def test_exit_status(kernel: EmbeddedKernel, text: str, status: int) -> None:
    count(kernel, Kprobe("sys_kill"))
    assert run(kernel, "sh", "-c", f"ulimit -c 0; {text}") == status


def test_signals_are_delivered(kernel: EmbeddedKernel) -> None:
    counted = count(kernel, Kprobe("sys_getppid"))
    text = """
    import os, signal
    got = []
    signal.signal(signal.SIGUSR1, lambda *_: got.append(os.getppid()))
    for _ in range(100): os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGTRAP, lambda *_: got.append(os.getppid()))
    os.kill(os.getpid(), signal.SIGTRAP)
    raise SystemExit(len(got))
    """
    assert run(kernel, PYTHON, "-S", "-c", textwrap.dedent(text)) == 101
    assert values_of(counted) == (101,)


def test_job_control(kernel: EmbeddedKernel) -> None:
    """A parent stops and continues its child and sees both."""
    counted = count(kernel, Kprobe("sys_getppid"))
    text = """
    import os, signal
    pid = os.fork()
    if not pid:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGSTOP)
            os.getppid()
        os._exit(4)
    for _ in range(3):
        _, status = os.waitpid(pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP
        os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    raise SystemExit(os.WEXITSTATUS(status))
    """
    assert run(kernel, PYTHON, "-S", "-c", textwrap.dedent(text)) == 4
    assert values_of(counted) == (3,)


def test_exec_in_a_thread(kernel: EmbeddedKernel) -> None:
    executed = count(kernel, Kprobe("sys_execve", ret=True))
    counted = count(kernel, Tracepoint("syscalls", "sys_enter_getppid"))
    text = f"""
    import os, threading, time
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    def work():
        os.execv({PYTHON!r}, [{PYTHON!r}, "-S", "-c", "import os; os.getppid(); os._exit(9)"])
    t = threading.Thread(target=work); t.start(); t.join()
    """
    assert run(kernel, PYTHON, "-S", "-c", textwrap.dedent(text)) == 9
    assert values_of(executed) == (2,)
    assert values_of(counted) == (1,)


def test_threads_without_libc(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(
        tmp_path,
        """
        static void work(void) { for (int i = 0; i < 200; i++) sys(GETPPID, 0, 0, 0, 0, 0); }
        void entry(void)
        {
            for (int round = 0; round < 10; round++) {
                for (int i = 0; i < 16; i++) start_thread(i, work);
                for (int i = 0; i < 16; i++) join_thread(i);
            }
            finish(3);
        }
        """,
    )
    counted = count(kernel, Kprobe("sys_getppid"))
    assert run(kernel, str(target)) == 3
    assert values_of(counted) == (10 * 16 * 200,)


def test_attach_while_it_runs(kernel: EmbeddedKernel) -> None:
    """The filter does not know the call: every call stops until the probe is gone."""
    first = count(kernel, Kprobe("sys_getppid"))
    command = kernel.spawn(
        [PYTHON, "-S", "-c", "import os, time\nwhile True:\n  os.getppid()\n  os.getuid()\n  time.sleep(0.001)"]
    )
    command.release()
    late = array(kernel)
    link = kernel.attach(program(kernel, KPROBE, late), Kprobe("sys_getuid"))
    link_ret = kernel.attach(program(kernel, KPROBE, array(kernel)), Kprobe("sys_getuid", ret=True))
    _until(lambda: values_of(late)[0] > 20)
    link.close()
    link_ret.close()
    seen, before = values_of(late)[0], values_of(first)[0]
    _until(lambda: values_of(first)[0] > before + 20)
    assert values_of(late)[0] == seen
    stops, events = kernel.tracer.counts
    _until(lambda: kernel.tracer.counts[1] > events + 20)
    stops_then, events_then = kernel.tracer.counts
    assert stops_then - stops <= events_then - events + 5  # only the asked call stops again
    assert command.wait(0) is None
    command.close()
    assert command.wait(0) == 128 + signal.SIGKILL


def test_attached_late_and_early_fire_once(kernel: EmbeddedKernel) -> None:
    early = count(kernel, Kprobe("sys_getppid"))
    command = kernel.spawn([PYTHON, "-S", "-c", "import os, sys\nsys.stdin.read(1)\n" + LOOP])
    read_end, write_end = os.pipe()
    stdin = os.dup(0) if _is_open(0) else -1
    os.dup2(read_end, 0)
    try:
        command.release()
    finally:
        if stdin >= 0:
            os.dup2(stdin, 0)
            os.close(stdin)
    late = count(kernel, Kprobe("sys_getppid"))
    other = count(kernel, Kprobe("sys_getuid"))
    every = count(kernel, Tracepoint("raw_syscalls", "sys_enter"))
    os.write(write_end, b"x")
    assert command.wait(30) == 0
    os.close(read_end)
    os.close(write_end)
    assert values_of(early) == values_of(late) == (1000,)
    assert values_of(every)[0] > 1000
    assert values_of(other)[0] < 20


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_other_children_are_left_alone(kernel: EmbeddedKernel) -> None:
    count(kernel, Kprobe("sys_getppid"))
    ours = subprocess.Popen(["sh", "-c", "exit 6"])
    time.sleep(0.1)
    assert run(kernel, PYTHON, "-S", "-c", LOOP) == 0
    assert ours.wait(10) == 6


def test_close_kills_the_whole_tree() -> None:
    before = children()
    with EmbeddedKernel() as kernel:
        count(kernel, Kprobe("sys_getppid"))
        command = kernel.spawn(["sh", "-c", "sleep 100 & setsid sleep 100 & (sleep 100; true) & exec sleep 100"])
        command.release()
        _until(lambda: len(_descendants(command.pid)) >= 4)
        tree = _descendants(command.pid) | {command.pid}
    assert not {pid for pid in tree if _alive(pid)}
    assert children() == before
    assert not [thread for thread in threading.enumerate() if thread.name == "stingless-tracer"]


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found |= {child} | _descendants(child)
    return found


HOLDER = """
import sys, os, time
sys.path[:0] = {path!r}
from tests.tracer_target import *
from stingless.events import Kprobe
kernel = EmbeddedKernel()
kernel.attach(program(kernel, KPROBE, array(kernel)), Kprobe("sys_getppid"))
command = kernel.spawn(["sh", "-c", "sleep 100 & sleep 100"])
command.release()
print(command.pid, flush=True)
{rest}
"""


@pytest.mark.parametrize("end", ["kill", "exit", "exception"])
def test_the_tracer_ends_and_so_does_the_tree(end: str) -> None:
    rest = {"kill": "time.sleep(100)", "exit": "time.sleep(0.3)", "exception": "time.sleep(0.3); 1 / 0"}[end]
    text = HOLDER.format(path=sys.path, rest=rest)
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        _until(lambda: len(_descendants(pid)) == 2)
        tree = _descendants(holder.pid)
        assert pid in tree
        if end == "kill":
            holder.kill()
        assert holder.wait(20) == {"kill": -9, "exit": 0, "exception": 1}[end]
    _until(lambda: not any(_alive(each) for each in tree))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("name", "error"),
    [("no-such-command-here", errno.ENOENT), ("/no/such/file", errno.ENOENT), ("/etc/passwd", errno.EACCES)],
)
def test_what_cannot_be_executed(kernel: EmbeddedKernel, name: str, error: int) -> None:
    count(kernel, Kprobe("sys_getppid"))
    command = kernel.spawn([name])
    assert command.pid == -1
    with pytest.raises(OSError, match=re.escape(name)) as caught:
        command.release()
    assert caught.value.errno == error


def test_one_command_a_kernel(kernel: EmbeddedKernel) -> None:
    kernel.spawn(["true"])
    with pytest.raises(NotSupportedError, match="another kernel"):
        kernel.spawn(["true"])


def test_wait_gives_up_in_time(kernel: EmbeddedKernel) -> None:
    command = kernel.spawn(["sleep", "100"])
    command.release()
    began = time.monotonic()
    assert command.wait(0.2) is None
    assert 0.15 < time.monotonic() - began < 5


def test_attached_without_a_command(kernel: EmbeddedKernel) -> None:
    counted = array(kernel)
    link = kernel.attach(program(kernel, KPROBE, counted), Kprobe("sys_clone"))
    link.close()
    link.close()
    assert values_of(counted) == (0,)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Kprobe("tcp_v4_connect"), "sys_connect.*tracepoints"),
        (Kprobe("do_sys_openat2"), "sys_openat2"),
        (Kprobe("sys_opennat"), "sys_openat"),
        (Kprobe("sys_openat", offset=8), "entry"),
        (Tracepoint("syscalls", "sys_enter_opennat"), "sys_enter_openat"),
        (Tracepoint("sched", "sched_switch"), "sched_process_exec"),
        (Tracepoint("block", "block_rq_issue"), "uprobes"),
        (RawTracepoint("sched_switch"), "sys_enter"),
        (PerfEvent(0, 0, sample_period=1000), "hardware"),
        (PerfEvent(1, 0), "sample_freq"),
        (Uprobe("/no/such/file", 0), "cannot be read"),
        (Uprobe("/bin/true", 1 << 40), "end of the file"),
    ],
)
def test_what_cannot_be_attached_to(kernel: EmbeddedKernel, event: Event, message: str) -> None:
    kinds = {Kprobe: KPROBE, Uprobe: KPROBE, Tracepoint: TRACEPOINT, RawTracepoint: RAW_TRACEPOINT}
    kind = kinds.get(type(event), PERF_EVENT)
    with pytest.raises(AttachError, match=message):
        kernel.attach(program(kernel, kind, array(kernel)), event)


@pytest.mark.skipif(
    not os.access("/sys/kernel/tracing/events/sched/sched_process_exec/format", os.R_OK),
    reason="reads the formats in tracefs: needs it mounted at /sys/kernel/tracing and root",
)
@pytest.mark.parametrize("name", ["sched_process_exec", "sched_process_fork", "sched_process_exit"])
def test_scheduler_records_are_those_of_this_kernel(kernel: EmbeddedKernel, name: str) -> None:
    pattern = re.compile(r"field:(.*);\toffset:(\d+);\tsize:(\d+);")
    theirs = Path(f"/sys/kernel/tracing/events/sched/{name}/format").read_text()
    if "char parent_comm[16]" in theirs:
        pytest.skip("an older kernel's layout")
    ours = kernel.tracepoint_format("sched", name)
    assert [each[0].split()[-1] for each in pattern.findall(ours)] == [
        each[0].split()[-1] for each in pattern.findall(theirs)
    ]
    assert [each[1:] for each in pattern.findall(ours)] == [each[1:] for each in pattern.findall(theirs)]
