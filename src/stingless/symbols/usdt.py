"""Static probes (USDT) of an ELF program or library: the notes of its section .note.stapsdt.

Each note tells one place of a probe, where its arguments are there, and its semaphore: a counter that the program looks
at to know whether somebody listens.  Source: SystemTap's wiki, "UserSpaceProbeImplementation".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from stingless.errors import ObjectError, UnknownNameError
from stingless.frozen import frozen
from stingless.symbols.elf_file import ET_EXEC, SHT_NOTE, ElfFile, Section
from stingless.symbols.operands import operand, split

_NT_STAPSDT = 3


@frozen
class Place:
    """One place of a probe: `address` and `offset` of its instruction, in the program's memory image and in the file;
    `semaphore` the offset in the file of its counter (0: none), `semaphore_address` where that is in the image.
    `arguments` as in the note."""

    address: int
    offset: int
    semaphore: int
    arguments: str
    semaphore_address: int = 0


@frozen
class Probes:
    """A file's probes.  `fixed`: its addresses are those of memory (no position-independent code)."""

    places: Mapping[tuple[str, str], tuple[Place, ...]]
    fixed: bool
    machine: int  # e_machine


@lru_cache(maxsize=64)
def _read(path: str, _stamp: tuple[int, int, int]) -> Probes:
    try:
        with ElfFile.open(path) as elf:
            return parse_file(elf)
    except ObjectError as error:
        raise ObjectError(f"{path}: {error}") from None


def probes(path: str) -> Probes:
    """Raises `ObjectError` for a malformed file, `OSError`."""
    stat = Path(path).stat()
    return _read(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


def probe(path: str, provider: str, name: str) -> tuple[Place, ...]:
    """The places of one probe.  Raises `UnknownNameError` naming the nearest."""
    there = probes(path).places
    if (provider, name) not in there:
        known = [f"{p}:{n}" for p, n in there]
        raise UnknownNameError(f"static probe in {path}", f"{provider}:{name}", known, "" if known else "it has none")
    return there[provider, name]


def parse(data: bytes) -> Probes:
    """Raises `ObjectError`."""
    return parse_file(ElfFile.of(data))


def parse_file(elf: ElfFile) -> Probes:
    """Raises `ObjectError`."""
    try:
        return _parse(elf)
    except (struct.error, IndexError, OverflowError) as error:
        raise ObjectError(f"not a well-formed ELF file: {error}") from None


def _parse(elf: ElfFile) -> Probes:
    base = elf.section(".stapsdt.base")
    found: dict[tuple[str, str], list[Place]] = {}
    for section in elf.sections:
        if section.kind == SHT_NOTE and section.name == ".note.stapsdt":
            for provider, name, place in _places(elf, section, base.address if base else 0):
                found.setdefault((provider, name), []).append(place)
    places = {key: tuple(dict.fromkeys(each)) for key, each in found.items()}
    return Probes(places, elf.type == ET_EXEC, elf.machine)


def _places(elf: ElfFile, section: Section, base: int) -> Iterator[tuple[str, str, Place]]:
    form = struct.Struct("<QQQ" if elf.wide else "<III")
    for note in elf.notes(section):
        if note.kind != _NT_STAPSDT or note.owner != b"stapsdt\0":
            continue
        address, noted, semaphore = form.unpack_from(note.content)
        texts = [text.decode("utf-8", "replace") for text in note.content[form.size :].split(b"\0")]
        if len(texts) < 3:
            raise ObjectError("a note of a static probe is cut short")
        provider, name, arguments = texts[:3]
        # A tool that moved the sections after linking (prelink) did not change the notes.
        shift = base - noted if base and noted else 0
        offset = elf.offset_of(address + shift)
        if offset is None:
            raise ObjectError(f"the probe {provider}:{name} is at {address:#x}, in no segment")
        counter = elf.offset_of(semaphore + shift) if semaphore else 0
        if counter is None:
            raise ObjectError(f"the semaphore of {provider}:{name} is at {semaphore:#x}, in no segment")
        there = semaphore + shift if semaphore else 0
        yield provider, name, Place(address + shift, offset, counter, arguments, there)


# Arguments, as <bpf/usdt.bpf.h> describes them to programs

CONST, REG, REG_DEREF, SIB = range(4)


@frozen
class Argument:
    """Where an argument is: the constant `value`; in the register at `register` (an offset in struct pt_regs); or in
    memory at register + `index` register * 2**`scale` + `value`.  `size` bytes, a negative number if `signed`."""

    kind: int
    value: int
    register: int = 0
    index: int = 0
    scale: int = 0
    size: int = 8
    signed: bool = False


# struct pt_regs in arch/x86/include/asm/ptrace.h and struct user_pt_regs in arch/arm64/include/uapi/asm/ptrace.h
_X86 = ("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di")
_REGISTERS = {
    "x86_64": {name: 8 * i for i, name in enumerate(_X86)} | {"ip": 128, "sp": 152},
    "aarch64": {f"regs[{i}]": 8 * i for i in range(31)} | {"sp": 248, "pc": 256},
}


def arguments(text: str, machine: str) -> tuple[Argument, ...]:
    """The arguments of a place, on "x86_64" or "aarch64".  Raises `ObjectError` for one of a form that programs cannot
    read (a floating-point register, an address by symbol)."""
    return tuple(_argument(part, machine) for part in split(text))


def _argument(text: str, machine: str) -> Argument:
    found = operand(text, machine)
    if found.floating or found.symbol or not found.readable or "@" not in text:
        raise ObjectError(f"the static probe's argument {text!r} is not an integer that programs can read")
    if found.constant is not None:
        return Argument(CONST, found.constant, size=found.size, signed=found.signed)
    offsets = _REGISTERS[machine]
    register = offsets[found.base]
    if found.offset is None:
        return Argument(REG, 0, register, size=found.size, signed=found.signed)
    if not found.index:
        return Argument(REG_DEREF, found.offset, register, size=found.size, signed=found.signed)
    scale = found.scale.bit_length() - 1
    return Argument(SIB, found.offset, register, offsets[found.index], scale, found.size, found.signed)
