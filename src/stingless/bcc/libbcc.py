"""`bcc.lib`: what scripts call of bcc's C library, answered here."""

from __future__ import annotations

from typing import Any

from stingless._sys.bcc_symbol import bcc_stacktrace_build_id as bcc_stacktrace_build_id
from stingless._sys.bcc_symbol import bcc_symbol as bcc_symbol
from stingless._sys.bcc_symbol import bcc_symbol_option as bcc_symbol_option
from stingless._sys.bcc_symbol import referred, set_symbol
from stingless.bcc.module import Module
from stingless.bcc.names import Name, text_of
from stingless.errors import StinglessError

_FUNCTION_TYPES = 1 << 2 | 1 << 10  # STT_FUNC, STT_GNU_IFUNC


class _Library:
    """Functions return what bcc's do: -1 or None for a failure.  `module` is `BPF.module`."""

    @staticmethod
    def bpf_table_fd(module: Module, name: Name) -> int:
        map = module._object.maps.get(text_of(name))
        return map.fd if map is not None else -1

    @staticmethod
    def bpf_module_rw_engine_enabled() -> bool:
        """Whether tables can print and read their keys and leaves as text."""
        return True

    @staticmethod
    def bcc_resolve_symname(module: bytes, symname: bytes, addr: int, pid: int, option: Any, sym: Any) -> int:
        """Find a symbol (or, without a name, the place of an address) and fill in the `bcc_symbol`."""
        from stingless.bcc.user_functions import binary_of, offset_of
        from stingless.symbols.elf import function_offset

        try:
            path = binary_of(text_of(module), pid or -1)
            name = text_of(symname)
            wanted = getattr(referred(option), "use_symbol_type", 0) or _FUNCTION_TYPES
            if name and not wanted & _FUNCTION_TYPES:
                return -1
            if name and wanted & _FUNCTION_TYPES == 1 << 10 and not _is_indirect(path, name):
                return -1
            offset = function_offset(path, name) if name else offset_of(path, addr)
        except (StinglessError, OSError):
            return -1
        set_symbol(referred(sym), symname, path.encode(), offset)
        return 0


def _is_indirect(path: str, name: str) -> bool:
    from stingless.symbols.elf_file import ElfFile
    from stingless.symbols.table import STT_GNU_IFUNC, table_of

    with ElfFile.open(path) as elf:
        return bool(list(table_of([elf], frozenset({STT_GNU_IFUNC})).named(name.encode())))


lib = _Library()
