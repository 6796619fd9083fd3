"""The initramfs: a static busybox, the modules for the root file system, and `init.sh`.

It is two archives in a row: the base, which is the same for every run of a kernel and is cached by a hash of its
content, and a small one with what this run is told to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from .cache import cache_dir, store
from .compression import decompress
from .cpio import CpioWriter
from .modules import boot_modules

_DIRECTORIES = ("bin", "proc", "sys", "dev", "lower", "upper", "new", "modules", "vm")
_HERE = Path(__file__).parent


def base_archive(modules: Path, busybox: Path) -> Path:
    """The base for the kernel whose modules are in `modules`."""
    files = [(path.name.partition(".ko")[0] + ".ko", path.read_bytes()) for path in boot_modules(modules)]
    programs = [("bin/busybox", busybox.read_bytes()), ("init", (_HERE / "init.sh").read_bytes())]
    sources = [Path(__file__), _HERE / "cpio.py"]
    digest = hashlib.sha256()
    for part in (*(data for _, data in programs + files), *(path.read_bytes() for path in sources)):
        digest.update(hashlib.sha256(part).digest())
    path = cache_dir() / "boot" / f"initramfs-{digest.hexdigest()[:16]}.cpio"
    if path.exists():
        return path
    archive = CpioWriter()
    for name in _DIRECTORIES:
        archive.directory(name)
    archive.character_device("dev/console", 5, 1)
    for name, data in programs:
        archive.file(name, data, executable=True)
    for name, data in files:
        archive.file(f"modules/{name}", decompress(data))
    archive.file("modules/order", "".join(f"{name}\n" for name, _ in files).encode())
    return store(path, archive.finish())


def run_archive(files: Mapping[str, str]) -> bytes:
    """What belongs to one run: `settings`, `mounts` and `command` (see init.sh and stage2.sh)."""
    archive = CpioWriter()
    archive.file("vm/stage2.sh", (_HERE / "stage2.sh").read_bytes())
    for name, text in files.items():
        archive.file(f"vm/{name}", text.encode())
    return archive.finish()
