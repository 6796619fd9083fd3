"""A memory barrier, for rings shared with the kernel."""

from __future__ import annotations

import threading

_local = threading.local()


def barrier() -> None:
    """Order the loads and stores before it with those after it.

    Releasing a lock and taking it again is a store-release and a load-acquire of one location, which the C memory
    model does not let any access pass; Python has no barrier of its own.  A lock a thread, so that it never waits.
    """
    lock = getattr(_local, "lock", None)
    if lock is None:
        lock = _local.lock = threading.Lock()
        lock.acquire()
    lock.release()
    lock.acquire()
