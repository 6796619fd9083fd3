"""How kernels name the functions of their system calls."""

from __future__ import annotations

import os
import re
from functools import cache

# Each was that of some architecture and version; the first is that of kernels before 4.17, and of those without
# wrappers.
PREFIXES = (
    b"sys_",
    b"__x64_sys_",
    b"__x32_compat_sys_",
    b"__ia32_compat_sys_",
    b"__arm64_sys_",
    b"__s390x_sys_",
    b"__s390_sys_",
    b"__riscv_sys_",
)
_WRAPPERS = {  # machine -> prefix, and since which version
    "x86_64": (b"__x64_sys_", (4, 17)),
    "aarch64": (b"__arm64_sys_", (4, 19)),
    "s390x": (b"__s390x_sys_", (5, 5)),
    "riscv64": (b"__riscv_sys_", (6, 6)),
}


@cache
def prefix() -> bytes:
    """Of the running kernel."""
    system = os.uname()
    wrapper, since = _WRAPPERS.get(system.machine, (b"sys_", (0, 0)))
    version = re.match(r"(\d+)\.(\d+)", system.release)
    return wrapper if version is None or (int(version[1]), int(version[2])) >= since else b"sys_"
