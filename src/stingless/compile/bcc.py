"""Compiling bcc's dialect: it is translated to C here, clang makes LLVM IR of that, the implicit reads of the kernel's
memory are made explicit in the IR here, and clang makes code of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stingless.compile.dialect.facts import Facts, FormatOf, RunningKernel
from stingless.compile.dialect.translate import Translation, translate
from stingless.compile.driver import Run, start_code, start_ir
from stingless.compile.toolchain import find_compiler
from stingless.errors import CompileError

# A program that ends without `return`, as in bcc's reference guide: what is in R0 may be an address, or nothing, and
# neither may be returned.
_NO_RESULT = re.compile(r"^  ret (i\d+) (?:undef|poison)\b", re.MULTILINE)


def translate_bcc(text: str, facts: Facts | FormatOf, name: str = "main.c", cflags: Sequence[str] = ()) -> Translation:
    """bcc's dialect to the C text that clang gets.  `facts` is the kernel that it is for; the running one, where only
    the formats of its tracepoints are given.  Raises `CompileError`."""
    return translate(text, RunningKernel(facts) if callable(facts) else facts, name, cflags)


class BccRun:
    """A compilation of bcc's dialect, begun at once: translation is done, clang is at work.

    `#include "x.h"` is looked for beside the file `name`, in the directories of -I, and in the working directory.
    """

    def __init__(self, text: str, facts: Facts | FormatOf, name: str = "main.c", cflags: Sequence[str] = ()) -> None:
        self._text, self._name = text, name
        self._code: Run | None = None
        self.ir_text = ""  # after `output()`: what code was made of
        self._translated = translate_bcc(text, facts, name, cflags)
        self._run = start_ir(self._translated.text, name, self._translated.flags, text)
        try:
            self._code = start_code(name, text)
            import stingless.compile.ir.reads  # noqa: F401  # while clang works
        except BaseException:
            self.close()
            raise

    @property
    def c_text(self) -> str:
        """What clang gets."""
        return self._translated.text

    def output(self) -> bytes:
        """The ELF object.  Raises `CompileError` on the user's own lines."""
        from stingless.compile.ir.reads import explicit_reads
        from stingless.compile.ir.tokens import IrError
        from stingless.compile.strip import without_dwarf

        try:
            self.ir_text = _NO_RESULT.sub(r"  ret \1 0", explicit_reads(self._ir()))
            assert self._code is not None
            return without_dwarf(self._code.output(self.ir_text.encode()))
        except IrError as error:
            compiler = find_compiler()
            message = (
                f"{self._name}: {compiler.argv[0]} ({compiler.version()}) wrote IR that is not understood: {error}"
            )
            raise CompileError(message) from None
        finally:
            self.close()

    def _ir(self) -> str:
        """clang's IR; where it lacks declarations that the kernel has, it is given them and asked again."""
        from stingless.compile.dialect.missing import explained, missing_names

        while True:
            try:
                return self._run.output().decode()
            except CompileError as error:
                if not self._translated.with_names(missing_names(error)):
                    raise explained(error, self._translated) from None
            self._run = start_ir(self._translated.text, self._name, self._translated.flags, self._text)

    def close(self) -> None:
        """End a compilation that is not wanted any more; nothing if it has ended."""
        self._run.close()
        if self._code is not None:
            self._code.close()


def compile_bcc(text: str, facts: Facts | FormatOf, name: str = "main.c", cflags: Sequence[str] = ()) -> bytes:
    """bcc's dialect to an ELF object.  Raises `CompileError` on the user's own lines."""
    return BccRun(text, facts, name, cflags).output()
