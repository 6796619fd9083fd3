"""Hooks of the Linux kernel, each on something that the test made: this process, a child, a network namespace."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import ProgramType
from stingless._sys.namespace import CLONE_NEWNET, in_thread, unshare
from stingless.asm import opcodes as op
from stingless.asm.instruction import Instruction, encode, exit_, load, mov, mov_imm
from stingless.errors import AttachError, NotSupportedError, UnknownNameError
from stingless.events import (
    PERF_COUNT_SW_TASK_CLOCK,
    PERF_TYPE_SOFTWARE,
    Event,
    PerfEvent,
    RawTracepoint,
    SocketFilter,
    Tracepoint,
    Uprobe,
    Xdp,
)
from stingless.linux.kernel import LinuxKernel
from stingless.linux.perf_link import pmu_type
from stingless.syscalls import number_of
from tests.linux_support import IS_ROOT, count, counter, of_process, program, store_value, value

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")
ME = os.getpid()


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def test_tracepoint(kernel: LinuxKernel) -> None:
    tested, counts = counter(kernel, ProgramType.TRACEPOINT, of_process(ME, count()))
    link = kernel.attach(tested, Tracepoint("syscalls", "sys_enter_getppid"))
    for _ in range(7):
        os.getppid()
    assert value(counts) == 7
    assert (link.note, link.socket, str(link.event)) == ("", -1, "tracepoint:syscalls:sys_enter_getppid")
    link.close()
    os.getppid()
    assert value(counts) == 7


def test_fields_of_a_tracepoint(kernel: LinuxKernel) -> None:
    body = [load(op.DW, 7, 6, 16), *store_value(7)]  # the first argument of umask(2)
    tested, counts = counter(kernel, ProgramType.TRACEPOINT, of_process(ME, body))
    link = kernel.attach(tested, Tracepoint("syscalls", "sys_enter_umask"))
    before = os.umask(0o123)
    seen = value(counts)
    os.umask(before)
    link.close()
    assert seen == 0o123
    assert "mask" in kernel.tracepoint_format("syscalls", "sys_enter_umask")


def test_a_program_that_reads_beyond_a_tracepoints_record(kernel: LinuxKernel) -> None:
    tested = kernel.load_program(program(ProgramType.TRACEPOINT, [load(op.DW, 0, 1, 4096), exit_()]), {})
    with pytest.raises(AttachError, match="beyond the end") as e:
        kernel.attach(tested, Tracepoint("syscalls", "sys_enter_umask"))
    assert e.value.errno == errno.EACCES


def test_raw_tracepoint(kernel: LinuxKernel) -> None:
    number = number_of("getppid")
    body = [
        load(op.DW, 7, 6, 8),
        Instruction(op.JMP | op.JEQ | op.K, 7, 0, 2, number),
        mov_imm(0, 0),
        exit_(),
        *count(),
    ]
    tested, counts = counter(kernel, ProgramType.RAW_TRACEPOINT, of_process(ME, body))
    kernel.attach(tested, RawTracepoint("sys_enter"))
    for _ in range(5):
        os.getppid()
    assert value(counts) == 5


@pytest.mark.parametrize(
    ("event", "kind", "near"),
    [
        (Tracepoint("syscalls", "sys_enter_opnat"), ProgramType.TRACEPOINT, "syscalls:sys_enter_openat"),
        (Tracepoint("syscals", "sys_enter_openat"), ProgramType.TRACEPOINT, "syscalls:sys_enter_openat"),
        (RawTracepoint("sys_entr"), ProgramType.RAW_TRACEPOINT, "sys_enter"),
        (Xdp("l0"), ProgramType.XDP, "lo"),
        (SocketFilter("l0"), ProgramType.SOCKET_FILTER, "lo"),
    ],
)
def test_unknown_names(kernel: LinuxKernel, event: Event, kind: ProgramType, near: str) -> None:
    tested = kernel.load_program(program(kind, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(UnknownNameError) as e:
        kernel.attach(tested, event)
    assert near in e.value.near or f"there are: {near}" in str(e.value)


def test_wrong_kind_of_program(kernel: LinuxKernel) -> None:
    tested = kernel.load_program(program(ProgramType.XDP, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(AttachError, match="takes TRACEPOINT programs"):
        kernel.attach(tested, Tracepoint("sched", "sched_process_exec"))


def libc_function(name: str) -> tuple[str, int, Callable[[], object]]:
    """(file, offset in it, the function) of a function of our own libc."""
    function = ctypes.CDLL(None)[name]
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split()
        start, end = (int(part, 16) for part in fields[0].split("-"))
        if start <= address < end:
            return fields[5], address - start + int(fields[2], 16), function
    raise AssertionError(f"{name} is in no mapping")


@pytest.mark.skipif(pmu_type("uprobe") is None, reason="this kernel has no uprobes")
@pytest.mark.parametrize("ret", [False, True])
def test_uprobe(kernel: LinuxKernel, ret: bool) -> None:
    path, offset, function = libc_function("gnu_get_libc_version")
    tested, counts = counter(kernel, ProgramType.KPROBE, of_process(ME, count()))
    link = kernel.attach(tested, Uprobe(path, offset, ret, ME, "gnu_get_libc_version"))
    for _ in range(9):
        function()
    assert value(counts) == 9
    link.close()
    function()
    assert value(counts) == 9


@pytest.mark.skipif(pmu_type("uprobe") is None, reason="this kernel has no uprobes")
def test_uprobe_that_cannot_be(kernel: LinuxKernel, tmp_path: Path) -> None:
    tested = kernel.load_program(program(ProgramType.KPROBE, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(AttachError, match="there is no file") as e:
        kernel.attach(tested, Uprobe(str(tmp_path / "absent"), 0))
    assert e.value.errno == errno.ENOENT


def children_seconds() -> float:
    """CPU time of all children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def test_perf_event_samples_a_child(kernel: LinuxKernel) -> None:
    busy = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    tested, counts = counter(kernel, ProgramType.PERF_EVENT, [mov(6, 1), *count()])
    spent = -children_seconds()
    with subprocess.Popen([sys.executable, "-S", "-c", f"input()\n{busy}"], stdin=subprocess.PIPE) as child:
        event = PerfEvent(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, sample_period=10_000_000, pid=child.pid)
        kernel.attach(tested, event)
        child.communicate(b"\n")
    spent += children_seconds()
    assert 15 <= value(counts) <= spent * 100 * 1.2 + 1  # a sample each 10 ms


def test_perf_event_on_every_cpu(kernel: LinuxKernel) -> None:
    """Only what runs in this process is counted."""
    tested, counts = counter(kernel, ProgramType.PERF_EVENT, of_process(ME, count()))
    link = kernel.attach(tested, PerfEvent(PERF_TYPE_SOFTWARE, 0, sample_freq=500))
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    link.close()
    seen = value(counts)
    assert seen > 20
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert value(counts) == seen


def test_perf_events_that_cannot_be(kernel: LinuxKernel) -> None:
    tested = kernel.load_program(program(ProgramType.PERF_EVENT, [mov_imm(0, 0), exit_()]), {})
    with pytest.raises(AttachError, match="one of them"):
        kernel.attach(tested, PerfEvent(1, 0))
    with pytest.raises(AttachError, match="perf_event_max_sample_rate"):
        kernel.attach(tested, PerfEvent(1, 0, sample_freq=10**9, pid=ME))
    with pytest.raises(NotSupportedError):
        kernel.attach(tested, PerfEvent(1, 999, sample_freq=1, pid=ME))


SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def enter_namespace() -> None:
    """A network namespace of this thread's own, with `lo` up."""
    unshare(CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


def datagrams(sent: int) -> list[bytes]:
    """Send that many to ourselves; what arrives."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.1)
        found = []
        for i in range(sent):
            sender.sendto(b"datagram %d" % i, receiver.getsockname())
            try:
                found.append(receiver.recv(100))
            except TimeoutError:
                continue
        return found


def test_xdp_drops(kernel: LinuxKernel) -> None:
    drop, counts = counter(kernel, ProgramType.XDP, [*count()[:-2], mov_imm(0, 1), exit_()])
    another = kernel.load_program(program(ProgramType.XDP, [mov_imm(0, 2), exit_()]), {})

    def inside() -> None:
        enter_namespace()
        assert len(datagrams(3)) == 3
        link = kernel.attach(drop, Xdp("lo", flags=2))
        assert datagrams(3) == []
        with pytest.raises(AttachError, match="another XDP program is there") as e:
            kernel.attach(another, Xdp("lo", flags=2))
        assert e.value.errno == errno.EBUSY
        link.close()
        assert len(datagrams(3)) == 3
        with pytest.raises(AttachError, match="try generic mode"):
            kernel.attach(drop, Xdp("lo", flags=4))

    in_thread(inside)
    assert value(counts) == 3


def test_socket_filter(kernel: LinuxKernel) -> None:
    """It lets UDP through, cut to 42 bytes: the headers of Ethernet, IPv4 and UDP."""
    load_protocol = Instruction(op.LD | op.ABS | op.B, imm=23)
    code = [
        mov(6, 1),
        load_protocol,
        Instruction(op.JMP | op.JEQ | op.K, 0, 0, 2, socket.IPPROTO_UDP),
        mov_imm(0, 0),
        exit_(),
        mov_imm(0, 42),
        exit_(),
    ]
    tested = kernel.load_program(program(ProgramType.SOCKET_FILTER, code), {})

    @in_thread
    def found() -> list[bytes]:
        enter_namespace()
        link = kernel.attach(tested, SocketFilter("lo"))
        anywhere = kernel.attach(tested, SocketFilter())
        datagrams(2)
        packets = []
        for sock in (link.socket, anywhere.socket):
            with pytest.raises(BlockingIOError):
                while True:
                    packets.append(os.read(sock, 2000))
        link.close()
        with pytest.raises(OSError, match="Bad file"):
            os.read(link.socket, 1)
        return packets

    assert {len(packet) for packet in found} == {42}
    assert len(found) == 8  # each is seen going out and coming in, by both sockets


def test_nothing_is_left_open(kernel: LinuxKernel) -> None:
    def fds() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = fds()
    inner = LinuxKernel()
    code = encode([mov_imm(0, 0), exit_()])
    assert len(code) == 16
    tested, _ = counter(inner, ProgramType.TRACEPOINT, of_process(ME, count()))
    inner.attach(tested, Tracepoint("syscalls", "sys_enter_umask"))
    clock, _ = counter(inner, ProgramType.PERF_EVENT, of_process(ME, count()))
    inner.attach(clock, PerfEvent(1, 0, sample_freq=1))
    assert fds() > before
    inner.close()
    assert fds() == before
