"""A bcc program compiled for another kernel, whose types and records are laid out otherwise, runs on this one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stingless import BPF
from stingless.btf.kernel import VMLINUX
from stingless.compile import compile_bcc
from stingless.compile.dialect.facts import AnotherKernel
from stingless.compile.dialect.tracepoints import Field, parse_format
from stingless.compile.plain import compile_text
from stingless.linux.kernel import LinuxKernel
from tests.linux_support import IS_ROOT

pytestmark = [
    pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root"),
    pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF"),
]
TYPES = "struct task_struct { char filler[5000]; struct task_struct *real_parent; int tgid; char comm[16]; } task;"
PROGRAM = """
struct seen { u32 parent; char comm[16]; u64 pid, sig; };
BPF_ARRAY(last, struct seen, 1);
TRACEPOINT_PROBE(syscalls, sys_enter_kill) {
    if ((bpf_get_current_pid_tgid() >> 32) != ME) return 0;
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct seen seen = {.parent = task->real_parent->tgid, .pid = args->pid, .sig = args->sig};
    bpf_probe_read_kernel_str(seen.comm, sizeof(seen.comm), task->comm);
    int zero = 0;
    last.update(&zero, &seen);
    return 0;
}
"""


def test_types_and_records_of_another_kernel(tmp_path: Path) -> None:
    btf = tmp_path / "types.o"
    btf.write_bytes(compile_text(TYPES))
    with LinuxKernel() as kernel:

        def fields_of(category: str, event: str) -> list[Field]:
            """In the opposite order, and further behind."""
            fields = parse_format(kernel.tracepoint_format(category, event))
            end = max(field.offset + field.size for field in fields)
            return [field._replace(offset=end + 64 - field.offset) for field in fields]

        data = compile_bcc(PROGRAM.replace("ME", str(os.getpid())), AnotherKernel(btf, (6, 7, 3), fields_of))
        path = tmp_path / "elsewhere.bpf.o"
        path.write_bytes(data)
        with BPF(object_file=path, kernel=kernel) as bpf:
            os.kill(os.getpid(), 0)
            seen = bpf["last"][0]
    assert (seen.pid, seen.sig) == (os.getpid(), 0)
    assert seen.parent == os.getppid()
    assert seen.comm == Path("/proc/self/comm").read_bytes().strip()
