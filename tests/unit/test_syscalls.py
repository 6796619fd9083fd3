"""The system call tables, against facts that everybody can check and against this kernel where it tells."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from stingless import syscalls
from stingless.errors import UnknownNameError

EVENTS = Path("/sys/kernel/tracing/events")


@pytest.mark.parametrize(
    ("machine", "name", "number"),
    [
        ("x86_64", "read", 0),
        ("x86_64", "clone", 56),
        ("x86_64", "newfstat", 5),
        ("x86_64", "openat", 257),
        ("aarch64", "read", 63),
        ("aarch64", "openat", 56),
        ("arm64", "clone3", 435),
        ("aarch64", "getpid", 172),
    ],
)
def test_numbers(machine: str, name: str, number: int) -> None:
    assert syscalls.number_of(name, machine) == number
    assert syscalls.kernel_name(syscalls.name_of(number, machine) or "", machine) == name


def test_numbers_are_those_of_this_machine() -> None:
    assert os.getpid() == _libc_syscall(syscalls.number_of("getpid"))
    assert os.getppid() == _libc_syscall(syscalls.number_of("getppid"))


def _libc_syscall(number: int) -> int:
    import ctypes

    return int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number)))


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("sys_clone", "clone"),
        ("SyS_clone", "clone"),
        ("__x64_sys_clone", "clone"),
        ("__se_sys_clone", "clone"),
        ("__do_sys_clone", "clone"),
        ("__x64_sys_newfstat", "fstat"),
        ("sys_newuname", "uname"),
        ("__ia32_sys_clone", None),
        ("do_sys_openat2", None),
        ("tcp_v4_connect", None),
        ("sys_clones", None),
        ("clone", None),
        ("", None),
    ],
)
def test_syscall_of(function: str, call: str | None) -> None:
    assert syscalls.syscall_of(function, "x86_64") == call


def test_syscall_of_arm64() -> None:
    assert syscalls.syscall_of("__arm64_sys_openat", "aarch64") == "openat"
    assert syscalls.syscall_of("__arm64_sys_open", "aarch64") is None


def test_takes_regs() -> None:
    assert syscalls.takes_regs("sys_clone") and syscalls.takes_regs("__x64_sys_clone")
    assert not syscalls.takes_regs("__do_sys_clone")


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="openat"):
        syscalls.number_of("opennat")
    with pytest.raises(ValueError, match="sparc"):
        syscalls.table("sparc")


def test_arguments() -> None:
    assert syscalls.arguments_of("getppid", "x86_64") == ()
    x86, arm = (syscalls.arguments_of("clone", machine) for machine in ("x86_64", "aarch64"))
    assert x86 is not None and arm is not None
    assert [name for _, name in x86][3:] == ["child_tidptr", "tls"]
    assert [name for _, name in arm][3:] == ["tls", "child_tidptr"]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_tables_are_consistent(machine: str) -> None:
    calls = syscalls.table(machine)
    assert len(calls.names) == len(calls.numbers)
    assert set(calls.arguments) <= set(calls.numbers) and set(calls.kernel_names) <= set(calls.numbers)
    for call, arguments in calls.arguments.items():
        assert len(arguments) <= 6, call
        assert len({name for _, name in arguments}) == len(arguments), call
        for kind, name in arguments:
            assert re.fullmatch(r"[\w* ]+", kind) and re.fullmatch(r"\w+", name), call


def test_record_of() -> None:
    openat = syscalls.record_of("syscalls", "sys_enter_openat", "x86_64")
    assert openat is not None
    assert [(f.name, f.offset, f.size) for f in openat[4:]] == [
        ("__syscall_nr", 8, 4),
        ("dfd", 16, 8),
        ("filename", 24, 8),
        ("flags", 32, 8),
        ("mode", 40, 8),
    ]
    assert syscalls.record_of("syscalls", "sys_enter_nonsense") is None
    assert syscalls.record_of("syscalls", "openat") is None
    assert syscalls.record_of("sched", "sched_switch") is None
    assert syscalls.record_of("raw_syscalls", "sys_poke") is None


@pytest.mark.skipif(
    os.uname().machine != "x86_64" or not os.access(EVENTS / "raw_syscalls/sys_enter/format", os.R_OK),
    reason="reads the formats in tracefs: needs it mounted at /sys/kernel/tracing and root, on x86-64",
)
def test_records_are_those_of_this_kernel() -> None:
    pattern = re.compile(r"field:(.*?)(\w+)(\[\d+\])?;\toffset:(\d+);\tsize:(\d+);")
    seen = 0
    events = [*EVENTS.glob("syscalls/sys_*"), *EVENTS.glob("raw_syscalls/sys_*")]
    for event in events:
        record = syscalls.record_of(event.parent.name, event.name)
        if record is None:  # a call newer than the tables
            continue
        found = [
            (kind.strip() + array, name, int(offset), int(size))
            for kind, name, array, offset, size in pattern.findall((event / "format").read_text())
        ]
        assert [(f.type, f.name, f.offset, f.size) for f in record] == found, event
        seen += 1
    assert seen > 600
