"""The C runtime compiles for every machine that it is for, also where it cannot be run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="ziglang is not installed")


@pytest.fixture
def hatch_build() -> ModuleType:
    found = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert found is not None and found.loader is not None
    hatch_build = importlib.util.module_from_spec(found)
    found.loader.exec_module(hatch_build)
    return hatch_build


@pytest.mark.parametrize("machine", MACHINES)
def test_compiles(hatch_build: ModuleType, machine: str, tmp_path: Path) -> None:
    library = hatch_build.build_runtime(machine, tmp_path / "runtime.so")
    header = library.read_bytes()[:20]
    assert header[:4] == b"\x7fELF" and int.from_bytes(header[18:20], "little") == MACHINES[machine]


def test_no_runtime_for_other_machines(hatch_build: ModuleType, tmp_path: Path) -> None:
    assert hatch_build.build_runtime("riscv64", tmp_path / "runtime.so") is None
