"""`stingless build`: a program in plain eBPF C to an object file; the programs of a bcc script to several."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from stingless.cli.build_script import build_script, is_script
from stingless.cli.output import write
from stingless.errors import CompileError, ObjectError, StinglessError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stingless build",
        usage="stingless build PROGRAM.bpf.c [-o PROGRAM.bpf.o] [-I DIR] [-D NAME[=VALUE]] [--btf FILE] "
        "[--cflag=FLAG]\n"
        "       stingless build SCRIPT.py -o DIR [-- ARGS ...]",
        description='Compile a program in plain eBPF C. <bpf/bpf_helpers.h> and its kin are there, and "vmlinux.h" is '
        "made from the running kernel's BTF. Of a bcc script, the programs that it makes with the arguments ARGS are "
        "saved in DIR, for `stingless run --objects DIR SCRIPT` on machines without a compiler; the script runs up to "
        "where it would wait. The exit status is 1 for a program that does not compile, 2 for wrong arguments.",
    )
    parser.add_argument("program", help="the C file, or the bcc script")
    parser.add_argument(
        "-o",
        dest="output",
        help="the object file (default: beside the C file, .c replaced by .o), or a script's directory",
    )
    parser.add_argument("-I", dest="include", action="append", default=[], metavar="DIR", help="look for headers here")
    parser.add_argument("-D", dest="define", action="append", default=[], metavar="NAME[=VALUE]", help="define a macro")
    parser.add_argument("--btf", metavar="FILE", help="make vmlinux.h from this BTF file, of another kernel")
    parser.add_argument("--cflag", action="append", default=[], metavar="FLAG", help="give clang this flag")
    return parser


def _script(script: Path, options: argparse.Namespace, args: Sequence[str]) -> int:
    if not script.is_file():
        print(f"stingless build: no script {str(script)!r}", file=sys.stderr)
        return 2
    if not options.output:
        print("stingless build: a script's objects need a directory: -o DIR", file=sys.stderr)
        return 2
    if options.include or options.define or options.btf or options.cflag:
        print("stingless build: -I, -D, --btf and --cflag are for C: a script gives its own flags", file=sys.stderr)
        return 2
    return build_script(script, args, Path(options.output))


def main(argv: Sequence[str]) -> int:
    words = list(argv)
    at = words.index("--") if "--" in words else len(words)
    options = _parser().parse_args(words[:at])
    program = Path(options.program)
    if is_script(program):
        return _script(program, options, words[at + 1 :])
    output = Path(options.output or options.program.removesuffix(".c") + ".o")
    if output == program:
        print(f"stingless build: {program} is not C: give the object a name with -o", file=sys.stderr)
        return 2
    flags = [f"-I{path}" for path in options.include] + [f"-D{name}" for name in options.define] + options.cflag
    from stingless.compile import compile_program

    try:
        compiled = compile_program(program, flags, options.btf)
    except CompileError as error:
        for diagnostic in error.diagnostics:
            print(diagnostic, file=sys.stderr)
        if not error.diagnostics:
            print(error, file=sys.stderr)
        return 1
    except OSError as error:
        if isinstance(error, StinglessError) or not error.filename:
            print(f"stingless build: {error}", file=sys.stderr)
            return 1
        print(f"stingless build: cannot read {os.fsdecode(error.filename)}: {error.strerror}", file=sys.stderr)
        return 2
    except ObjectError as error:
        print(f"stingless build: {error}", file=sys.stderr)
        return 1
    for warning in compiled.warnings:
        print(warning, file=sys.stderr)
    try:
        write(output, compiled.data)
    except OSError as error:
        print(f"stingless build: cannot write {output}: {error.strerror}", file=sys.stderr)
        return 2
    return 0
