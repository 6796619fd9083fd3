"""`bcc.lib`: what scripts call of bcc's C library, answered here."""

from __future__ import annotations

from typing import Any

from stingless._gen.uapi import AttachType
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

    # Functions and tables of a module

    @staticmethod
    def bpf_num_functions(module: Module) -> int:
        return len(module.spec.programs)

    @staticmethod
    def bpf_function_name(module: Module, index: int) -> bytes | None:
        names = list(module.spec.programs)
        return names[index].encode() if 0 <= index < len(names) else None

    @staticmethod
    def bpf_function_size(module: Module, name: Name) -> int:
        program = module.spec.programs.get(text_of(name))
        return len(program.code) if program else 0

    @staticmethod
    def bpf_module_license(module: Module) -> bytes:
        return module.spec.license.encode()

    @staticmethod
    def bpf_num_tables(module: Module) -> int:
        return len(module._object.maps)

    @staticmethod
    def bpf_table_id(module: Module, name: Name) -> int:
        names = list(module._object.maps)
        return names.index(text_of(name)) if text_of(name) in names else -1

    @staticmethod
    def bpf_table_name(module: Module, index: int) -> bytes | None:
        names = list(module._object.maps)
        return names[index].encode() if 0 <= index < len(names) else None

    @staticmethod
    def bpf_table_fd(module: Module, name: Name) -> int:
        map = module._object.maps.get(text_of(name))
        return map.fd if map is not None else -1

    @staticmethod
    def bpf_table_type(module: Module, name: Name) -> int:
        map = module._object.maps.get(text_of(name))
        return int(map.spec.type) if map is not None else -1

    @staticmethod
    def bpf_table_type_id(module: Module, index: int) -> int:
        maps = list(module._object.maps.values())
        return int(maps[index].spec.type) if 0 <= index < len(maps) else -1

    @staticmethod
    def bpf_module_rw_engine_enabled() -> bool:
        """Whether tables can print and read their keys and leaves as text."""
        return True

    # Programs

    @staticmethod
    def bpf_prog_attach(fd: int, attachable_fd: int, attach_type: int, flags: int) -> int:
        return _on_descriptors(fd, attachable_fd, AttachType(attach_type), attach=True)

    @staticmethod
    def bpf_prog_detach2(fd: int, attachable_fd: int, attach_type: int) -> int:
        return _on_descriptors(fd, attachable_fd, AttachType(attach_type), attach=False)

    # Symbols and processes

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

    @staticmethod
    def bcc_procutils_free(pointer: Any) -> None:
        """What bcc frees here is not C's."""

    @staticmethod
    def bcc_procutils_which_so(libname: Name, pid: int) -> bytes | None:
        from stingless.bcc.user_functions import find_library

        return find_library(text_of(libname))

    @staticmethod
    def bcc_procutils_language(pid: int) -> bytes | None:
        from stingless.bcc.utils import language_of

        found = language_of(pid)
        return found.encode() if found else None

    @staticmethod
    def bpf_has_kernel_btf() -> bool:
        from stingless.bcc.supports import has_btf

        return has_btf()

    @staticmethod
    def kernel_struct_has_field(struct_name: Name, field_name: Name) -> int:
        from stingless.bcc.supports import struct_has_field

        return struct_has_field(text_of(struct_name), text_of(field_name))

    @staticmethod
    def bcc_free_memory() -> int:
        return 0


def _is_indirect(path: str, name: str) -> bool:
    from stingless.symbols.elf_file import ElfFile
    from stingless.symbols.table import STT_GNU_IFUNC, table_of

    with ElfFile.open(path) as elf:
        return bool(list(table_of([elf], frozenset({STT_GNU_IFUNC})).named(name.encode())))


def _on_descriptors(program: int, target: int, kind: AttachType, attach: bool) -> int:
    from stingless._sys import bpf_link

    try:
        (bpf_link.prog_attach if attach else bpf_link.prog_detach)(target, program, kind)
    except OSError as error:
        return -(error.errno or 1)
    return 0


lib = _Library()
