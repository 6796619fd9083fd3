"""What libbpf makes of an object that it opens (nothing is loaded), where the shared library is installed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any

_POINTERS = ("bpf_object__open_mem", "bpf_object__next_program", "bpf_object__next_map", "bpf_map__inner_map")
_TEXTS = ("bpf_program__name", "bpf_program__section_name", "bpf_map__name", "bpf_map__pin_path")


@cache
def libbpf() -> Any | None:
    """The library; None when there is none."""
    try:
        library = ctypes.CDLL("libbpf.so.1")
    except OSError:
        return None
    for name in _POINTERS:
        getattr(library, name).restype = ctypes.c_void_p
    for name in _TEXTS:
        getattr(library, name).restype = ctypes.c_char_p
    library.bpf_map__initial_value.restype = ctypes.c_void_p
    library.bpf_map__map_extra.restype = ctypes.c_uint64
    library.libbpf_set_print(None)
    return library


@dataclass(frozen=True)
class OracleMap:
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    extra: int
    pinned: bool
    content: bytes | None
    inner: OracleMap | None


@dataclass(frozen=True)
class OracleProgram:
    section: str
    type: int
    attach_type: int
    flags: int
    autoload: bool


@dataclass(frozen=True)
class OracleObject:
    maps: dict[str, OracleMap]
    programs: dict[str, OracleProgram]


def open_object(data: bytes) -> OracleObject | None:
    """None when libbpf refuses it.  Data sections' maps are named by their sections."""
    library = libbpf()
    assert library is not None
    object = library.bpf_object__open_mem(data, ctypes.c_size_t(len(data)), None)
    if not object:
        return None
    try:
        maps, programs = {}, {}
        at = None
        while at := library.bpf_object__next_map(ctypes.c_void_p(object), ctypes.c_void_p(at)):
            name = library.bpf_map__name(ctypes.c_void_p(at)).decode()
            section = next((s for s in (".rodata", ".data", ".bss", ".kconfig") if name.endswith(s)), name)
            maps[name if name.startswith(".") else section] = _map(library, at)
        at = None
        while at := library.bpf_object__next_program(ctypes.c_void_p(object), ctypes.c_void_p(at)):
            program = ctypes.c_void_p(at)
            programs[library.bpf_program__name(program).decode()] = OracleProgram(
                library.bpf_program__section_name(program).decode(),
                library.bpf_program__type(program),
                library.bpf_program__expected_attach_type(program),
                library.bpf_program__flags(program),
                bool(library.bpf_program__autoload(program) & 1),
            )
        return OracleObject(maps, programs)
    finally:
        library.bpf_object__close(ctypes.c_void_p(object))


def _map(library: Any, at: int) -> OracleMap:
    map = ctypes.c_void_p(at)
    size = ctypes.c_size_t()
    content = library.bpf_map__initial_value(map, ctypes.byref(size))
    inner = library.bpf_map__inner_map(map)
    return OracleMap(
        library.bpf_map__type(map),
        library.bpf_map__key_size(map),
        library.bpf_map__value_size(map),
        library.bpf_map__max_entries(map),
        library.bpf_map__map_flags(map),
        library.bpf_map__map_extra(map),
        library.bpf_map__pin_path(map) is not None,
        ctypes.string_at(content, size.value) if content else None,
        _map(library, inner) if inner else None,
    )
