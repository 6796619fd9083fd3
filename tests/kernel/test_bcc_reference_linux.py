"""Entries of bcc's reference guide that have no test of their own elsewhere; on the host's kernel."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless import BPF
from stingless.bcc import PerfSWConfig, PerfType
from stingless.errors import AttachError, NotSupportedError
from stingless.linux.perf_link import pmu_type
from tests import bcc_reference_script
from tests.linux_support import IS_ROOT

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root")


@pytest.fixture
def b() -> Iterator[BPF]:
    with BPF(text="BPF_PERF_ARRAY(counters, 64); int f(void *ctx) { return 0; }") as made:
        yield made


def test_a_script_on_a_command(tmp_path: Path) -> None:
    bcc_reference_script.check("linux", tmp_path)


def test_a_perf_event_by_one_number(b: BPF) -> None:
    """It is a hardware event, which virtual machines often lack."""
    counters = b["counters"]
    try:
        counters.open_perf_event(counters.HW_CPU_CYCLES)
    except NotSupportedError as error:
        assert "perf event type 0, config 0x0" in str(error)
    else:
        counters.close_perf_event()
    counters.open_perf_event(PerfType.SOFTWARE, PerfSWConfig.CPU_CLOCK)


@pytest.mark.skipif(pmu_type("kprobe") is not None, reason="this kernel has kprobes")
def test_a_regular_expression_without_kprobes(b: BPF) -> None:
    """The reason, once, and what there is instead; not one of many functions."""
    for verb, what in ((b.attach_kprobe, "kprobe"), (b.attach_kretprobe, "kretprobe")):
        with pytest.raises(AttachError) as e:
            verb(event_re="^vfs_.*", fn_name="f")
        asked, _, reason = e.value.message.partition(": ")
        assert asked == f"Failed to attach BPF program f to {what} ^vfs_.*"
        assert reason.startswith("this kernel is built without kprobes (CONFIG_KPROBES). ")
        assert "a raw tracepoint" in reason and "vfs_read" not in reason
        assert e.value.errno == errno.EOPNOTSUPP
    assert b.num_open_kprobes() == 0
