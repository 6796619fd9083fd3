"""Static probes (USDT) of user programs: a uprobe at each of their places.

Minimum kernel: 4.20 (semaphores); without the cookies of 5.15, a probe in position-independent code needs a process.
Privileges: CAP_BPF and CAP_PERFMON.
Example: `kernel.attach(program, Usdt("/usr/lib/libc.so.6", "libc", "setjmp"))`.
Source: kernel/trace/trace_uprobe.c; the maps' layout is in <bpf/usdt.bpf.h>.
"""

from __future__ import annotations

import contextlib
import errno
import struct
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from stingless._gen.uapi import ProgramType
from stingless.errors import AttachError, ClosedError, NotSupportedError
from stingless.events import Uprobe, Usdt
from stingless.linux import host, perf_link, uprobe
from stingless.linux.links import LinkGroup, LinuxLink, require_type
from stingless.linux.maps import LinuxMap
from stingless.linux.programs import LinuxProgram
from stingless.symbols.usdt import Place, arguments, probe, probes
from stingless.usdt_specs import BY_IP, SPECS, Room, check_values, packed, refusals

_rooms: WeakKeyDictionary[LinuxMap, Room] = WeakKeyDictionary()


class UsdtLink(LinkGroup):
    """The uprobes, and what of the maps is theirs."""

    def __init__(self, event: Usdt, specs: LinuxMap, by_ip: LinuxMap | None) -> None:
        super().__init__(event, ())
        self._room = _rooms.setdefault(specs, Room(specs.spec.max_entries))
        self._specs = specs
        self.by_ip = by_ip
        self._numbers: list[int] = []
        self._addresses: list[bytes] = []

    def describe(self, spec: bytes) -> int:
        """The description's index in the map.  Raises `IndexError` when that is full."""
        number = self._room.take(spec)
        self._numbers.append(number)
        self._specs.update(struct.pack("=I", number), spec)
        return number

    def note_address(self, address: int, number: int) -> None:
        """For a kernel without cookies."""
        assert self.by_ip is not None
        key = struct.pack("=q", address)
        if not self._room.take_address(key, number):
            raise AttachError(f"{self.event}: a probe with another cookie is at the same place", errno.EEXIST)
        self._addresses.append(key)
        self.by_ip.update(key, struct.pack("=I", number))

    def add(self, link: LinuxLink) -> None:
        self.links = (*self.links, link)

    def _free(self) -> None:
        super()._free()
        for key in self._addresses:
            if self._room.give_address_back(key) and self.by_ip is not None:
                with contextlib.suppress(ClosedError):
                    self.by_ip.delete(key)
        for number in self._numbers:
            self._room.give_back(number)


def attach(program: LinuxProgram, event: Usdt) -> LinkGroup:
    require_type(program, event, ProgramType.KPROBE)
    what = f"program {program.spec.name!r} cannot be attached to {event}"
    with refusals(what, event.path):
        places = probe(event.path, event.provider, event.name)
        specs, by_ip = program.maps.get(SPECS), program.maps.get(BY_IP)
        if specs is None:  # a program that looks at no arguments
            return _plain(program, event, places)
        check_values(what, specs.spec.value_size)
        link = UsdtLink(event, specs, None if perf_link.bpf_links() else by_ip)
        try:
            for place in places:
                number = link.describe(packed(arguments(place.arguments, host.machine()), event.cookie))
                if link.by_ip is not None:
                    link.note_address(_address(event, place), number)
                link.add(uprobe.attach(program, _uprobe(event, place, number if link.by_ip is None else 0)))
        except BaseException:
            link.close()
            raise
        return link


def _plain(program: LinuxProgram, event: Usdt, places: Sequence[Place]) -> LinkGroup:
    links: list[LinuxLink] = []
    try:
        for place in places:
            links.append(uprobe.attach(program, _uprobe(event, place, event.cookie)))
    except BaseException:
        for link in links:
            link.close()
        raise
    return LinkGroup(event, links)


def _uprobe(event: Usdt, place: Place, cookie: int) -> Uprobe:
    symbol = f"{event.provider}:{event.name}"
    return Uprobe(event.path, place.offset, False, event.pid, symbol, cookie, place.semaphore)


def _address(event: Usdt, place: Place) -> int:
    """Where the place is in memory."""
    file = probes(event.path)
    if file.fixed:
        return place.address
    if event.pid <= 0:
        raise NotSupportedError(
            f"{event}: a static probe in position-independent code, for all processes", "5.15", "give pid="
        )
    wanted = Path(event.path).stat()
    for line in Path(f"/proc/{event.pid}/maps").read_text().splitlines():
        span, flags, offset, _, inode, *_ = line.split()
        start, end = (int(part, 16) for part in span.split("-"))
        into = place.offset - int(offset, 16)
        if "x" in flags and int(inode) == wanted.st_ino and 0 <= into < end - start:
            return start + into
    raise AttachError(f"{event}: process {event.pid} has not mapped {event.path}", errno.ESRCH)
