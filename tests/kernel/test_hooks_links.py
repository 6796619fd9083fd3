"""Links as objects: pins, updates, information, and that nothing stays open."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import LinkType
from stingless.errors import ClosedError, NotSupportedError
from stingless.linux import perf_link
from stingless.linux.kernel import LinuxKernel
from tests.hook_support import Hooks
from tests.leak_checks import open_files
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")
TEXT = 'SEC("tp/syscalls/sys_enter_getppid") int prog(void *ctx) { if (MINE()) hits++; return 0; }'


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


@pytest.fixture
def bpffs() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        if subprocess.run(["mount", "-t", "bpf", "bpf", directory], check=False).returncode:
            pytest.skip("no bpffs can be mounted")
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)


def test_pin(kernel: LinuxKernel, bpffs: Path, tmp_path: Path) -> None:
    hooks = Hooks(kernel, TEXT)
    link = hooks.attach()
    number = link.id
    assert (number > 0, link.info.type, link.info.program_id) == (
        True,
        LinkType.PERF_EVENT,
        hooks.program().info.id,
    )
    with pytest.raises(PermissionError, match="it is not on a bpffs"):
        link.pin(tmp_path / "link")
    with pytest.raises(FileNotFoundError, match="its directory does not exist"):
        link.pin(bpffs / "absent" / "link")
    link.pin(bpffs / "link")
    with pytest.raises(FileExistsError, match="something of that name"):
        link.pin(bpffs / "link")
    link.close()
    os.getppid()
    assert hooks.hits == 1  # the pin holds it
    (bpffs / "link").unlink()
    # The kernel frees it in a task of its own.
    end = time.monotonic() + 5
    fires = True
    while fires and time.monotonic() < end:
        before = hooks.hits
        os.getppid()
        fires = hooks.hits != before
    assert not fires
    with pytest.raises(ClosedError):
        link.info  # noqa: B018


def test_detach_although_it_is_pinned(kernel: LinuxKernel, bpffs: Path) -> None:
    hooks = Hooks(kernel, TEXT)
    link = hooks.attach()
    link.pin(str(bpffs / "link"))
    link.detach()
    os.getppid()
    assert hooks.hits == 0
    assert not (bpffs / "link").exists()


def test_a_link_that_keeps_its_program(kernel: LinuxKernel) -> None:
    hooks = Hooks(kernel, TEXT)
    with hooks.attach() as link, pytest.raises(NotSupportedError, match="PERF_EVENT keeps its program"):
        link.update(hooks.program())


def test_a_kernel_without_links_for_perf_events(kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before 5.15: the event's descriptor holds the program."""
    from stingless._sys import bpf_link

    def refuse(*_: object) -> None:
        raise OSError(22, "as an old kernel says")

    monkeypatch.setattr(bpf_link, "create_perf_event", refuse)
    monkeypatch.setattr(perf_link, "bpf_links", lambda: False)
    hooks = Hooks(kernel, TEXT)
    link = hooks.attach()
    os.getppid()
    assert hooks.hits == 1
    with pytest.raises(NotSupportedError, match="this attachment is no bpf link"):
        link.id  # noqa: B018
    link.detach()
    os.getppid()
    assert hooks.hits == 1
    with pytest.raises(NotSupportedError, match=r"a cookie for .*5\.15"):
        hooks.attach(cookie=3)


def test_nothing_stays_open(kernel: LinuxKernel) -> None:
    hooks = Hooks(kernel, TEXT)
    hooks.attach().close()
    counts = []
    for _ in range(5):
        hooks.attach().close()
        with hooks.attach() as link:
            assert link.info.id
        counts.append(open_files())
    assert counts[0] == counts[-1]


def test_a_link_that_is_forgotten_is_closed_with_its_kernel() -> None:
    before = open_files()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with LinuxKernel() as kernel:
            hooks = Hooks(kernel, TEXT)
            hooks.attach()
        gc.collect()
    assert open_files() == before


def test_the_end_of_the_process_detaches() -> None:
    """A child attaches, is killed, and its link's number is free again."""
    child = f"""
import os, signal
from stingless.linux.kernel import LinuxKernel
from tests.hook_support import Hooks
link = Hooks(LinuxKernel(), {TEXT!r}).attach()
print(link.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)
    assert run.returncode == -9, run.stderr
    from stingless._gen.uapi import Command
    from stingless._sys.bpf_link import _call

    with pytest.raises(FileNotFoundError):
        _call(Command.LINK_GET_FD_BY_ID, "I", int(run.stdout))
