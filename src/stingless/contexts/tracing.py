"""Contexts of programs that trace: registers, records of tracepoints, raw arguments.  Only the embedded kernel runs
KPROBE, TRACEPOINT and PERF_EVENT programs on a context."""

from __future__ import annotations

import os
import re
from typing import Any, ClassVar

from stingless._gen.uapi import ProgramType
from stingless.contexts.base import Context, Field

P = ProgramType

_X86 = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss"
_ARM = " ".join(f"x{i}" for i in range(31)) + " sp pc pstate"
# Registers in the order of the struct; arguments, return value, instruction and stack pointer.
_MACHINES = {
    "x86_64": (_X86, ("rdi", "rsi", "rdx", "rcx", "r8", "r9"), "rax", "rip", "rsp"),
    "aarch64": (_ARM, tuple(f"x{i}" for i in range(8)), "x0", "pc", "sp"),
}


class PtRegs(Context):
    """The registers of a kprobe or uprobe (`bpf_user_pt_regs_t`), by the names of the machine; `args` are those of a
    function, `ret` is what it returns, `ip` and `sp` are the instruction and the stack pointer of any machine."""

    STRUCT = "struct pt_regs"
    TYPES = frozenset({P.KPROBE})
    _OWN: ClassVar[tuple[str, ...]] = ()  # fields of 64 bits behind the registers

    def __init__(self, *args: int, machine: str = "", **fields: int) -> None:
        machine = machine or os.uname().machine
        if machine not in _MACHINES:
            raise ValueError(f"the registers of {machine} are not known; those of {', '.join(_MACHINES)} are")
        names, arguments, ret, ip, sp = _MACHINES[machine]
        registers = {name: Field(8 * i, 8) for i, name in enumerate(names.split())}
        own = {name: Field(8 * (len(registers) + i), 8) for i, name in enumerate(self._OWN)}
        known = {**registers, "ret": registers[ret], "ip": registers[ip], "sp": registers[sp], **own}
        if len(args) > len(arguments):
            raise ValueError(f"{machine} has {len(arguments)} arguments in registers, not {len(args)}")
        values = dict(zip(arguments, args, strict=False))
        super().__init__((known, 8 * (len(registers) + len(own))))
        for name, value in {**values, **fields}.items():
            self._set(name, value % (1 << 64))


class PerfEventData(PtRegs):
    """`struct bpf_perf_event_data`: the registers, `sample_period` and `addr`."""

    STRUCT = "struct bpf_perf_event_data"
    TYPES = frozenset({P.PERF_EVENT})

    _OWN = ("sample_period", "addr")

    def __init__(self, *, sample_period: int = 0, addr: int = 0, machine: str = "", **fields: int) -> None:
        super().__init__(machine=machine, sample_period=sample_period, addr=addr, **fields)


class RawArguments(Context):
    """The arguments of a raw tracepoint: numbers of 64 bits."""

    STRUCT = "struct bpf_raw_tracepoint_args"
    SIZE = 96
    TYPES = frozenset({P.RAW_TRACEPOINT, P.RAW_TRACEPOINT_WRITABLE})
    FIELDS: ClassVar = {"args": Field(0, 8, 12)}

    def __init__(self, *args: int) -> None:
        super().__init__(args=[value % (1 << 64) for value in args])
        self._count = len(args)

    def _inputs(self) -> tuple[bytes | None, bytes | None]:
        return None, bytes(self._content[: 8 * self._count])


_FORMAT = re.compile(r"field:(?P<type>[^;]*?)\s*(?P<name>\w+)(?:\[(?P<count>\d*)\])?;\s*offset:(\d+);\s*size:(\d+);")


class TracepointRecord(Context):
    """The record of a tracepoint, in the layout that its format tells (`kernel.tracepoint_format(category, name)`).
    Text and bytes given for a `__data_loc` field are put at the record's end."""

    STRUCT = "the record of a tracepoint"
    TYPES = frozenset({P.TRACEPOINT})

    def __init__(self, format: str, **fields: Any) -> None:
        found: dict[str, Field] = {}
        self._located: set[str] = set()
        length = 0
        for match in _FORMAT.finditer(format):
            name, offset, size = match["name"], int(match[4]), int(match[5])
            count = int(match["count"] or 1) if match["count"] else 1
            found[name] = Field(offset, size // count, count)
            length = max(length, offset + size)
            if match["type"].startswith("__data_loc"):
                self._located.add(name)
        if not found:
            raise ValueError(
                "this is no format of a tracepoint: it has no line of the form field:TYPE NAME; offset:N; size:N;"
            )
        super().__init__((found, length), **fields)

    def _set(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            value = value.encode() + b"\0"
        field = self._fields.get(name)
        if field is None or not isinstance(value, bytes):
            if isinstance(value, int) and field is not None and field.times == 1:
                value %= 1 << 8 * field.size
            super()._set(name, value)
        elif name in self._located:
            super()._set(name, len(value) << 16 | len(self._content))
            self._content += value
        else:
            room = field.size * field.times
            if len(value) > room:
                raise ValueError(f"{name} has {room} bytes, not {len(value)}")
            self._content[field.offset : field.offset + room] = value.ljust(room, b"\0")
