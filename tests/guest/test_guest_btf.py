"""The BTF of a kernel with modules, and declarations for each kernel."""

from __future__ import annotations

import pytest

from stingless.btf.cdecl import declarations
from stingless.btf.cdecl_asserts import static_asserts
from stingless.btf.kernel import kernel_btf
from stingless.btf.kinds import RECORDS
from stingless.btf.types import Kind
from stingless.errors import UnknownNameError
from tests.btf_blobs import object_of


def test_types_of_modules() -> None:
    """A guest's file systems are modules: their BTF is split, on top of the kernel's."""
    btf = kernel_btf()
    if not btf.modules():
        pytest.skip("modules have BTF since Linux 5.11")
    assert "overlay" in btf.modules() and "vmlinux" not in btf.modules()
    overlay = btf.module_btf("overlay")
    assert overlay.base is btf and overlay.first_id == len(btf)
    own = overlay["struct ovl_fs"]
    assert own.id >= len(btf) and "struct ovl_fs" not in btf
    assert own.members["config"].offset >= 0
    assert overlay["task_struct"].id == btf["task_struct"].id
    assert overlay.find("ovl_fill_super", Kind.FUNC) is not None
    names = [
        f"struct {t.name}" for t in map(overlay.type, range(len(btf), len(overlay))) if t.kind in RECORDS and t.name
    ]
    names = [name for name in dict.fromkeys(names) if name in overlay]
    text = declarations(overlay, names) + static_asserts(overlay, names)
    object_of(text, "overlay.c", ["-DBPF_NO_PRESERVE_ACCESS_INDEX"])
    with pytest.raises(UnknownNameError, match=r"nearest: .*overlay"):
        btf.module_btf("overlayy")


def test_declarations_of_this_kernels_types() -> None:
    """Some only: under emulation all of them take minutes."""
    names = ["task_struct", "sk_buff", "inode", "page", "tcp_sock"]
    text = declarations(kernel_btf(), names) + static_asserts(kernel_btf(), names)
    object_of(text, "types.c", ["-DBPF_NO_PRESERVE_ACCESS_INDEX"])


def test_the_nearest_of_all_functions() -> None:
    with pytest.raises(UnknownNameError, match=r"nearest: .*\bvfs_unlink\b"):
        kernel_btf().func_id("vfs_unlinkk")
