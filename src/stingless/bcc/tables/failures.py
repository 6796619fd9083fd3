"""What callbacks of scripts raise."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any


def shown(error: Exception, where: str) -> None:
    """Show what a callback raised, with its traceback, after which reading goes on, as in bcc.

    A closed standard output (`| head`) ends the process.
    """
    if isinstance(error, BrokenPipeError):
        raise SystemExit(0) from None
    assert error.__traceback__ is not None
    error = error.with_traceback(error.__traceback__.tb_next)  # from the callback on
    message = f"Exception in {where}"
    if sys.unraisablehook is not sys.__unraisablehook__:  # a test runner's makes a failure of it
        made: Any = SimpleNamespace(
            exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, err_msg=message, object=None
        )
        sys.unraisablehook(made)
        return
    import traceback

    print(f"{message}:", file=sys.stderr)
    traceback.print_exception(error)
