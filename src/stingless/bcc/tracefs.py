"""Names of tracepoints."""

from __future__ import annotations

import re
from pathlib import Path

from stingless.errors import StinglessError

DEBUGFS = "/sys/kernel/debug"


def directory() -> str:
    """Where scripts look for tracefs."""
    under_debugfs = f"{DEBUGFS}/tracing"
    return under_debugfs if Path(under_debugfs).exists() else "/sys/kernel/tracing"


def tracepoints(tp_re: str) -> list[str]:
    """Those whose names, "category:event", match from their start.  Raises `PrivilegeError`, `NotSupportedError`."""
    from stingless import session
    from stingless.linux.tracefs import Tracefs

    matches = re.compile(tp_re).match
    kernel = session.current().kernel
    if kernel.name == "embedded":
        from stingless.embedded.tracepoint_format import tracepoints as embedded

        return [name for name in embedded() if matches(name)]
    files = Tracefs()
    try:
        named = (f"{c}:{e}" for c in files.names("events") for e in files.names(f"events/{c}"))
        return [name for name in named if matches(name)]
    finally:
        files.close()


def exists(category: str, event: str) -> bool:
    """Whether the kernel that programs run on has such a tracepoint; False where it does not tell."""
    from stingless import session

    try:
        session.current().kernel.tracepoint_format(category, event)
    except (StinglessError, OSError):
        return False
    return True
