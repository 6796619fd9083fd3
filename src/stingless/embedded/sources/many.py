"""Events that are several probes: many functions of a file, many system calls, the places of a static probe."""

from __future__ import annotations

import errno
import fnmatch
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from stingless import syscalls
from stingless.errors import AttachError, NotSupportedError
from stingless.events import Event, Kprobe, KprobeMulti, Uprobe, UprobeMulti, Usdt
from stingless.owned import Owned
from stingless.symbols.usdt import arguments, probe
from stingless.usdt_specs import SPECS, Room, check_values, packed, refusals

if TYPE_CHECKING:
    from stingless.embedded.maps import EmbeddedMap
    from stingless.embedded.programs import EmbeddedProgram
    from stingless.embedded.sources.tracer import Tracer, TracerLink

_rooms: WeakKeyDictionary[EmbeddedMap, Room] = WeakKeyDictionary()


class ManyLinks(Owned):
    """See `stingless.kernel.Link`: closed, all of them are."""

    socket = -1

    def __init__(self, event: Event, links: Sequence[TracerLink]) -> None:
        self.event = event
        self.links = tuple(links)
        self.note = "; ".join(dict.fromkeys(link.note for link in links if link.note))
        self._descriptions: tuple[Room, list[int]] | None = None

    def _free(self) -> None:
        for link in self.links:
            link.close()
        if self._descriptions is not None:
            room, numbers = self._descriptions
            for number in numbers:
                room.give_back(number)

    def __repr__(self) -> str:
        return f"<ManyLinks {self.event}{' (closed)' if self._closed else ''}>"


def attach(tracer: Tracer, program: EmbeddedProgram, event: KprobeMulti | UprobeMulti | Usdt) -> ManyLinks:
    """Raises `AttachError`, `NotSupportedError`."""
    if isinstance(event, Usdt):
        return _usdt(tracer, program, event)
    if event.session:
        raise NotSupportedError(
            f"{event} on the embedded kernel", advice="attach one program to the entry, one to the return"
        )
    parts = _kprobes(event) if isinstance(event, KprobeMulti) else _uprobes(event)
    return ManyLinks(event, _all(tracer, program, parts))


def _all(tracer: Tracer, program: EmbeddedProgram, parts: Iterable[Event]) -> list[TracerLink]:
    links: list[TracerLink] = []
    try:
        for each in parts:
            links.append(tracer.attach(program, each))
    except BaseException:
        for link in links:
            link.close()
        raise
    return links


def _uprobes(event: UprobeMulti) -> list[Event]:
    cookies = event.cookies or (0,) * len(event.offsets)
    return [
        Uprobe(event.path, offset, event.ret, event.pid, cookie=cookie)
        for offset, cookie in zip(event.offsets, cookies, strict=True)
    ]


def _kprobes(event: KprobeMulti) -> list[Event]:
    """Functions of system calls; patterns are compared with the names that they have in this machine's kernel."""
    found: list[Event] = []
    prefix = "__arm64_sys_" if syscalls.table().machine == "aarch64" else "__x64_sys_"
    for index, asked in enumerate(event.functions):
        cookie = event.cookies[index] if event.cookies else 0
        names = [asked]
        if "*" in asked or "?" in asked:
            every = (prefix + syscalls.kernel_name(call) for call in syscalls.table().numbers)
            names = fnmatch.filter(every, asked)
            if not names:
                raise AttachError(f"{event}: no system call's function matches {asked!r}", errno.ENOENT)
        found += [Kprobe(name, ret=event.ret, cookie=cookie) for name in names]
    return found


def _usdt(tracer: Tracer, program: EmbeddedProgram, event: Usdt) -> ManyLinks:
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    specs = program.maps.get(SPECS)
    parts: list[Event] = []
    room, numbers = None, []
    try:
        with refusals(what, event.path):
            places = probe(event.path, event.provider, event.name)
            if specs is not None:  # the program looks its arguments up
                check_values(what, specs.spec.value_size)
                room = _rooms.setdefault(specs, Room(specs.spec.max_entries))
            for place in places:
                cookie = event.cookie
                if room is not None and specs is not None:
                    spec = packed(arguments(place.arguments, syscalls.table().machine), event.cookie)
                    cookie = room.take(spec)
                    numbers.append(cookie)
                    specs.update(struct.pack("=I", cookie), spec)
                symbol = f"{event.provider}:{event.name}"
                parts.append(Uprobe(event.path, place.offset, False, event.pid, symbol, cookie, place.semaphore))
            link = ManyLinks(event, _all(tracer, program, parts))
    except BaseException:
        if room is not None:
            for number in numbers:
                room.give_back(number)
        raise
    link._descriptions = (room, numbers) if room is not None else None
    return link
