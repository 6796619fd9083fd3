"""Attachments that are held by file descriptors: closing them detaches, and so does the end of the process.

Minimum kernel: 5.7 for bpf links (5.15 for those of kprobes, uprobes, tracepoints and perf events); what has none is
held by the descriptor of its event.  Source: kernel/bpf/syscall.c, `bpf_link_prime()`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless._sys import bpf_link
from stingless._sys.syscall import Fd
from stingless.errors import AttachError, NotSupportedError
from stingless.events import Event
from stingless.linux.programs import LinuxProgram
from stingless.owned import Owned

if TYPE_CHECKING:
    from stingless.linux.link_info import LinkInfo


class LinuxLink(Owned):
    """See `stingless.kernel.Link`.  This one is no bpf link: it has no id, cannot be pinned nor updated."""

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

    @property
    def fd(self) -> int:
        """The descriptor of the bpf link."""
        raise self._lacking("a file descriptor of a bpf link")

    @property
    def id(self) -> int:
        """The link's number, by which other processes find it."""
        return self.info.id

    @property
    def info(self) -> LinkInfo:
        """What the kernel tells of it.  Raises `NotSupportedError` where it is no bpf link."""
        raise self._lacking("information on the link")

    def pin(self, path: str | Path) -> None:
        """Keep it attached, under a path of a bpffs, after `close()` and the end of the process.  Raises
        `FileExistsError` and other `OSError`s, `NotSupportedError`."""
        raise self._lacking("a pin of the link")

    def update(self, program: LinuxProgram) -> None:
        """Let another program of the same type take the place of this one, with no gap.  Raises
        `NotSupportedError` where the kind of link cannot."""
        raise self._lacking("an update of the link")

    def detach(self) -> None:
        """Detach also when it is pinned; then close it."""
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._event}{' (closed)' if self.closed else ''}>"

    def _lacking(self, feature: str) -> NotSupportedError:
        return NotSupportedError(f"{feature} for {self._event}", advice="this attachment is no bpf link here")

    def _free(self) -> None:
        for fd in self._fds:
            fd.close()


class BpfLink(LinuxLink):
    """An attachment that is an object of the kernel."""

    def __init__(self, event: Event, fd: Fd, note: str = "") -> None:
        super().__init__(event, [fd], note)
        self._pins: list[Path] = []

    @property
    def fd(self) -> int:
        return self._fds[0].fileno()

    @property
    def info(self) -> LinkInfo:
        from stingless.linux.link_info import of_fd

        return of_fd(self.fd)

    def pin(self, path: str | Path) -> None:
        try:
            bpf_link.pin(self.fd, str(path))
        except OSError as e:
            code = e.errno or 0
            why = {
                errno.EEXIST: "there is something of that name already",
                errno.ENOENT: "its directory does not exist",
                errno.EPERM: "it is not on a bpffs (`mount -t bpf bpf DIRECTORY` makes one)",
            }.get(code, os.strerror(code))
            raise OSError(code, f"the link of {self._event} was not pinned: {why}", str(path)) from None
        self._pins.append(Path(path))

    def update(self, program: LinuxProgram) -> None:
        try:
            bpf_link.update(self.fd, program.fd)
        except OSError as e:
            code = e.errno or 0
            if code == errno.EOPNOTSUPP or (code == errno.EINVAL and self.info.type.name not in _UPDATABLE):
                advice = f"a link of type {self.info.type.name} keeps its program; close it and attach the other one"
                raise NotSupportedError("an update of the link", advice=advice, errno=code) from None
            raise AttachError(
                f"program {program.spec.name!r} ({program.spec.type.name}) cannot take the place of the program at "
                f"{self._event}",
                code,
            ) from None

    def detach(self) -> None:
        # Not all kinds can be cut off; without a pin of somebody else's the close below does the same.
        with contextlib.suppress(OSError):
            bpf_link.detach(self.fd)
        for path in self._pins:
            path.unlink(missing_ok=True)
        self.close()


class LinkGroup(LinuxLink):
    """Several attachments of one program that are closed as one."""

    def __init__(self, event: Event, links: Sequence[LinuxLink], note: str = "") -> None:
        super().__init__(event, (), note)
        self.links = tuple(links)

    def _free(self) -> None:
        for link in self.links:
            link.close()


_UPDATABLE = ("CGROUP", "ITER", "NETNS", "XDP", "STRUCT_OPS", "TCX", "NETKIT", "SOCKMAP")


def require_type(program: LinuxProgram, event: Event, *types: ProgramType) -> None:
    """Raise `AttachError` when the program's type does not go with the event."""
    if program.spec.type not in types:
        wanted = " or ".join(t.name for t in types)
        raise AttachError(
            f"program {program.spec.name!r} is of type {program.spec.type.name}; {event} takes {wanted} programs", 22
        )
