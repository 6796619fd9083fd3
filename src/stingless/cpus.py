"""The machine's CPUs, as /sys tells them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_ROOT = Path("/sys/devices/system/cpu")


def cpu_list(text: str) -> list[int]:
    """The CPUs of a list such as "0-3,8"."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cpus += range(int(first), int(last or first) + 1)
    return cpus


_pretended: list[int] = []


@cache
def possible_cpus() -> int:
    """How many CPUs there can ever be: what per-CPU map values have a slot for."""
    if _pretended:
        return _pretended[0]
    try:
        return cpu_list((_ROOT / "possible").read_text())[-1] + 1
    except OSError:  # a sandbox without /sys
        return os.cpu_count() or 1


def pretend(count: int) -> None:
    """Have so many in this process, which then cannot use Linux itself.  Raises `ValueError` when the machine's were
    counted before."""
    if not 1 <= count <= 1024:
        raise ValueError(f"a kernel has 1 to 1024 CPUs, not {count}")
    if possible_cpus.cache_info().currsize and possible_cpus() != count:
        raise ValueError(
            f"the number of CPUs is {possible_cpus()} in this process already; set it before any map or kernel is made"
        )
    _pretended[:] = [count]


def pretended() -> bool:
    """Whether the number of CPUs is not the machine's."""
    return bool(_pretended)


def online_cpus() -> list[int]:
    return cpu_list((_ROOT / "online").read_text())
