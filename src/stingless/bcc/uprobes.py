"""Uprobes and uretprobes: a function of a program or library, or all that match a regular expression."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless.bcc.attaching import Attaching, nothing_matches
from stingless.bcc.names import Name, bytes_of, text_of
from stingless.events import Uprobe

if TYPE_CHECKING:
    from typing import Self

_NOT_A_NAME = re.compile("[^a-zA-Z0-9_]")


class Uprobes(Attaching):
    def attach_uprobe(
        self,
        name: Name = b"",
        sym: Name = b"",
        sym_re: Name = b"",
        addr: int | None = None,
        fn_name: Name = b"",
        pid: int = -1,
        sym_off: int = 0,
    ) -> Self:
        """Run a function at the entry of a user function.  `name` is a library ("c"), a program or a path; with `pid`,
        the library that this process uses, and only there.  The place is `sym_off` bytes into the function `sym`, or
        the address `addr` as the file's symbols have it, or each function whose name matches `sym_re`.

        Raises `UnknownNameError`, `AttachError`, `PrivilegeError`."""
        if sym_off < 0 or (addr is not None and sym_off):
            raise ValueError("sym_off is an offset into the function sym=, not negative; an addr= has none")
        self._uprobe(name, sym, sym_re, addr, fn_name, pid, sym_off, ret=False)
        return self

    def attach_uretprobe(
        self,
        name: Name = b"",
        sym: Name = b"",
        sym_re: Name = b"",
        addr: int | None = None,
        fn_name: Name = b"",
        pid: int = -1,
    ) -> Self:
        """Run a function when a user function returns; the arguments are those of `attach_uprobe`."""
        self._uprobe(name, sym, sym_re, addr, fn_name, pid, 0, ret=True)
        return self

    def _uprobe(
        self,
        name: Name,
        sym: Name,
        sym_re: Name,
        addr: int | None,
        fn_name: Name,
        pid: int,
        sym_off: int,
        ret: bool,
    ) -> None:
        if sym_re:
            self._uprobes(name, sym_re, fn_name, pid, ret)
            return
        event = _event(name, sym, addr, pid, sym_off, ret)
        self._attach(event, fn_name, ProgramType.KPROBE, "uprobe", _place(event))

    def _uprobes(self, name: Name, sym_re: Name, fn_name: Name, pid: int, ret: bool) -> None:
        """One place for each address: a function may have several names."""
        from stingless.bcc.many import uprobes
        from stingless.bcc.user_functions import binary_of, functions_and_addresses, offset_of

        path = binary_of(text_of(name), pid)
        offsets = sorted({offset_of(path, at) for _, at in functions_and_addresses(path, bytes_of(sym_re))})
        if not offsets:
            nothing_matches(f"no function in {path} matches {text_of(sym_re)!r}", fn_name)
            return
        self._check_probe_quota(len(offsets))
        if pid <= 0:
            names = [_place(Uprobe(path, offset, ret, pid)) for offset in offsets]
            offsets = uprobes(self, path, offsets, fn_name, ret, names)
        for offset in offsets:
            event = Uprobe(path, offset, ret, pid)
            self._attach(event, fn_name, ProgramType.KPROBE, "uprobe", _place(event))

    def detach_uprobe(
        self, name: Name = b"", sym: Name = b"", addr: int | None = None, pid: int = -1, sym_off: int = 0
    ) -> None:
        """Raises `UnknownNameError` when it is not attached."""
        self._detach("uprobe", _place(_event(name, sym, addr, pid, sym_off, False)))

    def detach_uretprobe(self, name: Name = b"", sym: Name = b"", addr: int | None = None, pid: int = -1) -> None:
        self._detach("uprobe", _place(_event(name, sym, addr, pid, 0, True)))

    def detach_uprobe_event(self, ev_name: Name) -> None:
        """By the name that `uprobe_fds` has for it."""
        self._detach("uprobe", text_of(ev_name))

    @property
    def uprobe_fds(self) -> dict[bytes, int]:
        return {place: next(iter(there.values())) for place, there in self._fds("uprobe").items()}

    open_uprobes = uprobe_fds

    def num_open_uprobes(self) -> int:
        """Entries and returns of user functions that something is attached to."""
        return self._count("uprobe")


def _event(name: Name, sym: Name, addr: int | None, pid: int, sym_off: int, ret: bool) -> Uprobe:
    from stingless.bcc.user_functions import binary_of, offset_of
    from stingless.symbols.elf import function_offset

    path = binary_of(text_of(name), pid)
    symbol = text_of(sym)
    if not symbol and addr is None:
        raise ValueError("a uprobe needs sym=, sym_re= or addr=")
    offset = function_offset(path, symbol) + sym_off if symbol else offset_of(path, addr or 0)
    return Uprobe(path, offset, ret, pid, symbol, ref_ctr_offset=_semaphore(path, offset))


def _semaphore(path: str, offset: int) -> int:
    """Of a static probe that the script has enabled, and attaches to by its address."""
    usdt = sys.modules.get("stingless.bcc.usdt")
    return usdt.semaphore_at(path, offset) if usdt is not None else 0


def _place(event: Uprobe) -> str:
    """bcc's name for it."""
    place = f"{'r' if event.ret else 'p'}_{_NOT_A_NAME.sub('_', event.path)}_{event.offset:#x}"
    return place if event.pid == -1 else f"{place}_{event.pid}"
