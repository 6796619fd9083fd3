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


@cache
def possible_cpus() -> int:
    """How many CPUs there can ever be: what per-CPU map values have a slot for."""
    try:
        return cpu_list((_ROOT / "possible").read_text())[-1] + 1
    except OSError:  # a sandbox without /sys
        return os.cpu_count() or 1


def online_cpus() -> list[int]:
    return cpu_list((_ROOT / "online").read_text())
