"""Running clang: C to an object, C to LLVM IR, IR to an object.

One process a run, text in by standard input and the result out by standard output; nothing is written to disk.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from stingless.compile.diagnostics import parse_diagnostics
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


def compile_object(text: str, name: str = "main.c", cflags: Sequence[str] = (), user_text: str | None = None) -> bytes:
    """C text to an ELF object.  Raises `CompileError` with diagnostics on the lines of `name`; `user_text` is what the
    user wrote, when `text` is a rewriting of it that keeps its lines."""
    arguments = [*c_arguments(cflags), "-c", "-x", "c", "-", "-o", "-"]
    return _run(arguments, _named(text, name), name, user_text or text)


def c_to_ir(text: str, name: str = "main.c", cflags: Sequence[str] = (), user_text: str | None = None) -> str:
    """C text to optimised LLVM IR (`-O2 -emit-llvm -S`)."""
    arguments = [*c_arguments(cflags), "-emit-llvm", "-S", "-x", "c", "-", "-o", "-"]
    return _run(arguments, _named(text, name), name, user_text or text).decode()


def _named(text: str, name: str) -> bytes:
    """The text under its file's name, which clang cannot know from standard input."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'#line 1 "{quoted}"\n{text}'.encode()


def ir_to_object(ir: str) -> bytes:
    """LLVM IR to an ELF object of eBPF code: code generation only."""
    return _run([*_TARGET, "-O2", "-c", "-x", "ir", "-", "-o", "-"], ir.encode(), "<ir>", ir)


def _run(arguments: list[str], text: bytes, name: str, user_text: str) -> bytes:
    compiler = find_compiler()
    done = subprocess.run([*compiler.argv, *arguments], input=text, capture_output=True, check=False)
    output = done.stderr.decode("utf-8", "replace")
    if done.returncode == 0:
        return done.stdout
    diagnostics = parse_diagnostics(output, name, user_text)
    errors = [d for d in diagnostics if d.severity in ("error", "fatal error")] or diagnostics
    if not errors:
        raise CompileError(f"{name}: clang failed with status {done.returncode}: {output.strip()}", (), output)
    more = f"\n({len(errors) - 1} more)" if len(errors) > 1 else ""
    raise CompileError(f"{errors[0]}{more}", diagnostics, output)
