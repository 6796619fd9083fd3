"""What this machine lacks for booting a guest, and how to get it.

`python -m tests.vm.missing` tells about the programs (its status is 1 if one is missing), for `deps.sh`.
"""

from __future__ import annotations

import platform
import shutil
import struct
import sys
from pathlib import Path

from .kernels import default_kernel, fetched

QEMU = "qemu-system-x86_64"
_PT_INTERP = 3


def is_static(program: Path) -> bool:
    """Whether a 64-bit ELF file asks for no dynamic loader, so that it runs in an initramfs."""
    with program.open("rb") as file:
        head = file.read(4096)
    if head[:5] != b"\x7fELF\x02":
        return False
    (offset,) = struct.unpack_from("<Q", head, 0x20)
    size, count = struct.unpack_from("<HH", head, 0x36)
    return all(struct.unpack_from("<I", head, offset + i * size)[0] != _PT_INTERP for i in range(count))


def find_busybox() -> Path | None:
    found = shutil.which("busybox", path="/bin:/usr/bin:/usr/local/bin")
    return Path(found) if found and is_static(Path(found)) else None


def missing_programs() -> list[str]:
    """One phrase for each program that is not there."""
    if platform.machine() != "x86_64":
        # The guest runs the host's own Python, so the two must be of one architecture.
        return [f"guests are x86-64 only and this is {platform.machine()}"]
    reasons = [f"{name} is not installed" for name in (QEMU, "setpriv", "zstd") if shutil.which(name) is None]
    if find_busybox() is None:
        reasons.append("busybox is not installed, or not a static one")
    return reasons


def missing(kernel: str) -> list[str]:
    """One phrase for each thing that a guest with `kernel` needs and that is not there."""
    reasons = missing_programs()
    if fetched(kernel) is None:
        reasons.append(f"kernel {kernel} is not fetched")
    return reasons


def explain_missing(kernel: str) -> str | None:
    """The same in one sentence with the fix, for messages; None if nothing is missing."""
    reasons = missing(kernel)
    if not reasons:
        return None
    kernels = "" if kernel == default_kernel() else f" KERNELS={kernel}"
    return f"no guest with kernel {kernel}: {'; '.join(reasons)} (run `make vm-deps{kernels}`)"


if __name__ == "__main__":
    print("\n".join(found := missing_programs()), end="\n" if found else "")
    sys.exit(1 if found else 0)
