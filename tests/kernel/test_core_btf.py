"""Written BTF: the running kernel's own types come back, the kernel takes them, and bpftool reads them alike."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stingless._sys.bpf_btf import btf_load
from stingless.btf.kernel import VMLINUX, kernel_btf
from stingless.btf.minimal import minimal_btf
from stingless.btf.types import Btf, Kind
from stingless.btf.writer import BtfBuilder
from stingless.compile import compile_object
from stingless.obj.reader import read_object

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="BPF_BTF_LOAD needs root"),
    pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF"),
]
needs_bpftool = pytest.mark.skipif(shutil.which("bpftool") is None, reason="needs bpftool")


def test_all_of_the_kernels_types_come_back() -> None:
    types = list(kernel_btf())  # decoding them twice would take seconds more
    builder = BtfBuilder()
    for found in types:
        builder.add(found)
    made = builder.build()
    assert len(made) == len(types) + 1
    assert [ours.id for ours, theirs in zip(made, types, strict=True) if ours != theirs] == []


@pytest.mark.parametrize("name", ["task_struct", "sk_buff", "bpf_attr", "bpf_func_id", "vfs_read"])
def test_kernel_takes_copies(name: str) -> None:
    btf = kernel_btf()
    builder = BtfBuilder()
    builder.copy(btf, btf[name].id)
    made = builder.build()
    assert [t.size for t in made.find_all(name)] == [t.size for t in btf.find_all(name) if t.kind == made[name].kind]
    btf_load(builder.to_bytes()).close()


@needs_bpftool
def test_bpftool_reads_copies_alike(tmp_path: Path) -> None:
    btf = kernel_btf()
    builder = BtfBuilder()
    builder.copy(btf, btf["task_struct"].id)
    path = tmp_path / "copy.btf"
    path.write_bytes(builder.to_bytes())

    def dump(file: Path) -> list[str]:
        command = ["bpftool", "btf", "dump", "file", str(file), "format", "c"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        start = text.index("\nstruct task_struct {")
        return text[start : text.index("\n};", start)].splitlines()

    assert dump(path) == dump(VMLINUX)


SOURCE = """\
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define CORE __attribute__((preserve_access_index))
struct pid_link { int nr; };
struct cred { unsigned uid; } CORE;
struct task_struct { int pid; int tgid; char comm[16]; struct task_struct *real_parent; struct cred *cred; } CORE;
struct task_struct___gone { int nothing_of_the_kind; } CORE;
enum bpf_map_type___mine { BPF_MAP_TYPE_ARRAY___mine = 1000 };
SEC("socket") int f(struct task_struct *t) {
    struct task_struct___gone *gone = (void *)t;
    long n = __builtin_preserve_field_info(t->real_parent->pid, 0) + __builtin_preserve_field_info(t->comm[3], 0);
    n += __builtin_preserve_field_info(gone->nothing_of_the_kind, 2) + __builtin_preserve_field_info(t->cred, 2);
    n += __builtin_preserve_enum_value(*(enum bpf_map_type___mine *)BPF_MAP_TYPE_ARRAY___mine, 1);
    return n + __builtin_preserve_type_info(*(struct task_struct *)0, 1);
}
"""


@needs_bpftool
def test_minimal_btf_is_no_larger_than_bpftools(tmp_path: Path) -> None:
    path, theirs = tmp_path / "object.o", tmp_path / "bpftool.btf"
    path.write_bytes(compile_object(SOURCE))
    subprocess.run(["bpftool", "gen", "min_core_btf", str(VMLINUX), str(theirs), str(path)], check=True)
    data = minimal_btf([read_object(path.read_bytes())], kernel_btf())
    assert len(data) <= theirs.stat().st_size
    ours, reference = Btf(data)["task_struct"], Btf(theirs.read_bytes())["task_struct"]
    assert ours.size == reference.size == kernel_btf()["task_struct"].size
    assert {m.name for m in ours.members} == {m.name for m in reference.members}
    assert not list(Btf(data).ids(Kind.FUNC))
