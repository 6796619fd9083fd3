"""Losses of ring buffers, counted on kernels whose verifier forgets which records were tested."""

from __future__ import annotations

from stingless import load
from stingless.compile.plain import compile_text
from stingless.linux.kernel import LinuxKernel
from stingless.obj.reader import read_object
from tests.load_support import BARE

SOURCE = (
    BARE
    + """
struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
SEC("xdp") int reserve(struct xdp_md *ctx)
{
    char *record = bpf_ringbuf_reserve(&ring, 1000, 0);
    if (!record) return XDP_DROP;
    record[0] = 1;
    if (ctx->data == ctx->data_end) {
        bpf_ringbuf_discard(record, 0);
        return XDP_TX;
    }
    bpf_ringbuf_submit(record, 0);
    return XDP_PASS;
}
char full[1000];
SEC("xdp") int output(struct xdp_md *ctx)
{
    return bpf_ringbuf_output(&ring, full, sizeof(full), 0) ? XDP_DROP : XDP_PASS;
}
"""
)


def test_losses_are_counted() -> None:
    spec = read_object(compile_text(SOURCE, "ring.bpf.c"))
    with LinuxKernel() as kernel, load(spec, kernel=kernel) as obj, obj.ring_buffer("ring") as ring:
        results = [obj.programs["reserve"].run(bytes(64)).retval for _ in range(10)]
        results += [obj.programs["output"].run(bytes(64)).retval for _ in range(3)]
        assert results == [2] * 4 + [1] * 9
        assert ring.statistics().lost == 9
        assert sum(ring.statistics().lost_by_cpu.values()) == 9
