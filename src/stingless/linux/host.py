"""What /proc and /sys tell of this machine: CPUs, capabilities, sysctls, function names."""

from __future__ import annotations

import os
from pathlib import Path

# linux/capability.h
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}


def effective_capabilities() -> int:
    """The effective set of this thread, a bit a capability."""
    for line in Path("/proc/thread-self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    raise AssertionError("/proc/thread-self/status has no CapEff line")


def missing(*needed: str) -> list[str]:
    """Those of the named capabilities that the caller lacks.  CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON."""
    have = effective_capabilities()
    admin = have >> CAPABILITIES["CAP_SYS_ADMIN"] & 1
    return [
        name
        for name in needed
        if not have >> CAPABILITIES[name] & 1 and not (admin and name in ("CAP_BPF", "CAP_PERFMON"))
    ]


def in_user_namespace() -> bool:
    """Whether capabilities are only those of a user namespace, which the kernel does not take for bpf(2)."""
    try:
        return Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]
    except OSError:
        return False


def sysctl(name: str) -> str | None:
    """A sysctl's value ("kernel.unprivileged_bpf_disabled"), or None where it does not exist or cannot be read."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None


def kernel_functions() -> set[str]:
    """Names of the kernel's functions (text symbols).  They are listed for ordinary users too, without addresses."""
    names = set()
    with Path("/proc/kallsyms").open() as lines:
        for line in lines:
            fields = line.split()
            if fields[1] in "tTwW":
                names.add(fields[2])
    return names


def machine() -> str:
    """As `uname -m` has it."""
    return os.uname().machine
