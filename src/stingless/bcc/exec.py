"""A command that a tool starts and traces: `run_cmd()` before the program is made, since that filters by its pid,
`cmd_ready()` when all is attached."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


class _Child:
    """A process that waits to become the command."""

    def __init__(self, argv: Sequence[str]) -> None:
        reader, self._go = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            self._become(reader, argv)
        os.close(reader)
        self._exited = False

    @staticmethod
    def _become(reader: int, argv: Sequence[str]) -> None:
        try:
            if os.read(reader, 1):  # nothing: the tool has ended
                os.execvp(argv[0], list(argv))
        except BaseException as error:
            os.write(2, f"{argv[0]}: {error}\n".encode())
        finally:
            os._exit(127)

    def release(self) -> None:
        if self._go >= 0:
            os.write(self._go, b"x")
            os.close(self._go)
            self._go = -1

    @property
    def exited(self) -> bool:
        if not self._exited:
            self._exited = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        return self._exited


_child: _Child | None = None


def run_cmd(command: Sequence[str]) -> int:
    """Start a process that will be the command; its pid."""
    global _child
    _child = _Child(command)
    return _child.pid


def cmd_ready() -> None:
    """Let it be the command now.  Nothing when there is none."""
    if _child is not None:
        _child.release()


def cmd_exited() -> bool:
    """Whether it has ended."""
    return _child is not None and _child.exited
