"""From C text to an ELF object of eBPF code, with clang.

`compile_file` and `compile_text` take plain C as libbpf's users write it, `compile_bcc` takes bcc's dialect;
`compile_object`, `c_to_ir` and `ir_to_object` are the stages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stingless.compile.bcc import compile_bcc as compile_bcc
    from stingless.compile.bcc import translate_bcc as translate_bcc
    from stingless.compile.driver import c_to_ir as c_to_ir
    from stingless.compile.driver import compile_object as compile_object
    from stingless.compile.driver import ir_to_object as ir_to_object
    from stingless.compile.plain import Compiled as Compiled
    from stingless.compile.plain import compile_file as compile_file
    from stingless.compile.plain import compile_program as compile_program
    from stingless.compile.plain import compile_text as compile_text

_HOME = {
    "Compiled": "plain",
    "compile_file": "plain",
    "compile_program": "plain",
    "compile_text": "plain",
    "compile_bcc": "bcc",
    "translate_bcc": "bcc",
    "c_to_ir": "driver",
    "compile_object": "driver",
    "ir_to_object": "driver",
}
__all__ = [
    "Compiled",
    "c_to_ir",
    "compile_bcc",
    "compile_file",
    "compile_object",
    "compile_program",
    "compile_text",
    "ir_to_object",
    "translate_bcc",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stingless.compile' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"stingless.compile.{_HOME[name]}"), name)
