"""What the attach verbs share: the list of what is attached, under the names that bcc gives to probes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from stingless._gen.uapi import AttachType, ProgramType
from stingless.bcc.module import Module
from stingless.bcc.names import Name, text_of
from stingless.errors import AttachError, StinglessError, UnknownNameError

if TYPE_CHECKING:
    from stingless.events import Event
    from stingless.kernel import Link, Program

_PROBE_LIMIT = 1000  # of one process, as in bcc; $BCC_PROBE_LIMIT is another
_PROBES = ("kprobe", "uprobe")
_open_probes = 0


def num_open_probes() -> int:
    """Kprobes and uprobes of this process that count against the limit."""
    return _open_probes


def nothing_matches(what: str, fn_name: Name) -> None:
    """A regular expression of an attach verb matches nothing.  bcc goes on without a word, so scripts go on here."""
    import warnings

    warnings.warn(f"{what}: {text_of(fn_name)} is attached to nothing", RuntimeWarning, stacklevel=4)


class Attachment:
    """A function at one place.  `kind` is the verb's ("kprobe", for a kretprobe too), `name` bcc's name of the place;
    `drop` detaches it alone, which for one of many in a link is not to close the link."""

    __slots__ = ("drop", "function", "kind", "link", "name")

    def __init__(self, kind: str, name: str, function: str, link: Link, drop: Callable[[], None] | None = None) -> None:
        self.kind = kind
        self.name = name
        self.function = function
        self.link = link
        self.drop = drop or link.close


class Attaching(Module):
    """Attachments are held by the `BPF` object: `cleanup()` and the end of the process detach them."""

    def _begin(self) -> None:
        self._attached: dict[tuple[str, str], list[Attachment]] = {}

    def _attach(
        self,
        event: Event,
        fn_name: Name,
        type: ProgramType,
        kind: str,
        name: str,
        attach_type: AttachType | None = None,
    ) -> Link:
        """Load the function and attach it, and keep it under `kind` and `name`."""
        if kind in _PROBES:
            self._check_probe_quota(1)
        function = self.load_func(fn_name, type, attach_type=attach_type)
        link = self._link(function.program, event, text_of(fn_name))
        self._keep(Attachment(kind, name, text_of(fn_name), link))
        return link

    def _link(self, program: Program, event: Event, function: str) -> Link:
        try:
            link = self.kernel.attach(program, event)
        except StinglessError as error:
            if (why := getattr(error, "message", None)) is not None:
                kind, _, where = str(event).partition(":")
                why = why.removeprefix(f"program {function!r} cannot be attached to {event}").removeprefix(": ")
                error.message = f"Failed to attach BPF program {function} to {kind} {where}: {why}"  # type: ignore[attr-defined]
            raise
        self._session.attached()
        if link.note:
            print(f"stingless: {link.note}", file=sys.stderr)
        return link

    def _keep(self, attachment: Attachment) -> None:
        global _open_probes
        self._attached.setdefault((attachment.kind, attachment.name), []).append(attachment)
        _open_probes += attachment.kind in _PROBES

    def _detach(self, kind: str, name: str, fn_name: Name | None = None) -> None:
        """Raises `UnknownNameError` when nothing is attached there."""
        self._drop(kind, [name], fn_name, name)

    def _drop(self, kind: str, names: Iterable[str], fn_name: Name | None, asked: str) -> None:
        function = None if fn_name is None else text_of(fn_name)
        found = [
            each
            for name in names
            for each in self._attached.get((kind, name), ())
            if function is None or each.function == function
        ]
        if not found:
            there = (name for each, name in self._attached if each == kind)
            raise UnknownNameError(f"attached {kind}", asked, there, "it is not attached")
        for each in found:
            self._forget(each)
            each.drop()

    def _forget(self, attachment: Attachment) -> None:
        global _open_probes
        place = attachment.kind, attachment.name
        self._attached[place].remove(attachment)
        if not self._attached[place]:
            del self._attached[place]
        _open_probes -= attachment.kind in _PROBES

    def _all(self) -> Iterator[Attachment]:
        return (each for there in list(self._attached.values()) for each in list(there))

    def _detach_all(self) -> None:
        links = {id(each.link): each.link for each in self._all()}
        for each in self._all():
            self._forget(each)
        for link in links.values():
            with contextlib.suppress(OSError):
                link.close()

    def _fds(self, kind: str) -> dict[bytes, dict[bytes, int]]:
        """File descriptors (-1 where an attachment has none of its own) by place and function, as bcc shows them."""
        found: dict[bytes, dict[bytes, int]] = {}
        for each in self._all():
            if each.kind == kind:
                there = found.setdefault(each.name.encode(errors="surrogateescape"), {})
                there[each.function.encode()] = _fd(each.link)
        return found

    def _count(self, kind: str) -> int:
        return sum(1 for each, _ in self._attached if each == kind)

    # The limit

    @staticmethod
    def get_probe_limit() -> int:
        """How many kprobes and uprobes a process may have open: 1000, or $BCC_PROBE_LIMIT."""
        given = os.environ.get("BCC_PROBE_LIMIT", "")
        return int(given) if given.isdigit() else _PROBE_LIMIT

    def _check_probe_quota(self, num_new_probes: int) -> None:
        if _open_probes + num_new_probes > self.get_probe_limit():
            raise AttachError(
                f"Number of open probes would exceed global quota: {_open_probes} are open, {num_new_probes} more were "
                f"asked for, and the limit is {self.get_probe_limit()}; $BCC_PROBE_LIMIT changes it",
                28,
            )


def _fd(link: Link) -> int:
    try:
        return int(link.fd)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return -1
