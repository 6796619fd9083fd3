"""Pinned maps, maps by id, and maps that objects share by name."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stingless._gen.uapi import MapType
from stingless.btf.types import Kind
from stingless.compile import compile_object
from stingless.errors import LoadError, PrivilegeError
from stingless.linux.kernel import LinuxKernel
from stingless.maps import TypedMap, create_pinned, fill, open_id, open_pinned, open_typed
from stingless.obj.reader import read_object
from stingless.obj.spec import MapSpec, Pinning

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="creating maps in Linux needs root")


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as made:
        yield made


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "bpffs"
    made.mkdir()
    if subprocess.run(["mount", "-t", "bpf", "bpf", made], check=False, capture_output=True).returncode:
        pytest.skip("no bpffs can be mounted")
    try:
        yield made
    finally:
        subprocess.run(["umount", made], check=True)


def spec() -> MapSpec:
    btf = read_object(compile_object("struct flow { int a; short b; }; struct flow f; unsigned int u;")).btf
    assert btf is not None
    flow, number = btf.find("flow", Kind.STRUCT), btf.find("unsigned int", Kind.INT)
    assert flow is not None and number is not None
    return MapSpec("flows", MapType.HASH, 8, 4, 10, 0, flow.id, number.id, pinning=Pinning.BY_NAME, btf=btf)


def test_a_pinned_map_outlives_its_kernel_object_with_its_types(directory: Path) -> None:
    with LinuxKernel() as first:
        map: Any = open_typed(first.create_map(spec()))
        map[1, 2] = 3
        map.pin(directory / "flows")
        with pytest.raises(FileExistsError):
            map.pin(directory / "flows")
    with LinuxKernel() as second:
        again: Any = open_pinned(directory / "flows", second)
        ((key, value),) = again.items()
        assert (key.a, key.b, value) == (1, 2, 3) and type(key).__name__ == "flow"
        by_id: Any = open_id(again.info.id, second)
        assert by_id[1, 2] == 3 and by_id.fd != again.fd
        TypedMap.unpin(directory / "flows")
        with pytest.raises(FileNotFoundError):
            open_pinned(directory / "flows", second)


def test_pinning_elsewhere(kernel: LinuxKernel, tmp_path: Path, directory: Path) -> None:
    map = kernel.create_map(spec())
    with pytest.raises(PermissionError, match="is not in a bpffs"):
        map.pin(tmp_path / "flows")
    with pytest.raises(FileNotFoundError, match="flows"):
        map.pin(directory / "none" / "flows")


def test_what_is_no_map(kernel: LinuxKernel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((LoadError, PrivilegeError)):
        kernel.open_map(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        kernel.open_map(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        kernel.open_map(0x7FFFFFFF)


def test_pinned_by_name(kernel: LinuxKernel, directory: Path) -> None:
    first = create_pinned(kernel, spec(), directory)
    second = create_pinned(kernel, spec(), directory)
    assert first.info.id == second.info.id and (directory / "flows").exists()
    with pytest.raises(LoadError, match="max_entries is 10, not 20; flags is 0, not 1") as unlike:
        create_pinned(kernel, replace(spec(), max_entries=20, flags=1), directory)
    assert unlike.value.errno == errno.EINVAL


def test_ring_buffer_pinned_by_name(kernel: LinuxKernel, directory: Path) -> None:
    """Its size is rounded, and it is found again for all that."""
    ring = MapSpec("ring", MapType.RINGBUF, 0, 0, 5000, pinning=Pinning.BY_NAME)
    assert create_pinned(kernel, ring, directory).info.id == create_pinned(kernel, ring, directory).info.id


def test_contents(kernel: LinuxKernel) -> None:
    inner = MapSpec("inner", MapType.HASH, 4, 4, 4)
    outer_spec = MapSpec("outer", MapType.ARRAY_OF_MAPS, 4, 4, 4, inner=inner, contents=((0, "a"), (2, "b")))
    maps = {name: kernel.create_map(replace(inner, name=name)) for name in "ab"}
    outer: Any = open_typed(kernel.create_map(outer_spec))
    fill(outer.map, outer_spec, maps, {})
    assert {slot: each.name for slot, each in outer.items()} == {0: "a", 2: "b"}
    with pytest.raises(KeyError, match="no map named 'b'"):
        fill(outer.map, outer_spec, {"a": maps["a"]}, {})
