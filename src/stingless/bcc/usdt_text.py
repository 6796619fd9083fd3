"""The C functions that read the arguments of static probes, made of the probes' notes.

`bpf_usdt_readarg(N, ctx, &value)` in a program's function FN is a call of `_bpf_readarg_FN_N(ctx, &value,
sizeof(value))`, which returns 0, or -1 when the size is another or the argument cannot be read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from stingless.errors import ObjectError, StinglessError
from stingless.symbols.operands import Operand, operand, split
from stingless.symbols.usdt import Place, Probes

_PAGE = 4096
# Without it clang may compute an offset into the context, which the verifier refuses.
_KEEP = 'asm volatile("" ::: "memory");'
_IP = {"x86_64": "ip", "aarch64": "pc"}
# Types that need no declaration.
_C = {1: "char", 2: "short", 4: "int", 8: "long long"}
_MACHINES = {62: "x86_64", 183: "aarch64"}  # e_machine: EM_X86_64, EM_AARCH64


class USDTException(StinglessError):
    """A probe that is not there, or cannot be enabled."""


@dataclass
class Location:
    """A place of a probe in a file: `address` and `semaphore_address` as the file has them, `offset` and `semaphore`
    in the file.  `operands` has None for an argument of an unknown form (`texts` as the note has them)."""

    path: str
    address: int
    offset: int
    semaphore: int
    semaphore_address: int
    fixed: bool
    texts: tuple[str, ...]
    operands: tuple[Operand | None, ...]

    @classmethod
    def of(cls, path: str, place: Place, file: Probes) -> Self:
        texts = split(place.arguments)
        machine = _MACHINES.get(file.machine, os.uname().machine)
        return cls(
            path,
            place.address,
            place.offset,
            place.semaphore,
            place.semaphore_address,
            file.fixed,
            texts,
            tuple(_operand(text, machine) for text in texts),
        )


def _operand(text: str, machine: str) -> Operand | None:
    try:
        return operand(text, machine)
    except ObjectError:
        return None


@dataclass
class Probe:
    """`function`: that of the program which the probe is enabled for."""

    provider: str
    name: str
    locations: list[Location]
    function: str = ""

    def widest(self, index: int) -> Operand | None:
        """Of an argument at all places."""
        there = (place.operands[index] for place in self.locations if index < len(place.operands))
        return max((each for each in there if each is not None), key=lambda each: each.size, default=None)

    def c_type(self, index: int) -> str:
        """An argument's type; "" for one that is nowhere."""
        if all(index >= len(place.operands) for place in self.locations):
            return ""
        return (self.widest(index) or Operand()).c_type


def probe_text(probe: Probe, pid: int) -> str:
    """The functions for all arguments of an enabled probe."""
    count = max(len(place.operands) for place in probe.locations)
    return "".join(_function(probe, index, pid) for index in range(count))


def _function(probe: Probe, index: int, pid: int) -> str:
    kind = _type(probe.widest(index) or Operand())
    reads = [_read(place, index, kind) for place in probe.locations]
    body = reads[0] if len(set(reads)) == 1 else _switch(probe.locations, reads, pid)
    name = f"_bpf_readarg_{probe.function}_{index + 1}"
    return (
        f"static __always_inline int {name}(struct pt_regs *ctx, void *dest, unsigned long len)\n{{\n"
        f"  if (len != sizeof({kind})) return -1;\n{body}}}\n"
    )


def _type(operand: Operand) -> str:
    return ("signed " if operand.signed else "unsigned ") + _C[operand.size]


def _switch(places: Sequence[Location], reads: Sequence[str], pid: int) -> str:
    """By the place that the program is at.  Programs are loaded at whole pages, so that the place in a page tells,
    unless two are the same; then the address in memory; and when that is not known the attachment's cookie."""
    pages = [place.address % _PAGE for place in places]
    addresses = _in_memory(places, pid)
    ip = f"ctx->{_IP.get(os.uname().machine, 'ip')}"
    if len(set(pages)) == len(pages):
        what, cases = f"{ip} % {_PAGE}", [hex(page) for page in pages]
    elif addresses is not None and len(set(addresses)) == len(addresses):
        what, cases = ip, [f"{address:#x}ULL" for address in addresses]
    elif _has_cookies():
        what, cases = "bpf_get_attach_cookie(ctx)", [str(number) for number in range(1, len(places) + 1)]
    else:
        raise USDTException(
            f"places {', '.join(hex(place.address) for place in places)} of a probe in {places[0].path} cannot be told "
            "apart, and have their arguments elsewhere: give pid=, or take Linux 5.15 or later"
        )
    lines = [f"  switch ({what}) {{\n"]
    for case, read in zip(cases, reads, strict=True):
        lines.append(f"  case {case}: {{\n{read}  }}\n")
    return "".join(lines) + "  }\n  return -1;\n"


def _has_cookies() -> bool:
    from stingless.target.running import RunningKernel

    return RunningKernel().has_bpf_cookie()


def _in_memory(places: Sequence[Location], pid: int) -> list[int] | None:
    if all(place.fixed for place in places):
        return [place.address for place in places]
    if pid <= 0:
        return None
    from stingless.symbols.mappings import mappings

    try:
        mapped = mappings(pid)
        inodes = {place.path: Path(place.path).stat().st_ino for place in places}
    except OSError:
        return None
    found = []
    for place in places:
        for each in mapped:
            inside = place.offset - each.offset
            if each.inode == inodes[place.path] and 0 <= inside < each.end - each.start:
                found.append(each.start + inside)
                break
        else:
            return None
    return found


def _read(place: Location, index: int, kind: str) -> str:
    """Statements that put the argument into `dest` and return."""
    there = place.operands[index] if index < len(place.operands) else None
    if there is None:
        return "  return -1;\n"
    if there.constant is not None:
        return f"  *({kind} *)dest = ({kind}){there.constant}LL;\n  return 0;\n"
    if not there.readable:
        return f"  *({kind} *)dest = 0;\n  return 0;\n"  # as bcc: programs have no floating-point registers
    if there.offset is None:
        return f"  *({kind} *)dest = ({_type(there)})ctx->{there.base};\n  {_KEEP}\n  return 0;\n"
    offset = there.offset
    if there.symbol:
        symbol = _symbol(place, there.symbol)
        if symbol is None:
            return "  return -1;\n"
        offset += symbol - place.address  # the program is at the place
    address = f"ctx->{there.base} + ({offset}LL)" + (f" + ctx->{there.index} * {there.scale}" if there.index else "")
    return (
        f"  unsigned long long address = {address};\n  {_type(there)} value = 0;\n  {_KEEP}\n"
        "  if (bpf_probe_read_user(&value, sizeof(value), (void *)address)) return -1;\n"
        f"  *({kind} *)dest = value;\n  return 0;\n"
    )


def _symbol(place: Location, name: str) -> int | None:
    """A variable's address as the file has it."""
    from stingless.symbols.binary import binary

    try:
        return binary(place.path).symbols.address(name.encode())
    except (OSError, ObjectError):
        return None
