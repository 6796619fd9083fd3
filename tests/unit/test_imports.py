"""The seams, as a walk over the import graph: who may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stingless

SOURCE = Path(stingless.__file__).parent
# Modules that reach outside of Python: only `_sys` may import them.
RAW = {"ctypes", "mmap", "fcntl", "resource", "_ctypes"}
# The pure half: no kernel, no root, any operating system.
PURE = (
    "asm", "btf", "obj", "explain", "embedded/verifier", "compile", "contexts", "errors.py", "events.py", "syscalls.py",
    "_gen",
)  # fmt: skip


def imports_of(path: Path) -> set[str]:
    """Absolute names of what a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_raw_modules_only_in_sys(path: Path) -> None:
    if path.is_relative_to(SOURCE / "_sys"):
        pytest.skip("the one package that may")
    roots = {name.partition(".")[0] for name in imports_of(path)}
    assert not roots & RAW


def is_pure(path: Path) -> bool:
    name = path.relative_to(SOURCE).as_posix()
    return any(name == p or name.startswith(p + "/") for p in PURE)


@pytest.mark.parametrize("path", [p for p in FILES if is_pure(p)], ids=lambda p: str(p.relative_to(SOURCE)))
def test_pure_half_needs_no_kernel(path: Path) -> None:
    kernels = ("stingless._sys", "stingless.linux", "stingless.embedded.kernel", "stingless.embedded.sources")
    assert not [name for name in imports_of(path) if name.startswith(kernels)]


@pytest.mark.parametrize("room", ["linux", "embedded"])
def test_kernels_do_not_know_each_other_nor_bcc(room: str) -> None:
    other = {"linux": "stingless.embedded", "embedded": "stingless.linux"}[room]
    for path in (SOURCE / room).rglob("*.py"):
        assert not [n for n in imports_of(path) if n.startswith((other, "stingless.bcc", "stingless.bpf"))], path


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_is_light() -> None:
    heavy = {"numpy", "ctypes", "argparse", "subprocess", "ziglang", "click", "rich", "importlib.metadata"}
    assert not loaded_by("import stingless") & heavy


def test_public_names_exist() -> None:
    for name in stingless.__all__:
        assert getattr(stingless, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'BFP'"):
        stingless.BFP  # noqa: B018
