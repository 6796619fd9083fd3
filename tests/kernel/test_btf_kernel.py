"""The running kernel's BTF: all of its types, and the header made of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stingless.btf.cdecl import declarations
from stingless.btf.cdecl_asserts import static_asserts
from stingless.btf.kernel import VMLINUX, KernelBtf, build_id, kernel_btf
from stingless.btf.kinds import RECORDS
from stingless.btf.types import Kind, Type
from stingless.btf.vmlinux import vmlinux_header
from stingless.errors import UnknownNameError
from tests.btf_blobs import object_of
from tests.btf_layouts import differences

pytestmark = pytest.mark.skipif(not VMLINUX.exists(), reason=f"this kernel has no {VMLINUX}")
BARE = "-DBPF_NO_PRESERVE_ACCESS_INDEX"


@pytest.fixture(scope="module")
def btf() -> KernelBtf:
    return kernel_btf()


def test_look_ups(btf: KernelBtf) -> None:
    assert btf["task_struct"].members["pid"].offset > 0
    assert btf["task_struct"].members["comm"].bit_size == 0
    assert btf.size_of(btf["task_struct"].members["comm"].type) == 16
    assert btf["list_head"].size == 2 * btf.pointer_size == 16
    assert btf["bpf_map_type"].values["BPF_MAP_TYPE_HASH"] == 1
    assert btf["struct sk_buff"].members["len"].offset > btf["sk_buff"].members["dev"].offset  # in an anonymous union
    assert btf.kind(btf.func_id("vfs_read")) == Kind.FUNC
    assert "no_such_type_here" not in btf


def test_every_type_can_be_read(btf: KernelBtf) -> None:
    count = 0
    for found in btf:
        count += 1
        if found.name and count % 37 == 0:
            assert found in btf.find_all(found.name)
            assert btf.find(found.name, found.kind) is not None
        if found.kind in RECORDS:
            assert btf.size_of(found.id) == found.size and found.size % btf.align_of(found.id) == 0
    assert count == len(btf) - 1 > 10_000


def test_unknown_names(btf: KernelBtf) -> None:
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bvfs_unlink\b"):
        btf.func_id("vfs_unlinkk")
    with pytest.raises(UnknownNameError, match=r"nearest: task_struct"):
        btf["task_strct"]
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bpid\b"):
        btf["task_struct"].members["piid"]


def test_bpftool_sees_the_same(btf: KernelBtf) -> None:
    done = subprocess.run(["bpftool", "--version"], capture_output=True, check=False) if _has("bpftool") else None
    if done is None or done.returncode:
        pytest.skip("no bpftool")
    listing = subprocess.run(
        ["bpftool", "btf", "dump", "file", str(VMLINUX)], capture_output=True, text=True, check=True
    ).stdout
    heads = [line for line in listing.splitlines() if line.startswith("[")]
    assert len(heads) == len(btf) - 1
    for line in heads[::11]:
        number, kind, name = line.split(maxsplit=3)[:3]
        found = btf.type(int(number[1:-1]))
        assert (found.kind.name, f"'{found.name or '(anon)'}'") == (kind, name.rstrip(",")) or " " in found.name


def _has(command: str) -> bool:
    import shutil

    return shutil.which(command) is not None


@pytest.mark.skipif(not build_id(), reason="this kernel does not tell its build id")
def test_index_is_kept(tmp_path: Path) -> None:
    code = (
        "from stingless.btf.kernel import kernel_btf; import stingless.btf.types as t\n"
        "scans = []; scan = t.type_offsets\n"
        "t.type_offsets = lambda *w: scans.append(1) or scan(*w)\n"
        "b = kernel_btf(); print(len(scans), b['task_struct'].members['pid'].offset, len(b))"
    )
    environment = dict(os.environ, STINGLESS_CACHE=str(tmp_path))
    runs = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    cold, warm = (run.split() for run in runs)
    assert (cold[0], warm[0]) == ("1", "0")
    assert cold[1:] == warm[1:]


@pytest.fixture(scope="module")
def header(btf: KernelBtf) -> str:
    return vmlinux_header()


def test_whole_header_compiles_and_every_assert_holds(btf: KernelBtf, header: str) -> None:
    proof = static_asserts(btf)
    assert proof.count("_Static_assert") > 10_000
    object_of(f"{header}\n{proof}", "vmlinux.c", ["-Werror", "-Wno-visibility"])


def test_header_is_relocatable(header: str) -> None:
    text = "int f(struct task_struct *t) { return t->pid; }"
    sizes = [len(object_of(header + text, "f.c", flags)) for flags in ([], [BARE])]
    assert sizes[0] > sizes[1]


def test_bit_fields_lie_where_btf_says(btf: KernelBtf) -> None:
    """C cannot assert them: clang's own BTF of the header is compared."""
    records: dict[str, Type] = {}
    for type_id in btf.ids(Kind.STRUCT):
        found = btf.type(type_id)
        if found.name and found.flag and found.name not in records and btf.find(found.name, Kind.UNION) is None:
            records[found.name] = found
    chosen = list(records.values())
    assert len(chosen) > 100
    assert differences(btf, [f"struct {name}" for name in records], chosen) == []


def test_some_types_alone(btf: KernelBtf) -> None:
    for name in ("task_struct", "sk_buff", "union bpf_attr", "file_operations", "page", "inode"):
        text = declarations(btf, [name]) + static_asserts(btf, [name])
        object_of(text, "some.c", ["-Werror", BARE])
    assert len(declarations(btf, ["list_head"])) < 500
