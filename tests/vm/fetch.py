"""Fetch kernels: `python -m tests.vm.fetch [6.1 5.10 ... | all]`.

A kernel is extracted to `<cache>/<name>/`, not installed. One that is there already is left alone.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .apt import AptError, PrivateApt, find_mirror, require_tools
from .cache import cache_dir
from .kernels import STAMP, FetchedKernel, Kernel, choose, default_kernel, fetched, load_kernels

# Newer Debian kernels are split in several packages; these are the parts with files that a guest needs.
_PARTS = ("linux-image-", "linux-binary-", "linux-modules-", "linux-base-")

# Most of a kernel package is drivers for hardware that no guest has.
_UNUSED = ("sound", *(f"drivers/{name}" for name in ("gpu", "media", "infiniband", "net/wireless", "net/ethernet")))


def fetch(kernel: Kernel) -> FetchedKernel:
    """Make `kernel` present in the cache. Raises AptError when it cannot be had."""
    if (present := fetched(kernel.name)) is not None:
        return present
    require_tools()
    with _lock():
        if (present := fetched(kernel.name)) is not None:  # another process was faster
            return present
        apt = PrivateApt(cache_dir() / "apt" / kernel.suite, kernel.suite, find_mirror())
        apt.update()
        package = apt.newest(kernel.package)
        tree = cache_dir() / kernel.name
        new = tree.with_name(f".{kernel.name}.new")
        for old in (tree, new):
            shutil.rmtree(old, ignore_errors=True)
        _extract(apt.download(_parts(apt, package), new / "packages"), new)
        shutil.rmtree(new / "packages")
        release = _tidy(new)
        stamp = {"package": package, "version": apt.describe(package)["Version"], "release": release}
        (new / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
        new.rename(tree)
        apt.forget()
    done = fetched(kernel.name)
    assert done is not None
    return done


def _parts(apt: PrivateApt, package: str) -> list[str]:
    """The package and, recursively, the parts that it depends on."""
    found: list[str] = []
    todo = [package]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.append(name)
        depends = re.split(r"[,|]\s*", apt.describe(name).get("Depends", ""))
        todo += [d.split()[0] for d in depends if d.startswith(_PARTS)]
    return found


def _extract(packages: list[Path], tree: Path) -> None:
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, tree], check=True)


def _tidy(tree: Path) -> str:
    """Bring the layouts of all suites into one form, index the modules, and return the kernel's release."""
    if not (tree / "lib").exists():
        (tree / "lib").symlink_to("usr/lib")
    modules = next(p for p in (tree / "lib" / "modules").iterdir() if p.is_dir())
    for directory in _UNUSED:
        shutil.rmtree(modules / "kernel" / directory, ignore_errors=True)
    depmod = shutil.which("depmod", path="/sbin:/usr/sbin:/bin:/usr/bin")
    command = [depmod] if depmod else ["busybox", "depmod"]
    subprocess.run([*command, "-b", tree, modules.name], check=True)
    return modules.name


@contextmanager
def _lock() -> Iterator[None]:
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.fetch", description="Fetch kernels for guest tests.")
    parser.add_argument("kernels", nargs="*", default=[default_kernel()], help="names of kernels.toml, or all")
    try:
        names = choose(parser.parse_args(argv).kernels)
    except ValueError as error:
        parser.error(str(error))
    failed = False
    for name in names:
        start = time.monotonic()
        try:
            kernel = fetch(load_kernels()[name])
        except (AptError, OSError, subprocess.CalledProcessError) as error:
            print(f"kernel {name}: {error}", file=sys.stderr)
            failed = True
        else:
            seconds = time.monotonic() - start
            print(f"kernel {name}: {kernel.release} ({kernel.version}) in {kernel.tree}, {seconds:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
