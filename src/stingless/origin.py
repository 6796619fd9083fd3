"""Where the user made something, for warnings about what was never closed."""

from __future__ import annotations

import sys

_PACKAGE = __name__.partition(".")[0]


def caller() -> str:
    """ "file:line" of the nearest call from outside this package; "" when there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] != _PACKAGE:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""
