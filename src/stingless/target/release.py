"""The running kernel's version as LINUX_KERNEL_VERSION has it.

Distributions name a package, not the kernel's own version, in `uname -r`: Ubuntu tells the real one in
/proc/version_signature, Debian in `uname -v`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def kernel_version() -> tuple[int, int, int]:
    """(version, patch level, sub-level) of the running kernel."""
    try:
        signature = Path("/proc/version_signature").read_text()
    except OSError:
        signature = ""
    uname = os.uname()
    return parse_version(uname.release, uname.version, signature)


def parse_version(release: str, version: str = "", signature: str = "") -> tuple[int, int, int]:
    """From `uname -r`, `uname -v` ("#1 SMP Debian 6.1.140-1 (2025-05-22)") and /proc/version_signature ("Ubuntu
    5.4.0-12.15-generic 5.4.8").  Raises `ValueError` when none has a version in it."""
    words = signature.split()
    debian = version.partition("Debian ")[2]
    for text in (words[2] if len(words) > 2 else "", debian, release):
        if found := _VERSION.match(text):
            return int(found[1]), int(found[2]), int(found[3] or 0)
    raise ValueError(f"the kernel's release {release!r} does not begin with a version")
