"""Static probes (USDT) of an ELF program or library: the notes of its section .note.stapsdt.

Each note tells one place of a probe, where its arguments are there, and its semaphore: a counter that the program looks
at to know whether somebody listens.  Source: SystemTap's wiki, "UserSpaceProbeImplementation".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stingless.errors import ObjectError, UnknownNameError

_PT_LOAD, _SHT_NOTE, _ET_EXEC, _NT_STAPSDT, _PF_X = 1, 7, 2, 3, 1


@dataclass(frozen=True)
class Place:
    """One place of a probe: `address` and `offset` of its instruction, in the program's memory image and in the file;
    `semaphore` the offset in the file of its counter (0: none).  `arguments` as in the note."""

    address: int
    offset: int
    semaphore: int
    arguments: str


@dataclass(frozen=True)
class Probes:
    """A file's probes.  `fixed`: its addresses are those of memory (no position-independent code)."""

    places: Mapping[tuple[str, str], tuple[Place, ...]]
    fixed: bool
    machine: int  # e_machine
    loads: tuple[tuple[int, int, int, int], ...]  # address, bytes in the file, offset in the file, flags


@lru_cache(maxsize=16)
def _read(path: str, _stamp: tuple[int, int, int]) -> Probes:
    try:
        return parse(Path(path).read_bytes())
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
    try:
        return _parse(data)
    except (struct.error, IndexError, OverflowError) as error:
        raise ObjectError(f"not a well-formed ELF file: {error}") from None


def _parse(data: bytes) -> Probes:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ObjectError("not a 64-bit little-endian ELF file")
    kind, machine = struct.unpack_from("<HH", data, 16)
    phoff, shoff = struct.unpack_from("<QQ", data, 32)
    phentsize, phnum, shentsize, shnum, shstrndx = struct.unpack_from("<HHHHH", data, 54)
    loads = []
    for i in range(phnum):
        type_, flags, offset, vaddr, _, filesz = struct.unpack_from("<IIQQQQ", data, phoff + i * phentsize)
        if type_ == _PT_LOAD:
            loads.append((vaddr, filesz, offset, flags))
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shentsize) for i in range(shnum)]
    names = data[heads[shstrndx][4] : heads[shstrndx][4] + heads[shstrndx][5]] if shstrndx < shnum else b""

    def label(head: tuple[int, ...]) -> bytes:
        return names[head[0] : names.find(b"\0", head[0])]

    base = next((head[3] for head in heads if label(head) == b".stapsdt.base"), 0)
    found: dict[tuple[str, str], list[Place]] = {}
    for head in heads:
        if head[1] == _SHT_NOTE and label(head) == b".note.stapsdt":
            for provider, name, place in _notes(data[head[4] : head[4] + head[5]], base, loads):
                found.setdefault((provider, name), []).append(place)
    places = {key: tuple(dict.fromkeys(each)) for key, each in found.items()}
    return Probes(places, kind == _ET_EXEC, machine, tuple(loads))


def _notes(data: bytes, base: int, loads: list[tuple[int, int, int, int]]) -> list[tuple[str, str, Place]]:
    found, at = [], 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("<III", data, at)
        owner = data[at + 12 : at + 12 + name_size]
        start = at + 12 + (name_size + 3 & ~3)
        body = data[start : start + size]
        at = start + (size + 3 & ~3)
        if kind != _NT_STAPSDT or owner != b"stapsdt\0":
            continue
        address, noted, semaphore = struct.unpack_from("<QQQ", body)
        texts = [text.decode("utf-8", "replace") for text in body[24:].split(b"\0")]
        if len(texts) < 3:
            raise ObjectError("a note of a static probe is cut short")
        provider, name, arguments = texts[:3]
        # A tool that moved the sections after linking (prelink) did not change the notes.
        shift = base - noted if base and noted else 0
        offset = _file_offset(address + shift, loads)
        if offset is None:
            raise ObjectError(f"the probe {provider}:{name} is at {address:#x}, in no segment")
        counter = _file_offset(semaphore + shift, loads) if semaphore else 0
        if counter is None:
            raise ObjectError(f"the semaphore of {provider}:{name} is at {semaphore:#x}, in no segment")
        found.append((provider, name, Place(address + shift, offset, counter, arguments)))
    return found


def _file_offset(address: int, loads: list[tuple[int, int, int, int]]) -> int | None:
    return next((address - v + o for v, n, o, _ in loads if v <= address < v + n), None)


# Arguments

CONST, REG, REG_DEREF, SIB = range(4)


@dataclass(frozen=True)
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


def _x86_registers() -> dict[str, int]:
    """Of struct pt_regs in arch/x86/include/asm/ptrace.h."""
    order = ("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di")
    found = {"rip": 128, "eip": 128, "ip": 128, "rsp": 152, "esp": 152, "sp": 152}
    for i, name in enumerate(order):
        if name[0] == "r":
            found.update({f"{name}{end}": 8 * i for end in ("", "d", "w", "b")})
            continue
        found.update({f"r{name}": 8 * i, f"e{name}": 8 * i, name: 8 * i})
        found[name[0] + "l" if name.endswith("x") else name + "l"] = 8 * i
    return found


_X86 = _x86_registers()
# arch/arm64/include/asm/ptrace.h: struct user_pt_regs
_ARM64 = {f"{kind}{i}": 8 * i for kind in "xw" for i in range(31)} | {"sp": 248, "pc": 256}
_SIZED = re.compile(r"(-?)([1248])(f?)@(.+)")
_X86_MEMORY = re.compile(r"(-?\w*)\(%(\w+)(?:,%(\w+)(?:,([1248]))?)?\)")
_ARM64_MEMORY = re.compile(r"\[(\w+)(?:,(-?\w+))?\]")


def arguments(text: str, machine: str) -> tuple[Argument, ...]:
    """The arguments of a place, on "x86_64" or "aarch64".  Raises `ObjectError` for one of a form that programs cannot
    read (a floating-point register, an address by symbol)."""
    # On arm64 a space may follow the comma in [sp, 60].
    return tuple(_argument(part, machine) for part in re.sub(r",\s+", ",", text).split())


def _argument(text: str, machine: str) -> Argument:
    match = _SIZED.fullmatch(text)
    if match is None or match[3]:
        raise ObjectError(f"the static probe's argument {text!r} is not an integer that programs can read")
    size, signed = int(match[2]), bool(match[1])
    operand = match[4]
    table = {"x86_64": _X86, "aarch64": _ARM64}.get(machine)
    if table is None:
        raise ObjectError(f"arguments of static probes are not known on {machine}")

    def register(name: str) -> int:
        if name not in table:
            raise ObjectError(
                f"the static probe's argument {text!r} is in register {name!r}, which programs cannot read"
            )
        return table[name]

    constant = operand.removeprefix("$") if machine == "x86_64" else operand
    try:
        return Argument(CONST, int(constant, 0), size=size, signed=signed)
    except ValueError:
        pass
    if machine == "x86_64":
        if operand.startswith("%"):
            return Argument(REG, 0, register(operand[1:]), size=size, signed=signed)
        memory = _X86_MEMORY.fullmatch(operand)
        if memory and _is_number(memory[1] or "0"):
            index = register(memory[3]) if memory[3] else 0
            scale = int(memory[4] or "1").bit_length() - 1
            kind = SIB if memory[3] else REG_DEREF
            return Argument(kind, int(memory[1] or "0", 0), register(memory[2]), index, scale, size, signed)
    else:
        memory = _ARM64_MEMORY.fullmatch(operand)
        if memory and _is_number(memory[2] or "0"):
            value = int(memory[2] or "0", 0)
            return Argument(REG_DEREF, value, register(memory[1]), size=size, signed=signed)
        if memory is None and operand in table:
            return Argument(REG, 0, register(operand), size=size, signed=signed)
    raise ObjectError(f"the static probe's argument {text!r} has a form that programs cannot read")


def _is_number(text: str) -> bool:
    try:
        int(text, 0)
    except ValueError:
        return False
    return True
