"""The guest is what guest tests rely on: the right kernel, with the hooks that a host may lack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.vm.kernels import fetched


def test_kernel_is_the_one_asked_for(vm_kernel: str) -> None:
    kernel = fetched(vm_kernel)
    assert kernel is not None
    assert os.uname().release == kernel.release
    assert kernel.release.startswith(f"{vm_kernel}.")


@pytest.mark.parametrize(
    "path",
    [
        "/sys/kernel/tracing/kprobe_events",
        "/sys/kernel/tracing/uprobe_events",
        "/sys/kernel/debug/kprobes/enabled",
        "/sys/kernel/btf/vmlinux",
        "/sys/fs/cgroup/cgroup.procs",
    ],
)
def test_kernel_has(path: str) -> None:
    assert Path(path).exists()


def test_bpf_lsm_is_on() -> None:
    assert "bpf" in Path("/sys/kernel/security/lsm").read_text().split(",")


def test_bpffs_is_writable() -> None:
    directory = Path("/sys/fs/bpf/guest-boot")
    directory.mkdir()
    directory.rmdir()


def test_host_files_are_private_to_the_guest(tmp_path: Path) -> None:
    """A guest's tmp_path lies on the host's root, which the guest must not be able to change."""
    assert os.geteuid() == 0
    mounts = Path("/proc/mounts").read_text().splitlines()
    assert any(line.startswith("overlay / overlay rw") for line in mounts)
    (tmp_path / "file").write_text("guest")
    assert (tmp_path / "file").read_text() == "guest"


def test_loopback_is_up() -> None:
    assert int(Path("/sys/class/net/lo/flags").read_text(), 16) & 1
