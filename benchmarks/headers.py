"""Kernel headers, which bcc needs and stingless does not: Debian's, extracted privately beside the guest's kernel."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks.measure import BenchmarkError
from tests.vm.apt import AptError, PrivateApt, find_mirror, require_tools
from tests.vm.cache import cache_dir
from tests.vm.kernels import FetchedKernel, fetched, load_kernels
from tests.vm.missing import explain_missing


def headers_for(name: str) -> tuple[FetchedKernel, Path]:
    """The guest kernel of that name, and a directory with its headers as one tree (what bcc takes as
    BCC_KERNEL_SOURCE); fetched at first use.  Raises `BenchmarkError` when either cannot be had."""
    kernel = fetched(name)
    if kernel is None:
        raise BenchmarkError(explain_missing(name) or f"kernel {name} is not fetched")
    tree = cache_dir() / f"{name}-headers"
    stamp = tree / "headers.json"
    if stamp.exists() and json.loads(stamp.read_text())["release"] == kernel.release:
        return kernel, tree
    try:
        _fetch(kernel, load_kernels()[name].suite, tree)
    except (AptError, OSError, subprocess.CalledProcessError) as error:
        raise BenchmarkError(f"bcc needs the headers of {kernel.release}, which cannot be had: {error}") from error
    stamp.write_text(json.dumps({"release": kernel.release}) + "\n")
    return kernel, tree


def _fetch(kernel: FetchedKernel, suite: str, tree: Path) -> None:
    require_tools()
    base = kernel.release.rpartition("-")[0]
    scratch = tree.with_name(f".{tree.name}.new")
    for old in (tree, scratch):
        shutil.rmtree(old, ignore_errors=True)
    apt = PrivateApt(cache_dir() / "apt" / f"{suite}-headers", suite, find_mirror())
    apt.update()
    packages = [f"linux-headers-{base}-common", f"linux-headers-{kernel.release}"]
    for file in apt.download(packages, to=scratch):
        subprocess.run(["dpkg-deb", "-x", file, scratch], check=True)
    apt.forget()
    tree.mkdir()
    # The second is an overlay of generated files over the first.
    for package in packages:
        subprocess.run(["cp", "-a", f"{scratch}/usr/src/{package}/.", tree], check=True)
    shutil.rmtree(scratch)
