"""Attachments that are held by file descriptors: closing them detaches, and so does the end of the process."""

from __future__ import annotations

from collections.abc import Sequence

from stingless._gen.uapi import ProgramType
from stingless._sys.syscall import Fd
from stingless.errors import AttachError
from stingless.events import Event
from stingless.linux.programs import LinuxProgram
from stingless.owned import Owned


class LinuxLink(Owned):
    """See `stingless.kernel.Link`."""

    def __init__(self, event: Event, fds: Sequence[Fd], note: str = "") -> None:
        self._event = event
        self._fds = list(fds)
        self._note = note

    @property
    def event(self) -> Event:
        return self._event

    @property
    def note(self) -> str:
        return self._note

    @property
    def socket(self) -> int:
        return -1

    def _free(self) -> None:
        for fd in self._fds:
            fd.close()


def require_type(program: LinuxProgram, event: Event, *types: ProgramType) -> None:
    """Raise `AttachError` when the program's type does not go with the event."""
    if program.spec.type not in types:
        wanted = " or ".join(t.name for t in types)
        raise AttachError(
            f"program {program.spec.name!r} is of type {program.spec.type.name}; {event} takes {wanted} programs", 22
        )
