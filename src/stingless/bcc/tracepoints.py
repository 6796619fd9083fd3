"""Tracepoints and raw tracepoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless.bcc.attaching import Attaching, nothing_matches
from stingless.bcc.names import Name, bytes_of, text_of
from stingless.events import RawTracepoint, Tracepoint

if TYPE_CHECKING:
    from typing import Self


class Tracepoints(Attaching):
    def attach_tracepoint(self, tp: Name = b"", tp_re: Name = b"", fn_name: Name = b"") -> Self:
        """Run a function at the tracepoint "category:event", or at each whose name so written matches `tp_re`.

        Raises `UnknownNameError`, `AttachError`, `PrivilegeError`."""
        if tp and tp_re and not fn_name:  # the reference guide: attach_tracepoint("cat:event", "function")
            tp_re, fn_name = b"", tp_re
        if not tp_re:
            self._tracepoint(text_of(tp), fn_name)
            return self
        from stingless.bcc.tracefs import tracepoints

        found = tracepoints(bytes_of(tp_re).decode())
        if not found:
            nothing_matches(f"no tracepoint matches {text_of(tp_re)!r}", fn_name)
        for each in found:
            self._tracepoint(each, fn_name)
        return self

    def _tracepoint(self, tp: str, fn_name: Name) -> None:
        category, colon, name = tp.partition(":")
        if not colon or not name:
            raise ValueError(f"a tracepoint is named category:event, not {tp!r}")
        self._attach(Tracepoint(category, name), fn_name, ProgramType.TRACEPOINT, "tracepoint", tp)

    def detach_tracepoint(self, tp: Name = b"") -> None:
        """Raises `UnknownNameError` when it is not attached."""
        self._detach("tracepoint", text_of(tp))

    @property
    def tracepoint_fds(self) -> dict[bytes, int]:
        return {place: next(iter(there.values())) for place, there in self._fds("tracepoint").items()}

    open_tracepoints = tracepoint_fds

    def num_open_tracepoints(self) -> int:
        return self._count("tracepoint")

    def attach_raw_tracepoint(self, tp: Name = b"", fn_name: Name = b"") -> Self:
        """Run a function at a tracepoint, named without category, with its arguments as the kernel has them.  Linux
        4.17."""
        name = text_of(tp)
        self._attach(RawTracepoint(name), fn_name, ProgramType.RAW_TRACEPOINT, "raw_tracepoint", name)
        return self

    def detach_raw_tracepoint(self, tp: Name = b"") -> None:
        self._detach("raw_tracepoint", text_of(tp))

    @property
    def raw_tracepoint_fds(self) -> dict[bytes, int]:
        return {place: next(iter(there.values())) for place, there in self._fds("raw_tracepoint").items()}
