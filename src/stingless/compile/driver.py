"""Running clang: C to an object, C to LLVM IR, IR to an object.

One process a run, text in by standard input and the result out by standard output; nothing is written to disk.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from stingless.compile.ir.contexts import VIRTUAL
from stingless.compile.toolchain import BCC_HEADERS, HEADERS, find_compiler
from stingless.errors import CompilerMessage

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
# As the kernel and its modules are compiled, where bcc's programs can tell.
_DIALECT_FLAGS = (
    "-D__KERNEL__",
    "-D__BPF_TRACING__",
    '-DKBUILD_MODNAME="bcc"',
    "-fms-extensions",
    "-Wno-microsoft-anon-tag",
    "-Wno-macro-redefined",
    "-Wno-gnu-variable-sized-type-not-at-end",
    "-Wno-unused-value",
    "-Wno-error=int-conversion",  # an error since clang 16; the dialect's programs grew up with the warning
    "-Wno-error=return-mismatch",
)
# More would make one load of two whose pointers come from different places.
_SEEN_THROUGH = ("-O1", "-funroll-loops", "-finline-functions", "-mllvm", "-inline-threshold=1000000")
# How much of the stack is too much, the verifier tells: it counts what is used.
_CODE = (*_TARGET, "-O2", "-mllvm", "-bpf-stack-size=4096")


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
    return [
        *target_flags(cflags),
        "-nostdinc",
        "-D__BPF_TRACING__",
        *includes,
        "-include",
        "linux/types.h",
        "-include",
        "short_types.h",
        *cflags,
    ]


def dialect_arguments(cflags: Sequence[str] = ()) -> list[str]:
    """clang's arguments for a translated program in bcc's dialect, which needs no header but ours."""
    includes = ["-isystem", str(BCC_HEADERS), "-isystem", str(HEADERS)]
    return [*target_flags(cflags), *_DIALECT_FLAGS, "-nostdinc", *includes, *cflags]


def compile_object(text: str, name: str = "main.c", cflags: Sequence[str] = ()) -> bytes:
    """C text to an ELF object.  Raises `CompileError` with diagnostics on the lines of `name`."""
    return Run([*c_arguments(cflags), "-c", "-x", "c", "-", "-o", "-"], _named(text, name), name, text).output()


def c_to_ir(text: str, name: str = "main.c", cflags: Sequence[str] = ()) -> str:
    """C text to optimised LLVM IR (`-O2 -emit-llvm -S`)."""
    arguments = [*c_arguments(cflags), "-emit-llvm", "-S", "-x", "c", "-", "-o", "-"]
    return Run(arguments, _named(text, name), name, text).output().decode()


def start_ir(text: str, name: str, cflags: Sequence[str], user_text: str) -> Run:
    """C text to LLVM IR in which what a pointer comes from can be seen: variables are in registers, and all functions
    but the noinline ones are inlined.  clang works while the caller does something else.

    `user_text` is what the user wrote, of which `text` is a rewriting that keeps its lines.
    """
    arguments = [*dialect_arguments(cflags), *_SEEN_THROUGH, "-emit-llvm", "-S", "-x", "c", "-", "-o", "-"]
    # clang would make one access of two at different offsets.
    contexts = " ".join(f"struct __attribute__((preserve_static_offset)) {name};" for name in VIRTUAL)
    return Run(arguments, f"{contexts}\n".encode() + _named(text, name), name, user_text)


def start_code(name: str, user_text: str) -> Run:
    """LLVM IR that is made from the C file `name` to an ELF object of eBPF code, optimised: clang gets ready
    meanwhile, and `output()` is given the IR."""
    return Run([*_CODE, "-c", "-x", "ir", "-", "-o", "-"], None, name, user_text)


def _named(text: str, name: str) -> bytes:
    """The text under its file's name, which clang cannot know from standard input."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'#line 1 "{quoted}"\n{text}'.encode()


def ir_to_object(ir: str) -> bytes:
    """LLVM IR to an ELF object of eBPF code: code generation only."""
    return Run([*_TARGET, "-O2", "-c", "-x", "ir", "-", "-o", "-"], ir.encode(), "<ir>", ir).output()


class Run:
    """One run of clang, begun at once.  `output()` waits for it; `close()` ends one that is not wanted any more.

    `text` is None when `output()` is given it.  `files` are descriptors that clang may open as `path_of(descriptor)`,
    each with what the user calls that file.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        text: bytes | None,
        name: str,
        user_text: str,
        files: Mapping[int, str] | None = None,
    ) -> None:
        self._name = name
        self._user_text = user_text
        self._files = files or {}
        self.diagnostics: list[CompilerMessage] = []
        # Not a pipe: that holds 64 KiB only, and nobody may be there to fill it.
        source = subprocess.PIPE if text is None else memory_file(text)
        try:
            self._process = subprocess.Popen(
                [*find_compiler().argv, *arguments],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(self._files),
            )
        finally:
            if text is not None:
                os.close(source)

    def output(self, source: bytes | None = None) -> bytes:
        """What clang wrote; warnings are in `diagnostics`.  Raises `CompileError`."""
        try:
            written, messages = self._process.communicate(source)
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
