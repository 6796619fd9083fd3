"""What `BPF` tells without a program: functions, tracepoints, symbols, time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stingless.bcc.names import Name, bytes_of, text_of

# Words of a program text that ask for a header, as bcc guesses it.
_AUTO_INCLUDES = {
    "linux/time.h": ("time",),
    "linux/fs.h": ("fs", "file"),
    "linux/blkdev.h": ("bio", "request"),
    "linux/slab.h": ("alloc",),
    "linux/netdevice.h": ("sk_buff", "net_device"),
}


class Statics:
    # Of the kernel

    @staticmethod
    def get_kprobe_functions(event_re: Name) -> set[bytes]:
        """Functions of the kernel whose names match from their start and that can take a kprobe."""
        from stingless.bcc.kernel_functions import kprobe_functions

        return kprobe_functions(bytes_of(event_re))

    @staticmethod
    def get_tracepoints(tp_re: Name) -> list[str]:
        """Tracepoints ("category:event") that match from their start."""
        from stingless.bcc.tracefs import tracepoints

        return tracepoints(text_of(tp_re))

    @staticmethod
    def tracepoint_exists(category: Name, event: Name) -> bool:
        from stingless.bcc.tracefs import exists

        return exists(text_of(category), text_of(event))

    @staticmethod
    def kernel_struct_has_field(struct_name: Name, field_name: Name) -> int:
        """1 or 0; -1 where the kernel has no such struct, or no BTF."""
        from stingless.bcc.supports import struct_has_field

        return struct_has_field(text_of(struct_name), text_of(field_name))

    @staticmethod
    def support_raw_tracepoint() -> bool:
        from stingless.bcc.supports import raw_tracepoints

        return raw_tracepoints()

    @staticmethod
    def support_raw_tracepoint_in_module() -> bool:
        from stingless.bcc.supports import raw_tracepoints_of_modules

        return raw_tracepoints_of_modules()

    # Of programs and libraries

    @staticmethod
    def get_user_functions_and_addresses(name: Name, sym_re: Name) -> list[tuple[bytes, int]]:
        """(function, address as the file's symbols have it) of each function that matches from its start.  A name may
        have several addresses, and an address several names."""
        from stingless.bcc.user_functions import functions_and_addresses

        return list(functions_and_addresses(text_of(name), bytes_of(sym_re)))

    @staticmethod
    def get_user_functions(name: Name, sym_re: Name) -> set[bytes]:
        return {function for function, _ in Statics.get_user_functions_and_addresses(name, sym_re)}

    @staticmethod
    def get_user_addresses(name: Name, sym_re: Name) -> set[int]:
        return {address for _, address in Statics.get_user_functions_and_addresses(name, sym_re)}

    @staticmethod
    def find_library(libname: Name) -> bytes | None:
        """The path of a library by its name ("c"), or None."""
        from stingless.bcc.user_functions import find_library

        return find_library(text_of(libname))

    @staticmethod
    def find_exe(bin_path: Name) -> bytes | None:
        """The path of a program, or None when there is no such executable file in $PATH."""
        from stingless.bcc.user_functions import find_exe

        return find_exe(bytes_of(bin_path))

    # Symbols of addresses

    @staticmethod
    def sym(addr: Any, pid: int, show_module: bool = False, show_offset: bool = False, demangle: bool = True) -> bytes:
        """The function of a process that an address is in: b"start_thread", or with module and offset
        b"start_thread+0x202 [libpthread-2.24.so]"; b"[unknown]" when there is none.  A negative `pid` is the kernel."""
        from stingless.bcc import symbols

        return symbols.sym(addr, pid, show_module, show_offset, demangle)

    @staticmethod
    def ksym(addr: Any, show_module: bool = False, show_offset: bool = False) -> bytes:
        """The kernel's function that an address is in."""
        from stingless.bcc import symbols

        return symbols.sym(addr, -1, show_module, show_offset, False)

    @staticmethod
    def ksymname(name: Name) -> int:
        """The address of a symbol of the kernel; -1 when there is none."""
        from stingless.bcc import symbols

        return symbols.ksymname(bytes_of(name))

    @staticmethod
    def add_module(modname: Name) -> None:
        """Let addresses by build id be looked up in that program or library too."""
        from stingless.bcc import symbols

        symbols.add_module(text_of(modname))

    # Others

    @classmethod
    def monotonic_time(cls) -> int:
        """What bpf_ktime_get_ns() gives: CLOCK_MONOTONIC in ns."""
        import time

        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    @classmethod
    def generate_auto_includes(cls, program_words: Iterable[str]) -> str:
        """#include lines for the types that words of a program make one think of."""
        words = list(program_words)
        wanted = (h for h, keys in _AUTO_INCLUDES.items() if any(key in word for key in keys for word in words))
        return "".join(f"#include <{header}>\n" for header in wanted)

    @staticmethod
    def add_prefix(prefix: Any, name: Any) -> Any:
        return name if name.startswith(prefix) else prefix + name

    def free_bcc_memory(self) -> int:
        """What bcc frees here is freed already."""
        return 0
