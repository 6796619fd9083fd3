"""Storage of inodes in bcc's dialect: an LSM program counts, in a file's inode, how often this process asked for it."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from stingless._gen.uapi import AttachType, ProgramType
from stingless.btf.kernel import kernel_btf
from stingless.events import Tracing
from stingless.linux.kernel import LinuxKernel
from tests.table_cases import Tables

TEXT = """
BPF_INODE_STORAGE(opened, u64);
BPF_HASH(last, u32);
int count(u64 *ctx) {
    struct inode *inode = (void *)ctx[0];
    u32 deleted = 1, counted = 2;
    u64 *p, n = 0;
    bpf_probe_read_kernel(&n, sizeof(n), (void *)inode + I_INO);
    if (bpf_get_current_pid_tgid() >> 32 != ME || n != FILE)
        return 0;
    p = opened.inode_storage_get(inode, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!p)
        return 0;
    n = *p += 1;
    last.update(&counted, &n);
    if (n == 3) {
        n = opened.inode_storage_delete(inode);
        last.update(&deleted, &n);
    }
    return 0;
}
"""


def test_inode_storage(tmp_path: Path) -> None:
    """The hook is inode_permission, whose first argument is the inode."""
    file = tmp_path / "file"
    file.write_text("x")
    cflags = [f"-DME={os.getpid()}", f"-DFILE={file.stat().st_ino}"]
    cflags.append(f"-DI_INO={kernel_btf()['inode'].members['i_ino'].offset}")
    with LinuxKernel() as kernel, Tables(kernel, TEXT, cflags) as tables:
        program = tables.program(
            "count", ProgramType.LSM, attach_type=AttachType.LSM_MAC, attach_target="inode_permission"
        )
        link = kernel.attach(program, Tracing())
        counts = []
        for _ in range(4):
            assert os.access(file, os.R_OK)
            counts.append(number(tables, 2))
        link.close()
        assert counts == [1, 2, 3, 1]
        assert number(tables, 1) == 0


def number(tables: Tables, key: int) -> int:
    value = tables.maps["last"].lookup(struct.pack("=I", key))
    return int.from_bytes(value or b"", "little")
