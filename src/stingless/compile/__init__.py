"""From C text to an ELF object of eBPF code, with clang.

`compile_bcc` takes bcc's dialect; `compile_object`, `c_to_ir` and `ir_to_object` are the plain stages.
"""

from __future__ import annotations

from collections.abc import Sequence

from stingless.compile.dialect.translate import FormatOf, Translation, translate
from stingless.compile.driver import c_to_ir as c_to_ir
from stingless.compile.driver import compile_object as compile_object
from stingless.compile.driver import ir_to_object as ir_to_object
from stingless.compile.toolchain import HEADERS, find_compiler
from stingless.errors import CompileError


def has_header(path: str) -> bool:
    """Can a program include this header: is it one of ours, or of the kernel's UAPI?"""
    return any((directory / path).is_file() for directory in (HEADERS, *find_compiler().includes))


def translate_bcc(text: str, format_of: FormatOf, name: str = "main.c") -> Translation:
    """bcc's dialect to the C text that clang gets.  Raises `CompileError`."""
    return translate(text, format_of, has_header, name)


def compile_bcc(text: str, format_of: FormatOf, name: str = "main.c", cflags: Sequence[str] = ()) -> bytes:
    """bcc's dialect to an ELF object.  Raises `CompileError` on the user's own lines."""
    translated = translate_bcc(text, format_of, name)
    try:
        return compile_object(translated.text, name, cflags, text)
    except CompileError as error:
        if not translated.dropped:
            raise
        headers = ", ".join(f"<{h}>" for h in translated.dropped)
        message = f"{error}\nnote: there are no kernel-internal headers here, so these were left out: {headers}"
        raise CompileError(message, error.diagnostics, error.output) from None
