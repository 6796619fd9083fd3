"""Symbols as the source has them: C++ (Itanium ABI) and Rust."""

from __future__ import annotations

_MANGLED = (b"_Z", b"___Z")


def demangled(name: bytes) -> bytes:
    """The name itself when it is not mangled, or there is no C++ run-time library to tell."""
    if name.startswith(_MANGLED):
        from stingless._sys.demangle import cxa_demangle

        return cxa_demangle(name) or name
    if name.startswith(b"_R"):
        from stingless.symbols.rust import demangled_v0

        return demangled_v0(name) or name
    return name
