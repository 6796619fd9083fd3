"""Owned descriptors, what /proc and /sys say, and refusals put in words."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless._sys import bpf, syscall
from stingless._sys.mount import mount_points
from stingless._sys.syscall import Fd
from stingless.cpus import cpu_list, online_cpus, possible_cpus
from stingless.errors import ClosedError, LoadError, NotSupportedError, PrivilegeError, UnknownNameError
from stingless.linux import host, program_refusals, refusals
from stingless.obj.spec import MapSpec, ProgramSpec


def opened() -> Fd:
    return Fd(os.open("/dev/null", os.O_RDONLY), "a test's descriptor")


def test_descriptor() -> None:
    fd = opened()
    number = fd.fileno()
    assert not fd.closed
    fd.close()
    fd.close()
    assert fd.closed
    with pytest.raises(ClosedError, match="a test's descriptor is closed"):
        fd.fileno()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_descriptor_that_is_forgotten() -> None:
    with pytest.warns(ResourceWarning, match="a test's descriptor"):
        number = opened().fileno()
        gc.collect()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_system_call_numbers() -> None:
    with pytest.raises(OSError, match="no_such_call"):
        syscall.number("no_such_call")
    tables = list(syscall._NUMBERS.values())
    assert {frozenset(table) for table in tables} == {frozenset(tables[0])}
    from stingless.syscalls import number_of

    for machine, table in syscall._NUMBERS.items():
        for name, number in table.items():
            assert number == number_of(name, machine), (machine, name)


@pytest.mark.parametrize(("text", "cpus"), [("0\n", [0]), ("0-3", [0, 1, 2, 3]), ("0,2-3,8\n", [0, 2, 3, 8]), ("", [])])
def test_cpu_lists(text: str, cpus: list[int]) -> None:
    assert cpu_list(text) == cpus


def test_cpus_and_mounts_of_this_machine() -> None:
    assert len(online_cpus()) <= possible_cpus()
    assert "/proc" in mount_points("proc")
    assert mount_points("no such kind") == []


@pytest.mark.parametrize(
    ("name", "known"),
    [("plain_name", b"plain_name"), ("a much too long name", b"a_much_too_long"), ("é.x-y", b"_.x_y")],
)
def test_object_names(name: str, known: bytes) -> None:
    assert bpf.object_name(name) == known


def test_sysctls() -> None:
    assert host.sysctl("kernel.ostype") == "Linux"
    assert host.sysctl("kernel.no_such_sysctl") is None


def test_kernel_functions_and_the_nearest_of_many() -> None:
    names = host.kernel_functions()
    assert len(names) > 1000
    assert "vfs_read" in names
    assert "vfs_read" in UnknownNameError("function", "vfs_raed", names | {"vfs_read"}).near


@pytest.fixture
def capabilities(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    held = sum(1 << host.CAPABILITIES[name] for name in request.param)
    monkeypatch.setattr(host, "effective_capabilities", lambda: held)
    monkeypatch.setattr(host, "in_user_namespace", lambda: False)


@pytest.mark.parametrize(
    ("capabilities", "kind", "missing"),
    [
        ((), ProgramType.KPROBE, "CAP_BPF and CAP_PERFMON, which"),
        (("CAP_BPF",), ProgramType.KPROBE, "needs CAP_PERFMON, which"),
        (("CAP_BPF",), ProgramType.XDP, "needs CAP_NET_ADMIN, which"),
        (("CAP_SYS_ADMIN",), ProgramType.XDP, "needs CAP_NET_ADMIN, which"),
        ((), ProgramType.SOCKET_FILTER, "needs CAP_BPF, which"),
        (("CAP_SYS_ADMIN",), ProgramType.KPROBE, "policy of this host"),
    ],
    indirect=["capabilities"],
)
@pytest.mark.usefixtures("capabilities")
def test_which_privilege_is_missing(kind: ProgramType, missing: str) -> None:
    error = program_refusals.program_refused(ProgramSpec("p", "s", kind, bytes(8)), errno.EPERM)
    assert isinstance(error, PrivilegeError)
    assert isinstance(error, PermissionError)
    assert missing in str(error)
    assert "--kernel embedded" in str(error)


def test_other_refusals() -> None:
    spec = MapSpec("m", MapType.ARENA, 0, 0, 1)
    unknown = refusals.map_refused(spec, refusals.ENOTSUPP)
    assert isinstance(unknown, NotSupportedError)
    assert unknown.since == "6.9"
    large = program_refusals.program_refused(ProgramSpec("p", "s", ProgramType.XDP, bytes(80)), errno.E2BIG)
    assert isinstance(large, LoadError)
    assert "10 instructions" in str(large)


def test_capabilities_of_this_process() -> None:
    status = Path("/proc/self/status").read_text()
    assert f"{host.effective_capabilities():016x}" in status
    assert (host.missing("CAP_SYS_ADMIN") == []) is bool(host.effective_capabilities() >> 21 & 1)
