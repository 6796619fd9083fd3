"""Implicit reads in the programs that only a kernel with kprobes, fentry and LSM hooks runs: what they see of a file
that is removed, filtered to this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stingless._gen.helpers import Helper
from stingless._gen.uapi import AttachType, ProgramType
from stingless.asm import opcodes as op
from stingless.asm.instruction import decode
from stingless.events import Event, Kprobe, Tracing
from stingless.linux.kernel import LinuxKernel
from stingless.programs import LoadedObject
from tests.ir_programs import compiled

_HEAD = f"""
#include <linux/fs.h>
BPF_ARRAY(out, u64, 16);
static inline void put(int at, u64 value) {{ out.update(&at, &value); }}
static inline void tell(struct inode *dir, struct dentry *dentry)
{{
    if (bpf_get_current_pid_tgid() >> 32 != {os.getpid()})
        return;
    put(0, dentry->d_inode->i_ino); put(1, dir->i_ino); put(2, dentry->d_parent->d_inode->i_ino);
    put(3, dentry->d_inode->i_mode); put(4, dentry->d_inode->i_sb->s_dev);
    put(5, dentry->d_name.name[0]); put(6, dentry->d_name.len);
}}
"""


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


def _seen(kernel: LinuxKernel, function: str, kind: ProgramType, event: Event, path: Path, **fields: Any) -> list[int]:
    loaded = LoadedObject(kernel, compiled(_HEAD + function))
    try:
        [name] = loaded.spec.programs
        link = kernel.attach(loaded.program(name, kind, **fields), event)
        path.unlink()
        link.close()
        return [int.from_bytes(loaded.maps["out"].lookup(i.to_bytes(4, "little")) or b"", "little") for i in range(7)]
    finally:
        loaded.close()


def _made() -> tuple[Path, list[int]]:
    """A new file, and what is to be seen of it: in a tmpfs, whose inodes are those that stat(2) tells of."""
    path = Path("/dev/shm") / f"removed file of {os.getpid()}"
    path.write_text("x")
    status, parent = path.stat(), path.parent.stat()
    device = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
    return path, [status.st_ino, parent.st_ino, parent.st_ino, status.st_mode, device, ord("r"), len(path.name)]


def _probing_reads(function: str) -> int:
    [program] = compiled(_HEAD + function).programs.values()
    calls = [i.imm for i in decode(program.code) if i.opcode == op.JMP | op.CALL and i.src == 0]
    return calls.count(Helper.probe_read)


def test_kprobe(kernel: LinuxKernel) -> None:
    function = """
    int probe(struct pt_regs *ctx, void *idmap, struct inode *dir, struct dentry *dentry)
    { tell(dir, dentry); return 0; }
    """
    path, expected = _made()
    assert _seen(kernel, function, ProgramType.KPROBE, Kprobe("vfs_unlink"), path) == expected
    assert _probing_reads(function) == 14


_TYPED = "{ tell((struct inode *)ctx[%d], (struct dentry *)ctx[%d]); return 0; }"


def test_fentry(kernel: LinuxKernel) -> None:
    """The verifier follows the pointers to structs; only the name's bytes are read by a probing read."""
    function = f"int kfunc__vmlinux__vfs_unlink(u64 *ctx) {_TYPED % (1, 2)}"
    path, expected = _made()
    fields = {"attach_type": AttachType.TRACE_FENTRY, "attach_target": "vfs_unlink"}
    assert _seen(kernel, function, ProgramType.TRACING, Tracing(), path, **fields) == expected
    assert _probing_reads(function) == 1


def test_fexit(kernel: LinuxKernel) -> None:
    function = f"int kretfunc__vmlinux__vfs_unlink(u64 *ctx) {_TYPED % (1, 2)}"
    path, (_, *expected) = _made()
    fields = {"attach_type": AttachType.TRACE_FEXIT, "attach_target": "vfs_unlink"}
    # The dentry has no inode any more: a walk through a null pointer reads zeros.
    assert _seen(kernel, function, ProgramType.TRACING, Tracing(), path, **fields)[1:3] == expected[:2]


def test_lsm(kernel: LinuxKernel) -> None:
    function = f"int lsm__inode_unlink(u64 *ctx) {_TYPED % (0, 1)}"
    path, expected = _made()
    fields = {"attach_type": AttachType.LSM_MAC, "attach_target": "bpf_lsm_inode_unlink"}
    assert _seen(kernel, function, ProgramType.LSM, Tracing(), path, **fields) == expected
