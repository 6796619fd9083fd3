"""Running clang: C to an object, C to LLVM IR, IR to an object.

One process a run, text in by standard input and the result out by standard output; nothing is written to disk.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from stingless.compile.toolchain import BCC_HEADERS, HEADERS, find_compiler
from stingless.errors import Diagnostic

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
    "-Wno-error=incompatible-pointer-types",  # an error since clang 22; older sources live with the warning
    "-Wno-default-const-init-var-unsafe",  # BPF_CORE_READ through a pointer to const
    "-fno-caret-diagnostics",
    "-fno-color-diagnostics",
)


def target_flags(cflags: Sequence[str] = ()) -> list[str]:
    """Target, optimisation and warnings: what plain C and bcc's dialect have in common."""
    arch = _ARCH_MACRO.get(os.uname().machine)
    chosen = any(flag.startswith("-D__TARGET_ARCH_") for flag in cflags)
    return [*_TARGET, *_C_FLAGS, *([f"-D{arch}"] if arch and not chosen else [])]


def c_arguments(cflags: Sequence[str] = ()) -> list[str]:
    """clang's arguments for C that needs no file but ours and the UAPI, and has the kernel's short type names, without
    input, output and stage."""
    paths = (BCC_HEADERS, HEADERS, *find_compiler().includes)
    includes = [f for path in paths for f in ("-isystem", str(path))]
    return [*target_flags(cflags), "-nostdinc", "-D__BPF_TRACING__", *includes, "-include", "short_types.h", *cflags]


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
    """One run of clang, begun at once.  `output()` waits for it; `close()` ends one that is not wanted any more.

    `files` are descriptors that clang may open as `path_of(descriptor)`, each with what the user calls that file.
    """

    def __init__(
        self, arguments: Sequence[str], text: bytes, name: str, user_text: str, files: Mapping[int, str] | None = None
    ) -> None:
        self._name = name
        self._user_text = user_text
        self._files = files or {}
        self.diagnostics: list[Diagnostic] = []
        # Not a pipe: that holds 64 KiB only, and nobody may be there to fill it.
        source = memory_file(text)
        try:
            self._process = subprocess.Popen(
                [*find_compiler().argv, *arguments],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(self._files),
            )
        finally:
            os.close(source)

    def output(self) -> bytes:
        """What clang wrote; warnings are in `diagnostics`.  Raises `CompileError`."""
        try:
            written, messages = self._process.communicate()
        except BaseException:
            self.close()
            raise
        status = self._process.returncode
        if not status and not messages:
            return written
        from stingless.compile.diagnostics import failure, parse_diagnostics, renamed

        text = renamed(messages.decode("utf-8", "replace"), {path_of(fd): name for fd, name in self._files.items()})
        self.diagnostics = parse_diagnostics(text, self._name, self._user_text)
        if status:
            raise failure(self._name, self.diagnostics, text, status)
        return written

    def close(self) -> None:
        """Nothing if it has ended."""
        self._process.kill()
        with self._process:
            pass


def path_of(descriptor: int) -> str:
    """The name by which a process opens a file that it has open already."""
    return f"/proc/self/fd/{descriptor}"


def memory_file(content: bytes) -> int:
    """The descriptor of a file that is in memory only, at its start."""
    descriptor = os.memfd_create("stingless", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
