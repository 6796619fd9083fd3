"""syscall(2) itself, and owned file descriptors."""

from __future__ import annotations

import ctypes
import errno
import os
import warnings
from collections.abc import Callable
from typing import Any

# The calls that libc has no function for, by machine: asm/unistd_64.h, asm-generic/unistd.h.
_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "fsopen": 430, "fsconfig": 431, "fsmount": 432},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "fsopen": 430, "fsconfig": 431, "fsmount": 432},
}

_MACHINE = os.uname().machine
_libc = ctypes.CDLL(None, use_errno=True)


def number(name: str) -> int:
    """The number of a system call on this machine.  Raises `OSError` (ENOSYS) on a machine that is not in the table."""
    try:
        return _NUMBERS[_MACHINE][name]
    except KeyError:
        raise OSError(errno.ENOSYS, f"{name}(2) on {_MACHINE}: the system call's number is not known") from None


def entry(*types: Any) -> Callable[..., int]:
    """syscall(2) with arguments of the given C types after the number; -1 is failure (see `last_error`)."""
    function = _libc["syscall"]  # an object of its own, unlike _libc.syscall
    function.restype = ctypes.c_long
    function.argtypes = (ctypes.c_long, *types)
    return function


def last_error() -> OSError:
    """The error of this thread's last failed call."""
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))


class Fd:
    """A file descriptor with one owner.  Left open when collected, it is closed with a `ResourceWarning`."""

    __slots__ = ("__weakref__", "_fd", "what")

    def __init__(self, fd: int, what: str) -> None:
        self._fd = fd
        self.what = what

    def fileno(self) -> int:
        """The number.  Raises `ClosedError`."""
        if self._fd < 0:
            from stingless.errors import ClosedError

            raise ClosedError(f"{self.what} is closed")
        return self._fd

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
            warnings.warn(f"{self.what} (fd {fd}) was not closed", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<Fd {self._fd} {self.what}>"
