"""What a bcc script's ring buffer had no room for is told, on both kernels."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from stingless import BPF
from stingless.embedded.kernel import EmbeddedKernel
from stingless.kernel import Kernel
from stingless.linux.kernel import LinuxKernel

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loading programs takes root")
TEXT = """
struct event { u64 number[8]; };
BPF_RINGBUF_OUTPUT(events, 1);
int fill(struct xdp_md *ctx) {
    struct event e = {};
    return events.ringbuf_output(&e, sizeof(e), 0) ? 1 : 2;
}
"""


@pytest.mark.parametrize("make", [LinuxKernel, EmbeddedKernel])
def test_losses_are_told(make: Callable[[], Kernel], capsys: pytest.CaptureFixture[str]) -> None:
    kernel = make()
    with BPF(text=TEXT, kernel=kernel) as bpf:
        assert list(bpf) == ["events"]
        fill = bpf.load_func("fill", BPF.XDP).program
        seen: list[int] = []
        lost: list[int] = []
        events = bpf["events"]
        events.open_ring_buffer(lambda _cpu, _data, size: seen.append(size), lost_cb=lost.append)
        refused = [fill.run(bytes(64)).retval for _ in range(100)].count(1)
        bpf.ring_buffer_consume()
        assert refused > 0
        assert (len(seen), sum(lost)) == (100 - refused, refused)
        bpf.ring_buffer_consume()
        assert sum(lost) == refused
        assert "lost" not in capsys.readouterr().out
    kernel.close()
