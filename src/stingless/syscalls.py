"""System calls of x86-64 and arm64: numbers, arguments, the kernel's names, and the records of their tracepoints.

A call has the name of `asm/unistd.h` ("fstat").  The kernel's function, and so its tracepoint, is sometimes named
otherwise ("newfstat"); every function here takes either.  `machine` is that of `uname -m`; None is this one's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from stingless.frozen import frozen

# What comes before a call's name in the names of kernel functions.  `sys_X` was the function itself up to Linux 4.16;
# tools still ask for it and mean the wrapper of today.  __ia32_sys_X serves 32-bit processes, which are not covered.
_FUNCTION = re.compile(r"(sys_|SyS_|__x64_sys_|__arm64_sys_|__se_sys_|__do_sys_)(\w+)")
_DIRECT = ("__se_sys_", "__do_sys_")
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@frozen
class Table:
    """One machine's calls.  `arguments` holds (C type, name) pairs; a call is missing there when they are not known."""

    machine: str
    numbers: Mapping[str, int]
    names: Mapping[int, str]
    kernel_names: Mapping[str, str]
    arguments: Mapping[str, tuple[tuple[str, str], ...]]
    _by_kernel_name: Mapping[str, str]

    def find(self, name: str) -> str | None:
        """The call of that name (of unistd.h or the kernel's), or None."""
        return name if name in self.numbers else self._by_kernel_name.get(name)


@cache
def table(machine: str | None = None) -> Table:
    """Raises `ValueError` for a machine other than x86-64 and arm64."""
    if machine is None:
        import os

        machine = os.uname().machine
    known = _MACHINES.get(machine)
    if known is None:
        raise ValueError(
            f"no system call table for {machine!r}; there are: {', '.join(sorted(set(_MACHINES.values())))}"
        )
    if known != machine:
        return table(known)
    import importlib

    generated = importlib.import_module(f"stingless._gen.syscalls_{known}")
    return Table(
        known,
        generated.NUMBERS,
        {number: name for name, number in generated.NUMBERS.items()},
        generated.KERNEL_NAMES,
        generated.ARGUMENTS,
        {kernel: name for name, kernel in generated.KERNEL_NAMES.items()},
    )


def number_of(name: str, machine: str | None = None) -> int:
    """Raises `UnknownNameError`, with the nearest names."""
    calls = table(machine)
    call = calls.find(name)
    if call is None:
        from stingless.errors import UnknownNameError

        raise UnknownNameError("system call", name, calls.numbers)
    return calls.numbers[call]


def name_of(number: int, machine: str | None = None) -> str | None:
    """The call of that number, or None."""
    return table(machine).names.get(number)


def kernel_name(name: str, machine: str | None = None) -> str:
    """As the kernel's function and tracepoint call it: "newfstat" for "fstat".  Raises `UnknownNameError`."""
    calls = table(machine)
    call = calls.names[number_of(name, machine)]
    return calls.kernel_names.get(call, call)


def arguments_of(name: str, machine: str | None = None) -> tuple[tuple[str, str], ...] | None:
    """(C type, name) of each argument, or None when they are not known.  Raises `UnknownNameError`."""
    calls = table(machine)
    return calls.arguments.get(calls.names[number_of(name, machine)])


def syscall_of(function: str, machine: str | None = None) -> str | None:
    """The call that a kernel function serves ("clone" for `sys_clone`, `__x64_sys_clone`, `__do_sys_clone`, ...), or
    None when it serves none."""
    match = _FUNCTION.fullmatch(function)
    return table(machine).find(match.group(2)) if match else None


def takes_regs(function: str) -> bool:
    """Whether the function that serves a call gets one argument, the `struct pt_regs *` of the user's registers (as
    `__x64_sys_X`), and not the call's own arguments (as `__do_sys_X`)."""
    return not function.startswith(_DIRECT)


@frozen
class Field:
    """A field of a tracepoint's record: offset and size in bytes."""

    type: str
    name: str
    offset: int
    size: int
    signed: bool = False


COMMON = (
    Field("unsigned short", "common_type", 0, 2),
    Field("unsigned char", "common_flags", 2, 1),
    Field("unsigned char", "common_preempt_count", 3, 1),
    Field("int", "common_pid", 4, 4, True),
)
_NUMBER = Field("int", "__syscall_nr", 8, 4, True)
_ID = Field("long", "id", 8, 8, True)
_RETURN = Field("long", "ret", 16, 8, True)


def record_of(category: str, name: str, machine: str | None = None) -> tuple[Field, ...] | None:
    """The record of a tracepoint `syscalls:sys_enter_X`, `syscalls:sys_exit_X`, `raw_syscalls:sys_enter` or
    `raw_syscalls:sys_exit`; None for any other, and for a call whose arguments are not known."""
    if category == "raw_syscalls":
        if name == "sys_enter":
            return (*COMMON, _ID, Field("unsigned long[6]", "args", 16, 48))
        return (*COMMON, _ID, _RETURN) if name == "sys_exit" else None
    if category != "syscalls":
        return None
    edge, call = split_tracepoint(name)
    if table(machine).find(call) is None:
        return None
    if edge == "exit":
        return (*COMMON, _NUMBER, _RETURN)
    arguments = arguments_of(call, machine)
    if edge != "enter" or arguments is None:
        return None
    # Each argument takes 8 bytes, whatever its type, and is the register as it was.
    fields = (Field(kind, label, 16 + 8 * i, 8) for i, (kind, label) in enumerate(arguments))
    return (*COMMON, _NUMBER, *fields)


def split_tracepoint(name: str) -> tuple[str, str]:
    """("enter" or "exit", the call) of a tracepoint of category `syscalls`; ("", name) when it is neither."""
    for edge in ("enter", "exit"):
        if name.startswith(f"sys_{edge}_"):
            return edge, name.removeprefix(f"sys_{edge}_")
    return "", name
