"""Plain eBPF C, as libbpf's users write it, to an object: with our headers and the kernel's types."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stingless.compile.cache import Kept, program_key
from stingless.errors import CompileError, CompilerMessage
from stingless.frozen import frozen
from stingless.private_cache import PrivateCache

_WANTED = "stingless-vmlinux"  # the stub headers/vmlinux.h includes it when it has no other
_TAKE_FLAGS = ("@", "--config")  # from files that we do not see
_NO_USES = ("bpf_helper_defs.h",)  # headers that name the kernel's types and use none
StrPath = str | os.PathLike[str]


@frozen
class Compiled:
    """An ELF object of eBPF code with BTF, and the compiler's warnings."""

    data: bytes
    warnings: tuple[CompilerMessage, ...] = ()


def compile_file(path: StrPath, cflags: Sequence[str] = (), btf: StrPath | None = None) -> bytes:
    """A C file to an ELF object; `#include "x.h"` is looked for beside it.

    `"vmlinux.h"` is made from the running kernel's BTF, or from the BTF file `btf` of another one, unless the program's
    directory or a `-I` of `cflags` has a file of that name.  An object is kept between runs until one of the files that
    made it changes.  Raises `CompileError` (with `.diagnostics` on the user's lines), `FileNotFoundError` and kin for
    the files named, and `NotSupportedError` where there is no compiler or no BTF.
    """
    return compile_program(path, cflags, btf).data


def compile_text(text: str, name: str = "main.bpf.c", cflags: Sequence[str] = (), btf: StrPath | None = None) -> bytes:
    """As `compile_file`, for a text that is in no file: messages and headers in quotes take it for the file `name`."""
    return _compiled(_Program(name, text.encode(), False, tuple(cflags), Path(btf) if btf else None)).data


def compile_program(path: StrPath, cflags: Sequence[str] = (), btf: StrPath | None = None) -> Compiled:
    """`compile_file`, with the compiler's warnings."""
    text = Path(path).read_bytes()
    return _compiled(_Program(os.fspath(path), text, True, tuple(cflags), Path(btf) if btf else None))


@frozen
class _Program:
    name: str
    text: bytes
    on_disk: bool  # then clang reads it itself
    cflags: tuple[str, ...]
    btf: Path | None

    @property
    def directories(self) -> list[Path]:
        """Where the user's own headers are looked for, before ours."""
        found = [Path(self.name).parent]
        flags = iter(self.cflags)
        for flag in flags:
            for option in ("-iquote", "-isystem", "-I"):
                if flag.startswith(option):
                    found.append(Path(flag.removeprefix(option) or next(flags, ".")))
                    break
        return found


def _compiled(program: _Program) -> Compiled:
    from stingless.compile.vmlinux import kernel_id

    key = program_key(program.text, program.name, program.on_disk, program.cflags, kernel_id(program.btf))
    with PrivateCache() as cache:
        kept = Kept.read(cache.get(key))
        if kept is None or not kept.is_fresh():
            kept = _compile(program)
            if kept.lasting and not any(flag.startswith(_TAKE_FLAGS) for flag in program.cflags):
                cache.put(key, kept.written())
    return Compiled(kept.data, kept.warnings)


def _compile(program: _Program) -> Kept:
    own = any((directory / "vmlinux.h").is_file() for directory in program.directories)
    if b"vmlinux.h" in program.text and not own:
        return _with_vmlinux(program)
    try:
        return _run(program)
    except CompileError as error:
        if _WANTED not in error.output:
            raise
    return _with_vmlinux(program)  # a header of the user's wants it


def _with_vmlinux(program: _Program) -> Kept:
    """With the part of the header that the program seems to need; with all of it if that does not compile."""
    from stingless.compile.narrow import narrowed, program_text
    from stingless.compile.toolchain import HEADERS
    from stingless.compile.vmlinux import header

    whole = header(program.btf)
    words = " ".join(program.cflags)
    ours = "\n".join(file.read_text() for file in sorted((HEADERS / "bpf").glob("*.h")) if file.name not in _NO_USES)
    text = program_text(program.name, program.text.decode("utf-8", "replace"), program.directories)
    try:
        return _run(program, narrowed(whole, f"{text}\n{words}\n{ours}"))
    except CompileError:
        pass
    try:
        return _run(program, whole)
    except CompileError as error:
        if "conflicting types for" not in error.output:
            raise
        try:  # it declares the kernel's functions itself, and in other words
            return _run(program, b"#define BPF_NO_KFUNC_PROTOTYPES\n" + whole)
        except CompileError:
            raise error from None


def _run(program: _Program, vmlinux: bytes | None = None) -> Kept:
    """One run of clang; `vmlinux` is the text of the header."""
    import time
    from contextlib import ExitStack

    from stingless.compile.driver import Run, memory_file, path_of, target_flags
    from stingless.compile.strip import without_dwarf
    from stingless.compile.toolchain import find_compiler

    started = time.time_ns()
    files: dict[int, str] = {}
    with ExitStack() as opened:

        def in_memory(content: bytes, name: str) -> str:
            descriptor = memory_file(content)
            opened.callback(os.close, descriptor)
            files[descriptor] = name
            return path_of(descriptor)

        rules = in_memory(b"", "dependencies")
        arguments = [*target_flags(program.cflags), "-MD", "-MT", "object", "-MF", rules]
        if vmlinux is not None:
            arguments.append(f'-D__ST_VMLINUX="{in_memory(vmlinux, "vmlinux.h")}"')
        if program.on_disk:
            source = f"./{program.name}" if program.name.startswith("-") else program.name
        else:  # its headers are where its file would be; its lines are put into the object
            source = in_memory(program.text, program.name)
            arguments += ["-iquote", str(Path(program.name).parent), "-gdwarf-5", "-gembed-source"]
            arguments.append(f"-fdebug-prefix-map={source}={program.name}")
        arguments += [*program.cflags, *find_compiler().include_flags(), "-c", "-x", "c", source, "-o", "-"]
        run = Run(arguments, b"", program.name, program.text.decode("utf-8", "replace"), files)
        try:
            data = run.output()
        except CompileError as error:
            raise _explained(error, program) from None
        if not data.startswith(b"\x7fELF"):
            asked = f" with {' '.join(program.cflags)}" if program.cflags else ""
            raise CompileError(f"{program.name}: {find_compiler().argv[0]} wrote no ELF object{asked}")
        warnings = tuple(d for d in run.diagnostics if d.severity == "warning")
        made_from = Path(rules).read_bytes().decode("utf-8", "surrogateescape")
    return Kept.made(without_dwarf(data), warnings, made_from, program.directories, started)


def _explained(error: CompileError, program: _Program) -> CompileError:
    """The error, with what to do about headers that are missing."""
    from stingless.compile.diagnostics import failure
    from stingless.compile.hints import with_hints
    from stingless.compile.toolchain import HEADERS, find_compiler

    hinted = with_hints(error.diagnostics, [*program.directories, HEADERS, *find_compiler().includes])
    return failure(program.name, hinted, error.output, 1)
