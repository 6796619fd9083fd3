"""Peers in C: built against libbpf when a benchmark needs them."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from benchmarks.measure import BenchmarkError

HERE = Path(__file__).parent


def build(name: str, directory: Path) -> Path:
    """Compile `name`.c with the system's C compiler against libbpf: Debian's libbpf-dev, or the one installed under the
    prefix that $LIBBPF names (static).  Raises `BenchmarkError` that says what is missing."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchmarkError("a peer in C needs a compiler: apt-get install gcc")
    prefix = os.environ.get("LIBBPF")
    if prefix:
        flags = [f"-I{prefix}/include", *map(str, Path(prefix).glob("lib*/libbpf.a")), "-lelf", "-lz"]
    else:
        asked = subprocess.run(["pkg-config", "--cflags", "--libs", "libbpf"], capture_output=True, text=True)
        if asked.returncode:
            raise BenchmarkError("a peer in C needs libbpf: apt-get install libbpf-dev pkg-config")
        flags = shlex.split(asked.stdout)
    program = directory / name
    done = subprocess.run(
        [compiler, "-O2", "-o", str(program), str(HERE / f"{name}.c"), *flags], capture_output=True, text=True
    )
    if done.returncode:
        raise BenchmarkError(f"{name}.c does not compile: {done.stderr.strip()}")
    return program


def libbpf_version() -> str:
    """Of the libbpf that `build` takes."""
    prefix = os.environ.get("LIBBPF")
    if not prefix:
        return subprocess.run(["pkg-config", "--modversion", "libbpf"], capture_output=True, text=True).stdout.strip()
    header = (Path(prefix) / "include/bpf/libbpf_version.h").read_text().split()
    numbers = dict(itertools.pairwise(header))
    return f"{numbers['LIBBPF_MAJOR_VERSION']}.{numbers['LIBBPF_MINOR_VERSION']}"
