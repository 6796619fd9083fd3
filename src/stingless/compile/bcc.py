"""Compiling bcc's dialect: translated here, compiled by clang meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stingless.compile.dialect.functions import FormatOf
from stingless.compile.dialect.translate import Translation, translate
from stingless.compile.driver import start_object
from stingless.compile.toolchain import BCC_HEADERS, HEADERS, find_compiler
from stingless.errors import CompileError


def has_header(path: str) -> bool:
    """Can a program include this header: is it one of ours, or of the kernel's UAPI?"""
    return any((directory / path).is_file() for directory in (BCC_HEADERS, HEADERS, *find_compiler().includes))


def translate_bcc(text: str, format_of: FormatOf, name: str = "main.c") -> Translation:
    """bcc's dialect to the C text that clang gets.  Raises `CompileError`."""
    return translate(text, format_of, has_header, name)


class BccRun:
    """A compilation of bcc's dialect, begun at once: translation is done, clang is at work.

    `#include "x.h"` is looked for beside the file `name`.
    """

    def __init__(self, text: str, format_of: FormatOf, name: str = "main.c", cflags: Sequence[str] = ()) -> None:
        self._translated = translate_bcc(text, format_of, name)
        beside = ["-iquote", str(Path(name).parent)]
        self._run = start_object(self._translated.text, name, [*beside, *cflags], text)

    def output(self) -> bytes:
        """The ELF object.  Raises `CompileError` on the user's own lines."""
        try:
            return self._run.output()
        except CompileError as error:
            if not self._translated.dropped:
                raise
            headers = ", ".join(f"<{h}>" for h in self._translated.dropped)
            message = f"{error}\nnote: there are no kernel-internal headers here, so these were left out: {headers}"
            raise CompileError(message, error.diagnostics, error.output) from None

    def close(self) -> None:
        """End a compilation that is not wanted any more; nothing if it has ended."""
        self._run.close()


def compile_bcc(text: str, format_of: FormatOf, name: str = "main.c", cflags: Sequence[str] = ()) -> bytes:
    """bcc's dialect to an ELF object.  Raises `CompileError` on the user's own lines."""
    return BccRun(text, format_of, name, cflags).output()
