"""A BPF object made and cleaned up leaves nothing in its process, on the kernel that a subclass gives."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stingless import BPF, ClosedError
from stingless.kernel import Kernel

TEXT = "BPF_HASH(h);\nBPF_PERF_OUTPUT(e);\nint f(void *ctx) { u64 k = 1; h.update(&k, &k); return 0; }"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class LeakChecks:
    def make(self) -> Kernel:
        raise NotImplementedError  # each kernel is made in its own way

    @pytest.mark.parametrize("use", ["cleanup", "with", "failure"])
    def test_nothing_stays_open(self, use: str) -> None:
        kernel = self.make()
        counts: list[tuple[int, int]] = []
        for _ in range(12):
            self.uses()[use](kernel)
            gc.collect()
            counts.append((open_files(), threading.active_count()))
        kernel.close()
        assert counts[-1] == counts[1], counts

    def uses(self) -> dict[str, Callable[[Kernel], None]]:
        def cleanup(kernel: Kernel) -> None:
            bpf = BPF(text=TEXT, kernel=kernel)
            bpf.attach_kprobe(event="sys_getpgid", fn_name="f")
            bpf["e"].open_perf_buffer(lambda *_: None)
            bpf.perf_buffer_poll(0)
            bpf.cleanup()
            with pytest.raises(ClosedError):
                bpf.perf_buffer_poll(0)
            with pytest.raises(ClosedError):
                bpf["h"]

        def inside(kernel: Kernel) -> None:
            with BPF(text=TEXT, kernel=kernel) as bpf:
                bpf.attach_kprobe(event="sys_getpgid", fn_name="f")
                bpf.detach_kprobe(event="sys_getpgid")

        def failure(kernel: Kernel) -> None:
            with pytest.raises(OSError):
                BPF(text="BPF_HASH(h);\nint kprobe__no_such_function(void *ctx) { return 0; }", kernel=kernel)

        return {"cleanup": cleanup, "with": inside, "failure": failure}
