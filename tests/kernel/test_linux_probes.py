"""What the Linux kernel object says that it can do is what it can do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from stingless._gen.uapi import MapType, ProgramType
from stingless.asm.instruction import exit_, mov_imm
from stingless.errors import PrivilegeError
from stingless.events import Kprobe
from stingless.linux import probes
from stingless.linux.kernel import LinuxKernel
from stingless.linux.perf_link import pmu_type
from stingless.linux.refusals import MAP_SINCE
from tests.linux_support import IS_ROOT, program

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


def test_answers() -> None:
    before = {entry.name for entry in Path("/proc/self/fd").iterdir()}
    with LinuxKernel() as kernel:
        answers = {p.name: p for p in kernel.probes()}
        made = program(ProgramType.KPROBE, [mov_imm(0, 0), exit_()])
        if answers["hook kprobe"].supported:
            kernel.attach(kernel.load_program(made, {}), Kprobe("vfs_fsync")).close()
    assert {entry.name for entry in Path("/proc/self/fd").iterdir()} == before
    for name in ("map HASH", "map ARRAY", "program XDP", "program TRACEPOINT", "hook tracepoint", "privilege CAP_BPF"):
        assert answers[name].supported is True, answers[name]
    assert answers["hook kprobe"].supported is (pmu_type("kprobe") is not None)
    assert answers["hook uprobe"].supported is (pmu_type("uprobe") is not None)
    for answer in answers.values():
        assert bool(answer.why) is (answer.supported is not True), answer
        if answer.supported is False:
            assert answer.fix, answer


def test_no_answer_is_not_a_no() -> None:
    """No memory for the attempt says nothing of what the kernel can do; no permission does."""

    def fails(error: OSError) -> object:
        raise error

    assert probes._tried("x", lambda: fails(OSError(errno.ENOMEM, "no memory"))).supported is None
    assert probes._tried("x", lambda: fails(OSError(errno.EINVAL, "invalid"))).supported is False
    denied = probes._tried("x", lambda: fails(PrivilegeError("lacks CAP_BPF", errno.EPERM)))
    assert (denied.supported, denied.why) == (False, "lacks CAP_BPF")
    assert "embedded" in denied.fix


@pytest.mark.parametrize("kind", list(probes._MAPS))
def test_each_map_can_be_asked_for(kind: MapType) -> None:
    """The sizes that the probe asks for are right: a kernel that is new enough takes them."""
    try:
        probes._create(kind)
    except OSError as e:
        assert e.errno not in (errno.EINVAL, errno.EPERM) or kind in MAP_SINCE
