"""tracefs: tracepoint ids and names, trace_pipe.

Minimum kernel: 4.1.  Privileges: root, or read access to a mounted tracefs.  Source: kernel/trace/trace_events.c.
"""

from __future__ import annotations

import errno
import os

from stingless._sys.mount import directory
from stingless._sys.syscall import Fd
from stingless.errors import NotSupportedError, StinglessError, UnknownNameError
from stingless.linux.refusals import EMBEDDED, privilege
from stingless.owned import Owned


class Tracefs(Owned):
    """An open tracefs; paths are relative to its root."""

    def __init__(self) -> None:
        """Raises `PrivilegeError`, `NotSupportedError`."""
        try:
            self._fd: Fd = directory("tracefs")
        except OSError as e:
            if e.errno in (errno.EPERM, errno.EACCES):
                raise privilege("mounting tracefs", ("CAP_SYS_ADMIN",)) from None
            raise NotSupportedError("tracefs", "4.1 and CONFIG_TRACING", EMBEDDED, e.errno or 0) from None

    def open(self, path: str, flags: int = os.O_RDONLY) -> Fd:
        """Raises `OSError`."""
        return Fd(os.open(path, flags | os.O_CLOEXEC, dir_fd=self._fd.fileno()), f"tracefs {path}")

    def read(self, path: str) -> str:
        file = self.open(path)
        try:
            parts = []
            while part := os.read(file.fileno(), 1 << 16):
                parts.append(part)
            return b"".join(parts).decode()
        finally:
            file.close()

    def names(self, path: str) -> list[str]:
        """The directories in `path`."""
        file = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(file.fileno()) as entries:
                return sorted(e.name for e in entries if e.is_dir())
        finally:
            file.close()

    @property
    def fd(self) -> int:
        """The descriptor of its root directory."""
        return self._fd.fileno()

    def mkdir(self, path: str) -> None:
        os.mkdir(path, dir_fd=self._fd.fileno())

    def rmdir(self, path: str) -> None:
        os.rmdir(path, dir_fd=self._fd.fileno())

    def event_id(self, category: str, name: str) -> int:
        """The id of a tracepoint.  Raises `UnknownNameError` with the nearest, `PrivilegeError`."""
        try:
            return int(self.read(f"events/{category}/{name}/id"))
        except FileNotFoundError:
            raise self._unknown(category, name) from None
        except PermissionError:
            raise privilege("reading tracefs", ("CAP_SYS_ADMIN",)) from None

    def _unknown(self, category: str, name: str) -> StinglessError:
        categories = self.names("events")
        if category not in categories:
            # The name may be right and the category wrong: name the places that have it.
            places = [f"{c}:{name}" for c in categories if name in self.names(f"events/{c}")]
            return UnknownNameError("tracepoint", f"{category}:{name}", places or categories)
        known = [f"{category}:{n}" for n in self.names(f"events/{category}")]
        return UnknownNameError("tracepoint", f"{category}:{name}", known)

    def _free(self) -> None:
        self._fd.close()
