"""`stingless build`: a program in plain eBPF C to an object file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from stingless.cli.output import write
from stingless.errors import CompileError, ObjectError, StinglessError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stingless build",
        usage="stingless build PROGRAM.bpf.c [-o PROGRAM.bpf.o] [-I DIR] [-D NAME[=VALUE]] [--btf FILE] [--cflag=FLAG]",
        description='Compile a program in plain eBPF C. <bpf/bpf_helpers.h> and its kin are there, and "vmlinux.h" is '
        "made from the running kernel's BTF. The exit status is 1 for a program that does not compile, 2 for wrong "
        "arguments.",
    )
    parser.add_argument("program", help="the C file")
    parser.add_argument("-o", dest="output", help="the object file (default: beside the program, .c replaced by .o)")
    parser.add_argument("-I", dest="include", action="append", default=[], metavar="DIR", help="look for headers here")
    parser.add_argument("-D", dest="define", action="append", default=[], metavar="NAME[=VALUE]", help="define a macro")
    parser.add_argument("--btf", metavar="FILE", help="make vmlinux.h from this BTF file, of another kernel")
    parser.add_argument("--cflag", action="append", default=[], metavar="FLAG", help="give clang this flag")
    return parser


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    program = Path(options.program)
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
