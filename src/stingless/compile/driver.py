"""Running clang: C to an object, C to LLVM IR, IR to an object.

One process a run, text in by standard input and the result out by standard output; nothing is written to disk.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from stingless.compile.toolchain import HEADERS, find_compiler
from stingless.errors import CompileError

_ARCH_MACRO = {"x86_64": "__TARGET_ARCH_x86", "aarch64": "__TARGET_ARCH_arm64"}
# v3: the newest instruction set that every kernel since 5.1 loads.
_TARGET = ("-target", "bpfel", "-mcpu=v3")
_C_FLAGS = (
    "-O2",
    "-g",
    "-std=gnu11",
    "-fno-stack-protector",
    "-fno-jump-tables",  # the kernel has no indirect jumps before 6.19
    "-fno-delete-null-pointer-checks",
    "-Wall",
    "-Wno-unused-function",
    "-Wno-unused-variable",
    "-Wno-pointer-sign",
    "-Wno-address-of-packed-member",
    "-Wno-unknown-warning-option",
    "-fno-caret-diagnostics",
    "-fno-color-diagnostics",
    "-nostdinc",
)


def c_arguments(cflags: Sequence[str] = ()) -> list[str]:
    """clang's arguments for C, without input, output and stage."""
    arch = _ARCH_MACRO.get(os.uname().machine)
    includes = [f for path in (HEADERS, *find_compiler().includes) for f in ("-isystem", str(path))]
    return [*_TARGET, *_C_FLAGS, *([f"-D{arch}"] if arch else []), "-D__BPF_TRACING__", *includes, *cflags]


def start_object(text: str, name: str = "main.c", cflags: Sequence[str] = (), user_text: str | None = None) -> Run:
    """C text to an ELF object: clang works while the caller does something else.  `user_text` is what the user wrote,
    when `text` is a rewriting of it that keeps its lines."""
    arguments = [*c_arguments(cflags), "-c", "-x", "c", "-", "-o", "-"]
    return Run(arguments, _named(text, name), name, user_text or text)


def compile_object(text: str, name: str = "main.c", cflags: Sequence[str] = (), user_text: str | None = None) -> bytes:
    """C text to an ELF object.  Raises `CompileError` with diagnostics on the lines of `name`."""
    return start_object(text, name, cflags, user_text).output()


def c_to_ir(text: str, name: str = "main.c", cflags: Sequence[str] = (), user_text: str | None = None) -> str:
    """C text to optimised LLVM IR (`-O2 -emit-llvm -S`)."""
    arguments = [*c_arguments(cflags), "-emit-llvm", "-S", "-x", "c", "-", "-o", "-"]
    return Run(arguments, _named(text, name), name, user_text or text).output().decode()


def _named(text: str, name: str) -> bytes:
    """The text under its file's name, which clang cannot know from standard input."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'#line 1 "{quoted}"\n{text}'.encode()


def ir_to_object(ir: str) -> bytes:
    """LLVM IR to an ELF object of eBPF code: code generation only."""
    return Run([*_TARGET, "-O2", "-c", "-x", "ir", "-", "-o", "-"], ir.encode(), "<ir>", ir).output()


class Run:
    """One run of clang, begun at once.  `output()` waits for it; `close()` ends one that is not wanted any more."""

    def __init__(self, arguments: Sequence[str], text: bytes, name: str, user_text: str) -> None:
        self._name = name
        self._user_text = user_text
        # Not a pipe: that holds 64 KiB only, and nobody may be there to fill it.
        source = os.memfd_create("source", os.MFD_CLOEXEC)
        try:
            with open(source, "wb", closefd=False) as file:
                file.write(text)
            os.lseek(source, 0, os.SEEK_SET)
            self._process = subprocess.Popen(
                [*find_compiler().argv, *arguments], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        finally:
            os.close(source)

    def output(self) -> bytes:
        """What clang wrote.  Raises `CompileError`."""
        try:
            written, messages = self._process.communicate()
        except BaseException:
            self.close()
            raise
        if self._process.returncode == 0:
            return written
        raise self._error(self._process.returncode, messages.decode("utf-8", "replace"))

    def close(self) -> None:
        """Nothing if it has ended."""
        self._process.kill()
        with self._process:
            pass

    def _error(self, status: int, output: str) -> CompileError:
        from stingless.compile.diagnostics import parse_diagnostics

        diagnostics = parse_diagnostics(output, self._name, self._user_text)
        errors = [d for d in diagnostics if d.severity in ("error", "fatal error")] or diagnostics
        if not errors:
            return CompileError(f"{self._name}: clang failed with status {status}: {output.strip()}", (), output)
        more = f"\n({len(errors) - 1} more)" if len(errors) > 1 else ""
        return CompileError(f"{errors[0]}{more}", diagnostics, output)
