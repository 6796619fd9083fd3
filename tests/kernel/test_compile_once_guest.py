"""A bcc script's programs compiled on this kernel, run from the objects on another one, without a compiler."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm.run import run_guest
from tests.vm.selection import selected_kernels

ROOT = Path(__file__).resolve().parents[2]
PLAIN_PYTHON = Path("/usr/bin/python3")  # Debian's own, which has no clang and none of our dependencies
EXECSNOOP = Path("/usr/sbin/execsnoop-bpfcc")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a kernel's formats of tracepoints are root's to read"),
    pytest.mark.skipif(not PLAIN_PYTHON.exists(), reason=f"no {PLAIN_PYTHON}"),
]


@pytest.fixture(scope="module")
def kernel(request: pytest.FixtureRequest) -> str:
    if not request.config.getoption("--vm"):
        pytest.skip("needs a guest: --vm")
    return selected_kernels(request.config)[0]


def _built(script: Path, directory: Path) -> None:
    build = [sys.executable, "-m", "stingless", "build", str(script), "-o", str(directory)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)


def test_two_scripts(kernel: str, tmp_path: Path) -> None:
    family = ROOT / "examples/bcc/family.py"
    _built(family, tmp_path)
    commands = [f"{family} -- /bin/sh -c '/bin/true; :'"]
    if EXECSNOOP.exists():
        _built(EXECSNOOP, tmp_path)
        commands.append(f"{EXECSNOOP} -- /bin/sh -c '/bin/echo one two; :'")
    run = f"{PLAIN_PYTHON} -m stingless run --kernel linux --objects {tmp_path}"
    missing = f"{PLAIN_PYTHON} -c 'import ziglang'"
    script = "; ".join([f"! {missing} 2>/dev/null && echo no compiler", *(f"{run} {each}" for each in commands)])
    env = {"PYTHONPATH": str(ROOT / "src")}
    done = run_guest(kernel, ["sh", "-c", script], cwd=ROOT, env=env, rw=[tmp_path], timeout=400)
    assert "no compiler" in done.stdout, done.stderr
    assert re.search(r"^true \d+, child of sh \d+$", done.stdout, re.MULTILINE), done
    if EXECSNOOP.exists():
        assert re.search(r"^echo +\d+ +\d+ +0 /bin/echo one two$", done.stdout, re.MULTILINE), done
