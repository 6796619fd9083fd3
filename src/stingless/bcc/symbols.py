"""Names of addresses as bcc shows them: `BPF.sym()`, `BPF.ksym()` and kin, and `SymbolCache`."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from stingless import session
from stingless.bcc.names import Name, bytes_of, text_of
from stingless.symbols.build_ids import SIZE, BuildIds
from stingless.symbols.demangle import demangled
from stingless.symbols.process import Found, ProcessSymbols

KERNEL = -1  # the process number that means the kernel
_UNKNOWN = b"[unknown]"
_STATUS_VALID = 1  # BPF_STACK_BUILD_ID_VALID of enum bpf_stack_build_id_status


class SymbolCache:
    """The symbols of a process, or of the kernel (a negative number)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = ProcessSymbols(pid) if pid >= 0 else None

    def resolve(self, addr: int, demangle: bool) -> tuple[bytes | None, int, bytes | None]:
        """(function, offset into it, module).  Without a function: (None, place in the module, module), and without a
        module (None, address, None)."""
        found = _in_kernel(addr) if self._process is None else self._process.find(addr)
        if found.name is None:
            return (None, found.offset, found.module) if found.offset else (None, addr, None)
        return demangled(found.name) if demangle else found.name, found.offset, found.module

    def resolve_name(self, module: Name | None, name: Name) -> int:
        """The address of a function of a module (its path; None for the kernel); -1 when it is not there."""
        symbol = bytes_of(name)
        if self._process is None:
            from stingless.symbols.kernel import kernel_symbols

            found = kernel_symbols().address(symbol)
        else:
            found = None if module is None else self._process.address(bytes_of(module), symbol)
        return -1 if found is None else found


def _in_kernel(address: int) -> Found:
    from stingless.symbols.kernel import kernel_symbols

    symbol = kernel_symbols().find(address)
    if symbol is None:
        return Found(None, address, None)
    return Found(symbol.name, address - symbol.start, symbol.module)


@cache
def _cache_of(pid: int) -> SymbolCache:
    return SymbolCache(pid)


def symbol_cache(pid: int) -> SymbolCache:
    """The process's, kept."""
    return _cache_of(max(pid, KERNEL))


_build_ids = BuildIds()


def sym(addr: Any, pid: int, show_module: bool = False, show_offset: bool = False, demangle: bool = True) -> bytes:
    """The function at an address of a process (of the kernel for a negative `pid`): b"name+0x12 [module]", or
    b"[unknown]".  `addr` may be a `bpf_stack_build_id` of a table of stacks."""
    if hasattr(addr, "build_id"):
        name, offset, module = _by_build_id(addr, demangle)
    else:
        name, offset, module = symbol_cache(pid).resolve(addr, demangle)
    text = name or _UNKNOWN
    if show_offset and name is not None:
        text += b"+0x%x" % offset
    if show_module and module is not None:
        text += b" [%s]" % module.rpartition(b"/")[2]
    return text


def _by_build_id(addr: Any, demangle: bool) -> tuple[bytes | None, int, bytes | None]:
    if addr.status != _STATUS_VALID:
        return None, 0, None
    found = _build_ids.find(bytes(addr.build_id).ljust(SIZE, b"\0"), addr.offset)
    return (demangled(found.name) if demangle and found.name else found.name), found.offset, found.module


def ksym(addr: int, show_module: bool = False, show_offset: bool = False) -> bytes:
    """The kernel's function at an address; its module is b"kernel" when it is in none."""
    return sym(addr, KERNEL, show_module, show_offset, False)


def ksymname(name: Name) -> int:
    """The address of a function of the kernel; -1 when there is none of that name.  The functions of system calls are
    there on the embedded kernel also where the machine's kernel hides its names: at 0."""
    address = symbol_cache(KERNEL).resolve_name(None, name)
    if address == -1 and session.current().kernel.name == "embedded":
        from stingless.syscalls import syscall_of

        return -1 if syscall_of(text_of(name)) is None else 0
    return address


def add_module(modname: Name) -> None:
    """Make the symbols of a program or library known by its build id."""
    path = bytes_of(modname)
    if not _build_ids.add(path):
        print(f"Error adding module to build sym cache: {os.fsdecode(path)} has no build id or cannot be read")
