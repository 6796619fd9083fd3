"""Helpers about the current task, in programs that run for a traced command: stacks, signals, storage of tasks."""

from __future__ import annotations

import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless.embedded.kernel import EmbeddedKernel
from stingless.events import Uprobe
from tests.helper_programs import Loaded
from tests.tracer_target import build, offset_of

STACKS = r"""
struct { long length, address, id, again, skipped, short_length; unsigned long frames[16]; long bad[4]; } out;
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 16);
    __uint(key_size, 4); __uint(value_size, 8 * 16); } stacks SEC(".maps");
SEC("uprobe") int prog(void *ctx) {
    out.address = bpf_get_func_ip(ctx);
    out.length = bpf_get_stack(ctx, out.frames, sizeof(out.frames), BPF_F_USER_STACK);
    out.short_length = bpf_get_stack(ctx, out.bad, 16, BPF_F_USER_STACK | 1);
    out.id = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
    out.again = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
    out.skipped = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK | 200);
    out.bad[2] = bpf_get_stack(ctx, out.bad, 8, 0);
    out.bad[3] = bpf_get_stackid(ctx, &stacks, 1 << 20);
    return 0;
}
"""

TARGET = """
NOINLINE void inner(void) { __asm__ volatile(""); }
NOINLINE void middle(void) { inner(); __asm__ volatile(""); }
NOINLINE void outer(void) { middle(); __asm__ volatile(""); }
void entry(void) { print((u64)inner); print((u64)middle); print((u64)outer); outer(); finish(0); }
"""


@pytest.fixture
def kernel() -> Iterator[EmbeddedKernel]:
    with EmbeddedKernel() as made:
        yield made


def run(kernel: EmbeddedKernel, path: Path) -> int:
    command = kernel.spawn([str(path)])
    command.release()
    status = command.wait(60)
    assert status is not None
    return status


def test_stacks_of_probed_functions(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(tmp_path, TARGET, options="-fno-omit-frame-pointer -fno-optimize-sibling-calls")
    loaded = Loaded(kernel, STACKS)
    kernel.attach(loaded.program, Uprobe(str(target), offset_of(target, "inner")))
    assert run(kernel, target) == 0
    length, address, id_, again, skipped, short = struct.unpack_from("<6q", loaded.out)
    frames = struct.unpack_from(f"<{length // 8}Q", loaded.out, 48)
    inner, middle, outer = (offset_of(target, name) for name in ("inner", "middle", "outer"))
    assert frames[0] == address and len(frames) >= 4
    assert middle - inner < frames[1] - address < middle - inner + 64
    assert outer - inner < frames[2] - address < outer - inner + 64
    assert id_ == again >= 0 and skipped == -14 and short == 16
    bad = struct.unpack_from("<4q", loaded.out, 48 + 128)
    assert bad[2:] == (-14, -22)
    stored = loaded.maps["stacks"].lookup(id_.to_bytes(4, "little")) or b""
    assert struct.unpack_from(f"<{len(frames)}Q", stored) == frames


SIGNAL = r"""
struct { long result; } out;
SEC("uprobe") int prog(void *ctx) { out.result = bpf_send_signal(9); return 0; }
"""


def test_signals_reach_the_traced_task_only(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(tmp_path, TARGET)
    loaded = Loaded(kernel, SIGNAL)
    assert loaded.run(ctx=bytes(512)).retval == 0
    assert struct.unpack_from("<q", loaded.out) == (-1,)  # EPERM: not to who runs the test
    kernel.attach(loaded.program, Uprobe(str(target), offset_of(target, "inner")))
    assert run(kernel, target) in (-signal.SIGKILL, 128 + signal.SIGKILL, signal.SIGKILL)
    assert struct.unpack_from("<q", loaded.out) == (0,)


STORAGE = r"""
struct task_struct;
struct { long calls, first, missing; } out;
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int); __type(value, long); } tasks SEC(".maps");
SEC("uprobe") int prog(void *ctx) {
    struct task_struct *task = bpf_get_current_task_btf();
    long *value = bpf_task_storage_get(&tasks, task, 0, 0), start = 40;
    out.missing += !value;
    value = bpf_task_storage_get(&tasks, task, &start, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (value) out.first = ++*value;
    out.calls++;
    return 0;
}
"""


def test_storage_of_a_task(kernel: EmbeddedKernel, tmp_path: Path) -> None:
    target = build(tmp_path, TARGET.replace("outer(); finish", "for (int i = 0; i < 5; i++) outer(); finish"))
    loaded = Loaded(kernel, STORAGE)
    kernel.attach(loaded.program, Uprobe(str(target), offset_of(target, "outer")))
    assert run(kernel, target) == 0
    assert struct.unpack_from("<3q", loaded.out) == (5, 45, 1)
