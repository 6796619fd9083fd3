"""Resource limits."""

from __future__ import annotations

import resource

_kept = False


def keep_memlock() -> None:
    """From now on `raise_memlock` leaves the limit of this process as it is."""
    global _kept
    _kept = True


def raise_memlock() -> bool:
    """Lift RLIMIT_MEMLOCK, which limited maps and programs before Linux 5.11.  False when it was not possible."""
    if _kept:
        return False
    soft, _hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        return False
    return True
