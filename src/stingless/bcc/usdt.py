"""Static probes (USDT) of programs and libraries: bcc's module of that name.

    usdt = USDT(pid=1234)
    usdt.enable_probe("request", "on_request")
    b = BPF(text=..., usdt_contexts=[usdt])

In the program, `bpf_usdt_readarg(1, ctx, &value)` calls a function that `get_text()` makes of the probe's note.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stingless._gen.uapi import ProgramType
from stingless.bcc.names import Name, text_of
from stingless.bcc.usdt_text import Location, Probe, probe_text
from stingless.bcc.usdt_text import USDTException as USDTException
from stingless.errors import ObjectError, StinglessError
from stingless.symbols.operands import Operand

if TYPE_CHECKING:
    from stingless.bpf import BPF

HEADER = "#include <uapi/linux/ptrace.h>\n"


class BCC_USDT_ARGUMENT_FLAGS:  # bcc's name
    NONE = 0x0
    CONSTANT = 0x1
    DEREF_OFFSET = 0x2
    DEREF_IDENT = 0x4
    BASE_REGISTER_NAME = 0x8
    INDEX_REGISTER_NAME = 0x10
    SCALE = 0x20


class USDTProbeArgument:
    """Where an argument is.  `size` in bytes; `valid` tells (`BCC_USDT_ARGUMENT_FLAGS`) which of `constant`,
    `deref_offset`, `deref_ident`, `base_register_name`, `index_register_name` and `scale` there are."""

    constant: int
    deref_offset: int
    deref_ident: bytes
    base_register_name: bytes
    index_register_name: bytes
    scale: int

    def __init__(self, operand: Operand) -> None:
        self.signed = operand.signed
        self.size = operand.size
        self.valid = BCC_USDT_ARGUMENT_FLAGS.NONE
        for flag, name, value in (
            (BCC_USDT_ARGUMENT_FLAGS.CONSTANT, "constant", operand.constant),
            (BCC_USDT_ARGUMENT_FLAGS.DEREF_OFFSET, "deref_offset", operand.offset),
            (BCC_USDT_ARGUMENT_FLAGS.DEREF_IDENT, "deref_ident", operand.symbol.encode() or None),
            (BCC_USDT_ARGUMENT_FLAGS.BASE_REGISTER_NAME, "base_register_name", operand.base.encode() or None),
            (BCC_USDT_ARGUMENT_FLAGS.INDEX_REGISTER_NAME, "index_register_name", operand.index.encode() or None),
            (BCC_USDT_ARGUMENT_FLAGS.SCALE, "scale", operand.scale if operand.index else None),
        ):
            if value is not None:
                self.valid |= flag
                setattr(self, name, value)
        self._operand = operand

    def _place(self) -> str:
        place = self._operand
        if place.constant is not None:
            return str(place.constant)
        if place.offset is None:
            return place.base
        sign = "-" if place.offset < 0 else "+"
        base = f"&{place.symbol}" if place.symbol else place.base
        index = f" + {place.index}" + (f" * {place.scale}" if place.scale != 1 else "") if place.index else ""
        return f"*({base} {sign} {abs(place.offset)}{index})"

    def __str__(self) -> str:
        return f"{self.size} {'signed  ' if self.signed else 'unsigned'} bytes @ {self._place()}"


class USDTProbeLocation:
    """One place of a probe: `address` as the file has it."""

    def __init__(self, probe: USDTProbe, index: int, location: Location) -> None:
        self.probe = probe
        self.index = index
        self.num_arguments = probe.num_arguments
        self.address = location.address
        self.bin_path = os.fsencode(location.path)
        self._location = location

    def __str__(self) -> str:
        return f"{os.fsdecode(self.bin_path)} {self.address:#x}"

    def get_argument(self, index: int) -> USDTProbeArgument:
        """From 0.  Raises `USDTException`."""
        operands = self._location.operands
        if not 0 <= index < len(operands):
            raise USDTException(f"error retrieving probe argument {index} location {self.index}")
        operand = operands[index]
        if operand is None:
            text = self._location.texts[index]
            raise USDTException(f"error retrieving probe argument {index} location {self.index}: {text!r} is not known")
        return USDTProbeArgument(operand)


class USDTProbe:
    """A probe.  `semaphore` is the address of its counter as the file has it, 0 for none."""

    def __init__(self, context: USDT, probe: Probe) -> None:
        self.context = context
        self.provider = probe.provider.encode()
        self.name = probe.name.encode()
        self.bin_path = os.fsencode(probe.locations[0].path)
        self.semaphore = probe.locations[0].semaphore_address
        self.num_locations = len(probe.locations)
        self.num_arguments = len(probe.locations[0].operands)
        self._probe = probe

    def __str__(self) -> str:
        return f"{self.short_name()} [sema {self.semaphore:#x}]"

    def short_name(self) -> str:
        return f"{self._probe.provider}:{self._probe.name}"

    def get_location(self, index: int) -> USDTProbeLocation:
        """From 0.  Raises `USDTException`."""
        if not 0 <= index < self.num_locations:
            raise USDTException(f"error retrieving probe location {index}")
        return USDTProbeLocation(self, index, self._probe.locations[index])


class USDT:
    """The probes of a process (its program and libraries; with `path` of that file alone), or of a file: a path, a
    program in $PATH, or a library's name ("c").  Raises `USDTException`."""

    def __init__(self, pid: int | None = None, path: Name | None = None) -> None:
        name = text_of(path) if path else ""
        self.pid = pid if pid and pid != -1 else -1
        if self.pid != -1:
            files = self._files_of(self.pid, name)
        elif name:
            self.path = name
            files = self._files_at(name)
        else:
            raise USDTException("either a pid or a binary path must be specified")
        found: dict[tuple[str, str], Probe] = {}
        for file in files:
            _add_probes(found, file, self.pid)
        for probe in found.values():
            probe.locations.sort(key=lambda place: (place.path, place.address))
        self._probes = list(found.values())

    def _files_of(self, pid: int, path: str) -> list[str]:
        from stingless.symbols.mappings import file_of, mappings

        failed = f"USDT failed to instrument PID {pid}"
        if path:
            if not path.startswith("/"):
                raise USDTException(f"{failed}: the path of its binary is to be absolute, not {path!r}")
            seen = path if path.startswith("/proc/") else f"/proc/{pid}/root{path}"
            if not Path(seen).exists():
                raise USDTException(f"{failed}: there is no process {pid}, or {path} does not exist in its view")
            self._program = seen
            return [seen]
        try:
            found = mappings(pid)
            self._program = str(Path(f"/proc/{pid}/exe").readlink())
        except OSError as error:
            raise USDTException(f"{failed}: {error.strerror or error}") from None
        files = (file_of(pid, mapping, by_process=True) for mapping in found if not mapping.name.startswith("["))
        return list(dict.fromkeys(files))

    def _files_at(self, path: str) -> list[str]:
        from stingless.symbols.libraries import resolve_binary

        try:
            self._program = str(resolve_binary(path))
        except StinglessError as error:
            raise USDTException(f"USDT failed to instrument path {path}: {error}") from None
        return [self._program]

    def get_context(self) -> USDT:
        return self

    # Probes by name

    def _named(self, name: Name) -> list[Probe]:
        provider, colon, probe = text_of(name).partition(":")
        if not colon:
            return [each for each in self._probes if each.name == provider]
        return [each for each in self._probes if (each.provider, each.name) == (provider, probe)]

    def enable_probe(self, probe: Name, fn_name: Name) -> None:
        """Attach the program's function to the probe ("NAME" or "PROVIDER:NAME") when the program is loaded.

        Raises `USDTException`."""
        found = self._named(probe)
        name = text_of(probe)
        if len(found) == 1 and not found[0].function:
            found[0].function = text_of(fn_name)
            _remember(found[0])
            return
        if len(found) > 1:
            providers = ", ".join(f"{each.provider}:{each.name}" for each in found)
            why = f"several providers have it, name one: {providers}"
        elif found:
            why = f"it is enabled already, for {found[0].function}"
        else:
            import difflib

            known = [each.name for each in self._probes]
            near = difflib.get_close_matches(name.rpartition(":")[2], known, n=3, cutoff=0.5)
            nearest = f"; the nearest: {', '.join(near)}" if near else ""
            why = f"there is no such probe{nearest}; the process may not have that language's runtime, or one built "
            why += "without its probes (--enable-dtrace, --with-dtrace); the tool tplist shows what there is"
        raise USDTException(f"Failed to enable USDT probe '{name}': {why}")

    def enable_probe_or_bail(self, probe: Name, fn_name: Name) -> None:
        """As `enable_probe`, but a failure ends the script."""
        try:
            self.enable_probe(probe, fn_name)
        except USDTException as error:
            print(error, file=sys.stderr)
            sys.exit(1)

    def get_probe_arg_ctype(self, probe_name: Name, arg_index: int) -> str:
        """The C type of an argument (from 0), the widest of all places; "" for a probe that is not there."""
        found = self._named(probe_name)
        return found[0].c_type(arg_index) if found else ""

    def enumerate_probes(self) -> list[USDTProbe]:
        return [USDTProbe(self, probe) for probe in self._probes]

    def _enabled(self) -> Iterator[Probe]:
        return (probe for probe in self._probes if probe.function)

    def enumerate_active_probes(self) -> list[tuple[bytes, bytes, int, int]]:
        """(file, function, address, process or -1) of each place of the enabled probes."""
        return [
            (os.fsencode(place.path), probe.function.encode(), place.address, self.pid)
            for probe in self._enabled()
            for place in probe.locations
        ]

    # For BPF()

    def get_text(self) -> str:
        """The C functions that read the arguments of the enabled probes."""
        return generated([self])

    def attach_uprobes(self, bpf: BPF, attach_usdt_ignore_pid: bool = False) -> None:
        """Attach the functions of the enabled probes; the kernel holds the probes' semaphores up meanwhile.  Called by
        `BPF(usdt_contexts=)`."""
        from stingless.bcc.uprobes import _place
        from stingless.events import Uprobe

        pid = -1 if attach_usdt_ignore_pid else self.pid
        # A program that waits for its semaphore finds the other probes attached.
        for probe in sorted(self._enabled(), key=lambda each: each.locations[0].semaphore != 0):
            for number, place in enumerate(probe.locations, 1):
                symbol = f"{probe.provider}:{probe.name}"
                event = Uprobe(place.path, place.offset, False, pid, symbol, number, place.semaphore)
                bpf._attach(event, probe.function, ProgramType.KPROBE, "uprobe", _place(event))


# Semaphores of the probes that were enabled: scripts may attach to the places by themselves.
_semaphores: dict[tuple[int, int, int], int] = {}


def _remember(probe: Probe) -> None:
    for place in probe.locations:
        if place.semaphore:
            with contextlib.suppress(OSError):
                _semaphores[_key(place.path, place.offset)] = place.semaphore


def _key(path: str, offset: int) -> tuple[int, int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino, offset


def semaphore_at(path: str, offset: int) -> int:
    """The offset in the file of the semaphore of an enabled probe; 0 for none."""
    try:
        return _semaphores.get(_key(path, offset), 0) if _semaphores else 0
    except OSError:
        return 0


def generated(contexts: Iterable[USDT]) -> str:
    """`get_text()` of several; what two of them have in common is there once."""
    found: dict[tuple[str, str, str, str], str] = {}
    for usdt in contexts:
        for probe in usdt._enabled():
            key = usdt._program, probe.provider, probe.name, probe.function
            if key not in found:
                found[key] = probe_text(probe, usdt.pid)
    return HEADER + "".join(found.values())


def _add_probes(found: dict[tuple[str, str], Probe], path: str, pid: int) -> None:
    from stingless.symbols.usdt import probes

    try:
        file = probes(path)
    except (OSError, ObjectError):
        return  # of a process's files, those that are no programs or are not there any more
    for (provider, name), places in file.places.items():
        probe = found.setdefault((provider, name), Probe(provider, name, []))
        known = {(each.path, each.address) for each in probe.locations}
        for place in places:
            if (path, place.address) not in known:
                probe.locations.append(Location.of(path, place, file))
