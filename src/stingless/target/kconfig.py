"""The running kernel's configuration.

Source: /proc/config.gz (CONFIG_IKCONFIG_PROC), else what distributions put beside the kernel or its modules.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from stingless.errors import NotSupportedError


def places(release: str) -> tuple[Path, ...]:
    """Where the configuration of a kernel is looked for."""
    modules = Path("/lib/modules", release)
    return Path("/proc/config.gz"), Path(f"/boot/config-{release}"), modules / "config", modules / "build/.config"


@cache
def kernel_config() -> dict[str, str]:
    """Every CONFIG_X that is set, and its value as in .config.  Read once a process.  Raises `NotSupportedError` when
    none of the places can be read."""
    looked = places(os.uname().release)
    for path in looked:
        try:
            data = path.read_bytes()
            return parse_config((gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines())
        except (OSError, EOFError, zlib.error):
            continue
    where = ", ".join(map(str, looked))
    raise NotSupportedError("the kernel's configuration", "", f"it was looked for in {where}")


def parse_config(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.rstrip().partition("=") for line in lines if line.startswith("CONFIG_"))
    return {name: value for name, equals, value in pairs if equals}
